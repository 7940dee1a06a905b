"""A verifier for the delegated path that runs everywhere: OpenSSL judges any DER chain, by the standard library alone.

A throw-away client is fed a hand-made TLS 1.2 server flight, ServerHello and Certificate, in plain text. OpenSSL
verifies as soon as it has the Certificate message: it raises its verdict, or asks for more input, which means that it
has accepted the chain. No key, no socket and no server takes part.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence

from truststore._context import Genuine
from truststore._verify import Options, Revocation

# A TLS 1.2 suite that fits the leaf's key: OpenSSL compares the two before it looks at the chain (RFC 5246, 7.4.2).
_RSA_SUITE = (0xC02F, "ECDHE-RSA-AES128-GCM-SHA256")
_ECDSA_SUITE = (0xC02B, "ECDHE-ECDSA-AES128-GCM-SHA256")
_RSA_KEY = bytes.fromhex("06092a864886f70d010101")  # the object identifier rsaEncryption
_RENEGOTIATION_INFO = bytes.fromhex("ff01000100")  # RFC 5746: OpenSSL wants it
_RECORD_SIZE = 16384

_FLAGS = {
    Revocation.NONE: 0,
    Revocation.LEAF: ssl.VERIFY_CRL_CHECK_LEAF,
    Revocation.CHAIN: ssl.VERIFY_CRL_CHECK_CHAIN,
}


class OracleVerifier:
    """Judges as OpenSSL does with `anchors` (DER) for the system store, and counts how often it was asked."""

    name = "OpenSSL oracle"

    def __init__(self, anchors: Sequence[bytes] = ()) -> None:
        self.anchors = list(anchors)
        self.asked: list[tuple[list[bytes], Options]] = []

    def verify(self, chain: Sequence[bytes], options: Options) -> None:
        self.asked.append((list(chain), options))
        context = Genuine.__new__(Genuine, ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = options.server_name is not None
        context.verify_flags |= _FLAGS[options.revocation]
        anchors = b"".join([*self.anchors, *options.extra_anchors])
        if anchors:
            context.load_verify_locations(cadata=anchors)
        judge(context, chain, options.server_name)

    def roots(self) -> list[bytes]:
        return list(self.anchors)


def judge(context: ssl.SSLContext, chain: Sequence[bytes], server_name: str | None) -> None:
    """Return if `context` accepts `chain` for `server_name`; raise OpenSSL's `SSLCertVerificationError` if not."""
    suite = _RSA_SUITE if _RSA_KEY in chain[0] else _ECDSA_SUITE
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{_RSA_SUITE[1]}:{_ECDSA_SUITE[1]}")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=server_name)
    incoming.write(_server_flight(chain, suite[0]))
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return
    raise AssertionError("a handshake without a key cannot have ended")


def _server_flight(chain: Sequence[bytes], suite: int) -> bytes:
    extensions = _sized(_RENEGOTIATION_INFO, 2)
    hello = b"\x03\x03" + os.urandom(32) + b"\x00" + suite.to_bytes(2, "big") + b"\x00" + extensions
    certificates = _sized(b"".join(_sized(der, 3) for der in chain), 3)
    messages = b"\x02" + _sized(hello, 3) + b"\x0b" + _sized(certificates, 3)
    records = [messages[start : start + _RECORD_SIZE] for start in range(0, len(messages), _RECORD_SIZE)]
    return b"".join(b"\x16\x03\x03" + _sized(record, 2) for record in records)


def _sized(data: bytes, octets: int) -> bytes:
    return len(data).to_bytes(octets, "big") + data
