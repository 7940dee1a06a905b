"""What went wrong, in one vocabulary for every platform.

A backend maps its native code to a `Reason`; a `Reason` knows OpenSSL's verify code for it, so that programs that look
at `SSLCertVerificationError.verify_code` behave the same on every OS. Everything a backend cannot map is
`Reason.OTHER`, which is a failure like the rest.

Verify codes are OpenSSL's, from `openssl/x509_vfy.h`; their texts are those of `X509_verify_cert_error_string`.
"""

from __future__ import annotations

import enum
import ssl


class Reason(enum.Enum):
    """Why a peer certificate was refused.

    `value` is a stable word, used in the documentation's anchors and in JSON. `verify_code` is OpenSSL's number for
    the reason, `text` the sentence that stands in the exception when the system has no words of its own.
    """

    verify_code: int
    text: str

    UNKNOWN_ISSUER = ("unknown-issuer", 20, "unable to get local issuer certificate")
    MISSING_INTERMEDIATE = ("missing-intermediate", 20, "the peer did not send an intermediate certificate")
    SELF_SIGNED = ("self-signed", 18, "self-signed certificate")
    UNTRUSTED_ROOT = ("untrusted-root", 19, "self-signed certificate in certificate chain")
    EXPIRED = ("expired", 10, "certificate has expired")
    NOT_YET_VALID = ("not-yet-valid", 9, "certificate is not yet valid")
    WRONG_NAME = ("wrong-name", 62, "hostname mismatch")
    WRONG_IP_ADDRESS = ("wrong-ip-address", 64, "IP address mismatch")
    REVOKED = ("revoked", 23, "certificate revoked")
    REVOCATION_UNKNOWN = ("revocation-unknown", 3, "unable to find out whether the certificate is revoked")
    REVOCATION_STALE = ("revocation-stale", 12, "CRL has expired")
    WRONG_PURPOSE = ("wrong-purpose", 26, "unsuitable certificate purpose")
    NOT_A_CA = ("not-a-ca", 79, "invalid CA certificate")
    PATH_TOO_LONG = ("path-too-long", 25, "path length constraint exceeded")
    NAME_CONSTRAINT = ("name-constraint", 47, "permitted subtree violation")
    WEAK_KEY = ("weak-key", 66, "certificate key too weak")
    WEAK_SIGNATURE = ("weak-signature", 68, "signature digest algorithm too weak")
    BAD_SIGNATURE = ("bad-signature", 7, "certificate signature failure")
    UNKNOWN_CRITICAL_EXTENSION = ("unknown-critical-extension", 34, "unhandled critical extension")
    BAD_ENCODING = ("bad-encoding", 41, "the system cannot parse a certificate of the peer")
    NO_CERTIFICATE = ("no-certificate", 1, "the peer sent no certificate")
    DISTRUSTED = ("distrusted", 28, "certificate rejected")
    STANDARDS = ("standards", 50, "the certificate breaks a rule that the system enforces")
    STRICT = ("strict", 89, "the certificate breaks a rule that only VERIFY_X509_STRICT enforces")
    OTHER = ("other", 1, "unspecified certificate verification error")

    def __new__(cls, word: str, verify_code: int, text: str) -> Reason:
        member = object.__new__(cls)
        member._value_ = word
        member.verify_code = verify_code
        member.text = text
        return member


# OpenSSL's own verdicts, for contexts that OpenSSL decides. Codes that are absent are Reason.OTHER.
_REASON_BY_VERIFY_CODE = {
    2: Reason.UNKNOWN_ISSUER,
    3: Reason.REVOCATION_UNKNOWN,
    7: Reason.BAD_SIGNATURE,
    9: Reason.NOT_YET_VALID,
    10: Reason.EXPIRED,
    12: Reason.REVOCATION_STALE,
    18: Reason.SELF_SIGNED,
    19: Reason.UNTRUSTED_ROOT,
    20: Reason.UNKNOWN_ISSUER,
    21: Reason.UNKNOWN_ISSUER,
    22: Reason.PATH_TOO_LONG,
    23: Reason.REVOKED,
    24: Reason.NOT_A_CA,
    25: Reason.PATH_TOO_LONG,
    26: Reason.WRONG_PURPOSE,
    27: Reason.DISTRUSTED,
    28: Reason.DISTRUSTED,
    32: Reason.NOT_A_CA,
    34: Reason.UNKNOWN_CRITICAL_EXTENSION,
    41: Reason.BAD_ENCODING,
    44: Reason.REVOCATION_UNKNOWN,
    47: Reason.NAME_CONSTRAINT,
    48: Reason.NAME_CONSTRAINT,
    62: Reason.WRONG_NAME,
    64: Reason.WRONG_IP_ADDRESS,
    66: Reason.WEAK_KEY,
    67: Reason.WEAK_KEY,
    68: Reason.WEAK_SIGNATURE,
    79: Reason.NOT_A_CA,
    85: Reason.STRICT,
    86: Reason.STRICT,
    89: Reason.STRICT,
    92: Reason.STRICT,
}


def reason_of(verify_code: int) -> Reason:
    """The reason behind OpenSSL's `verify_code`."""
    return _REASON_BY_VERIFY_CODE.get(verify_code, Reason.OTHER)


def reason_behind(error: ssl.SSLCertVerificationError) -> Reason:
    """The reason for `error`, whoever raised it: a backend, which names it, or OpenSSL, which gives its code."""
    word = vars(error).get("reason_word")
    return next((reason for reason in Reason if reason.value == word), None) or reason_of(error.verify_code)


def verification_error(
    reason: Reason, message: str = "", native_code: int | None = None
) -> ssl.SSLCertVerificationError:
    """The exception for a verdict against the peer, shaped as OpenSSL's own.

    `message` holds the system's words; without any, the reason's text stands in. `native_code` is the OSStatus or
    HRESULT; it becomes an attribute of the exception, as does `reason_word`, the value of `reason`.
    """
    words = message or reason.text
    error = ssl.SSLCertVerificationError(1, f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {words}")
    error.library = "SSL"
    error.reason = "CERTIFICATE_VERIFY_FAILED"
    error.verify_code = reason.verify_code
    error.verify_message = words
    # Not in typeshed: these two are ours.
    vars(error).update(native_code=native_code, reason_word=reason.value)
    return error


def machinery_error(call: str, message: str, native_code: int | None = None) -> ssl.SSLError:
    """The exception for a native `call` that failed before there was a verdict. The peer is refused all the same."""
    code = "" if native_code is None else f" ({native_code:#x})" if native_code >= 0 else f" ({native_code})"
    error = ssl.SSLError(1, f"[SSL] {call} failed: {message}{code}")
    vars(error)["native_code"] = native_code
    return error


def again(error: BaseException) -> BaseException:
    """A fresh copy of `error`: one exception object must not be raised twice, its traceback would grow."""
    copy = type(error).__new__(type(error), *error.args)
    copy.args = error.args
    vars(copy).update(vars(error))
    for name in ("library", "reason", "verify_code", "verify_message", "errno", "strerror"):
        if hasattr(error, name):
            setattr(copy, name, getattr(error, name))
    return copy


def annotate(error: BaseException, note: str) -> None:
    """Say more about `error`: as a note on Python 3.11 and later, in its message on 3.10."""
    if hasattr(error, "add_note"):
        error.add_note(note)
    elif isinstance(error, OSError):
        error.strerror = f"{error.strerror}\n{note}"
