"""macOS: the Security framework decides, in the system's own trust evaluation (`SecTrust`).

How a chain is judged: the certificates and one or two policies (TLS server with the name; revocation, if asked for)
make a trust object, extra anchors are added to the system's, `trustd` evaluates, and whatever is not a plain yes is a
refusal. The rules are the system's. Some are stricter than OpenSSL's (no common-name fallback, 825 and 398 days of
life, an extended key usage that names TLS servers), and they hold for extra anchors too: then the error says which.

Sources: Apple's documentation of SecTrust, SecPolicy and SecTrustSettings; the table of checks, codes and their
precedence in Apple's published Security source (SecPolicyChecks.list, releases 59306 to 61901); Apple's support notes
HT210176 (825 days, extended key usage) and HT211025 (398 days).
"""

from __future__ import annotations

import ctypes
import os
import socket
import ssl

from truststore._errors import Reason, machinery_error, verification_error
from truststore._ffi import corefoundation as cf
from truststore._ffi import security as sec
from truststore._ffi.corefoundation import References, core_foundation
from truststore._ffi.security import security
from truststore._verify import Revocation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from truststore._verify import Options

OLDEST = (10, 8)

_NO_TRUSTD = (
    "the system's trust service (trustd) gave no verdict, as happens where a sandbox keeps a process from it; "
    "set SSL_CERT_FILE to a file of trusted roots to verify without it"
)
_EKU_RULE = (
    "macOS wants the extended key usage serverAuth in a server's certificate "
    "(and, below a root of the system, in every intermediate that limits its usage); "
    "extra anchors do not lift this rule"
)
_LIFETIME_RULE = (
    "macOS wants server certificates issued after 2019-07-01 to be valid for at most 825 days, "
    "and for at most 398 days below a root of the system; extra anchors do not lift this rule"
)
_KEY_RULE = "macOS wants RSA keys of at least 2048 bits and elliptic-curve keys of at least 256 bits in the whole chain"
_DIGEST_RULE = "macOS accepts no MD5 or SHA-1 signatures in a server's chain"
_LINKAGE_RULE = "a certificate's authority key identifier is not its issuer's subject key identifier"
_NAME_RULE = "macOS looks for the server name among the subject alternative names only"
_TIME_RULE = "macOS says this of a certificate that is not valid yet, too: is this machine's clock right?"
_CT_RULE = "macOS wants certificates of public roots to come with certificate transparency time stamps"

