"""Where OpenSSL finds the system's trust anchors: chosen once per process, loaded as late and as little as possible.

A *hashed directory* (`c_rehash`, names such as `3513523f.0`) lets OpenSSL read the one root that a chain needs; a
bundle makes it parse all of them for every context (18.6 ms against 0.1 ms on OpenSSL 3.0). So a directory is
preferred, but only one that is complete: it must hold at least as many readable hash names as the bundle beside it has
certificates.

The order: SSL_CERT_FILE and SSL_CERT_DIR; the paths compiled into OpenSSL, unless they belong to the interpreter's own
distribution (conda, manylinux, Homebrew), whose roots are not the administrator's; the table of systems below.
"""

from __future__ import annotations

import os
import sys

from truststore import _environment, _pem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


class Place:
    """One place where a system keeps its anchors: alternative bundle files and alternative directories of the same."""

    __slots__ = ("bundles", "directories", "old_hashes", "system")

    def __init__(
        self, system: str, bundles: Iterable[str] = (), directories: Iterable[str] = (), old_hashes: bool = False
    ) -> None:
        self.system = system
        self.bundles = tuple(bundles)
        self.directories = tuple(directories)
        self.old_hashes = old_hashes  # named by the MD5 hash of OpenSSL 0.9.8, which OpenSSL 1.0 and later ignore


# Sources: Go crypto/x509 root_linux.go, root_bsd.go, root_solaris.go [G]; rustls/openssl-probe [P]; curl's configure
# [C]; certifi-system-store [T]; Fedora's change page "dropingOfCertPemFile" [F]; openSUSE ca-certificates README [S];
# FreeBSD and NetBSD certctl(8) [B]; AOSP [A]. The first row that is usable wins.
PLACES = (
    Place(
        "Debian, Ubuntu, Gentoo, Void, Guix, NixOS, SmartOS", ["/etc/ssl/certs/ca-certificates.crt"], ["/etc/ssl/certs"]
    ),  # G P C
    Place(
        "Fedora, RHEL 9 and later, Amazon Linux 2023",
        ["/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"],
        ["/etc/pki/ca-trust/extracted/pem/directory-hash", "/etc/pki/tls/certs"],
    ),  # G P C T F
    Place("RHEL 8, Bottlerocket, Azure Linux", ["/etc/pki/tls/certs/ca-bundle.crt", "/etc/pki/tls/cert.pem"]),  # G P C
    Place("Arch", ["/etc/ca-certificates/extracted/tls-ca-bundle.pem"], ["/etc/ssl/certs"]),  # T
    Place("openSUSE, SLES", ["/etc/ssl/ca-bundle.pem"], ["/etc/ssl/certs"]),  # G P S
    Place("Alpine, FreeBSD, OpenBSD", ["/etc/ssl/cert.pem"], ["/etc/ssl/certs"]),  # G P T B
    Place("NixOS", ["/etc/ssl/certs/ca-bundle.crt"]),  # nixpkgs
    Place("FreeBSD", ["/usr/local/etc/ssl/cert.pem"]),  # G P
    Place("FreeBSD, DragonFly", ["/usr/local/share/certs/ca-root-nss.crt"]),  # G P
    Place("NetBSD", ["/etc/openssl/certs/ca-certificates.crt"], ["/etc/openssl/certs"]),  # G P B
    Place("Solaris, OpenIndiana", ["/etc/certs/ca-certificates.crt"], ["/etc/certs/CA"]),  # G P
    Place("OmniOS", ["/etc/ssl/cacert.pem"]),  # P
    Place("OpenELEC", ["/etc/pki/tls/cacert.pem"]),  # G P
    Place("Entware", ["/opt/etc/ssl/certs/ca-certificates.crt"]),  # P
    Place("OpenHarmony", ["/etc/ssl/certs/cacert.pem"]),  # P
    Place("OpenHarmony, directory", [], ["/etc/security/certificates"]),  # P
    Place("Red Hat of old", ["/usr/share/ssl/certs/ca-bundle.crt"]),  # C
    Place("AIX", [], ["/var/ssl/certs"]),  # P
    Place("Termux", ["/data/data/com.termux/files/usr/etc/tls/cert.pem"]),  # P
    Place(
        "Android 14 and later", [], ["/apex/com.android.conscrypt/cacerts", "/data/misc/keychain/cacerts-added"], True
    ),  # A
    Place("Android", [], ["/system/etc/security/cacerts", "/data/misc/keychain/cacerts-added"], True),  # G A
    Place("Haiku", ["/boot/system/data/ssl/CARootCertificates.pem"]),  # P
)  # fmt: skip

