"""Certificates for these tests, made on the spot: good ones, and ones that break exactly one rule."""

from __future__ import annotations

import datetime
import functools
import ipaddress
import warnings
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
YESTERDAY = NOW - datetime.timedelta(days=1)
ONE_WEEK, THREE_MONTHS = datetime.timedelta(days=7), datetime.timedelta(days=90)

SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH
ANY_USAGE = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
MAIL = ExtendedKeyUsageOID.EMAIL_PROTECTION
NETSCAPE_SGC = x509.ObjectIdentifier("2.16.840.1.113730.4.1")

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@functools.cache
def key(kind: str = "p256", number: int = 0) -> PrivateKey:
    """The private key `number` of a kind: `p256`, `p224` or `rsa` with its bits. Made once per process."""
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind[3:]))
    return ec.generate_private_key({"p256": ec.SECP256R1(), "p224": ec.SECP224R1()}[kind])


class Certified:
    """A certificate with its private key and its issuer."""

    def __init__(self, certificate: x509.Certificate, private_key: PrivateKey, issuer: Certified | None) -> None:
        self.certificate = certificate
        self.key = private_key
        self.issuer = issuer or self

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        """The certificate and its key, as a TLS server loads them."""
        return self.certificate.public_bytes(serialization.Encoding.PEM) + self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def days(number: float) -> datetime.timedelta:
    return datetime.timedelta(days=number)


def _name(common_name: str | None) -> x509.Name:
    if common_name is None:
        return x509.Name([])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # too long a name is what some tests want
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name, _validate=False)])


def issue(
    common_name: str | None,
    issuer: Certified | None = None,
    *,
    authority: bool = False,
    names: Sequence[str] = (),
    addresses: Sequence[str] = (),
    start: datetime.datetime = YESTERDAY,
    life: datetime.timedelta = THREE_MONTHS,
    usages: Sequence[x509.ObjectIdentifier] | None = None,
    private_key: PrivateKey | None = None,
    sha1: bool = False,
    path_length: int | None = None,
    issuer_key_id: bytes | None = None,
    without_key_ids: bool = False,
    permitted_names: Sequence[str] = (),
    unknown_critical: bool = False,
) -> Certified:
    """A certificate, signed by `issuer` or by itself; authorities carry no usages unless told, servers serverAuth."""
    private_key = private_key or ec.generate_private_key(ec.SECP256R1())
    signer = issuer.key if issuer else private_key
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(common_name))
        .issuer_name(issuer.certificate.subject if issuer else _name(common_name))
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + life)
        .add_extension(x509.BasicConstraints(authority, path_length), critical=True)
    )
    if not without_key_ids:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        if issuer_key_id is not None:
            identifier = x509.AuthorityKeyIdentifier(issuer_key_id, None, None)
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(private_key.public_key()), critical=False
        ).add_extension(identifier, critical=False)
    alternatives = [x509.DNSName(name) for name in names]
    alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=common_name is None)
    if usages is None:
        usages = () if authority else (SERVER_AUTH,)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(usages)), critical=False)
    if permitted_names:
        trees = [x509.DNSName(name) for name in permitted_names]
        builder = builder.add_extension(x509.NameConstraints(trees, None), critical=True)
    if unknown_critical:
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00")
        builder = builder.add_extension(extension, critical=True)
    certified = Certified(builder.sign(signer, hashes.SHA256()), private_key, issuer)
    return with_sha1(certified) if sha1 else certified


def ocsp_response(leaf: Certified, revoked: bool, life: datetime.timedelta = ONE_WEEK) -> bytes:
    """What the issuer of `leaf` says about it."""
    start = YESTERDAY
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=leaf.certificate,
        issuer=leaf.issuer.certificate,
        algorithm=hashes.SHA1(),  # names the certificate, signs nothing
        cert_status=ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD,
        this_update=start,
        next_update=start + life,
        revocation_time=start if revoked else None,
        revocation_reason=None,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, leaf.issuer.certificate)
    return builder.sign(leaf.issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


# ---- certificates that the library above refuses to make -------------------------------------------------------------


def _tlv(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content


def _elements(content: bytes) -> list[bytes]:
    """The DER elements that follow each other in `content`, each with its header."""
    elements = []
    while content:
        header, length = 2, content[1]
        if length & 0x80:
            header = 2 + (length & 0x7F)
            length = int.from_bytes(content[2:header], "big")
        elements.append(content[: header + length])
        content = content[header + length :]
    return elements


def _content(element: bytes) -> bytes:
    return element[2 + (element[1] & 0x7F) if element[1] & 0x80 else 2 :]


def _signed_again(certified: Certified, body: bytes, algorithm: bytes, digest: hashes.HashAlgorithm) -> bytes:
    issuer_key = certified.issuer.key
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    signature = issuer_key.sign(body, ec.ECDSA(digest))
    return _tlv(0x30, body + algorithm + _tlv(0x03, b"\x00" + signature))


def with_serial(certified: Certified, serial: bytes) -> bytes:
    """`certified` as DER with another serial number, of any length. Signed by P-256 with SHA-256."""
    body, algorithm, _ = _elements(_content(certified.der))
    version, _, *rest = _elements(_content(body))
    body = _tlv(0x30, version + _tlv(0x02, serial) + b"".join(rest))
    return _signed_again(certified, body, algorithm, hashes.SHA256())


def with_version(certified: Certified, version: int) -> bytes:
    """`certified` as DER with another version, written out (0 is v1, 2 is v3). Signed by P-256 with SHA-256."""
    body, algorithm, _ = _elements(_content(certified.der))
    _, *rest = _elements(_content(body))
    body = _tlv(0x30, _tlv(0xA0, bytes([2, 1, version])) + b"".join(rest))
    return _signed_again(certified, body, algorithm, hashes.SHA256())


def with_sha1(certified: Certified) -> Certified:
    """`certified` with a signature of ecdsa-with-SHA1 (RFC 3279), by P-256."""
    algorithm = _tlv(0x30, bytes.fromhex("06072a8648ce3d0401"))
    body, _, _ = _elements(_content(certified.der))
    version, serial, _, *rest = _elements(_content(body))
    body = _tlv(0x30, version + serial + algorithm + b"".join(rest))
    der = _signed_again(certified, body, algorithm, hashes.SHA1())
    issuer = None if certified.issuer is certified else certified.issuer
    return Certified(x509.load_der_x509_certificate(der), certified.key, issuer)
