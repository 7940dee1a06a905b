"""Security.framework: certificates, policies, trust objects and trust settings.

Bound like CoreFoundation, see there. Sources: the headers SecCertificate.h, SecPolicy.h, SecTrust.h, SecTrustSettings.h
and SecBase.h of the macOS SDK. `*error` of `SecTrustEvaluateWithError` is `CF_RETURNS_RETAINED`: the caller owns it.
"""

from __future__ import annotations

from ctypes import POINTER, c_bool, c_int32, c_uint32, c_ulong, c_void_p

from truststore._ffi.corefoundation import NOTHING, OWNED, Framework, Signature

PATH = "/System/Library/Frameworks/Security.framework/Security"

# OSStatus is int32_t, CFOptionFlags unsigned long, SecTrustResultType and SecTrustSettingsDomain uint32_t.
SIGNATURES = (
    Signature("SecCertificateCreateWithData", (c_void_p, c_void_p), c_void_p, OWNED),
    Signature("SecCertificateCopyData", (c_void_p,), c_void_p, OWNED),
    Signature("SecPolicyCreateSSL", (c_bool, c_void_p), c_void_p, OWNED),
    Signature("SecPolicyCreateRevocation", (c_ulong,), c_void_p, OWNED),
    Signature("SecPolicyCopyProperties", (c_void_p,), c_void_p, OWNED),
    Signature("SecTrustCreateWithCertificates", (c_void_p, c_void_p, POINTER(c_void_p)), c_int32, OWNED),
    Signature("SecTrustSetAnchorCertificates", (c_void_p, c_void_p), c_int32, NOTHING),
    Signature("SecTrustSetAnchorCertificatesOnly", (c_void_p, c_bool), c_int32, NOTHING),
    Signature("SecTrustSetVerifyDate", (c_void_p, c_void_p), c_int32, NOTHING),
    # macOS 10.14 and later.
    Signature("SecTrustEvaluateWithError", (c_void_p, POINTER(c_void_p)), c_bool, OWNED, optional=True),
    # Deprecated since 10.15, and the only way before 10.14.
    Signature("SecTrustEvaluate", (c_void_p, POINTER(c_uint32)), c_int32, NOTHING, optional=True),
    Signature("SecTrustCopyAnchorCertificates", (POINTER(c_void_p),), c_int32, OWNED),
    Signature("SecTrustSettingsCopyCertificates", (c_uint32, POINTER(c_void_p)), c_int32, OWNED),
    Signature("SecTrustSettingsCopyTrustSettings", (c_void_p, c_uint32, POINTER(c_void_p)), c_int32, OWNED),
    Signature("SecCopyErrorMessageString", (c_int32, c_void_p), c_void_p, OWNED),
)

kSecRevocationUseAnyAvailableMethod = 3
kSecRevocationRequirePositiveResponse = 8

kSecTrustResultProceed = 1
kSecTrustResultDeny = 3
kSecTrustResultUnspecified = 4
kSecTrustResultRecoverableTrustFailure = 5
kSecTrustResultFatalTrustFailure = 6

kSecTrustSettingsDomainUser = 0
kSecTrustSettingsDomainAdmin = 1
kSecTrustSettingsResultTrustRoot = 1
kSecTrustSettingsResultTrustAsRoot = 2
kSecTrustSettingsResultDeny = 3
# Macros in SecTrustSettings.h, not exported symbols: the keys are these very texts.
kSecTrustSettingsApplication = "kSecTrustSettingsApplication"
kSecTrustSettingsPolicy = "kSecTrustSettingsPolicy"
kSecTrustSettingsPolicyString = "kSecTrustSettingsPolicyString"
kSecTrustSettingsResult = "kSecTrustSettingsResult"

errSecSuccess = 0
errSecParam = -50
errSecAllocate = -108
errSecInternalComponent = -2070
errSecNoTrustSettings = -25263
errSecNotAvailable = -25291
errSecInteractionNotAllowed = -25308
errSecCreateChainFailed = -25318
errSecInternal = -26276  # SecBasePriv.h
errSecMissingEntitlement = -34018
errSecServiceNotAvailable = -67585
errSecHostNameMismatch = -67602
errSecUnknownCriticalExtensionFlag = -67603
errSecNoBasicConstraints = -67604
errSecNoBasicConstraintsCA = -67605
errSecInvalidKeyUsageForPolicy = -67608
errSecInvalidExtendedKeyUsage = -67609
errSecInvalidIDLinkage = -67610
errSecPathLengthConstraintExceeded = -67611
errSecInvalidRoot = -67612
errSecUnknownCertExtension = -67618
errSecIncompleteCertRevocationCheck = -67635
errSecTrustSettingDeny = -67654
errSecInvalidSubjectName = -67655
errSecInternalError = -67671
errSecInvalidName = -67689
errSecInvalidCertificateRef = -67690
errSecUnsupportedKeySize = -67735
errSecInvalidDigestAlgorithm = -67815
errSecCertificateExpired = -67818
errSecCertificateNotValidYet = -67819
errSecCertificateRevoked = -67820
errSecVerifyActionFailed = -67825
errSecInvalidPolicyIdentifiers = -67835
errSecNotTrusted = -67843
errSecMissingRequiredExtension = -67880
errSecCertificatePolicyNotAllowed = -67899
errSecCertificateNameNotAllowed = -67900
errSecCertificateValidityPeriodTooLong = -67901
errSecCertificateIsCA = -67902
errSecCertificateDuplicateExtension = -67903

_security: Framework | None = None


def security() -> Framework:
    """The framework, loaded at the first call in this process."""
    global _security
    if _security is None:
        _security = Framework(PATH, SIGNATURES)
    return _security
