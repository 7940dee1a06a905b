"""Certificates for tests: authorities, leaves and the contexts of servers that show them."""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path

import trustme
from cryptography import x509

from truststore._context import Genuine

HOST = "localhost"


class Authority:
    """A test CA: what it issued is trusted by whoever trusts `file` (PEM) or `der`."""

    def __init__(self, directory: Path, name: str, key_type: trustme.KeyType = trustme.KeyType.ECDSA) -> None:
        self._key_type = key_type
        self.ca = trustme.CA(organization_name=f"truststore-auto test {name}", key_type=key_type)
        self.file = directory / f"{name}.pem"
        self.ca.cert_pem.write_to_path(self.file)
        self.pem = self.file.read_text()
        self.der = ssl.PEM_cert_to_DER_cert(self.pem)

    def leaf(self, *names: str, **options: object) -> trustme.LeafCert:
        """A certificate for `names`, `localhost` and 127.0.0.1 by default. `options` go to trustme."""
        return self.ca.issue_cert(*(names or (HOST, "127.0.0.1")), key_type=self._key_type, **options)  # type: ignore[arg-type]

    def server_context(self, *names: str, **options: object) -> ssl.SSLContext:
        """A genuine server context that shows a leaf for `names`."""
        context = new_genuine(ssl.PROTOCOL_TLS_SERVER)
        self.leaf(*names, **options).configure_cert(context)
        return context


def new_genuine(protocol: int) -> ssl.SSLContext:
    """A context of the standard library's own class, whether or not the hook is active in this process."""
    context: ssl.SSLContext = Genuine.__new__(Genuine, protocol)
    return context


def stress_material(directory: Path) -> None:
    """What `harness/stress.py` must find in its directory: three CAs, and a certificate of each with its key."""
    for name in ("system", "private", "stranger"):
        authority = Authority(directory, name)
        authority.leaf().private_key_and_cert_chain_pem.write_to_path(directory / f"{name}-server.pem")


def chain_der(leaf: trustme.LeafCert) -> list[bytes]:
    """The DER chain that a server with `leaf` sends, leaf first."""
    return [ssl.PEM_cert_to_DER_cert(pem.bytes().decode()) for pem in leaf.cert_chain_pems]


def hash_name(der: bytes) -> str:
    """The name, without the number behind it, under which OpenSSL looks for the certificate `der` in a directory.

    That is the start of the SHA-1 of the subject in OpenSSL's canonical form: every value a lower-case UTF8String with
    single spaces (x509_name_canon in OpenSSL's x_name.c). Good for names as trustme makes them.
    """
    canonical = b""
    for rdn in x509.load_der_x509_certificate(der).subject.rdns:
        attributes = []
        for attribute in rdn:
            value = " ".join(str(attribute.value).lower().split()).encode()
            oid = x509.Name([attribute]).public_bytes().partition(b"\x06")[2]
            attributes.append(_tlv(0x30, b"\x06" + oid[: oid[0] + 1] + _tlv(0x0C, value)))
        canonical += _tlv(0x31, b"".join(sorted(attributes)))
    digest = hashlib.sha1(canonical, usedforsecurity=False).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}"


def _tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    octets = b"" if size < 0x80 else size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets) if octets else size]) + octets + content
