"""pip with the hook, from the first that knew truststore to the newest, and an index that only the system trusts."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from harness.environments import Environment, NewEnvironment, configured_index, download
from harness.pki import Authority
from harness.private_system import PrivateSystem
from harness.servers import package_index

pytestmark = pytest.mark.system

SMALL = "six==1.16.0"

# Versions, with their options. "newest" is what virtualenv brings, which is never long out of date.
PIPS = [
    ("22.2", ()),
    ("22.2", ("--use-feature=truststore",)),
    ("23.2", ()),
    ("23.2", ("--use-feature=truststore",)),
    ("24.0", ()),
    ("24.0", ("--use-feature=truststore",)),
    ("newest", ()),
]
# pip 22.2 uses pkgutil.ImpImporter, which Python 3.12 dropped.
TOO_OLD = {"22.2": (3, 11)}


@pytest.fixture(scope="module")
def index(company_ca: Authority, wheel: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with package_index(company_ca.server_context(), tmp_path_factory.mktemp("index"), [wheel]) as url:
        yield url


@pytest.fixture(scope="module")
def pip_environments(python: pathlib.Path, new_environment: NewEnvironment) -> dict[str, Environment]:
    """An environment of `python` with the wheel for each pip, by its version."""
    found = {"newest": new_environment(python=python, pip=True)}
    minor = found["newest"].run("-c", "import sys; print(sys.version_info[1])").stdout
    for version in sorted({version for version, _ in PIPS} - {"newest"}):
        if (3, int(minor)) <= TOO_OLD.get(version, (3, 99)):
            found[version] = new_environment(python=python)
            found[version].install_from_registry(f"pip=={version}")
    return found


@pytest.fixture
def environment(pip_environments: dict[str, Environment], version: str) -> Environment:
    if version not in pip_environments:
        pytest.skip(f"pip {version} does not run on this Python at all")
    return pip_environments[version]


def pip(system: PrivateSystem, environment: Environment, *arguments: str, **variables: str) -> tuple[int, str]:
    options = ("--no-deps", "--no-cache-dir", "--retries", "0")
    done = system.run(environment.python, "-m", "pip", *arguments, *options, timeout=110, **variables)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("version", "options"), PIPS)
def test_pip_trusts_an_index_of_the_company(
    version: str,
    options: tuple[str, ...],
    environment: Environment,
    private_system: PrivateSystem,
    index: str,
    tmp_path: pathlib.Path,
) -> None:
    command = ("download", *options, "--index-url", index, "--dest", str(tmp_path), "truststore-auto")
    status, output = pip(private_system, environment, *command)
    assert status == 0, output
    assert len(list(tmp_path.glob("*.whl"))) == 1
    install = ("install", *options, "--force-reinstall", "--index-url", index, "truststore-auto")
    status, output = pip(private_system, environment, *install)
    assert status == 0, output
    assert "Successfully installed truststore-auto" in output
    state = "import ssl, truststore_autoinject as hook; print(hook.state)"
    assert environment.run("-c", state).stdout == "injected\n"


@pytest.mark.parametrize("version", ["23.2", "newest"])
def test_pip_refuses_an_index_that_the_system_does_not_trust(
    version: str,
    environment: Environment,
    private_system: PrivateSystem,
    removed_ca: Authority,
    wheel: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    with package_index(removed_ca.server_context(), tmp_path / "index", [wheel]) as url:
        command = ("download", "--index-url", url, "--dest", str(tmp_path), "truststore-auto")
        status, output = pip(private_system, environment, *command)
    assert status != 0
    assert "CERTIFICATE_VERIFY_FAILED" in output
    assert not list(tmp_path.glob("*.whl"))


def test_without_the_hook_an_older_pip_does_not_trust_it(
    pip_environments: dict[str, Environment], private_system: PrivateSystem, index: str, tmp_path: pathlib.Path
) -> None:
    command = ("download", "--index-url", index, "--dest", str(tmp_path), "truststore-auto")
    status, output = pip(private_system, pip_environments["23.2"], *command, TRUSTSTORE_DISABLE="1")
    assert status != 0
    assert "CERTIFICATE_VERIFY_FAILED" in output


@pytest.mark.parametrize(("version", "options"), PIPS)
def test_pip_reaches_this_machines_registry(
    version: str,
    options: tuple[str, ...],
    environment: Environment,
    private_system: PrivateSystem,
    registry: tuple[str, ...],
    tmp_path: pathlib.Path,
) -> None:
    """The real one, with nothing that configures certificates: no variable, no configuration of pip."""
    command = ("download", *options, *registry, "--dest", str(tmp_path), SMALL)
    status, output = pip(private_system, environment, *command)
    assert status == 0, output
    assert len(list(tmp_path.glob("six-*.whl"))) == 1


@pytest.fixture(scope="session")
def registry(installer: Environment, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The options that lead to the registry that pip uses on this machine."""
    download(installer, tmp_path_factory.mktemp("reachable"), SMALL)
    index = configured_index(installer)
    return ("--index-url", index) if index else ()
