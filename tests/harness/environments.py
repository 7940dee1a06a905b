"""Fresh environments: the wheel, virtual environments with or without it, and packages from the registry beside it.

Fixtures here are loaded by `tests/conftest.py`. Environments are made by virtualenv from what it carries along, so that
only `wheelhouse` needs the network.
"""

from __future__ import annotations

import functools
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import pytest

from harness.environment import clean_environment, missing

# The environment variables of this process before any test cleared one: they configure the way to the registry.
_MACHINE = dict(os.environ)

PROJECT = pathlib.Path(__file__).resolve().parents[2]
SWITCH = "TRUSTSTORE_AUTO_STARTUP_FILE"

# What tests install beside ours. hatchling and what it asks for later, for installations from source; a virtualenv that
# has a startup hook itself (later ones dropped it); two more distributions with startup hooks; the distribution that
# ships a `truststore`, too.
NEIGHBOURS = ("coverage", "editables~=0.3", "hatchling>=1.26", "setuptools", "truststore", "virtualenv==20.29.3")


def bare_environment(**extra: str) -> dict[str, str]:
    """`clean_environment` without what configures installers, so that these do what their arguments say."""
    kept = {
        name: value
        for name, value in clean_environment().items()
        if not name.startswith(("PIP_", "UV_", "VIRTUALENV_", "HATCH_")) and name not in ("VIRTUAL_ENV", SWITCH)
    }
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **extra}


