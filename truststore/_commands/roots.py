"""Which roots are where: the system's store, the bundles that packages bring along, the administrator's own."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os

from truststore import _pem, _verify
from truststore._backends import openssl
from truststore._environment import settings
from truststore._x509 import BadEncodingError, Certificate, dotted, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

_SERVER_PURPOSES = ("1.3.6.1.5.5.7.3.1", "2.5.29.37.0")  # serverAuth, any


@functools.lru_cache(maxsize=4096)
def _certificate(der: bytes) -> Certificate:
    """Several stores hold the same roots, and reading one takes a fifth of a millisecond."""
    return Certificate(der)


class Roots:
    """A set of trust anchors. `name` says whose; `unreadable` counts what could not be parsed."""

    def __init__(self, name: str, certificates: Iterable[bytes]) -> None:
        self.name = name
        self.certificates: list[Certificate] = []
        self.unreadable = 0
        for der in dict.fromkeys(certificates):
            try:
                self.certificates.append(_certificate(der))
            except BadEncodingError:
                self.unreadable += 1

    def with_extra(self, certificates: Iterable[bytes]) -> Roots:
        """These and `certificates`."""
        both = Roots(self.name, [*(known.der for known in self.certificates), *certificates])
        both.unreadable += self.unreadable
        return both

    def __len__(self) -> int:
        return len(self.certificates)

    def __str__(self) -> str:
        return f"{len(self)} root{'' if len(self) == 1 else 's'}"

    def __contains__(self, certificate: Certificate) -> bool:
        return any(known.der == certificate.der for known in self.certificates)

    def issuer_of(self, certificate: Certificate) -> Certificate | None:
        """A root that `certificate` names as its issuer; the one that is valid the longest, if there are several."""
        found = [known for known in self.certificates if certificate.names_issuer(known)]
        return max(found, key=lambda known: known.not_after, default=None)


# ---- the system -----------------------------------------------------------------------------------------------------


def of_system() -> Roots:
    """What the system trusts for TLS servers. Raises `OSError` or `ImportError` if the system cannot be asked."""
    verifier = _verify.system_verifier()
    if verifier is not None:
        return Roots(verifier.name, verifier.roots())
    return of_store(openssl.system_store())


def of_store(store: openssl.Store) -> Roots:
    """The anchors of an OpenSSL store, all of them; like a context, without the files that cannot be read."""
    return Roots(store.describe(), _readable(store.all_files()))


def extra() -> list[bytes]:
    """TRUSTSTORE_EXTRA_CA_CERTS as DER; what cannot be read is left out, as in a context."""
    files: list[str] = []
    for path in settings.extra_ca_certs:
        try:
            files += _pem.files_in_directory(path) if os.path.isdir(path) else [path]
        except OSError:
            continue
    return _readable(files)


def _readable(files: Iterable[str]) -> list[bytes]:
    found: list[bytes] = []
    for path in files:
        try:
            found += certificates_in(path)
        except OSError:
            continue
    return found


def loader(store: openssl.Store, additional: list[bytes]) -> Callable[[ssl.SSLContext], None]:
    """What gives a context of the standard library the anchors of `store` and the `additional` ones."""

    def load(context: ssl.SSLContext) -> None:
        if store.by_openssl:
            context.set_default_verify_paths()
        else:
            if store.directory is not None:
                context.load_verify_locations(capath=store.directory)
            for path in store.files:
                context.load_verify_locations(cafile=path)
        if additional:
            context.load_verify_locations(cadata=b"".join(additional))

    return load


def certificates_in(path: str) -> list[bytes]:
    """The DER certificates in a file: PEM, OpenSSL's `TRUSTED CERTIFICATE` if it is for servers, or plain DER.

    Raises `OSError` if the file cannot be read.
    """
    with open(path, "rb") as file:
        content = file.read()
    return list(_pem.certificates(content)) + list(_trusted_for_servers(content)) or _pem.der_certificates(content)


def _trusted_for_servers(text: bytes) -> Iterable[bytes]:
    """OpenSSL's own form, as openSUSE keeps it: a certificate, and behind it what it is trusted and rejected for
    (X509_CERT_AUX in its x_x509a.c)."""
    if b"-----BEGIN TRUSTED CERTIFICATE-----" not in text:
        return
    for block in _pem.certificates(text.replace(b"BEGIN TRUSTED CERTIFICATE", b"BEGIN CERTIFICATE")):
        for der in _pem.der_certificates(block)[:1]:
            if len(der) == len(block) or _is_for_servers(block[len(der) :]):
                yield der


def _is_for_servers(settings_behind: bytes) -> bool:
    try:
        fields = parse(settings_behind).children()
        trusted = [dotted(purpose.content) for field in fields if field.tag == 0x30 for purpose in field.children()]
        rejected = [dotted(purpose.content) for field in fields if field.tag == 0xA0 for purpose in field.children()]
    except BadEncodingError:
        return False
    for_servers = not trusted or any(purpose in trusted for purpose in _SERVER_PURPOSES)
    return for_servers and not any(purpose in rejected for purpose in _SERVER_PURPOSES)


# ---- who else knows a root ------------------------------------------------------------------------------------------

# Where the administrator puts further CAs, and how they get into the store. Sources: update-ca-certificates(8)
# of Debian and of openSUSE, update-ca-trust(8) of Fedora and Arch.
_LOCAL_ANCHORS = (
    ("/usr/local/share/ca-certificates", "update-ca-certificates"),
    ("/etc/pki/ca-trust/source/anchors", "update-ca-trust"),
    ("/etc/ca-certificates/trust-source/anchors", "update-ca-trust"),
    ("/etc/pki/trust/anchors", "update-ca-certificates"),
)


def how_to_add() -> str:
    """How an administrator adds a root to this system's store, in a few words."""
    if os.name == "nt":
        return "certutil -addstore -f Root FILE, as administrator"
    if os.path.isdir("/Library/Keychains"):
        return "sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain FILE"
    for directory, command in _LOCAL_ANCHORS:
        if os.path.isdir(directory):
            return f"copy the file (PEM, NAME.crt) to {directory} and run {command}, as root"
    return "see the documentation of this system"


def local_file_of(certificate: Certificate) -> str | None:
    """The file by which an administrator added `certificate` to the system's store, if it is to be found."""
    for directory, _ in _LOCAL_ANCHORS:
        for folder, _, names in os.walk(directory):
            for name in sorted(names):
                path = os.path.join(folder, name)
                try:
                    if certificate.der in certificates_in(path):
                        return path
                except OSError:
                    continue
    return None


class Bundle:
    """A copy of the public CAs that a package brings along."""

    __slots__ = ("package", "path", "version")

    def __init__(self, package: str, path: str, version: str) -> None:
        self.package = package
        self.path = path
        self.version = version

    @property
    def name(self) -> str:
        return f"{self.package} {self.version}".rstrip()

    def roots(self) -> Roots:
        """Its anchors. Raises `OSError` if it cannot be read."""
        return Roots(self.name, certificates_in(self.path))


def public_bundle() -> Bundle | None:
    """certifi's bundle, or else the copy of it in pip. Neither package is imported."""
    for package, inside in (("certifi", "cacert.pem"), ("pip", os.path.join("_vendor", "certifi", "cacert.pem"))):
        try:
            spec = importlib.util.find_spec(package)
        except (ImportError, ValueError):  # ValueError: a module that lost its __spec__
            continue
        for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
            path = os.path.join(folder, inside)
            if os.path.isfile(path):
                return Bundle(package if package == "certifi" else "certifi in pip", path, _version(package))
    return None


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""
