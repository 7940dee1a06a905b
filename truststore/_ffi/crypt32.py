"""CryptoAPI: the structures, constants and functions of `wincrypt.h` that the Windows verifier calls.

Bindings only. Names are the vendor's. All integers have fixed widths (`DWORD` is 32 bits wherever this is imported;
`ctypes.wintypes.DWORD` is 64 on 64-bit Unix) and text is an array of UTF-16 units (`wchar_t` is 32 bits on Unix), so
that layouts are the same on every OS and tests compare them with the headers' on any of them.

Nothing is loaded at import. `load()` binds the functions of this Windows at its first call; a test makes a `Bindings`
of its own, from functions that stand in for the system's.

Ownership, by the functions' reference pages (learn.microsoft.com/windows/win32/api/wincrypt/):

====================================  ===========================================================
made by                               released by
====================================  ===========================================================
CertOpenStore                         CertCloseStore
CertCreateCertificateContext          CertFreeCertificateContext
CertEnumCertificatesInStore           the next call, which takes the previous context; at an early
                                      end CertFreeCertificateContext
CertGetCertificateChain               CertFreeCertificateChain
CertCreateCertificateChainEngine      CertFreeCertificateChainEngine
====================================  ===========================================================
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, c_char_p, c_int32, c_ubyte, c_uint16, c_uint32, c_void_p

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# --- types -----------------------------------------------------------------------------------------------------------

BOOL = c_int32
DWORD = c_uint32
LONG = c_int32
# Opaque, and never followed by us.
HCERTSTORE = c_void_p
HCERTCHAINENGINE = c_void_p
# A pointer to UTF-16 units that end in a zero: LPWSTR, LPCWSTR.
WIDE_STRING = POINTER(c_uint16)


class FILETIME(Structure):
    _fields_ = [
        ("dwLowDateTime", DWORD),
        ("dwHighDateTime", DWORD),
    ]


class CERT_CONTEXT(Structure):
    _fields_ = [
        ("dwCertEncodingType", DWORD),
        ("pbCertEncoded", POINTER(c_ubyte)),
        ("cbCertEncoded", DWORD),
        ("pCertInfo", c_void_p),
        ("hCertStore", HCERTSTORE),
    ]


PCCERT_CONTEXT = POINTER(CERT_CONTEXT)


class CTL_USAGE(Structure):
    """Also known as CERT_ENHKEY_USAGE: a list of object identifiers in dotted text."""

    _fields_ = [
        ("cUsageIdentifier", DWORD),
        ("rgpszUsageIdentifier", POINTER(c_char_p)),
    ]


class CERT_USAGE_MATCH(Structure):
    _fields_ = [
        ("dwType", DWORD),
        ("Usage", CTL_USAGE),
    ]


class CERT_CHAIN_PARA(Structure):
    """With the fields that the header hides unless CERT_CHAIN_PARA_HAS_EXTRA_FIELDS is defined."""

    _fields_ = [
        ("cbSize", DWORD),
        ("RequestedUsage", CERT_USAGE_MATCH),
        ("RequestedIssuancePolicy", CERT_USAGE_MATCH),
        ("dwUrlRetrievalTimeout", DWORD),  # milliseconds
        ("fCheckRevocationFreshnessTime", BOOL),
        ("dwRevocationFreshnessTime", DWORD),  # seconds
        ("pftCacheResync", POINTER(FILETIME)),
        ("pStrongSignPara", c_void_p),
        ("dwStrongSignFlags", DWORD),
    ]


class CERT_TRUST_STATUS(Structure):
    _fields_ = [
        ("dwErrorStatus", DWORD),
        ("dwInfoStatus", DWORD),
    ]


class CERT_CHAIN_ELEMENT(Structure):
    _fields_ = [
        ("cbSize", DWORD),
        ("pCertContext", PCCERT_CONTEXT),
        ("TrustStatus", CERT_TRUST_STATUS),
        ("pRevocationInfo", c_void_p),
        ("pIssuanceUsage", POINTER(CTL_USAGE)),
        ("pApplicationUsage", POINTER(CTL_USAGE)),
        ("pwszExtendedErrorInfo", WIDE_STRING),
    ]


class CERT_SIMPLE_CHAIN(Structure):
    _fields_ = [
        ("cbSize", DWORD),
        ("TrustStatus", CERT_TRUST_STATUS),
        ("cElement", DWORD),
        ("rgpElement", POINTER(POINTER(CERT_CHAIN_ELEMENT))),
        ("pTrustListInfo", c_void_p),
        ("fHasRevocationFreshnessTime", BOOL),
        ("dwRevocationFreshnessTime", DWORD),
    ]


class CERT_CHAIN_CONTEXT(Structure):
    """Owned by the system and only read here. `ChainId` is a GUID."""

    _fields_ = [
        ("cbSize", DWORD),
        ("TrustStatus", CERT_TRUST_STATUS),
        ("cChain", DWORD),
        ("rgpChain", POINTER(POINTER(CERT_SIMPLE_CHAIN))),
        ("cLowerQualityChainContext", DWORD),
        ("rgpLowerQualityChainContext", c_void_p),
        ("fHasRevocationFreshnessTime", BOOL),
        ("dwRevocationFreshnessTime", DWORD),
        ("dwCreateFlags", DWORD),
        ("ChainId", DWORD * 4),
    ]


PCCERT_CHAIN_CONTEXT = POINTER(CERT_CHAIN_CONTEXT)


class CERT_CHAIN_ENGINE_CONFIG(Structure):
    """As Windows 7 defined it, without the `dwExclusiveFlags` that Windows 8 appended.

    `cbSize` tells the versions apart. Every later Windows takes the shorter one; Wine takes only that.
    """

    _fields_ = [
        ("cbSize", DWORD),
        ("hRestrictedRoot", HCERTSTORE),
        ("hRestrictedTrust", HCERTSTORE),
        ("hRestrictedOther", HCERTSTORE),
        ("cAdditionalStore", DWORD),
        ("rghAdditionalStore", POINTER(HCERTSTORE)),
        ("dwFlags", DWORD),
        ("dwUrlRetrievalTimeout", DWORD),  # milliseconds
        ("MaximumCachedCertificates", DWORD),
        ("CycleDetectionModulus", DWORD),
        ("hExclusiveRoot", HCERTSTORE),
        ("hExclusiveTrustedPeople", HCERTSTORE),
    ]


class SSL_EXTRA_CERT_CHAIN_POLICY_PARA(Structure):
    _fields_ = [
        ("cbSize", DWORD),
        ("dwAuthType", DWORD),
        ("fdwChecks", DWORD),
        ("pwszServerName", WIDE_STRING),
    ]


class CERT_CHAIN_POLICY_PARA(Structure):
    """`pvExtraPolicyPara` is a `void *` in the header; here it has the only type that we pass."""

    _fields_ = [
        ("cbSize", DWORD),
        ("dwFlags", DWORD),
        ("pvExtraPolicyPara", POINTER(SSL_EXTRA_CERT_CHAIN_POLICY_PARA)),
    ]


class CERT_CHAIN_POLICY_STATUS(Structure):
    _fields_ = [
        ("cbSize", DWORD),
        ("dwError", DWORD),
        ("lChainIndex", LONG),
        ("lElementIndex", LONG),
        ("pvExtraPolicyStatus", c_void_p),
    ]


# --- constants: wincrypt.h, wininet.h, winbase.h ---------------------------------------------------------------------

X509_ASN_ENCODING = 0x1

CERT_STORE_PROV_MEMORY = 2
CERT_STORE_PROV_SYSTEM_W = 10
CERT_STORE_READONLY_FLAG = 0x8000
CERT_SYSTEM_STORE_CURRENT_USER = 0x10000
CERT_STORE_ADD_USE_EXISTING = 2

USAGE_MATCH_TYPE_AND = 0
CERT_CHAIN_REVOCATION_ACCUMULATIVE_TIMEOUT = 0x08000000
CERT_CHAIN_REVOCATION_CHECK_END_CERT = 0x10000000
CERT_CHAIN_REVOCATION_CHECK_CHAIN_EXCLUDE_ROOT = 0x40000000
CERT_CHAIN_REVOCATION_CHECK_CACHE_ONLY = 0x80000000

CERT_CHAIN_POLICY_SSL = 4
AUTHTYPE_SERVER = 2
SECURITY_FLAG_IGNORE_CERT_CN_INVALID = 0x1000

CERT_TRUST_IS_NOT_TIME_VALID = 0x1
CERT_TRUST_IS_NOT_TIME_NESTED = 0x2
CERT_TRUST_IS_REVOKED = 0x4
CERT_TRUST_IS_NOT_SIGNATURE_VALID = 0x8
CERT_TRUST_IS_NOT_VALID_FOR_USAGE = 0x10
CERT_TRUST_IS_UNTRUSTED_ROOT = 0x20
CERT_TRUST_REVOCATION_STATUS_UNKNOWN = 0x40
CERT_TRUST_IS_CYCLIC = 0x80
CERT_TRUST_INVALID_EXTENSION = 0x100
CERT_TRUST_INVALID_POLICY_CONSTRAINTS = 0x200
CERT_TRUST_INVALID_BASIC_CONSTRAINTS = 0x400
CERT_TRUST_INVALID_NAME_CONSTRAINTS = 0x800
CERT_TRUST_HAS_NOT_SUPPORTED_NAME_CONSTRAINT = 0x1000
CERT_TRUST_HAS_NOT_DEFINED_NAME_CONSTRAINT = 0x2000
CERT_TRUST_HAS_NOT_PERMITTED_NAME_CONSTRAINT = 0x4000
CERT_TRUST_HAS_EXCLUDED_NAME_CONSTRAINT = 0x8000
CERT_TRUST_IS_PARTIAL_CHAIN = 0x10000
CERT_TRUST_HAS_WEAK_SIGNATURE = 0x100000
CERT_TRUST_IS_OFFLINE_REVOCATION = 0x1000000
CERT_TRUST_NO_ISSUANCE_CHAIN_POLICY = 0x2000000
CERT_TRUST_IS_EXPLICIT_DISTRUST = 0x4000000
CERT_TRUST_HAS_NOT_SUPPORTED_CRITICAL_EXT = 0x8000000

FORMAT_MESSAGE_IGNORE_INSERTS = 0x200
FORMAT_MESSAGE_FROM_SYSTEM = 0x1000
FORMAT_MESSAGE_MAX_WIDTH_MASK = 0xFF

szOID_PKIX_KP_SERVER_AUTH = b"1.3.6.1.5.5.7.3.1"
szOID_ANY_ENHANCED_KEY_USAGE = b"2.5.29.37.0"

# --- constants: winerror.h -------------------------------------------------------------------------------------------

ERROR_NO_MORE_FILES = 18
NTE_BAD_SIGNATURE = 0x80090006
CRYPT_E_BAD_ENCODE = 0x80092002
CRYPT_E_NOT_FOUND = 0x80092004
CRYPT_E_REVOKED = 0x80092010
CRYPT_E_NO_REVOCATION_DLL = 0x80092011
CRYPT_E_NO_REVOCATION_CHECK = 0x80092012
CRYPT_E_REVOCATION_OFFLINE = 0x80092013
CRYPT_E_NOT_IN_REVOCATION_DATABASE = 0x80092014
CRYPT_E_OSS_ERROR = 0x80093000
CRYPT_E_ASN1_EXTENDED = 0x80093201
TRUST_E_CERT_SIGNATURE = 0x80096004
TRUST_E_BASIC_CONSTRAINTS = 0x80096019
CERT_E_EXPIRED = 0x800B0101
CERT_E_VALIDITYPERIODNESTING = 0x800B0102
CERT_E_ROLE = 0x800B0103
CERT_E_PATHLENCONST = 0x800B0104
CERT_E_CRITICAL = 0x800B0105
CERT_E_PURPOSE = 0x800B0106
CERT_E_ISSUERCHAINING = 0x800B0107
CERT_E_MALFORMED = 0x800B0108
CERT_E_UNTRUSTEDROOT = 0x800B0109
CERT_E_CHAINING = 0x800B010A
TRUST_E_FAIL = 0x800B010B
CERT_E_REVOKED = 0x800B010C
CERT_E_UNTRUSTEDTESTROOT = 0x800B010D
CERT_E_REVOCATION_FAILURE = 0x800B010E
CERT_E_CN_NO_MATCH = 0x800B010F
CERT_E_WRONG_USAGE = 0x800B0110
TRUST_E_EXPLICIT_DISTRUST = 0x800B0111
CERT_E_UNTRUSTEDCA = 0x800B0112
CERT_E_INVALID_POLICY = 0x800B0113
CERT_E_INVALID_NAME = 0x800B0114

# --- functions -------------------------------------------------------------------------------------------------------

# Library, name, result, arguments. A store provider and a policy are small integers passed as LPCSTR.
PROTOTYPES: tuple[tuple[str, str, Any, tuple[Any, ...]], ...] = (
    ("crypt32.dll", "CertOpenStore", HCERTSTORE, (c_void_p, DWORD, c_void_p, DWORD, c_void_p)),
    ("crypt32.dll", "CertCloseStore", BOOL, (HCERTSTORE, DWORD)),
    (
        "crypt32.dll",
        "CertAddEncodedCertificateToStore",
        BOOL,
        (HCERTSTORE, DWORD, c_char_p, DWORD, DWORD, c_void_p),
    ),
    ("crypt32.dll", "CertCreateCertificateContext", PCCERT_CONTEXT, (DWORD, c_char_p, DWORD)),
    ("crypt32.dll", "CertFreeCertificateContext", BOOL, (PCCERT_CONTEXT,)),
    ("crypt32.dll", "CertEnumCertificatesInStore", PCCERT_CONTEXT, (HCERTSTORE, PCCERT_CONTEXT)),
    ("crypt32.dll", "CertGetEnhancedKeyUsage", BOOL, (PCCERT_CONTEXT, DWORD, c_void_p, POINTER(DWORD))),
    ("crypt32.dll", "CertVerifyTimeValidity", LONG, (POINTER(FILETIME), c_void_p)),
    (
        "crypt32.dll",
        "CertGetCertificateChain",
        BOOL,
        (
            HCERTCHAINENGINE,
            PCCERT_CONTEXT,
            POINTER(FILETIME),
            HCERTSTORE,
            POINTER(CERT_CHAIN_PARA),
            DWORD,
            c_void_p,
            POINTER(PCCERT_CHAIN_CONTEXT),
        ),
    ),
    ("crypt32.dll", "CertFreeCertificateChain", None, (PCCERT_CHAIN_CONTEXT,)),
    (
        "crypt32.dll",
        "CertVerifyCertificateChainPolicy",
        BOOL,
        (c_void_p, PCCERT_CHAIN_CONTEXT, POINTER(CERT_CHAIN_POLICY_PARA), POINTER(CERT_CHAIN_POLICY_STATUS)),
    ),
    (
        "crypt32.dll",
        "CertCreateCertificateChainEngine",
        BOOL,
        (POINTER(CERT_CHAIN_ENGINE_CONFIG), POINTER(HCERTCHAINENGINE)),
    ),
    ("crypt32.dll", "CertFreeCertificateChainEngine", None, (HCERTCHAINENGINE,)),
    (
        "kernel32.dll",
        "FormatMessageW",
        DWORD,
        (DWORD, c_void_p, DWORD, DWORD, WIDE_STRING, DWORD, c_void_p),
    ),
)

# LoadLibraryEx: the system's directory only, so that a file beside the program cannot take the system's place.
LOAD_LIBRARY_SEARCH_SYSTEM32 = 0x800


class Bindings:
    """The functions of `PROTOTYPES` as attributes.

    `resolve(library, name, result, arguments)` gives the callable for each. `last_error()` gives the calling thread's
    last error as the latest call left it, as an unsigned number; read it before the next call.
    """

    CertOpenStore: Callable[..., Any]
    CertCloseStore: Callable[..., Any]
    CertAddEncodedCertificateToStore: Callable[..., Any]
    CertCreateCertificateContext: Callable[..., Any]
    CertFreeCertificateContext: Callable[..., Any]
    CertEnumCertificatesInStore: Callable[..., Any]
    CertGetEnhancedKeyUsage: Callable[..., Any]
    CertVerifyTimeValidity: Callable[..., Any]
    CertGetCertificateChain: Callable[..., Any]
    CertFreeCertificateChain: Callable[..., Any]
    CertVerifyCertificateChainPolicy: Callable[..., Any]
    CertCreateCertificateChainEngine: Callable[..., Any]
    CertFreeCertificateChainEngine: Callable[..., Any]
    FormatMessageW: Callable[..., Any]

    def __init__(self, resolve: Callable[[str, str, Any, tuple[Any, ...]], Any], last_error: Callable[[], int]) -> None:
        for library, name, result, arguments in PROTOTYPES:
            setattr(self, name, resolve(library, name, result, arguments))
        self.last_error = last_error


def wide_string(text: str) -> Any:
    """`text` as an array of UTF-16 units that ends in a zero; the caller keeps it while it is in use."""
    encoded = text.encode("utf-16-le")
    return (c_uint16 * (len(encoded) // 2 + 1)).from_buffer_copy(encoded + b"\0\0")


def _from_system(library: str, name: str, result: Any, arguments: tuple[Any, ...]) -> Any:
    # One object per function: setting `argtypes` on a shared one would change it for everybody in the process.
    loaded = ctypes.WinDLL(  # type: ignore[attr-defined]
        library, use_last_error=True, winmode=LOAD_LIBRARY_SEARCH_SYSTEM32
    )
    function = getattr(loaded, name)
    function.restype = result
    function.argtypes = arguments
    return function


def _system_last_error() -> int:
    return int(ctypes.get_last_error()) & 0xFFFFFFFF  # type: ignore[attr-defined]


_bindings: Bindings | None = None


def load() -> Bindings:
    """This Windows' functions. Raises `OSError` or `AttributeError` where there are none."""
    global _bindings
    if _bindings is None:
        _bindings = Bindings(_from_system, _system_last_error)
    return _bindings
