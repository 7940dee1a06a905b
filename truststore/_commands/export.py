"""`export`: the roots that the system trusts for TLS servers, for tools that want a file.

What is written is the system store's, with TRUSTSTORE_EXTRA_CA_CERTS; not what SSL_CERT_FILE names, which may well be
the file that is being written. The same store always gives the same bytes. Whoever reads the target meanwhile sees the
old or the new one, never half of it; an empty store is never written.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile

from truststore import _explain
from truststore._cli import UNKNOWN, USAGE, YES
from truststore._commands import roots, terminal
from truststore._commands.check import pem

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from truststore._commands.roots import Roots
    from truststore._x509 import Certificate

HAS_JSON = False
EXAMPLES = """\
  python -m truststore export > roots.pem
  python -m truststore export -o /etc/ssl/roots.pem
  python -m truststore export --format hashed-dir -o /opt/roots
"""

# Lies in every directory that we wrote; a directory without it is somebody else's and is not replaced.
_MARK = ".written-by-truststore-export"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format",
        choices=("pem", "der-dir", "hashed-dir"),
        default="pem",
        help="one PEM file (the default), a directory of DER files, or a directory that OpenSSL can look up roots in",
    )
    parser.add_argument("-o", "--output", metavar="PATH", default="-", help="file or directory to write; - is stdout")


def run(arguments: argparse.Namespace) -> int:
    if arguments.format != "pem" and arguments.output == "-":
        terminal.diagnose(f"--format {arguments.format} writes a directory: name it with -o")
        return USAGE
    try:
        found = trusted_roots()
        write(found, arguments.format, arguments.output)
    except (OSError, ImportError) as error:
        terminal.diagnose(f"nothing was written: {error}")
        return UNKNOWN
    if arguments.output != "-":
        terminal.diagnose(f"{found} of {found.name} written to {arguments.output}")
    return YES


def trusted_roots() -> Roots:
    """The system's roots and the extra ones. Raises `OSError` if there are none."""
    system = roots.of_system()
    found = system.with_extra(roots.extra())
    if not found.certificates:
        raise OSError(f"no root was found: {system.name}")
    if found.unreadable:
        terminal.diagnose(f"{found.unreadable} certificates of {system.name} cannot be read and are left out")
    return found


def write(found: Roots, form: str, target: str) -> None:
    """Write `found` in `form` to `target`. Raises `OSError`."""
    certificates = in_order(found.certificates)
    if form == "pem":
        text = bundle_text(certificates)
        if target == "-":
            terminal.write(sys.stdout, text)
        else:
            replace_file(target, text.encode("utf-8"))
    elif form == "der-dir":
        replace_directory(target, ((_file_name(one) + ".der", one.der) for one in certificates))
    else:
        replace_directory(target, hashed_files(certificates))


def in_order(certificates: Iterable[Certificate]) -> list[Certificate]:
    """By name and then by fingerprint: the order depends on nothing but the roots."""
    return sorted(certificates, key=lambda one: (str(one.subject).lower(), one.sha256))


# ---- forms ----------------------------------------------------------------------------------------------------------


def bundle_text(certificates: Sequence[Certificate]) -> str:
    """A PEM bundle in which a comment names each root."""
    head = f"# {len(certificates)} certificates that the system trusts for TLS servers (python -m truststore export)\n"
    return "\n".join([head, *(_block(one) for one in certificates)])


def _block(certificate: Certificate) -> str:
    # Some readers of such files want ASCII; nothing in a name may end the comment or begin a block.
    name = _explain.printable(str(certificate.subject)).encode("ascii", "backslashreplace").decode("ascii")
    name = name.replace("-----", "- - -")
    return (
        f"# {name}\n# valid until {_explain.moment(certificate.not_after)}\n"
        f"# SHA-256 {certificate.sha256}\n{pem(certificate.der)}"
    )


def hashed_files(certificates: Sequence[Certificate]) -> Iterable[tuple[str, bytes]]:
    """Files as OpenSSL looks them up: the hash of the subject and a number, counted up where hashes are the same."""
    numbers: dict[str, int] = {}
    for certificate in certificates:
        name = certificate.subject.hash_name
        number = numbers[name] = numbers.get(name, -1) + 1
        yield f"{name}.{number}", _block(certificate).encode("ascii")


def _file_name(certificate: Certificate) -> str:
    """A name that every file system takes, telling and unique."""
    title = certificate.subject.get("CN") or certificate.subject.get("OU") or certificate.subject.get("O") or "root"
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in title)
    return f"{'-'.join(filter(None, plain.split('-')))[:60] or 'root'}-{certificate.sha256[:16]}"


# ---- writing --------------------------------------------------------------------------------------------------------


def replace_file(path: str, content: bytes) -> None:
    """Let `path` hold `content`, readable by everybody, in one step. A link is followed, not replaced."""
    target = os.path.realpath(path)
    handle, temporary = tempfile.mkstemp(prefix=".truststore-", dir=os.path.dirname(target))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # roots are public; mkstemp made the file for us alone
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def replace_directory(path: str, files: Iterable[tuple[str, bytes]]) -> None:
    """Let `path` be a directory of just these `files`. One that somebody else made is left alone: `OSError`."""
    target = os.path.realpath(path)
    if os.path.lexists(target) and not _may_be_replaced(target):
        raise OSError(f"{path} was not written by this command; remove it first if it is not needed")
    fresh = tempfile.mkdtemp(prefix=".truststore-", dir=os.path.dirname(target))
    try:
        for name, content in (*files, (_MARK, b"")):
            with open(os.path.join(fresh, name), "wb") as file:
                file.write(content)
            os.chmod(os.path.join(fresh, name), 0o644)
        os.chmod(fresh, 0o755)  # noqa: S103  # roots are public; mkdtemp made the directory for us alone
        _swap(fresh, target)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _may_be_replaced(directory: str) -> bool:
    if not os.path.isdir(directory):
        return False
    names = os.listdir(directory)
    return not names or _MARK in names


def _swap(fresh: str, target: str) -> None:
    """Put `fresh` in the place of `target`. A directory cannot be replaced in one step: between two renames there is
    none; if the second one fails, the old one comes back."""
    if not os.path.lexists(target):
        os.rename(fresh, target)
        return
    old = tempfile.mkdtemp(prefix=".truststore-old-", dir=os.path.dirname(target))
    os.rmdir(old)
    os.rename(target, old)
    try:
        os.rename(fresh, target)
    except BaseException:
        os.rename(old, target)
        raise
    shutil.rmtree(old)