# OSStatus of a verdict -> its name in SecBase.h, what it means in OpenSSL's terms, the rule behind it where the
# system's words do not tell.
_VERDICTS: dict[int, tuple[str, Reason, str]] = {
    sec.errSecCreateChainFailed: ("errSecCreateChainFailed", Reason.UNKNOWN_ISSUER, ""),
    sec.errSecNotTrusted: ("errSecNotTrusted", Reason.UNTRUSTED_ROOT, ""),
    sec.errSecInvalidRoot: ("errSecInvalidRoot", Reason.UNTRUSTED_ROOT, ""),
    sec.errSecHostNameMismatch: ("errSecHostNameMismatch", Reason.WRONG_NAME, _NAME_RULE),
    sec.errSecCertificateExpired: ("errSecCertificateExpired", Reason.EXPIRED, _TIME_RULE),
    sec.errSecCertificateNotValidYet: ("errSecCertificateNotValidYet", Reason.NOT_YET_VALID, ""),
    sec.errSecCertificateRevoked: ("errSecCertificateRevoked", Reason.REVOKED, ""),
    sec.errSecIncompleteCertRevocationCheck: (
        "errSecIncompleteCertRevocationCheck",
        Reason.REVOCATION_UNKNOWN,
        "verify_flags ask for an answer about revocation, and there was none",
    ),
    sec.errSecInvalidExtendedKeyUsage: ("errSecInvalidExtendedKeyUsage", Reason.WRONG_PURPOSE, _EKU_RULE),
    sec.errSecInvalidKeyUsageForPolicy: ("errSecInvalidKeyUsageForPolicy", Reason.WRONG_PURPOSE, ""),
    sec.errSecCertificateValidityPeriodTooLong: (
        "errSecCertificateValidityPeriodTooLong",
        Reason.STANDARDS,
        _LIFETIME_RULE,
    ),
    sec.errSecUnsupportedKeySize: ("errSecUnsupportedKeySize", Reason.WEAK_KEY, _KEY_RULE),
    sec.errSecInvalidDigestAlgorithm: ("errSecInvalidDigestAlgorithm", Reason.WEAK_SIGNATURE, _DIGEST_RULE),
    sec.errSecInvalidIDLinkage: ("errSecInvalidIDLinkage", Reason.STANDARDS, _LINKAGE_RULE),
    sec.errSecNoBasicConstraints: ("errSecNoBasicConstraints", Reason.NOT_A_CA, ""),
    sec.errSecNoBasicConstraintsCA: ("errSecNoBasicConstraintsCA", Reason.NOT_A_CA, ""),
    sec.errSecPathLengthConstraintExceeded: (
        "errSecPathLengthConstraintExceeded",
        Reason.PATH_TOO_LONG,
        "an intermediate's path length constraint is exceeded",
    ),
    sec.errSecUnknownCriticalExtensionFlag: (
        "errSecUnknownCriticalExtensionFlag",
        Reason.UNKNOWN_CRITICAL_EXTENSION,
        "a critical extension is unknown to macOS",
    ),
    sec.errSecInvalidName: ("errSecInvalidName", Reason.NAME_CONSTRAINT, "a name constraint is violated"),
    sec.errSecCertificateNameNotAllowed: (
        "errSecCertificateNameNotAllowed",
        Reason.NAME_CONSTRAINT,
        "a name constraint is violated",
    ),
    sec.errSecTrustSettingDeny: ("errSecTrustSettingDeny", Reason.DISTRUSTED, ""),
    sec.errSecCertificatePolicyNotAllowed: ("errSecCertificatePolicyNotAllowed", Reason.DISTRUSTED, ""),
    sec.errSecInvalidCertificateRef: ("errSecInvalidCertificateRef", Reason.BAD_ENCODING, ""),
    sec.errSecUnknownCertExtension: ("errSecUnknownCertExtension", Reason.BAD_ENCODING, ""),
    sec.errSecVerifyActionFailed: ("errSecVerifyActionFailed", Reason.STANDARDS, _CT_RULE),
    sec.errSecInvalidSubjectName: ("errSecInvalidSubjectName", Reason.STANDARDS, ""),
    sec.errSecInvalidPolicyIdentifiers: ("errSecInvalidPolicyIdentifiers", Reason.STANDARDS, ""),
    sec.errSecMissingRequiredExtension: ("errSecMissingRequiredExtension", Reason.STANDARDS, ""),
    sec.errSecCertificateIsCA: ("errSecCertificateIsCA", Reason.STANDARDS, ""),
    sec.errSecCertificateDuplicateExtension: ("errSecCertificateDuplicateExtension", Reason.STANDARDS, ""),
}

# OSStatus that says that there was no verdict: the service is out of reach, or failed.
_NO_VERDICT = frozenset(
    {
        sec.errSecInternal,
        sec.errSecInternalComponent,
        sec.errSecNotAvailable,
        sec.errSecServiceNotAvailable,
        sec.errSecInteractionNotAllowed,
        sec.errSecMissingEntitlement,
        sec.errSecAllocate,
        sec.errSecParam,
    }
)

# macOS before 10.14 gives a result, but no code: SecTrustResultType -> its name, what it means.
_OLD_RESULTS: dict[int, tuple[str, Reason]] = {
    sec.kSecTrustResultDeny: ("kSecTrustResultDeny", Reason.DISTRUSTED),
    sec.kSecTrustResultRecoverableTrustFailure: ("kSecTrustResultRecoverableTrustFailure", Reason.OTHER),
    sec.kSecTrustResultFatalTrustFailure: ("kSecTrustResultFatalTrustFailure", Reason.OTHER),
}


