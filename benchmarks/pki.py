"""Certificates as public servers have them: root, intermediate, leaf; for RSA and for ECDSA."""

from __future__ import annotations

import datetime
import ipaddress
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KINDS = ("ECDSA", "RSA")
_PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def prepare(directory: pathlib.Path) -> list[pathlib.Path]:
    """Write `<kind>.pem` (the key, the leaf, the intermediate) and `<kind>-root.pem`; return the roots' files."""
    directory.mkdir(parents=True, exist_ok=True)
    roots = []
    for kind in KINDS:
        root_key, intermediate_key, leaf_key = (_new_key(kind) for _ in range(3))
        root = _certificate(f"Benchmark {kind} Root", root_key, None, root_key, path_length=1)
        intermediate = _certificate(f"Benchmark {kind} Intermediate", intermediate_key, root, root_key, path_length=0)
        leaf = _certificate("localhost", leaf_key, intermediate, intermediate_key, path_length=None)
        key = leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (directory / f"{kind}.pem").write_bytes(key + _pem(leaf) + _pem(intermediate))
        root_file = directory / f"{kind}-root.pem"
        root_file.write_bytes(_pem(root))
        roots.append(root_file)
    return roots


def _new_key(kind: str) -> _PrivateKey:
    return rsa.generate_private_key(65537, 2048) if kind == "RSA" else ec.generate_private_key(ec.SECP256R1())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _certificate(
    name: str, key: _PrivateKey, issuer: x509.Certificate | None, issuer_key: _PrivateKey, path_length: int | None
) -> x509.Certificate:
    """A certificate that VERIFY_X509_STRICT accepts. A `path_length` of None makes it a leaf."""
    is_ca = path_length is not None
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=90))
        .add_extension(x509.BasicConstraints(is_ca, path_length), critical=True)
        .add_extension(_key_usage(is_ca), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not is_ca:
        names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _key_usage(is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )
