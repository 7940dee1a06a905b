"""Every interpreter that the package is for, with the OpenSSL it has, against the sites of every situation."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Callable

import pytest
from harness.clients import PROGRAMS, Client, Record, run_in_situations
from harness.environments import PROJECT, SWITCH, Environment, NewEnvironment, build, download, interpreters
from harness.images import Image, debian
from harness.pki import Authority, stress_material
from harness.private_system import PrivateSystem
from harness.situations import SITUATIONS, Site

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(2400)]

URLLIB = Client("urllib_request")
REQUESTS = Client("requests_get", "requests", "bundle")
STREAMS = Client("asyncio_streams")
THREADS = Client("urllib_threads")
WHAT = (
    "import platform, ssl, sys; print(platform.python_implementation(), platform.python_version(), "
    "ssl.OPENSSL_VERSION, ssl.SSLContext.__module__, sep='|')"
)

# (suite, interpreter, which startup file)
IN_IMAGES = [
    ("bookworm", "/usr/bin/python3.11", "pth"),
    pytest.param("trixie", "/usr/bin/python3.13", "pth", marks=pytest.mark.full),
    pytest.param("sid", "/usr/bin/python3.14", "pth", marks=pytest.mark.full),
    pytest.param("sid", "/usr/bin/python3.15", "pth", marks=pytest.mark.full),
    pytest.param("sid", "/usr/bin/python3.15", "start", marks=pytest.mark.full),
    pytest.param("sid", "/usr/bin/pypy3", "pth", marks=pytest.mark.full),
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


# Nobody packages this one, so it is built. Optimizing it would take longer than all that is run with it.
_FREE_THREADED = r"""
set -e
mkdir /build
cd /build
sed 's/^deb /deb-src /' /etc/apt/sources.list > /etc/apt/sources.list.d/source.list
apt-get -qq update
apt-get -qq install -y --no-install-recommends dpkg-dev gcc libc6-dev libffi-dev libssl-dev make zlib1g-dev > /dev/null
apt-get -qq source --download-only python3.13
tar -xJf python3.13_*.orig.tar.xz --strip-components=1
./configure -q --disable-gil --disable-test-modules --without-ensurepip --prefix=/opt/free-threaded OPT='-O1 -DNDEBUG'
nice make -s -j2 > /dev/null
make -s altinstall > /dev/null
"""
_HAS_GIL = (
    "import requests, ssl, sys, truststore._cli, truststore._gate; ssl.SSLContext(16); print(sys._is_gil_enabled())"
)


@pytest.mark.full
def test_a_free_threaded_interpreter(
    images: Callable[[str], Image],
    libraries: list[pathlib.Path],
    wheel: pathlib.Path,
    everywhere: dict[str, Site],
    record: Record,
    tmp_path: pathlib.Path,
) -> None:
    image = images("trixie")
    image.run("sh", "-c", _FREE_THREADED, timeout=1400)
    image.run("/opt/free-threaded/bin/python3.13t", "-m", "venv", "--without-pip", "/srv/free-threaded")
    python = "/srv/free-threaded/bin/python"
    image.unpack("/srv/free-threaded/lib/python3.13t/site-packages", wheel, *libraries)
    implementation, version, openssl, hooked = image.run(python, "-c", WHAT).stdout.strip().split("|")
    assert hooked == "truststore._context"
    # PYTHON_GIL=0 would keep it off whatever is imported, so it is not set.
    assert image.run(python, "-W", "error", "-c", _HAS_GIL).stdout.strip() == "False"
    found = {}
    for client in (URLLIB, REQUESTS, STREAMS, THREADS):
        outcomes = run_in_situations(image, [python], client, everywhere, SITUATIONS, None, image.programs)
        found[client.program] = {situation: outcome.verdict for situation, outcome in outcomes.items()}
    row = {"interpreter": f"{implementation} {version}, free-threaded", "openssl": openssl, "startup": "pth"}
    record("interpreters", **row, where="built from Debian's source", verdicts=found)
    expected = {situation: REQUESTS.with_hook(situation) for situation in SITUATIONS}
    assert found == {client.program: expected for client in (URLLIB, REQUESTS, STREAMS, THREADS)}
    stress_material(tmp_path)
    shutil.copytree(tmp_path, image.path("/stress/material"))
    shutil.copytree(PROJECT / "tests" / "harness", image.path("/stress/harness"))
    for path in ("native", "delegated"):
        done = image.run(python, "/stress/harness/stress.py", "/stress/material", path, "40", timeout=700)
        assert done.stdout.strip().endswith("GIL off")