class MacOSVerifier:
    """Asks the Security framework. Safe to share between threads; loads the frameworks at the first question.

    Both arguments are for tests, which must not change the machine's keychains: `only_anchors` are DER certificates
    to trust instead of the system's, `moment` is the Unix time at which to judge instead of now. Raises `ImportError`
    on macOS 10.7 and older.
    """

    name = "macOS Security framework"

    def __init__(self, only_anchors: Sequence[bytes] | None = None, moment: float | None = None) -> None:
        version = _macos_version()
        if version and version < OLDEST:
            raise ImportError(f"truststore needs macOS 10.8 or later, this is macOS {'.'.join(map(str, version))}")
        self._only_anchors = None if only_anchors is None else tuple(only_anchors)
        self._moment = moment
        self._kept: _Anchors | None = None

    def verify(self, chain: Sequence[bytes], options: Options) -> None:
        """Return None if macOS trusts `chain` (DER, leaf first) under `options`.

        Raises `ssl.SSLCertVerificationError` for a verdict against the peer, and `ssl.SSLError` if there is none: a
        call failed, trustd is out of reach, or `options` ask for what macOS cannot express.
        """
        if not chain:
            raise verification_error(Reason.NO_CERTIFICATE)
        if options.revocation is Revocation.LEAF:
            raise machinery_error(
                "SecPolicyCreateRevocation",
                "macOS cannot check the leaf alone for revocation (ssl.VERIFY_CRL_CHECK_LEAF); "
                "use ssl.VERIFY_CRL_CHECK_CHAIN, or leave the flag away",
            )
        with References() as references:
            trust = _trust(references, chain, options)
            self._set_anchors(trust, options.extra_anchors)
            if self._moment is not None:
                status = security().SecTrustSetVerifyDate(trust, references.date(self._moment))
                _check(status, "SecTrustSetVerifyDate")
            _evaluate(references, trust, chain, options.server_name)

    def _set_anchors(self, trust: int, extra_anchors: Sequence[bytes]) -> None:
        only = self._only_anchors is not None
        anchors = (*(self._only_anchors or ()), *extra_anchors)
        if not anchors and not only:
            return
        # Held here until macOS has taken what is in it, whatever other threads put in its place.
        native = self._native(anchors)
        _check(security().SecTrustSetAnchorCertificates(trust, native.reference), "SecTrustSetAnchorCertificates")
        # The call above switches the system's anchors off. This one, which must come after it, brings them back.
        _check(security().SecTrustSetAnchorCertificatesOnly(trust, only), "SecTrustSetAnchorCertificatesOnly")

    def _native(self, anchors: tuple[bytes, ...]) -> _Anchors:
        """`anchors` for the framework. The last ones are kept: hardly a program has others from one time to the next,
        and parsing a bundle of them takes longer than all the rest."""
        kept = self._kept
        if kept is None or kept.process != os.getpid() or kept.ders != anchors:
            kept = self._kept = _Anchors(anchors)
        return kept

    def roots(self) -> list[bytes]:
        """The DER certificates that macOS trusts for TLS servers: its own and the administrator's, less the denied.

        For export and status. No verdict rests on it: trust settings say more than a list can. Raises `ssl.SSLError`
        if a call fails.
        """
        with References() as references:
            found = _system_anchors(references)
            settings = _TrustSettings(references)
            for certificate in settings.certificates(sec.kSecTrustSettingsDomainAdmin):
                if settings.result(certificate, sec.kSecTrustSettingsDomainAdmin) is True:
                    found.append(certificate)
            denied = {
                _der(references, certificate)
                for domain in (sec.kSecTrustSettingsDomainUser, sec.kSecTrustSettingsDomainAdmin)
                for certificate in settings.certificates(domain)
                if settings.result(certificate, domain) is False
            }
            # A dict keeps the order and drops what both lists have.
            ders = dict.fromkeys(_der(references, certificate) for certificate in found)
        return [der for der in ders if der not in denied]


def _macos_version() -> tuple[int, ...]:
    """The system's version as far as `OLDEST` needs it; empty if unknown.

    The kernel tells it at once: Darwin 12 is macOS 10.8, Darwin 19 macOS 10.15, and what is newer is new enough.
    `platform.mac_ver()` would parse a property list at every `import ssl`; it is asked where the kernel is another.
    """
    kernel = os.uname()
    if kernel.sysname == "Darwin":
        return 10, min(int(kernel.release.partition(".")[0]) - 4, 16)
    import platform

    parts = platform.mac_ver()[0].split(".")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()


def _check(status: int, call: str) -> None:
    """Raise `ssl.SSLError` unless `status`, the OSStatus that `call` gave, is success."""
    if status != sec.errSecSuccess:
        words = _status_text(status) or "it failed"
        raise machinery_error(call, words, status)


def _status_text(status: int) -> str:
    """The system's words for an OSStatus; empty if it has none."""
    with References() as references:
        string = security().SecCopyErrorMessageString(status, None)
        return _printable(cf.text_of(references.own(string, "SecCopyErrorMessageString"))) if string else ""


