"""Trust stores to measure with: copies of the system's that know our CA, mounted for the measured processes alone.

A process that is started through `Layout.command` sees the copy in the place of /etc/ssl (a mount namespace of its own,
Linux only, root or user namespaces). Nothing outside of it changes. The paths are those of Debian and its relatives.
"""

from __future__ import annotations

import functools
import pathlib
import shutil
import subprocess

from benchmarks.clean import clean_environment

_OPENSSL_DIRECTORY = pathlib.Path("/usr/lib/ssl")
_CERTIFICATES = pathlib.Path("/etc/ssl/certs")
_BUNDLE = "ca-certificates.crt"
_MOUNT = 'mount --bind "$1" /etc/ssl && mount --bind "$2" /usr/lib/ssl && shift 2 && exec "$@"'

HASHED, DIRECTORY_ONLY, BUNDLE_ONLY = "hashed directory and bundle", "hashed directory alone", "bundle alone"
MEANINGS = {
    HASHED: "as updated Debian 12 and 13, newer Fedora: stock Python loads the bundle file",
    DIRECTORY_ONLY: "as Ubuntu 24.04 or Debian 12 when it was new: stock Python looks into the directory, too",
    BUNDLE_ONLY: "as RHEL 8, NixOS, Alpine with ca-certificates-bundle: there is nothing but the bundle file",
}


class Layout:
    """One kind of trust store."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.etc_ssl = directory / "etc-ssl"
        self.openssl_directory = directory / "usr-lib-ssl"
        self.bundle = self.etc_ssl / "certs" / _BUNDLE

    def command(self, *command: str) -> list[str]:
        """`command` for a process that sees this trust store."""
        mounts = ("sh", "-c", _MOUNT, "sh", str(self.etc_ssl), str(self.openssl_directory))
        return ["unshare", *(_unshare_options() or ()), *mounts, *command]


def available() -> str | None:
    """Why layouts cannot be used here; None if they can."""
    if not (_CERTIFICATES / _BUNDLE).is_file() or not _OPENSSL_DIRECTORY.is_dir():
        return f"no {_CERTIFICATES / _BUNDLE}, or OpenSSL's directory is not {_OPENSSL_DIRECTORY}"
    if _unshare_options() is None:
        return "this process may not make mount namespaces (run as root, or allow user namespaces)"
    return None


def prepare(directory: pathlib.Path, roots: list[pathlib.Path]) -> dict[str, Layout]:
    """Make the three layouts below `directory`. Each holds the machine's own roots and `roots`."""
    return {
        HASHED: _make(directory / "hashed", roots, hashes=True, bundle_by_default=True),
        DIRECTORY_ONLY: _make(directory / "directory", roots, hashes=True, bundle_by_default=False),
        BUNDLE_ONLY: _make(directory / "bundle", roots, hashes=False, bundle_by_default=True),
    }


def _make(directory: pathlib.Path, roots: list[pathlib.Path], *, hashes: bool, bundle_by_default: bool) -> Layout:
    shutil.rmtree(directory, ignore_errors=True)
    layout = Layout(directory)
    certificates = layout.etc_ssl / "certs"
    certificates.mkdir(parents=True)
    layout.openssl_directory.mkdir()
    if pathlib.Path("/etc/ssl/openssl.cnf").exists():
        shutil.copy("/etc/ssl/openssl.cnf", layout.etc_ssl)
        (layout.openssl_directory / "openssl.cnf").symlink_to("/etc/ssl/openssl.cnf")
    ours = "".join(root.read_text() for root in roots)
    layout.bundle.write_text((_CERTIFICATES / _BUNDLE).read_text() + ours)
    (layout.openssl_directory / "certs").symlink_to(_CERTIFICATES)
    if bundle_by_default:
        (layout.openssl_directory / "cert.pem").symlink_to(_CERTIFICATES / _BUNDLE)
    if hashes:
        _hash(certificates, layout.bundle)
    return layout


def _hash(certificates: pathlib.Path, bundle: pathlib.Path) -> None:
    for number, block in enumerate(bundle.read_text().split("-----BEGIN CERTIFICATE-----")[1:]):
        (certificates / f"root-{number}.pem").write_text("-----BEGIN CERTIFICATE-----" + block)
    subprocess.run(["openssl", "rehash", certificates], check=True, capture_output=True, env=clean_environment())


@functools.cache
def _unshare_options() -> list[str] | None:
    for options in (["--mount"], ["--mount", "--map-root-user"]):
        try:
            if subprocess.run(["unshare", *options, "true"], capture_output=True, check=False).returncode == 0:
                return options
        except OSError:
            return None
    return None
