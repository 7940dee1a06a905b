"""The hook for a whole image: a marked block in the `sitecustomize.py` of the base interpreter's standard library.

A `.pth` file in a base interpreter's site-packages does not reach the virtual environments made from it. Its standard
library does: every environment imports `sitecustomize` from there when it starts (site.py, `execsitecustomize`), also
under -I and -E. So that is where the block goes. What stood in the file stays and runs first; where there was no file,
a `sitecustomize` that ours would now hide is run by ours.

Nothing here imports `ssl`.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import sysconfig
import tempfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

BEGIN = b"# >>> truststore-auto >>>\n"
END = b"# <<< truststore-auto <<<\n"

_BLOCK = """\
# TLS peers are verified against the system's trust store in every environment made from this Python.
# Written by `python -m truststore image --install`; `python -m truststore image --remove` takes it out.
try:
    import sys as _truststore_sys

    _truststore_sys.path.insert(0, {startup})
    try:
        import truststore_startup as _truststore_startup
    finally:
        _truststore_sys.path.remove({startup})
except Exception:  # an interpreter must start, also if truststore-auto was uninstalled
    pass
else:
    _truststore_startup.activate()
"""
_CHAIN = """\
    _truststore_startup.run_shadowed({stdlib})  # there was no sitecustomize.py here before
"""

# Imports the sitecustomize of the standard library as an environment does that has no site-packages of its own.
_CHECK = "import sitecustomize, ssl; print(ssl.SSLContext.__module__)"


class ImageError(Exception):
    """Why the base interpreter cannot be equipped, in words for its administrator."""


def package_directory() -> str:
    """The directory that this package is installed in."""
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def sitedir() -> str:
    """The directory for PYTHONPATH that comes with this package."""
    return os.path.join(package_directory(), "truststore", "_startup", "sitedir")


class Image:
    """One base interpreter. `stdlib` is its standard library, `executable` the interpreter itself."""

    def __init__(self, stdlib: str | None = None, executable: str | None = None) -> None:
        self.stdlib = stdlib or sysconfig.get_path("stdlib")
        self.executable = executable or getattr(sys, "_base_executable", None) or sys.executable
        self.link = os.path.join(self.stdlib, "sitecustomize.py")
        # Debian's is a link to a file in /etc that the administrator owns.
        self.file = os.path.realpath(self.link)

    # ---- what there is ----------------------------------------------------------------------------------------------

    def installed(self) -> bool:
        """Whether the block is there, and names this installation of the package."""
        return self._wanted_line() in _block_of(self._read())

    def outdated(self) -> bool:
        """Whether there is a block, but for an installation elsewhere."""
        block = _block_of(self._read())
        return bool(block) and self._wanted_line() not in block

    def works(self) -> bool:
        """Whether the base interpreter, with nothing but its standard library, comes up with the hook."""
        done = subprocess.run(
            [self.executable, "-I", "-S", "-c", _CHECK],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={name: value for name, value in os.environ.items() if name != "TRUSTSTORE_DISABLE"},
            check=False,
        )
        return done.returncode == 0 and done.stdout.strip() == "truststore._context"

    def others(self) -> list[str]:
        """The Pythons on PATH that have another standard library, so that the block does not reach them."""
        own = os.path.realpath(self.executable)
        found: dict[str, str] = {}
        for path in _pythons_on_path():
            found.setdefault(os.path.realpath(path), path)
        return sorted(path for real, path in found.items() if real != own)

    # ---- changing it ------------------------------------------------------------------------------------------------

    def install(self) -> None:
        """Put the block in, or renew it. Raises `ImageError` with nothing changed."""
        self._refuse_what_would_not_last()
        rest = _without_block(self._read())
        if rest and not rest.endswith(b"\n"):
            rest += b"\n"
        self._write(rest + self.wanted_block())

    def remove(self) -> None:
        """Take the block out; the file, too, if there is nothing else in it. Raises `ImageError`."""
        content = self._read()
        rest = _without_block(content)
        if rest == content:
            return
        if rest.strip():
            self._write(rest)
            return
        try:
            os.unlink(self.file)
        except OSError as error:
            raise ImageError(f"cannot remove {self.file}: {error.strerror}") from None

    def wanted_block(self) -> bytes:
        """What `install` puts into the file as it is now, or has put there. Raises `ImageError`."""
        content = self._read()
        was_there = bool(content) and not _made_by_us(content)
        return self.block(chain=not was_there)

    def block(self, *, chain: bool) -> bytes:
        """The block, ASCII only; `chain` lets it run the `sitecustomize` that a new file hides."""
        startup = os.path.join(package_directory(), "truststore", "_startup")
        text = _BLOCK + (_CHAIN if chain else "")
        return BEGIN + text.format(startup=ascii(startup), stdlib=ascii(self.stdlib)).encode("ascii") + END

    def _wanted_line(self) -> bytes:
        startup = os.path.join(package_directory(), "truststore", "_startup")
        return f"_truststore_sys.path.insert(0, {startup!a})".encode("ascii")

    def _refuse_what_would_not_last(self) -> None:
        place = package_directory()
        if sys.prefix != sys.base_prefix and _is_below(place, sys.prefix):
            raise ImageError(
                f"truststore-auto is installed in the environment {sys.prefix}, not in its base interpreter; "
                f"install it there and run: {self.executable} -m truststore image --install"
            )
        user_site = sysconfig.get_path("purelib", f"{os.name}_user")
        if user_site and _is_below(place, user_site):
            raise ImageError(f"truststore-auto is installed for one user only ({user_site}); install it for all users")

    def _read(self) -> bytes:
        try:
            with open(self.file, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise ImageError(f"cannot read {self.file}: {error.strerror}") from None

    def _write(self, content: bytes) -> None:
        """Replace the file in one step: an interpreter that starts meanwhile finds the old or the new one, whole."""
        temporary = None
        try:
            status = os.stat(self.file) if os.path.exists(self.file) else None
            descriptor, temporary = tempfile.mkstemp(prefix=".sitecustomize-", dir=os.path.dirname(self.file))
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, status.st_mode & 0o7777 if status else 0o644)
            if status and hasattr(os, "chown"):
                os.chown(temporary, status.st_uid, status.st_gid)
            os.replace(temporary, self.file)
            temporary = None
        except OSError as error:
            raise ImageError(f"cannot write {self.file}: {error.strerror}; nothing was changed") from None
        finally:
            if temporary is not None:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)


def _block_of(content: bytes) -> bytes:
    start, end = content.find(BEGIN), content.find(END)
    return content[start:end] if 0 <= start < end else b""


def _without_block(content: bytes) -> bytes:
    start, end = content.find(BEGIN), content.find(END)
    return content[:start] + content[end + len(END) :] if 0 <= start < end else content


def _made_by_us(content: bytes) -> bool:
    return bool(_block_of(content)) and not _without_block(content).strip()


def _is_below(path: str, directory: str) -> bool:
    return os.path.realpath(path).startswith(os.path.realpath(directory).rstrip(os.sep) + os.sep)


def _pythons_on_path() -> Iterator[str]:
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        try:
            names = os.listdir(directory or ".")
        except OSError:
            continue
        for name in names:
            stem, _, minor = name.partition(".")
            if stem in ("python3", "pypy3") and (minor.isdigit() or not minor):
                path = os.path.join(directory, name)
                if os.access(path, os.X_OK):
                    yield path
