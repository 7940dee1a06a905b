"""Certificates with any defect that a test wants, made with `cryptography`: trustme only makes good ones."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from harness.pki import new_genuine

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
DAY = datetime.timedelta(days=1)


class Issued:
    """A certificate and its key. `chain` is what a server with it sends, leaf first, without the root."""

    def __init__(self, certificate: x509.Certificate, key: Key, issuer: Issued | None) -> None:
        self.certificate = certificate
        self.key = key
        self.issuer = issuer
        self.der = certificate.public_bytes(serialization.Encoding.DER)

    @property
    def chain(self) -> list[bytes]:
        above = self.issuer.chain if self.issuer is not None and self.issuer.issuer is not None else []
        return [self.der, *above]

    @property
    def pem(self) -> str:
        return ssl.DER_cert_to_PEM_cert(self.der)


def subject(common_name: str, organization: str | None = None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization is not None:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def issue(
    issuer: Issued | None,
    common_name: str,
    *names: str,
    organization: str | None = None,
    ca: bool = False,
    first: datetime.timedelta = -30 * DAY,
    last: datetime.timedelta = 30 * DAY,
    key: Key | None = None,
    digest: hashes.HashAlgorithm | None = None,
    ca_issuers: str | None = None,
    crl: str | None = None,
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    without: Sequence[str] = (),
    serial: int | None = None,
) -> Issued:
    """A certificate of `issuer` (of itself if None) for `names`, host names and addresses.

    `first` and `last` are relative to now. `without` names what to leave out: `critical` (on basicConstraints),
    `key_usage`, `ski`, `aki`, `san`.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    signer = issuer.key if issuer is not None else key
    name = subject(common_name, organization)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer is not None else name)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(NOW + first)
        .not_valid_after(NOW + last)
    )
    for extension, critical in _extensions(key, signer, names, ca, ca_issuers, crl, purpose, without):
        builder = builder.add_extension(extension, critical)
    return Issued(builder.sign(signer, digest or hashes.SHA256()), key, issuer)


def _extensions(
    key: Key,
    signer: Key,
    names: Sequence[str],
    ca: bool,
    ca_issuers: str | None,
    crl: str | None,
    purpose: x509.ObjectIdentifier,
    without: Sequence[str],
) -> list[tuple[x509.ExtensionType, bool]]:
    found: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=ca, path_length=None), "critical" not in without)
    ]
    if "ski" not in without:
        found.append((x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False))
    if "aki" not in without:
        found.append((x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False))
    if "key_usage" not in without:
        usage = x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False)
        found.append((usage, True))
    if not ca:
        found.append((x509.ExtendedKeyUsage([purpose]), False))
    if names and "san" not in without:
        found.append((x509.SubjectAlternativeName([general_name(name) for name in names]), False))
    if ca_issuers is not None:
        location = x509.UniformResourceIdentifier(ca_issuers)
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, location)
        found.append((x509.AuthorityInformationAccess([access]), False))
    if crl is not None:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl)], None, None, None)
        found.append((x509.CRLDistributionPoints([point]), False))
    return found


def general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def root(common_name: str = "Test Root", **options: object) -> Issued:
    return issue(None, common_name, ca=True, **options)  # type: ignore[arg-type]


def intermediate(issuer: Issued, common_name: str = "Test Intermediate", **options: object) -> Issued:
    return issue(issuer, common_name, ca=True, **options)  # type: ignore[arg-type]


def revocation_list(issuer: Issued, *revoked: Issued) -> bytes:
    """A CRL of `issuer` in PEM that names `revoked`."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
    builder = builder.last_update(NOW - DAY).next_update(NOW + DAY)
    for one in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(one.certificate.serial_number).revocation_date(NOW - DAY)
        builder = builder.add_revoked_certificate(entry.build())
    signed = builder.sign(issuer.key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def server_context(leaf: Issued, directory: Path, chain: Sequence[bytes] | None = None) -> ssl.SSLContext:
    """A server's context that shows `chain`, that of `leaf` by default, and lets any key and signature pass."""
    file = directory / f"{leaf.certificate.serial_number:x}.pem"
    private = leaf.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pems = [ssl.DER_cert_to_PEM_cert(der) for der in (chain if chain is not None else leaf.chain)]
    file.write_text(private.decode() + "".join(pems))
    context = new_genuine(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(file)
    return context