def _printable(text: str) -> str:
    """`text` with control characters escaped: a peer chooses part of the system's words, and logs hold them."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def _certificate(references: References, der: bytes) -> int | None:
    """A SecCertificate, or None if macOS cannot parse `der`."""
    certificate: int | None = security().SecCertificateCreateWithData(None, references.data(der))
    return references.own(certificate, "SecCertificateCreateWithData") if certificate else None


def _peer_certificate(references: References, der: bytes, index: int) -> int:
    certificate = _certificate(references, der)
    if certificate is None:
        raise verification_error(Reason.BAD_ENCODING, f"macOS cannot parse certificate {index} of the peer's chain")
    return certificate


def _anchor(references: References, der: bytes, index: int) -> int:
    certificate = _certificate(references, der)
    if certificate is None:
        raise machinery_error(
            "SecCertificateCreateWithData", f"macOS cannot parse extra anchor {index} ({len(der)} bytes)"
        )
    return certificate


def _server_name(references: References, options: Options) -> int | None:
    """The server name as a CFString; None, which checks no name, only if the program wants no check."""
    if options.server_name is None:
        return None
    try:
        return references.string(options.server_name)
    except UnicodeEncodeError:
        message = f"the server name {options.server_name!a} cannot be written in UTF-8"
        raise machinery_error("CFStringCreateWithBytes", message) from None


def _policies(references: References, options: Options) -> int:
    """The array of policies: TLS server, with the name if it is to be checked; revocation, if asked for."""
    policies = [
        references.own(security().SecPolicyCreateSSL(True, _server_name(references, options)), "SecPolicyCreateSSL")
    ]
    if options.revocation is Revocation.CHAIN:
        policy = security().SecPolicyCreateRevocation(
            sec.kSecRevocationUseAnyAvailableMethod | sec.kSecRevocationRequirePositiveResponse
        )
        policies.append(references.own(policy, "SecPolicyCreateRevocation"))
    return references.array(policies)


def _trust(references: References, chain: Sequence[bytes], options: Options) -> int:
    """A new trust object. One evaluation each: objects are independent of each other, so threads are too."""
    certificates = references.array([_peer_certificate(references, der, index) for index, der in enumerate(chain)])
    policies = _policies(references, options)
    trust = ctypes.c_void_p()
    status = security().SecTrustCreateWithCertificates(certificates, policies, ctypes.byref(trust))
    _check(status, "SecTrustCreateWithCertificates")
    return references.own(trust.value, "SecTrustCreateWithCertificates")


def _evaluate(references: References, trust: int, chain: Sequence[bytes], server_name: str | None) -> None:
    """Return if `trust` is good; otherwise raise what the system says about it."""
    evaluate = security().SecTrustEvaluateWithError
    if evaluate is None:
        _evaluate_before_10_14(trust)
        return
    error = ctypes.c_void_p()
    trusted = evaluate(trust, ctypes.byref(error))
    if error.value:
        references.own(error.value, "SecTrustEvaluateWithError")
    if trusted is True and not error.value:
        return
    if not error.value:
        raise machinery_error("SecTrustEvaluateWithError", f"it gave no reason: {_NO_TRUSTD}")
    raise _refusal(references, error.value, chain, server_name)


def _refusal(references: References, error: int, chain: Sequence[bytes], server_name: str | None) -> ssl.SSLError:
    """The exception for a CFError of the evaluation."""
    framework = core_foundation()
    code: int = framework.CFErrorGetCode(error)
    description = framework.CFErrorCopyDescription(error)
    if description:
        references.own(description, "CFErrorCopyDescription")
    words = _printable(cf.text_of(description)) or _status_text(code)
    # trustd's verdicts are OSStatus; what comes from the connection to it has a domain of its own.
    domain = cf.text_of(framework.CFErrorGetDomain(error))
    if domain != "NSOSStatusErrorDomain" or code in _NO_VERDICT:
        place = "" if domain == "NSOSStatusErrorDomain" else f" [{domain or 'no error domain'}]"
        return machinery_error("SecTrustEvaluateWithError", f"{words}{place}: {_NO_TRUSTD}", code)
    name, reason, rule = _VERDICTS.get(code, ("OSStatus", Reason.OTHER, ""))
    if reason is Reason.WRONG_NAME:
        rule = f"the server name is {server_name!r}; {rule}"
        if _is_ip_address(server_name):
            reason = Reason.WRONG_IP_ADDRESS
    if reason is Reason.UNTRUSTED_ROOT and len(chain) == 1:
        reason = Reason.SELF_SIGNED
    message = f"{words or reason.text} ({name} {code})"
    return verification_error(reason, f"{message}: {rule}" if rule else message, code)


def _evaluate_before_10_14(trust: int) -> None:
    evaluate = security().SecTrustEvaluate
    if evaluate is None:
        raise machinery_error("SecTrustEvaluate", "the Security framework has neither it nor SecTrustEvaluateWithError")
    result = ctypes.c_uint32()
    status = evaluate(trust, ctypes.byref(result))
    if status != sec.errSecSuccess:
        raise machinery_error("SecTrustEvaluate", f"{_status_text(status) or 'it failed'}: {_NO_TRUSTD}", status)
    if result.value in (sec.kSecTrustResultProceed, sec.kSecTrustResultUnspecified):
        return
    if result.value not in _OLD_RESULTS:
        raise machinery_error("SecTrustEvaluate", f"result {result.value}: {_NO_TRUSTD}")
    name, reason = _OLD_RESULTS[result.value]
    raise verification_error(reason, f"the system does not trust the peer ({name} {result.value})")


def _is_ip_address(server_name: str | None) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, server_name or "")
        except (OSError, ValueError):  # ValueError: a NUL inside
            continue
        return True
    return False


def _der(references: References, certificate: int) -> bytes:
    data = references.own(security().SecCertificateCopyData(certificate), "SecCertificateCopyData")
    return cf.bytes_of(data)


def _system_anchors(references: References) -> list[int]:
    array = ctypes.c_void_p()
    status = security().SecTrustCopyAnchorCertificates(ctypes.byref(array))
    _check(status, "SecTrustCopyAnchorCertificates")
    return cf.items_of(references.own(array.value, "SecTrustCopyAnchorCertificates"))


class _Anchors(References):
    """A CFArray of the certificates `ders`, released when nobody uses it any more.

    Certificates never change, so threads may share them. A forked child leaves them alone.
    """

    __slots__ = ("_release", "ders", "process", "reference")

    def __init__(self, ders: tuple[bytes, ...]) -> None:
        super().__init__()
        self.ders = ders
        self.process = os.getpid()
        # Kept, since the names of modules may be gone when the interpreter ends.
        self._release = core_foundation().CFRelease
        try:
            self.reference = self.array([_anchor(self, der, index) for index, der in enumerate(ders)])
        except BaseException:
            self.__exit__()
            raise

    def __del__(self, current_process: Callable[[], int] = os.getpid) -> None:
        while self._owned and self.process == current_process():
            self._release(self._owned.pop())


class _TrustSettings:
    """What the user and the administrator decided about single certificates."""

    def __init__(self, references: References) -> None:
        self._references = references
        self._result_key = references.string(sec.kSecTrustSettingsResult)
        self._policy_key = references.string(sec.kSecTrustSettingsPolicy)
        limits = (sec.kSecTrustSettingsPolicyString, sec.kSecTrustSettingsApplication)
        self._limit_keys = [references.string(limit) for limit in limits]
        self._oid_key = security().constant("kSecPolicyOid")
        self._tls_oid = security().constant("kSecPolicyAppleSSL")

    def certificates(self, domain: int) -> list[int]:
        """The certificates that have settings in `domain`."""
        array = ctypes.c_void_p()
        status = security().SecTrustSettingsCopyCertificates(domain, ctypes.byref(array))
        if status == sec.errSecNoTrustSettings:
            return []
        _check(status, "SecTrustSettingsCopyCertificates")
        return cf.items_of(self._references.own(array.value, "SecTrustSettingsCopyCertificates"))

    def result(self, certificate: int, domain: int) -> bool | None:
        """True: trusted as a root for TLS; False: denied; None: the settings leave it open.

        SecTrustSettings.h: no constraints at all mean trust; each constraint has a result, which is to trust the root
        if it is absent, and may be for one policy only. One for a single host or application says nothing about roots.
        """
        array = ctypes.c_void_p()
        status = security().SecTrustSettingsCopyTrustSettings(certificate, domain, ctypes.byref(array))
        _check(status, "SecTrustSettingsCopyTrustSettings")
        constraints = cf.items_of(self._references.own(array.value, "SecTrustSettingsCopyTrustSettings"))
        results = [self._constraint_result(each) for each in constraints if self._is_for_tls(each)]
        if sec.kSecTrustSettingsResultDeny in results:
            return False
        roots = (sec.kSecTrustSettingsResultTrustRoot, sec.kSecTrustSettingsResultTrustAsRoot)
        return True if not constraints or any(result in roots for result in results) else None

    def _constraint_result(self, constraint: int) -> int:
        number = core_foundation().CFDictionaryGetValue(constraint, self._result_key)
        if not number:
            return sec.kSecTrustSettingsResultTrustRoot
        result = cf.number_of(number)
        if result is None:
            raise machinery_error("CFNumberGetValue", "the result of a trust setting cannot be read")
        return result

    def _is_for_tls(self, constraint: int) -> bool:
        framework = core_foundation()
        if any(framework.CFDictionaryGetValue(constraint, key) for key in self._limit_keys):
            return False
        policy = framework.CFDictionaryGetValue(constraint, self._policy_key)
        if not policy:
            return True
        properties = self._references.own(security().SecPolicyCopyProperties(policy), "SecPolicyCopyProperties")
        oid = framework.CFDictionaryGetValue(properties, self._oid_key)
        return bool(oid and framework.CFEqual(oid, self._tls_oid))