# Prefixes of the system itself: what lies below them is the administrator's, even if Python lies there, too.
_SYSTEM_PREFIXES = ("/", "/usr", "/usr/local")
_BUNDLED_PREFIXES = ("/opt/_internal", "/opt/homebrew", "/home/linuxbrew/.linuxbrew")  # manylinux, Homebrew


class Store:
    """The anchors to give to a context: what `origin` says in words, as locations for `load_verify_locations`.

    `directory` is a hashed directory. `files` are loaded whole. `bundle` is what lists all anchors of `directory`.
    `by_openssl` says that `set_default_verify_paths` must be called instead, because SSL_CERT_FILE or SSL_CERT_DIR
    decide. `problems` are sentences about what was found unusable on the way.
    """

    __slots__ = ("bundle", "by_openssl", "directory", "files", "from_environment", "origin", "problems")

    def __init__(
        self,
        origin: str,
        *,
        directory: str | None = None,
        files: Iterable[str] = (),
        bundle: str | None = None,
        by_openssl: bool = False,
        from_environment: bool = False,
        problems: Iterable[str] = (),
    ) -> None:
        self.origin = origin
        self.directory = directory
        self.files = tuple(files)
        self.bundle = bundle
        self.by_openssl = by_openssl
        self.from_environment = from_environment
        self.problems = tuple(problems)

    def __bool__(self) -> bool:
        """Whether there is anything to trust in it, as far as one can tell without asking OpenSSL."""
        return bool(self.directory or self.files or self.from_environment)

    def describe(self) -> str:
        """The store in words, for messages: where it is and how it was chosen."""
        where = self.directory or (self.files[0] if len(self.files) == 1 else f"{len(self.files)} files")
        if self.from_environment:
            return self.origin
        return f"{where} ({self.origin})" if self else self.origin

    def all_files(self) -> list[str]:
        """Every file that holds anchors of this store, for those who need them all at once."""
        files = list(self.files)
        if self.bundle is not None and self.bundle not in files:
            files.append(self.bundle)
        elif self.directory is not None:
            for directory in self.directory.split(os.pathsep):
                if os.path.isdir(directory):
                    # Of the names of one file, those that OpenSSL looks for count, whichever comes first.
                    files += _pem.files_in_directory(directory, _is_hash_name)
        return files


# ---- the system's store ---------------------------------------------------------------------------------------------

_system_store: Store | None = None


def store(environ: Mapping[str, str] = os.environ) -> Store:
    """The store that decides in this process. SSL_CERT_FILE and SSL_CERT_DIR are looked at on every call."""
    return environment_store(environ) or system_store()


def system_store() -> Store:
    """The system's own store: found once; looked for again only while there is none."""
    global _system_store
    if _system_store is None or not _system_store:
        _system_store = find_store(*compiled_paths())
    return _system_store


def compiled_paths() -> tuple[str, str]:
    """The bundle file and the directory compiled into OpenSSL."""
    import _ssl

    _, cafile, _, capath = _ssl.get_default_verify_paths()
    return cafile, capath


def find_store(cafile: str, capath: str, root: str = "/", prefixes: Iterable[str] | None = None) -> Store:
    """Look for the system's store below `root`. `cafile` and `capath` are OpenSSL's compiled-in paths; they are ignored
    if they lie in one of `prefixes`, the interpreter's own (`sys.prefix`, `sys.base_prefix` by default)."""
    problems: list[str] = []
    for place in _places(cafile, capath, root, prefixes):
        found = _usable(place, root, problems)
        if found is not None:
            return found
    return Store("no system trust store was found", problems=dict.fromkeys(problems))


def _places(cafile: str, capath: str, root: str, prefixes: Iterable[str] | None) -> Iterator[Place]:
    known = [(place, _real_paths(place, root)) for place in PLACES]
    if not in_bundled_distribution(capath, prefixes):
        compiled = Place("OpenSSL's compiled-in paths", [cafile], [capath])
        yield _with_siblings(compiled, _real_paths(compiled, root), known)
    for place, real in known:
        yield _with_siblings(place, real, known)


