"""The variants that are compared, each in a virtual environment of its own."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import zipfile
from collections.abc import Iterable

from benchmarks.clean import clean_environment

PROJECT = pathlib.Path(__file__).resolve().parent.parent

OURS, STOCK, FLOOR, PUBLIC, PIP_SYSTEM_CERTS = "ours", "stock", "floor", "public truststore", "pip-system-certs"
VARIANTS = (STOCK, OURS, PUBLIC, PIP_SYSTEM_CERTS)
MEANINGS = {
    STOCK: "Python without any of them",
    OURS: "the wheel built from this source tree",
    PUBLIC: "the newest `truststore` of PyPI and a .pth: import truststore; truststore.inject_into_ssl()",
    PIP_SYSTEM_CERTS: "the newest `pip-system-certs` of PyPI",
    FLOOR: "a .pth that imports one empty module: what any startup hook costs",
}
CLIENTS = ("aiohttp", "httpx", "requests")


class Environment:
    """One variant under one Python."""

    def __init__(self, directory: pathlib.Path, variant: str) -> None:
        self.variant = variant
        self.python = str(directory / "bin" / "python")
        (self.site_packages,) = directory.glob("lib/*/site-packages")

    def versions(self, *names: str) -> dict[str, str]:
        """The installed versions of `names`, those that are there."""
        code = (
            "import sys; from importlib.metadata import version, PackageNotFoundError\n"
            "for name in sys.argv[1:]:\n"
            "    try: print(name, version(name))\n"
            "    except PackageNotFoundError: pass\n"
        )
        listing = _output(self.python, "-I", "-c", code, *names)
        return dict(line.split() for line in listing.splitlines())


def prepare(directory: pathlib.Path, python: str, variants: Iterable[str]) -> dict[str, Environment]:
    """Make, or find again in `directory`, the environments of `variants` for the interpreter `python`.

    Only this step needs the package index.
    """
    wheel = _wheel(directory)
    made = {}
    for variant in variants:
        place = directory / variant.replace(" ", "-")
        if not (place / "ready").exists():
            _make(place, python, variant)
        made[variant] = Environment(place, variant)
    # Even if it was there: the source may have changed.
    _install(made[OURS].python, "--no-deps", "--no-index", "--force-reinstall", wheel)
    _finish(made[OURS])
    return made


def prepare_offline(directory: pathlib.Path, python: str, wheels: pathlib.Path) -> dict[str, Environment]:
    """The same without an index: stock, the floor, and those variants whose one wheel lies in the folder `wheels`."""
    made = {}
    for variant, pattern in {STOCK: None, FLOOR: None, OURS: "truststore_auto-*", PUBLIC: "truststore-*"}.items():
        found = [] if pattern is None else sorted(wheels.glob(f"{pattern}.whl"))
        if pattern is None or found:
            place = directory / variant.replace(" ", "-")
            _run(python, "-m", "venv", "--clear", "--without-pip", place)
            made[variant] = Environment(place, variant)
            for wheel in found[-1:]:
                zipfile.ZipFile(wheel).extractall(made[variant].site_packages)
            _finish(made[variant])
    return made


def _make(place: pathlib.Path, python: str, variant: str) -> None:
    _run(python, "-m", "venv", "--clear", place)
    environment = Environment(place, variant)
    packages = {PUBLIC: ["truststore"], PIP_SYSTEM_CERTS: ["pip-system-certs"]}.get(variant, [])
    # All have the newest pip: pip-system-certs lives on what pip vendors.
    _install(environment.python, "--upgrade", "pip", *CLIENTS, *packages)
    _finish(environment)
    (place / "ready").write_text("")


def _finish(environment: Environment) -> None:
    """What is done after the packages are in place: startup lines that no package brings, and bytecode."""
    if environment.variant == PUBLIC:
        line = "import truststore; truststore.inject_into_ssl()\n"
        (environment.site_packages / "inject_truststore.pth").write_text(line)
    if environment.variant == FLOOR:
        (environment.site_packages / "floor.pth").write_text("import empty_startup_module\n")
        (environment.site_packages / "empty_startup_module.py").write_text("")
    # For all alike, so that no first run has to compile.
    _run(environment.python, "-I", "-S", "-m", "compileall", "-q", environment.site_packages)


def _wheel(directory: pathlib.Path) -> pathlib.Path:
    folder = directory / "wheel"
    for old in folder.glob("*.whl"):
        old.unlink()
    _run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, PROJECT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def _install(python: str, *arguments: str | os.PathLike[str]) -> None:
    # The machine's own variables stay, since they may say where its index is; ours must not decide for pip.
    _run(python, "-m", "pip", "--quiet", "install", *arguments, TRUSTSTORE_DISABLE="1")


def _run(*command: str | os.PathLike[str], **variables: str) -> None:
    subprocess.run(command, env={**os.environ, **variables}, check=True)


def _output(*command: str) -> str:
    return subprocess.run(command, env=clean_environment(), check=True, capture_output=True, text=True).stdout
