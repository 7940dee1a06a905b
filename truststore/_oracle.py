"""What would OpenSSL say if...? Any chain, judged by OpenSSL itself under assumptions that the caller chooses.

A cause that is guessed from an error message is often wrong. Here it is proven: if OpenSSL accepts a chain as soon as
it does not look at the clock, then the clock, and nothing else, is what it refused.

How: a throw-away client is given the first flight of a TLS 1.2 server, ServerHello and Certificate, which TLS 1.2
sends in plain text (RFC 5246, 7.3). OpenSSL verifies the chain as soon as it has that message: it raises its verdict,
or it asks for more, which means that it has accepted the chain. There is no key, no socket and no server, and nothing
of it ever becomes a connection. Whatever is neither of the two answers counts as unknown, never as accepted.
"""

from __future__ import annotations

import os
import ssl
import sys

from truststore import _x509

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

# Flags of X509_VERIFY_PARAM (openssl/x509_vfy.h) that `ssl` does not name on every Python.
PARTIAL_CHAIN = 0x80000
NO_CHECK_TIME = 0x200000
STRICT = int(ssl.VERIFY_X509_STRICT)
CRL_CHECK_LEAF = int(ssl.VERIFY_CRL_CHECK_LEAF)
CRL_CHECKS = int(ssl.VERIFY_CRL_CHECK_CHAIN)

# What ssl.create_default_context() asks for besides the defaults of the class (Lib/ssl.py).
DEFAULT_FLAGS = PARTIAL_CHAIN | STRICT if sys.version_info >= (3, 13) else 0

# A suite for each kind of key: OpenSSL compares the two before it looks at the chain.
_ECDSA_SUITE = (0xC02B, "ECDHE-ECDSA-AES128-GCM-SHA256")
_RSA_SUITE = (0xC02F, "ECDHE-RSA-AES128-GCM-SHA256")
_RENEGOTIATION_INFO = bytes.fromhex("ff01000100")  # RFC 5746; OpenSSL refuses a server without it
_LARGEST_RECORD = 16384


def _standard_class() -> Any:
    """The standard library's class, whatever stands in `ssl` by now. Kept apart from `_context`, which may be what
    does not work."""
    for base in ssl.SSLContext.__mro__:
        if (base.__module__, base.__name__) == ("ssl", "SSLContext"):
            return base
    return ssl.SSLContext


Standard: Any = _standard_class()
_Raw: Any = Standard.__mro__[1]  # its setters work whoever replaced the class in `ssl`


class Verdict:
    """OpenSSL's answer: `code` is 0 (accepted), a verify code (refused) or None (no answer); `message` its words."""

    __slots__ = ("code", "message")

    def __init__(self, code: int | None, message: str) -> None:
        self.code = code
        self.message = message

    @property
    def accepted(self) -> bool:
        return self.code == 0


class Assumptions:
    """Under which conditions OpenSSL is to judge. Immutable; `but()` makes changed copies.

    `load` gives a context its anchors. `flags` are those of `SSLContext.verify_flags`, on top of the class's own.
    `server_name` is the name or address to check, None to leave it unchecked. `security_level` is OpenSSL's (0 to 5),
    None for the configured one.
    """

    __slots__ = ("flags", "load", "security_level", "server_name")

    def __init__(
        self,
        load: Callable[[ssl.SSLContext], None],
        *,
        flags: int = DEFAULT_FLAGS,
        server_name: str | None = None,
        security_level: int | None = None,
    ) -> None:
        self.load = load
        self.flags = flags
        self.server_name = server_name
        self.security_level = security_level

    def but(self, **changes: Any) -> Assumptions:
        """A copy with `changes` to the attributes."""
        kept: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        return Assumptions(**(kept | changes))


def judge(chain: Sequence[bytes], assumptions: Assumptions) -> Verdict:
    """OpenSSL's verdict on `chain` (DER, leaf first) under `assumptions`."""
    try:
        context = new_context(assumptions.server_name is not None, assumptions.flags)
        assumptions.load(context)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        return Verdict(None, str(error))
    return judge_in(context, chain, assumptions.server_name, assumptions.security_level)


def judge_in(
    context: ssl.SSLContext, chain: Sequence[bytes], server_name: str | None, security_level: int | None = None
) -> Verdict:
    """The verdict of a context that the caller has set up for this one question; it is of no other use afterwards."""
    if not chain:
        return Verdict(None, "there is no certificate to judge")
    level = "" if security_level is None else f":@SECLEVEL={security_level}"
    try:
        _Raw.minimum_version.__set__(context, ssl.TLSVersion.TLSv1_2)
        _Raw.maximum_version.__set__(context, ssl.TLSVersion.TLSv1_2)
        context.set_ciphers(f"{_ECDSA_SUITE[1]}:{_RSA_SUITE[1]}{level}")
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(incoming, outgoing, server_hostname=server_name)
        incoming.write(_server_flight(chain))
        client.do_handshake()
    except ssl.SSLWantReadError:
        return Verdict(0, "ok")
    except ssl.SSLCertVerificationError as error:
        return Verdict(error.verify_code, error.verify_message)
    except (OSError, ValueError) as error:  # TLS 1.2 is forbidden here, or the key is of a kind that it does not know
        return Verdict(None, str(error))
    return Verdict(None, "the handshake ended without a key")


def new_context(check_hostname: bool, flags: int) -> ssl.SSLContext:
    """A client's context of the standard library's class without anchors."""
    context: ssl.SSLContext = _Raw.__new__(Standard, ssl.PROTOCOL_TLS_CLIENT)
    _Raw.check_hostname.__set__(context, check_hostname)
    _Raw.verify_flags.__set__(context, _Raw.verify_flags.__get__(context) | flags)
    return context


def anchors(certificates: Iterable[bytes]) -> Callable[[ssl.SSLContext], None]:
    """What loads these DER certificates, for `Assumptions.load`. One that OpenSSL cannot parse is left out."""
    wanted = list(certificates)

    def load(context: ssl.SSLContext) -> None:
        try:
            Standard.load_verify_locations(context, cadata=b"".join(wanted))
        except (ssl.SSLError, ValueError):
            for certificate in wanted:
                _load_if_readable(context, certificate)

    return load


def _load_if_readable(context: ssl.SSLContext, certificate: bytes) -> None:
    try:
        Standard.load_verify_locations(context, cadata=certificate)
    except (ssl.SSLError, ValueError):
        return


def _server_flight(chain: Sequence[bytes]) -> bytes:
    suite = (_RSA_SUITE if _has_rsa_key(chain[0]) else _ECDSA_SUITE)[0]
    hello = b"\x03\x03" + os.urandom(32) + b"\x00" + suite.to_bytes(2, "big") + b"\x00"
    hello += _with_length(_RENEGOTIATION_INFO, 2)
    certificates = _with_length(b"".join(_with_length(certificate, 3) for certificate in chain), 3)
    messages = b"\x02" + _with_length(hello, 3) + b"\x0b" + _with_length(certificates, 3)
    flight = b""
    for start in range(0, len(messages), _LARGEST_RECORD):
        flight += b"\x16\x03\x03" + _with_length(messages[start : start + _LARGEST_RECORD], 2)
    return flight


def _has_rsa_key(certificate: bytes) -> bool:
    try:
        return _x509.Certificate(certificate).key.kind in ("RSA", "RSA-PSS")
    except _x509.BadEncodingError:
        return False


def _with_length(data: bytes, octets: int) -> bytes:
    return len(data).to_bytes(octets, "big") + data
