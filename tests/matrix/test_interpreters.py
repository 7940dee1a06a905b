"""Every interpreter that the package is for, with the OpenSSL it has, against the sites of every situation."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest
from harness.clients import FULL, PROGRAMS, Client, Record, run_in_situations
from harness.environments import PROJECT, SWITCH, Environment, NewEnvironment, build, download, interpreters
from harness.images import Image, debian
from harness.pki import Authority
from harness.private_system import PrivateSystem
from harness.situations import SITUATIONS, Site

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(1500)]

URLLIB = Client("urllib_request")
REQUESTS = Client("requests_get", "requests", "bundle")
STREAMS = Client("asyncio_streams")
WHAT = (
    "import platform, ssl, sys; print(platform.python_implementation(), platform.python_version(), "
    "ssl.OPENSSL_VERSION, ssl.SSLContext.__module__, sep='|')"
)

# (suite, interpreter, which startup file)
IN_IMAGES = [
    ("bookworm", "/usr/bin/python3.11", "pth"),
    ("trixie", "/usr/bin/python3.13", "pth"),
    ("sid", "/usr/bin/python3.14", "pth"),
    ("sid", "/usr/bin/python3.15", "pth"),
    ("sid", "/usr/bin/python3.15", "start"),
    ("sid", "/usr/bin/pypy3", "pth"),
]


@pytest.fixture(scope="session")
def images(company: Authority, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Image]:
    """The image of a suite, with the company's CA in its store."""
    made: dict[str, Image] = {}

    def image(suite: str) -> Image:
        if suite not in made:
            made[suite] = debian(suite, tmp_path_factory.mktemp("image"), PROGRAMS)
            made[suite].trust(company.file)
        return made[suite]

    return image


@pytest.fixture(scope="session")
def libraries(installer: Environment, tmp_path_factory: pytest.TempPathFactory) -> list[pathlib.Path]:
    """requests and what it needs, as wheels for every interpreter."""
    directory = tmp_path_factory.mktemp("libraries")
    download(installer, directory, "--only-binary=:all:", "--python-version=3.11", "--platform=any", "requests")
    return sorted(directory.iterdir())


@pytest.fixture(scope="session")
def wheel_with_start(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The wheel for Pythons that no longer run import lines of `.pth` files."""
    return build(PROJECT, tmp_path_factory.mktemp("start"), **{SWITCH: "start"})


@pytest.mark.parametrize(("suite", "interpreter", "startup"), IN_IMAGES)
def test_an_interpreter_of_debian(
    suite: str,
    interpreter: str,
    startup: str,
    images: Callable[[str], Image],
    libraries: list[pathlib.Path],
    wheel: pathlib.Path,
    wheel_with_start: pathlib.Path,
    everywhere: dict[str, Site],
    record: Record,
) -> None:
    if not FULL and suite != "bookworm":
        pytest.skip("in the full run")
    image = images(suite)
    directory = f"/srv/{pathlib.PurePosixPath(interpreter).name}-{startup}"
    image.run(interpreter, "-m", "venv", "--without-pip", directory)
    python = f"{directory}/bin/python"
    purelib = image.run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
    image.unpack(purelib, wheel if startup == "pth" else wheel_with_start, *libraries)
    implementation, version, openssl, hooked = image.run(python, "-c", WHAT).stdout.strip().split("|")
    found = {}
    for client in (URLLIB, REQUESTS, STREAMS):
        outcomes = run_in_situations(image, [python], client, everywhere, SITUATIONS, None, image.programs)
        found[client.program] = {situation: outcome.verdict for situation, outcome in outcomes.items()}
    record(
        "interpreters",
        interpreter=f"{implementation} {version}",
        openssl=openssl,
        startup=startup,
        where=f"Debian {suite}",
        verdicts=found,
    )
    assert hooked == "truststore._context"
    expected = {situation: REQUESTS.with_hook(situation) for situation in SITUATIONS}
    assert found == {client.program: expected for client in (URLLIB, REQUESTS, STREAMS)}


@pytest.mark.parametrize("minor", [10, 11, 12, 13])
def test_an_interpreter_of_this_machine(
    minor: int,
    new_environment: NewEnvironment,
    libraries: list[pathlib.Path],
    private_system: PrivateSystem,
    everywhere: dict[str, Site],
    record: Record,
) -> None:
    python = interpreters((3, minor), (3, minor)).get((3, minor))
    if python is None:
        pytest.skip(f"no Python 3.{minor} on this machine")
    environment = new_environment(python=python)
    environment.install(*libraries)
    implementation, version, openssl, hooked = environment.run("-c", WHAT).stdout.strip().split("|")
    assert hooked == "truststore._context"
    expected = {situation: REQUESTS.with_hook(situation) for situation in SITUATIONS}
    found = {}
    for client in (URLLIB, REQUESTS, STREAMS):
        outcomes = run_in_situations(private_system, [str(environment.python)], client, everywhere)
        found[client.program] = {situation: outcome.verdict for situation, outcome in outcomes.items()}
    row = {"interpreter": f"{implementation} {version}", "openssl": openssl, "startup": "pth", "where": "this machine"}
    record("interpreters", **row, verdicts=found)
    assert found == {client.program: expected for client in (URLLIB, REQUESTS, STREAMS)}