class Environment:
    """A virtual environment. Without pip, unless it was asked for, so that its site-packages holds nothing."""

    def __init__(self, directory: pathlib.Path, installer: Environment | None = None) -> None:
        self.directory = directory
        self.scripts = directory / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.scripts / "python"
        # Found once: pip removes the directory when it uninstalls the last package.
        (self.site_packages,) = directory.glob("Lib/site-packages" if os.name == "nt" else "lib/*/site-packages")
        self._installer = installer or self

    @functools.cached_property
    def version(self) -> tuple[int, int]:
        """The Python version, such as (3, 13)."""
        major, minor = self.run("-c", "import sys; print(*sys.version_info[:2])").stdout.split()
        return int(major), int(minor)

    def run(
        self, *arguments: str | os.PathLike[str], check: bool = True, timeout: float = 120, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run this environment's Python with `arguments`; `variables` are added to its environment variables."""
        # Not in this directory: -c and -m put it on the path, and with it the source tree, if that is where we are.
        return run(self.python, *arguments, check=check, cwd=self.directory, timeout=timeout, **variables)

    def install(self, *packages: str | os.PathLike[str]) -> None:
        """Install wheels, without their dependencies and without an index.

        Also where the environment sees the same distribution beside pytest, which pip would take for installed.
        """
        self.pip("install", "--no-index", "--no-deps", "--ignore-installed", *packages)

    def install_from(self, wheelhouse: pathlib.Path, *packages: str) -> None:
        """Install `packages` and what they need from the files in `wheelhouse`."""
        self.pip("install", "--no-index", "--find-links", wheelhouse, *packages)

    def install_from_registry(self, *requirements: str, timeout: float = 300) -> None:
        """Install `requirements` with this machine's own configuration of pip."""
        pip = (self._installer.python, "-m", "pip", "--quiet", "--python", self.python)
        _from_registry([*pip, "install", "--only-binary", ":all:", *requirements], timeout)

    def twin(self, directory: pathlib.Path) -> Environment:
        """A copy of this environment, of links to the same files: installers replace files, not contents."""
        shutil.copytree(self.directory, directory, symlinks=True, copy_function=os.link)
        return Environment(directory, self._installer)

    def uninstall(self, *names: str) -> None:
        """Uninstall distributions."""
        self.pip("uninstall", "--yes", *names)

    def pip(self, *arguments: str | os.PathLike[str], **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the session's pip on this environment."""
        # Not under the hook: it is the tool here, not what is tested.
        command = ("-m", "pip", "--quiet", "--python", self.python)
        return self._installer.run(*command, *arguments, timeout=300, TRUSTSTORE_DISABLE="1", **variables)

    def files(self) -> set[str]:
        """The paths of everything in site-packages, directories included."""
        root = self.site_packages
        return {path.relative_to(root).as_posix() for path in root.rglob("*")}


def run(
    program: str | os.PathLike[str],
    *arguments: str | os.PathLike[str],
    check: bool = True,
    cwd: pathlib.Path | None = None,
    timeout: float = 120,
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    """Run `program` in `bare_environment`; when it exits with another status than 0, fail with all that it wrote."""
    done = subprocess.run(
        [program, *arguments],
        cwd=cwd or os.path.dirname(program) or None,
        env=bare_environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if check and done.returncode:
        pytest.fail(f"{done.args} exited with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


class NewEnvironment(Protocol):
    """Makes an environment in a directory of its own."""

    def __call__(
        self, *, hooked: bool = True, pip: bool = False, python: str | os.PathLike[str] = sys.executable
    ) -> Environment: ...


def create(
    directory: pathlib.Path,
    installer: Environment | None,
    *options: str,
    python: str | os.PathLike[str] = sys.executable,
) -> Environment:
    """Make a virtual environment of the interpreter `python` in `directory`."""
    run(
        *(sys.executable, "-m", "virtualenv", "--quiet", "--no-periodic-update", "--python", python),
        *(*options, directory),
        VIRTUALENV_OVERRIDE_APP_DATA=str(directory.with_name(directory.name + "-app-data")),
    )
    return Environment(directory, installer)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The wheel that is released: what installers choose on every Python up to 3.17."""
    return build(PROJECT, tmp_path_factory.mktemp("dist"))


def build(source: pathlib.Path, destination: pathlib.Path, target: str = "wheel", **variables: str) -> pathlib.Path:
    """Build `target` ("wheel" or "sdist") from `source` with the hatchling of this Python."""
    try:
        import hatchling  # noqa: F401
    except ImportError:
        missing("hatchling is not installed")
    run(
        *(sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", destination),
        cwd=source,
        **variables,
    )
    (built,) = destination.iterdir()
    return built


@pytest.fixture(scope="session")
def installer(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with nothing but pip, which installs into the others."""
    try:
        import virtualenv  # noqa: F401
    except ImportError:
        missing("virtualenv is not installed")
    return create(tmp_path_factory.mktemp("installer") / "env", None)


@pytest.fixture(scope="session")
def new_environment(
    installer: Environment, tmp_path_factory: pytest.TempPathFactory, wheel: pathlib.Path
) -> NewEnvironment:
    """Makes environments: with the wheel installed unless `hooked` is false, with pip in it if `pip` is true."""

    def make(*, hooked: bool = True, pip: bool = False, python: str | os.PathLike[str] = sys.executable) -> Environment:
        options = () if pip else ("--no-seed",)
        environment = create(tmp_path_factory.mktemp("env") / "env", installer, *options, python=python)
        if hooked:
            environment.install(wheel)
        return environment

    return make


@pytest.fixture(scope="session")
def hooked(new_environment: NewEnvironment) -> Environment:
    """An environment with the wheel, for tests that do not change it."""
    return new_environment()


@pytest.fixture(scope="session")
def stock(new_environment: NewEnvironment) -> Environment:
    """An environment with nothing in it, for tests that do not change it."""
    return new_environment(hooked=False)


@pytest.fixture(scope="session")
def with_libraries(new_environment: NewEnvironment) -> Environment:
    """An environment with the wheel that also sees the libraries installed beside pytest, which come after it."""
    environment = new_environment()
    show_libraries(environment)
    return environment


def show_libraries(environment: Environment) -> None:
    """Let `environment` import what is installed beside pytest. Startup files there do not run."""
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (environment.site_packages / "libraries.pth").write_text("\n".join(sorted(paths)) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory, installer: Environment) -> pathlib.Path:
    """The wheels of `NEIGHBOURS` and of what they need, fetched from the registry once."""
    directory = tmp_path_factory.mktemp("wheelhouse")
    download(installer, directory, *NEIGHBOURS)
    return directory


def download(installer: Environment, directory: pathlib.Path, *requirements: str) -> None:
    """Fetch wheels with this machine's own configuration: only that knows how to reach its registry."""
    _from_registry([installer.python, "-m", "pip", "download", "--quiet", "--dest", directory, *requirements])


def configured_index(installer: Environment) -> str:
    """The package index that pip is configured with on this machine; empty where it is pip's default."""
    command = [installer.python, "-m", "pip", "config", "get", "global.index-url"]
    return subprocess.run(command, env=_MACHINE, capture_output=True, text=True, check=False).stdout.strip()


def _from_registry(command: Sequence[str | os.PathLike[str]], timeout: float = 300) -> None:
    done = subprocess.run(
        command,
        env=_MACHINE,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        missing(f"the package registry cannot be reached: {done.stderr[-500:]}")


def interpreters(oldest: tuple[int, int], newest: tuple[int, int]) -> dict[tuple[int, int], pathlib.Path]:
    """The CPythons from version `oldest` to `newest` on this machine, one of each, by version: pyenv's, then PATH's."""
    found: dict[tuple[int, int], pathlib.Path] = {}
    for candidate in _candidates(oldest, newest):
        version = _version_of(candidate)
        if version is not None and oldest <= version <= newest:
            found.setdefault(version, candidate)
    return dict(sorted(found.items()))


def _candidates(oldest: tuple[int, int], newest: tuple[int, int]) -> Iterator[pathlib.Path]:
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv"))
    yield from sorted(pyenv.glob("versions/*/bin/python"))
    for directory in os.environ.get("PATH", "").split(os.pathsep):
        for name in _names(oldest, newest):
            if os.access(os.path.join(directory, name), os.X_OK):
                yield pathlib.Path(directory, name)


def _names(oldest: tuple[int, int], newest: tuple[int, int]) -> Iterable[str]:
    return [f"python{major}.{minor}" for major in (2, 3) for minor in range(40) if oldest <= (major, minor) <= newest]


def _version_of(python: pathlib.Path) -> tuple[int, int] | None:
    program = "import platform, sys; print(platform.python_implementation() + ' %d %d' % sys.version_info[:2])"
    try:
        done = subprocess.run(
            [python, "-c", program], env=bare_environment(), capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = done.stdout.split()
    return (int(words[1]), int(words[2])) if not done.returncode and words[:1] == ["CPython"] else None
