"""Certificate authorities and what they issue, for real TLS. All keys are RSA: Wine 8 rejects 1 % of ECDSA's."""

from __future__ import annotations

import datetime
import functools
import ipaddress
import pathlib
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

DAY = datetime.timedelta(days=1)
SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)
CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)


@functools.cache
def shared_key(number: int = 0) -> rsa.RSAPrivateKey:
    """Making a key is slow, and tests may share them."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Issued:
    """A certificate with its key and the certificates up to its root, leaf first."""

    def __init__(self, certificate: x509.Certificate, key: rsa.RSAPrivateKey, issuer: Issued | None) -> None:
        self.certificate = certificate
        self.key = key
        self.issuer = issuer

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")

    def chain(self, with_root: bool = True) -> list[Issued]:
        chain = [self]
        while chain[-1].issuer is not None:
            chain.append(chain[-1].issuer)
        return chain if with_root or len(chain) == 1 else chain[:-1]

    def write(self, file: pathlib.Path, with_root: bool = True) -> pathlib.Path:
        """Key and chain in one file, as `load_cert_chain` takes it."""
        key = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_text(key.decode("ascii") + "".join(one.pem for one in self.chain(with_root)), encoding="ascii")
        return file

    def issue(
        self,
        *names: str,
        common_name: str = "server",
        is_ca: bool = False,
        purposes: Sequence[ObjectIdentifier] = SERVER,
        starts_in_days: float = -1,
        ends_in_days: float = 30,
        crl_url: str | None = None,
        critical: x509.ExtensionType | None = None,
        key: rsa.RSAPrivateKey | None = None,
    ) -> Issued:
        """A certificate signed by this one, for DNS names and IP addresses in text."""
        return _issue(
            self,
            names,
            common_name,
            is_ca,
            () if is_ca else purposes,
            (starts_in_days, ends_in_days),
            crl_url,
            critical,
            key,
        )

    def issue_ca(self, common_name: str = "intermediate", **details: object) -> Issued:
        return self.issue(common_name=common_name, is_ca=True, key=shared_key(1), **details)  # type: ignore[arg-type]

    def revocation_list(self, *revoked: Issued) -> bytes:
        """A current CRL, DER."""
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - DAY)
            .next_update(now + 7 * DAY)
        )
        for one in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(one.certificate.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(now - DAY).build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def root(common_name: str = "test root", **validity: float) -> Issued:
    """A self-signed CA. Its name carries a random part, so that no cache of an earlier run knows it."""
    days = (validity.get("starts_in_days", -2), validity.get("ends_in_days", 60))
    return _issue(None, (), f"{common_name} {x509.random_serial_number():x}", True, (), days, None, None, None)


def _issue(
    issuer: Issued | None,
    names: Sequence[str],
    common_name: str,
    is_ca: bool,
    purposes: Sequence[ObjectIdentifier],
    days: tuple[float, float],
    crl_url: str | None,
    critical: x509.ExtensionType | None,
    key: rsa.RSAPrivateKey | None,
) -> Issued:
    key = key or (shared_key() if issuer else rsa.generate_private_key(public_exponent=65537, key_size=2048))
    signer = issuer.key if issuer else key
    now = datetime.datetime.now(datetime.timezone.utc)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + days[0] * DAY)
        .not_valid_after(now + days[1] * DAY)
        .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
        .add_extension(x509.KeyUsage(True, False, False, False, False, is_ca, is_ca, False, False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
        )
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if crl_url:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl_url)], None, None, None)
        builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
    if critical is not None:
        builder = builder.add_extension(critical, critical=True)
    return Issued(builder.sign(signer, hashes.SHA256()), key, issuer)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