def _real_paths(place: Place, root: str) -> set[str]:
    return {os.path.realpath(_below(root, path)) for path in place.bundles + place.directories}


def _with_siblings(place: Place, real: set[str], known: Iterable[tuple[Place, set[str]]]) -> Place:
    """`place` with the other names of the same store, which several rows may share.

    On Debian /usr/lib/ssl/certs is /etc/ssl/certs, for example, and only the table knows which bundle belongs to it,
    to tell whether it is complete; on Fedora only the table knows which hashed directory belongs to the compiled-in
    bundle.
    """
    bundles, directories = list(place.bundles), list(place.directories)
    for other, other_real in known:
        if other.old_hashes == place.old_hashes and real & other_real:
            bundles += [path for path in other.bundles if path not in bundles]
            directories += [path for path in other.directories if path not in directories]
    return Place(place.system, bundles, directories, place.old_hashes)


def _usable(place: Place, root: str, problems: list[str]) -> Store | None:
    bundle, certificates = None, 0
    for path in place.bundles:
        certificates = _certificates_in_bundle(_below(root, path), problems)
        if certificates:
            bundle = _below(root, path)
            break
    directories = [_below(root, path) for path in place.directories]
    if place.old_hashes:
        files = [path for directory in directories for path in _readable_files(directory, problems)]
        return Store(place.system, files=files, problems=dict.fromkeys(problems)) if files else None
    for directory in directories:
        names = list(_hash_names(directory, problems))
        if names and len(names) >= certificates and not (bundle and _is_outdated(directory, names, root)):
            return Store(place.system, directory=directory, bundle=bundle, problems=dict.fromkeys(problems))
    return Store(place.system, files=[bundle], bundle=bundle, problems=dict.fromkeys(problems)) if bundle else None


def _below(root: str, path: str) -> str:
    return path if root == "/" else os.path.join(root, path.lstrip("/"))


def _certificates_in_bundle(path: str, problems: list[str]) -> int:
    try:
        with open(path, "rb") as file:
            found = _pem.count(file.read())
    except FileNotFoundError:
        return 0
    except OSError as error:
        problems.append(f"{path}: {error.strerror}")
        return 0
    if not found:
        problems.append(f"{path}: holds no certificate")
    return found


def _hash_names(directory: str, problems: list[str]) -> Iterator[str]:
    """The hash names in `directory` that can be read. Links that lead nowhere do not count: images that copy /etc/ssl
    alone are full of them."""
    beginning = os.path.join(directory, "")  # once: joining takes longer than asking the system
    for name in _listing(directory, problems):
        if _is_hash_name(name) and os.access(beginning + name, os.R_OK):
            yield name


def _is_outdated(directory: str, names: Iterable[str], root: str) -> bool:
    """Whether a file in `directory` was replaced after its hash name was made, so that this may be another name's.

    An administrator who puts the company's next root into /usr/local/share/ca-certificates under the name of the last
    one gets it into the bundle, but update-ca-certificates(8) rehashes only when a name was added. Files of the package
    itself come with the time of their release, and keep their subject.
    """
    packaged = _below(root, "/usr/share/ca-certificates/")
    beginning = os.path.join(directory, "")
    for name in names:
        path = beginning + name
        try:
            if os.stat(path).st_mtime_ns > os.lstat(path).st_mtime_ns and not _target(path).startswith(packaged):
                return True
        except OSError:  # gone meanwhile
            continue
    return False


def _target(path: str) -> str:
    """Where the link `path` leads, at most two links on: hash name, name.pem, the administrator's file."""
    for _ in range(2):
        if os.path.islink(path):
            path = os.path.join(os.path.dirname(path), os.readlink(path))
    return path


def _readable_files(directory: str, problems: list[str]) -> list[str]:
    paths = [os.path.join(directory, name) for name in sorted(_listing(directory, problems))]
    return [path for path in paths if os.path.isfile(path) and os.access(path, os.R_OK)]


def _listing(directory: str, problems: list[str]) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        problems.append(f"{directory}: {error.strerror}")
        return []


