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
# The newest Python on which they run, with us or without: pip 22.2 uses pkgutil.ImpImporter, which 3.12 dropped; the
# copy of truststore in pip 24.0, which this option turns on, does not know how 3.13 shows the peer's certificates.
RUNS_UP_TO = {
    ("22.2", ()): (3, 11),
    ("22.2", ("--use-feature=truststore",)): (3, 11),
    ("24.0", ("--use-feature=truststore",)): (3, 12),
}


@pytest.fixture(scope="module")
def index(company_ca: Authority, wheel: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with package_index(company_ca.server_context(), tmp_path_factory.mktemp("index"), [wheel]) as url:
        yield url


@pytest.fixture(scope="session")
def pip_wheels(installer: Environment, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pathlib.Path]:
    """The wheel of each older pip, by its version."""
    wheels = {}
    for version in sorted({version for version, _ in PIPS} - {"newest"}):
        directory = tmp_path_factory.mktemp("pip")
        download(installer, directory, f"pip=={version}")
        (wheels[version],) = directory.iterdir()
    return wheels


@pytest.fixture(scope="module")
def pip_environments(
    python: pathlib.Path, new_environment: NewEnvironment, pip_wheels: dict[str, pathlib.Path]
) -> dict[str, Environment]:
    """An environment of `python` with the wheel for each pip, by its version."""
    found = {"newest": new_environment(python=python, pip=True)}
    for version, wheel in pip_wheels.items():
        found[version] = new_environment(python=python)
        found[version].install(wheel)
    return found


@pytest.fixture
def environment(pip_environments: dict[str, Environment], version: str, options: tuple[str, ...]) -> Environment:
    environment = pip_environments[version]
    limit = RUNS_UP_TO.get((version, options))
    if limit is not None and environment.version > limit:
        pytest.skip(
            f"pip {version} {' '.join(options)} does not run on Python {environment.version}, without us either"
        )
    return environment


def pip(system: PrivateSystem, environment: Environment, *arguments: str, **variables: str) -> tuple[int, str]:
    options = ("--no-deps", "--no-cache-dir", "--retries", "0")
    done = system.run(environment.python, "-m", "pip", *arguments, *options, timeout=300, **variables)
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


@pytest.mark.parametrize(("version", "options"), [("23.2", ()), ("newest", ())])
def test_pip_refuses_an_index_that_the_system_does_not_trust(
    version: str,
    options: tuple[str, ...],
    environment: Environment,
    private_system: PrivateSystem,
    removed_ca: Authority,
    wheel: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    with package_index(removed_ca.server_context(), tmp_path / "index", [wheel]) as url:
        command = ("download", *options, "--index-url", url, "--dest", str(tmp_path), "truststore-auto")
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


# How the package itself gets through where nothing is trusted yet: docs/how-to/inspecting-proxy.md.


@pytest.mark.parametrize("version", ["23.2", "newest"])
@pytest.mark.parametrize("by_variable", [False, True], ids=["--cert", "PIP_CERT"])
def test_without_the_hook_pip_can_be_told_whom_to_trust(
    version: str,
    by_variable: bool,
    pip_environments: dict[str, Environment],
    private_system: PrivateSystem,
    removed_ca: Authority,
    wheel: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    root = str(removed_ca.file)
    variables = {"PIP_CERT": root} if by_variable else {}
    options = () if by_variable else ("--cert", root)
    with package_index(removed_ca.server_context(), tmp_path / "index", [wheel]) as url:
        command = ("download", *options, "--index-url", url, "--dest", str(tmp_path), "truststore-auto")
        status, output = pip(private_system, pip_environments[version], *command, TRUSTSTORE_DISABLE="1", **variables)
    assert status == 0, output
    assert len(list(tmp_path.glob("*.whl"))) == 1


def test_without_the_hook_the_newest_pip_asks_the_system(
    pip_environments: dict[str, Environment], private_system: PrivateSystem, index: str, tmp_path: pathlib.Path
) -> None:
    command = ("download", "--index-url", index, "--dest", str(tmp_path), "truststore-auto")
    status, output = pip(private_system, pip_environments["newest"], *command, TRUSTSTORE_DISABLE="1")
    assert status == 0, output


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
