"""Debian root file systems, as a company's base images are: made by debootstrap, changed in copies.

A suite is fetched once into a cache (`TRUSTSTORE_IMAGES`, by default below /var/tmp) and copied for whoever needs one.
Programs run in it by chroot(8), in an environment of their own; the network is this machine's.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import zipfile
from collections.abc import Sequence

from harness.environment import missing

CACHE = pathlib.Path(os.environ.get("TRUSTSTORE_IMAGES", "/var/tmp/truststore-images"))
PROGRAMS = pathlib.PurePosixPath("/clients")  # where the client programs are in an image
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# What is installed from each suite besides its minimal base. sid has the Pythons and the OpenSSL of tomorrow.
SUITES = {
    "bookworm": "ca-certificates,openssl,python3,python3-pip,python3-venv",
    "trixie": "ca-certificates,openssl,python3,python3-venv",
    "sid": "ca-certificates,openssl,pypy3,python3,python3-venv,python3.15,python3.15-venv",
}


class Image:
    """A root file system of its own. `command` makes it something that clients can be run in."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.programs = PROGRAMS
        self.prefix: tuple[str, ...] = ()  # a command that is put in front of chroot
        self.options: tuple[str, ...] = ()  # of chroot
        self._mounted = False

    def command(self, *arguments: str | os.PathLike[str]) -> list[str]:
        """The command line that runs `arguments` in here."""
        return [*self.prefix, "chroot", *self.options, str(self.root), *map(os.fspath, arguments)]

    def run(
        self, *arguments: str | os.PathLike[str], check: bool = True, timeout: float = 300, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `arguments` in here as root, with no more variables than cron sets, and `variables`."""
        done = subprocess.run(
            self.command(*arguments),
            env={"PATH": _PATH, **variables},
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done

    def path(self, name: str) -> pathlib.Path:
        """The file `name`, an absolute path in here, as seen from outside."""
        return self.root / name.lstrip("/")

    def trust(self, certificate: pathlib.Path) -> None:
        """Add a CA to the image's store, as its administrator does."""
        place = self.path("/usr/local/share/ca-certificates")
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(certificate, place / f"{certificate.stem}.crt")
        self.run("update-ca-certificates")

    def unpack(self, site_packages: str, *wheels: pathlib.Path) -> None:
        """Put the files of `wheels` into a directory, as an installer does. For Pythons that come without pip."""
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(self.path(site_packages))

    def as_user(self, uid: int) -> Image:
        """The same image for the user `uid`, whom its /etc/passwd does not know, in the group root."""
        other = Image(self.root)
        other.options = (f"--userspec={uid}:0",)
        return other

    def read_only(self) -> Image:
        """The same image, mounted read-only in a mount namespace of its own for each command."""
        other = Image(self.root)
        script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
        other.prefix = ("unshare", "--mount", "--propagation", "private", "sh", "-c", script, str(self.root))
        return other


def debian(suite: str, directory: pathlib.Path, programs: pathlib.Path) -> Image:
    """A new image of a Debian suite in `directory`, with the client programs of the directory `programs`."""
    image = Image(directory / suite)
    subprocess.run(["cp", "-a", "--reflink=auto", _fetched(suite), image.root], check=True)
    shutil.copytree(programs, image.path(str(PROGRAMS)), ignore=shutil.ignore_patterns("__pycache__"))
    image.path("/etc/hosts").write_text("127.0.0.1 localhost\n")
    return image


def _fetched(suite: str) -> pathlib.Path:
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        missing("making a base image needs root and debootstrap")
    root = CACHE / suite
    if not (root / "fetched").exists():
        _unmount(root)
        subprocess.run(["rm", "-rf", "--one-file-system", root], check=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        _debootstrap(["--variant=minbase", f"--include={SUITES[suite]}", suite, str(root)])
        _unmount(root)
        (root / "fetched").touch()
    return root


def _unmount(root: pathlib.Path) -> None:
    """Unmount what debootstrap may leave mounted in `root`, before somebody copies or removes it with the rest."""
    for name in ("proc", "sys"):
        if os.path.ismount(root / name):
            subprocess.run(["umount", root / name], check=True)


def _debootstrap(arguments: Sequence[str]) -> None:
    done = subprocess.run(
        ["debootstrap", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900, check=False
    )
    if done.returncode:
        missing(f"debootstrap failed: {done.stdout[-500:]}{done.stderr[-500:]}")