def _is_hash_name(name: str) -> bool:
    """Whether `name` is `[0-9a-f]{8}\\.\\d+`. Not only `.0`: names that collide are counted up. (CRLs are `.r0`.)"""
    stem, _, number = name.partition(".")
    # `strip` leaves nothing of what has hexadecimal digits only; a loop in Python takes ten times as long.
    return len(stem) == 8 and number.isascii() and number.isdigit() and not stem.strip("0123456789abcdef")


# ---- SSL_CERT_FILE and SSL_CERT_DIR ---------------------------------------------------------------------------------


_INHERITED = _environment.inherited


def in_bundled_distribution(path: str, prefixes: Iterable[str] | None = None) -> bool:
    """Whether `path` belongs to the distribution that the interpreter came in, rather than to the system."""
    if prefixes is None:
        prefixes = (sys.prefix, sys.base_prefix)
    own = [prefix for prefix in prefixes if prefix.rstrip(os.sep) and prefix not in _SYSTEM_PREFIXES]
    if os.environ.get("HOMEBREW_PREFIX"):
        own.append(os.environ["HOMEBREW_PREFIX"])
    return any(_is_below(path, prefix) for prefix in (*own, *_BUNDLED_PREFIXES))


def _is_below(path: str, prefix: str) -> bool:
    return os.path.normcase(path).startswith(os.path.normcase(prefix.rstrip(os.sep)) + os.sep)


def environment_store(environ: Mapping[str, str] = os.environ) -> Store | None:
    """What SSL_CERT_FILE and SSL_CERT_DIR ask for, or None if neither decides.

    A variable that points inside the interpreter's own distribution was set by it (conda does that), not by the
    administrator, and is ignored. As in OpenSSL, each variable replaces its own half of the default and leaves the
    other; so with only one of them honoured and the other ignored, the other half is OpenSSL's compiled-in path.
    """
    cafile, capath = environ.get("SSL_CERT_FILE"), environ.get("SSL_CERT_DIR")
    if cafile is None and capath is None:
        return None
    ignored = ignored_variables(environ)
    file_decides = cafile is not None and "SSL_CERT_FILE" not in ignored
    directory_decides = capath is not None and "SSL_CERT_DIR" not in ignored
    if not file_decides and not directory_decides:
        return None
    deciding = [f"SSL_CERT_FILE={cafile}"] * file_decides + [f"SSL_CERT_DIR={capath}"] * directory_decides
    default_file, default_directory = ("" if in_bundled_distribution(path) else path for path in compiled_paths())
    file = cafile if cafile is not None and file_decides else default_file
    directory = capath if capath is not None and directory_decides else default_directory
    return Store(
        " ".join(deciding),
        directory=directory or None,
        files=[file] if os.path.isfile(file) else [],
        by_openssl=not ignored,
        from_environment=True,
        problems=_environment_problems(cafile if file_decides else None, capath if directory_decides else None),
    )


def ignored_variables(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Which of SSL_CERT_FILE and SSL_CERT_DIR point inside the interpreter's own distribution, with all they name.

    Only a value that the process inherited: one that the program set itself is a decision.
    """
    ignored = []
    for name, inherited in _INHERITED.items():
        value = environ.get(name)
        if value != inherited:
            continue
        paths = value.split(os.pathsep) if value and name == "SSL_CERT_DIR" else [value] if value else []
        if paths and all(in_bundled_distribution(path) for path in paths):
            ignored.append(name)
    return ignored


def _environment_problems(cafile: str | None, capath: str | None) -> list[str]:
    problems: list[str] = []
    if cafile is not None and not _is_stream(cafile):
        before = len(problems)
        if not _certificates_in_bundle(cafile, problems) and len(problems) == before:
            problems.append(f"{cafile or '(empty)'}: no such file")
    for directory in [] if capath is None else capath.split(os.pathsep):
        before = len(problems)
        if not any(True for _ in _hash_names(directory, problems)) and len(problems) == before:
            kind = "holds no hash names (run openssl rehash)" if os.path.isdir(directory) else "no such directory"
            problems.append(f"{directory or '(empty)'}: {kind}")
    return problems


def _is_stream(path: str) -> bool:
    """Whether reading `path` would use it up, as with the pipe of a shell's `<(...)`: it is OpenSSL's to read."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)
