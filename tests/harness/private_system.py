"""A private copy of this machine's trust store, to change with the system's own tools.

A process that was started by `unshare --mount` holds a mount namespace in which copies are mounted over the directories
of the store. Programs are run in it with `nsenter`. When the holder's standard input closes, at the latest with the end
of this process, the namespace is gone. The machine's own store is never written to, which the fixture asserts.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence

import pytest

from harness.environment import missing
from harness.environments import bare_environment

# What update-ca-certificates(8) reads and writes on Debian.
STORE_DIRECTORIES = ("/etc/ssl", "/usr/local/share/ca-certificates", "/usr/share/ca-certificates")

# Every argument is a directory, followed by its copy.
_HOLD = """
set -e
while [ $# -gt 0 ]; do cp -a "$1/." "$2"; mount --bind "$2" "$1"; shift 2; done
echo ready
exec cat > /dev/null
"""


class PrivateSystem:
    """A mount namespace with a trust store of its own."""

    def __init__(self, holder: subprocess.Popen[str], directory: pathlib.Path) -> None:
        self._holder = holder
        self._no_hooks = directory / "no-hooks"  # what Java and others make of the store takes seconds
        self._no_hooks.mkdir()
        self._local = pathlib.Path(f"/proc/{holder.pid}/root/usr/local/share/ca-certificates")

    def command(self, program: str | os.PathLike[str], *arguments: str | os.PathLike[str]) -> list[str]:
        """The command line that runs `program` in here."""
        return ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", *map(os.fspath, (program, *arguments))]

    def run(
        self,
        program: str | os.PathLike[str],
        *arguments: str | os.PathLike[str],
        timeout: float = 120,
        **variables: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run `program` in here, in an environment without any variable or file that configures certificates or pip."""
        return subprocess.run(
            self.command(program, *arguments),
            cwd="/",
            env=bare_environment(**variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def overlay(self, seen: pathlib.Path, place: pathlib.Path) -> None:
        """Let programs in here see the file `seen` at `place`."""
        done = self.run("mount", "--bind", seen, place)
        assert done.returncode == 0, done.stderr

    def trust(self, certificate: pathlib.Path, name: str | None = None) -> None:
        """Add a CA to the store, as an administrator does, as `name` or under its file's name."""
        shutil.copy(certificate, self._local / f"{name or certificate.stem}.crt")
        self._update()

    def distrust(self, certificate: pathlib.Path, name: str | None = None) -> None:
        """Remove it again."""
        (self._local / f"{name or certificate.stem}.crt").unlink()
        self._update()

    def _update(self) -> None:
        done = self.run("update-ca-certificates", "--hooksdir", self._no_hooks)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def private_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateSystem]:
    """A private copy of the system's trust store, in which a test puts what it needs."""
    _require()
    directory = tmp_path_factory.mktemp("private-system")
    before = _fingerprint(STORE_DIRECTORIES)
    pairs = []
    for number, original in enumerate(STORE_DIRECTORIES):
        copy = directory / f"copy{number}"
        copy.mkdir(mode=0o755)
        pairs += [original, str(copy)]
    with subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", _HOLD, "hold", *pairs],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n", "the store could not be copied"
        yield PrivateSystem(holder, directory)
        holder.stdin.close()
        holder.wait()
    assert _fingerprint(STORE_DIRECTORIES) == before, "the machine's own trust store was changed"


def _require() -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        missing("a private mount namespace needs root on Linux")
    for program in ("unshare", "nsenter", "update-ca-certificates"):
        if shutil.which(program) is None:
            missing(f"{program} is not installed")
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        missing("mount namespaces are not allowed here")
    for directory in STORE_DIRECTORIES:
        os.makedirs(directory, exist_ok=True)


def _fingerprint(directories: Sequence[str]) -> str:
    """A hash over every name, kind, mode, link and content below `directories`."""
    digest = hashlib.sha256()
    for directory in directories:
        for path in sorted(pathlib.Path(directory).rglob("*")):
            status = path.lstat()
            content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
            digest.update(f"{path}\0{status.st_mode:o}\0{status.st_mtime_ns}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()
