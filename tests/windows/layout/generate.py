"""Write golden.txt: sizes, offsets and constants as mingw-w64's headers have them for 64-bit Windows 10.

    apt-get install gcc-mingw-w64-x86-64
    python tests/windows/layout/generate.py

The compiler computes every number and leaves it as text in the assembly; nothing is run, so neither Windows nor Wine is
needed. The names below are listed here, not taken from the bindings: a member that is missing there must be missed.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys

GOLDEN = pathlib.Path(__file__).with_name("golden.txt")
COMPILER = "x86_64-w64-mingw32-gcc"
HEADERS_PACKAGE = "mingw-w64-x86-64-dev"

STRUCTURES = {
    "FILETIME": "dwLowDateTime dwHighDateTime",
    "CERT_CONTEXT": "dwCertEncodingType pbCertEncoded cbCertEncoded pCertInfo hCertStore",
    "CTL_USAGE": "cUsageIdentifier rgpszUsageIdentifier",
    "CERT_USAGE_MATCH": "dwType Usage",
    "CERT_CHAIN_PARA": "cbSize RequestedUsage RequestedIssuancePolicy dwUrlRetrievalTimeout"
    " fCheckRevocationFreshnessTime dwRevocationFreshnessTime pftCacheResync pStrongSignPara dwStrongSignFlags",
    "CERT_TRUST_STATUS": "dwErrorStatus dwInfoStatus",
    "CERT_CHAIN_ELEMENT": "cbSize pCertContext TrustStatus pRevocationInfo pIssuanceUsage pApplicationUsage"
    " pwszExtendedErrorInfo",
    "CERT_SIMPLE_CHAIN": "cbSize TrustStatus cElement rgpElement pTrustListInfo fHasRevocationFreshnessTime"
    " dwRevocationFreshnessTime",
    "CERT_CHAIN_CONTEXT": "cbSize TrustStatus cChain rgpChain cLowerQualityChainContext"
    " rgpLowerQualityChainContext fHasRevocationFreshnessTime dwRevocationFreshnessTime dwCreateFlags ChainId",
    "CERT_CHAIN_ENGINE_CONFIG": "cbSize hRestrictedRoot hRestrictedTrust hRestrictedOther cAdditionalStore"
    " rghAdditionalStore dwFlags dwUrlRetrievalTimeout MaximumCachedCertificates CycleDetectionModulus"
    " hExclusiveRoot hExclusiveTrustedPeople dwExclusiveFlags",
    "SSL_EXTRA_CERT_CHAIN_POLICY_PARA": "cbSize dwAuthType fdwChecks pwszServerName",
    "CERT_CHAIN_POLICY_PARA": "cbSize dwFlags pvExtraPolicyPara",
    "CERT_CHAIN_POLICY_STATUS": "cbSize dwError lChainIndex lElementIndex pvExtraPolicyStatus",
}

CONSTANTS = (
    "X509_ASN_ENCODING CERT_STORE_PROV_MEMORY CERT_STORE_PROV_SYSTEM_W "
    "CERT_STORE_READONLY_FLAG CERT_SYSTEM_STORE_CURRENT_USER CERT_STORE_ADD_USE_EXISTING "
    "USAGE_MATCH_TYPE_AND CERT_CHAIN_REVOCATION_ACCUMULATIVE_TIMEOUT CERT_CHAIN_REVOCATION_CHECK_END_CERT "
    "CERT_CHAIN_REVOCATION_CHECK_CHAIN_EXCLUDE_ROOT CERT_CHAIN_REVOCATION_CHECK_CACHE_ONLY "
    "CERT_CHAIN_POLICY_SSL AUTHTYPE_SERVER SECURITY_FLAG_IGNORE_CERT_CN_INVALID "
    "CERT_TRUST_IS_NOT_TIME_VALID CERT_TRUST_IS_NOT_TIME_NESTED CERT_TRUST_IS_REVOKED "
    "CERT_TRUST_IS_NOT_SIGNATURE_VALID CERT_TRUST_IS_NOT_VALID_FOR_USAGE CERT_TRUST_IS_UNTRUSTED_ROOT "
    "CERT_TRUST_REVOCATION_STATUS_UNKNOWN CERT_TRUST_IS_CYCLIC CERT_TRUST_INVALID_EXTENSION "
    "CERT_TRUST_INVALID_POLICY_CONSTRAINTS CERT_TRUST_INVALID_BASIC_CONSTRAINTS "
    "CERT_TRUST_INVALID_NAME_CONSTRAINTS CERT_TRUST_HAS_NOT_SUPPORTED_NAME_CONSTRAINT "
    "CERT_TRUST_HAS_NOT_DEFINED_NAME_CONSTRAINT CERT_TRUST_HAS_NOT_PERMITTED_NAME_CONSTRAINT "
    "CERT_TRUST_HAS_EXCLUDED_NAME_CONSTRAINT CERT_TRUST_IS_PARTIAL_CHAIN CERT_TRUST_HAS_WEAK_SIGNATURE "
    "CERT_TRUST_IS_OFFLINE_REVOCATION CERT_TRUST_NO_ISSUANCE_CHAIN_POLICY CERT_TRUST_IS_EXPLICIT_DISTRUST "
    "CERT_TRUST_HAS_NOT_SUPPORTED_CRITICAL_EXT FORMAT_MESSAGE_IGNORE_INSERTS FORMAT_MESSAGE_FROM_SYSTEM "
    "FORMAT_MESSAGE_MAX_WIDTH_MASK LOAD_LIBRARY_SEARCH_SYSTEM32 ERROR_NO_MORE_FILES NTE_BAD_SIGNATURE "
    "CRYPT_E_BAD_ENCODE CRYPT_E_NOT_FOUND CRYPT_E_REVOKED CRYPT_E_NO_REVOCATION_DLL "
    "CRYPT_E_NO_REVOCATION_CHECK CRYPT_E_REVOCATION_OFFLINE CRYPT_E_NOT_IN_REVOCATION_DATABASE "
    "CRYPT_E_OSS_ERROR CRYPT_E_ASN1_EXTENDED TRUST_E_CERT_SIGNATURE TRUST_E_BASIC_CONSTRAINTS "
    "CERT_E_EXPIRED CERT_E_VALIDITYPERIODNESTING CERT_E_ROLE CERT_E_PATHLENCONST CERT_E_CRITICAL "
    "CERT_E_PURPOSE CERT_E_ISSUERCHAINING CERT_E_MALFORMED CERT_E_UNTRUSTEDROOT CERT_E_CHAINING "
    "TRUST_E_FAIL CERT_E_REVOKED CERT_E_UNTRUSTEDTESTROOT CERT_E_REVOCATION_FAILURE CERT_E_CN_NO_MATCH "
    "CERT_E_WRONG_USAGE TRUST_E_EXPLICIT_DISTRUST CERT_E_UNTRUSTEDCA CERT_E_INVALID_POLICY "
    "CERT_E_INVALID_NAME "
)

TEXTS = ("szOID_PKIX_KP_SERVER_AUTH", "szOID_ANY_ENHANCED_KEY_USAGE")


def program() -> str:
    """C that makes the compiler write `GOLDEN kind name numbers` lines into the assembly."""
    lines = [f"#include <{header}.h>" for header in ("stddef", "windows", "wincrypt", "wininet")]
    lines.append("void golden(void) {")
    for name, members in STRUCTURES.items():
        lines.append(_line(f"structure {name}", f"sizeof({name})"))
        for member in members.split():
            lines.append(
                _line(f"member {name} {member}", f"offsetof({name}, {member})", f"sizeof((({name} *)0)->{member})")
            )
    lines += [_line(f"constant {name}", f"(unsigned int)(size_t)({name})") for name in CONSTANTS.split()]
    # A macro's text, spelled by the preprocessor: GOLDEN text NAME "1.2.3"
    lines += [f'__asm__ volatile ("\\n#GOLDEN text {name} " {name});' for name in TEXTS]
    return "\n".join([*lines, "}"])


def _line(what: str, *expressions: str) -> str:
    places = " ".join(f"%c{index}" for index in range(len(expressions)))
    operands = ", ".join(f'"i"({expression})' for expression in expressions)
    return f'__asm__ volatile ("\\n#GOLDEN {what} {places}" :: {operands});'


def compiled() -> list[str]:
    """The golden lines, numbers unsigned. Raises `CalledProcessError` if the headers lack a name."""
    command = [COMPILER, "-D_WIN32_WINNT=0x0A00", "-DCERT_CHAIN_PARA_HAS_EXTRA_FIELDS", "-S", "-x", "c", "-o", "-", "-"]
    assembly = subprocess.run(command, input=program(), stdout=subprocess.PIPE, text=True, check=True).stdout
    marked = [line.partition("#GOLDEN ")[2] for line in assembly.splitlines() if line.startswith("#GOLDEN ")]
    return [_unsigned(line) for line in marked]


def _unsigned(line: str) -> str:
    """The assembly has 32-bit numbers with a sign."""
    words = line.split()
    return " ".join(str(int(word) & 0xFFFFFFFF) if word.startswith("-") else word for word in words)


def headers_version() -> str:
    query = ["dpkg-query", "--show", "--showformat=${Version}", HEADERS_PACKAGE]
    return subprocess.run(query, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    text = "\n".join([f"# {HEADERS_PACKAGE} {headers_version()}, by generate.py", *compiled()]) + "\n"
    if sys.argv[1:] == ["--check"]:
        if text.splitlines()[1:] != GOLDEN.read_text().splitlines()[1:]:
            raise SystemExit(f"{GOLDEN} differs from the headers of {HEADERS_PACKAGE} {headers_version()}")
        print("golden.txt is what the headers say")
    else:
        GOLDEN.write_text(text)
