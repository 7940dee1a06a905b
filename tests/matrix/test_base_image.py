"""A company's base image: its CA in the store, the wheel installed once, `image --install` run once.

Every Python that starts in it afterwards, in whatever environment somebody made, verifies by the system store. The
client is requests, which would trust certifi's bundle by itself; the CA of the sites is only in the image's store.
"""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Callable

import pytest
from harness.clients import PROGRAMS, REACHED, REFUSED, Client, Record, run_in_situations
from harness.environments import Environment, download
from harness.images import Image, debian
from harness.pki import Authority
from harness.situations import TRUSTED, UNKNOWN_CA, Site

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(900)]

REQUESTS = Client("requests_get", "requests")
WHEELS = "/wheels"
SITECUSTOMIZE = "/etc/python3.11/sitecustomize.py"  # what Debian's link in the standard library leads to
WHO = "import ssl, truststore_autoinject as hook; print(ssl.SSLContext.__module__, hook.__file__)"
IMAGES_HOOK = "truststore._context /usr/local/lib/python3.11/dist-packages/truststore_autoinject.py\n"


@pytest.fixture(scope="module")
def wheels(installer: Environment, wheel: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Our wheel, requests, and what makes environments."""
    directory = tmp_path_factory.mktemp("wheels")
    pure = ("--only-binary=:all:", "--python-version=3.11", "--platform=any")
    download(installer, directory, *pure, "requests", "truststore", "virtualenv")
    download(installer, directory, "uv")
    (directory / wheel.name).write_bytes(wheel.read_bytes())
    return directory


@pytest.fixture(scope="module")
def bare(company: Authority, wheels: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image before truststore-auto: the company's CA, tools that make environments, a sitecustomize of its own."""
    image = debian("bookworm", tmp_path_factory.mktemp("image"), PROGRAMS)
    image.trust(company.file)
    subprocess.run(["cp", "-a", wheels, image.path(WHEELS)], check=True)
    with image.path(SITECUSTOMIZE).open("a") as file:
        file.write("\nimport sys\nsys.company = 'was here'")  # no newline at the end: people write that, too
    pip(image, "virtualenv", "uv")
    return image


@pytest.fixture(scope="module")
def image(bare: Image) -> Image:
    """The image with it."""
    pip(bare, "truststore-auto")
    done = bare.run("python3", "-m", "truststore", "image", "--install")
    assert "it works with the standard library alone" in done.stdout
    return bare


def pip(image: Image, *names: str, python: str = "python3") -> None:
    options = ("--quiet", "--no-index", "--root-user-action=ignore")
    where = ("--python", python) if python != "python3" else ()
    here = ("--break-system-packages",) if python == "python3" else ()
    image.run("python3", "-m", "pip", *where, "install", *options, *here, f"--find-links={WHEELS}", *names)


# How people make environments; `$` stands for where.
ENVIRONMENTS = {
    "venv": "python3 -m venv --without-pip $",
    "venv with system packages": "python3 -m venv --without-pip --system-site-packages $",
    "venv of copies": "python3 -m venv --without-pip --copies $",
    "virtualenv": "python3 -m virtualenv --quiet --no-seed $",
    "uv venv": "uv venv --quiet --offline --python python3 $",
}


@pytest.fixture(scope="module")
def environments(image: Image) -> Callable[[str], str]:
    """The Python of an environment of a kind, with requests in it."""
    made: dict[str, str] = {}

    def python(kind: str) -> str:
        if kind not in made:
            directory = "/srv/" + kind.replace(" ", "-")
            image.run("sh", "-c", ENVIRONMENTS[kind].replace("$", directory), HOME="/root")
            made[kind] = f"{directory}/bin/python"
            pip(image, "requests", python=made[kind])
        return made[kind]

    return python


def verdicts(image: Image, everywhere: dict[str, Site], *command: str, **variables: str) -> dict[str, str]:
    situations = (TRUSTED, UNKNOWN_CA)
    found = run_in_situations(image, command, REQUESTS, everywhere, situations, variables, image.programs)
    return {situation: outcome.verdict or outcome.said for situation, outcome in found.items()}


RIGHT = {TRUSTED: REACHED, UNKNOWN_CA: REFUSED}


@pytest.mark.parametrize("kind", ENVIRONMENTS)
def test_every_kind_of_environment_is_reached(
    kind: str, image: Image, environments: Callable[[str], str], everywhere: dict[str, Site], record: Record
) -> None:
    python = environments(kind)
    assert image.run(python, "-c", WHO).stdout == IMAGES_HOOK
    found = verdicts(image, everywhere, python)
    record("images", what=kind, verdicts=found)
    assert found == RIGHT


def test_the_system_python_is_reached(image: Image, everywhere: dict[str, Site], record: Record) -> None:
    pip(image, "requests")
    found = verdicts(image, everywhere, "/usr/bin/python3")
    record("images", what="system Python", verdicts=found)
    assert found == RIGHT


@pytest.mark.parametrize("options", [("-I",), ("-E",), ("-s",), ("-P",), ("-O",)], ids="".join)
def test_no_option_of_python_but_one_keeps_it_out(
    options: tuple[str, ...], image: Image, environments: Callable[[str], str], everywhere: dict[str, Site]
) -> None:
    assert verdicts(image, everywhere, environments("venv"), *options) == RIGHT


def test_without_site_there_is_no_hook(image: Image, environments: Callable[[str], str]) -> None:
    """Said so in the documentation: `-S` runs nothing at startup."""
    done = image.run(environments("venv"), "-S", "-c", "import ssl; print(ssl.SSLContext.__module__)")
    assert done.stdout == "ssl\n"


@pytest.mark.parametrize("condition", ["arbitrary user", "read-only root", "both", "as cron starts it"])
def test_under_harsh_conditions(
    condition: str, image: Image, environments: Callable[[str], str], everywhere: dict[str, Site], record: Record
) -> None:
    there = image
    if condition in ("arbitrary user", "both"):
        there = there.as_user(12345)
    if condition in ("read-only root", "both"):
        read_only = image.read_only()
        read_only.options = there.options
        there = read_only
    # No HOME is set in any of them; cron has no LANG either.
    variables = {"LANG": ""} if condition == "as cron starts it" else {}
    found = verdicts(there, everywhere, environments("venv"), **variables)
    record("images", what=condition, verdicts=found)
    assert found == RIGHT


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_child_processes_are_reached(
    method: str, image: Image, environments: Callable[[str], str], everywhere: dict[str, Site], record: Record
) -> None:
    image.path(f"/clients/{method}.py").write_text(CHILD)
    client = Client(method)
    situations = (TRUSTED, UNKNOWN_CA)
    command = (environments("venv"),)
    found = run_in_situations(image, command, client, everywhere, situations, programs=image.programs)
    assert {situation: outcome.verdict for situation, outcome in found.items()} == RIGHT
    record("images", what=f"multiprocessing, {method}", verdicts=RIGHT)


CHILD = """
import multiprocessing, os, sys
import requests

def get(url):
    return requests.get(url, timeout=20).text

if __name__ == "__main__":
    method = os.path.basename(sys.argv[0]).partition(".")[0]
    with multiprocessing.get_context(method).Pool(1) as pool:
        print(pool.apply(get, sys.argv[1:]))
"""


def test_what_was_there_still_runs(image: Image, environments: Callable[[str], str]) -> None:
    for python in ("/usr/bin/python3", environments("venv")):
        assert image.run(python, "-c", "import sys; print(sys.company)").stdout == "was here\n"


WHOSE_MODULES = """
import ssl, sys
names = ("truststore", "truststore_autoinject")
ours = [module for name, module in sys.modules.items() if name.partition(".")[0] in names]
print(*{module.__file__.partition("/lib/")[0] for module in ours})
"""


def test_an_environment_with_its_own_wins(image: Image, environments: Callable[[str], str]) -> None:
    image.run("python3", "-m", "venv", "--without-pip", "/srv/own")
    pip(image, "truststore-auto", python="/srv/own/bin/python")
    own = "/srv/own/lib/python3.11/site-packages/truststore_autoinject.py"
    assert image.run("/srv/own/bin/python", "-c", WHO).stdout == f"truststore._context {own}\n"
    assert image.run("/srv/own/bin/python", "-c", WHOSE_MODULES).stdout == "/srv/own\n"
    disabled = "import ssl, truststore_autoinject as hook; print(ssl.SSLContext.__module__, hook.state)"
    assert image.run("/srv/own/bin/python", "-c", disabled, TRUSTSTORE_DISABLE="1").stdout == "ssl disabled\n"


def test_an_environment_with_the_other_truststore_is_reached(image: Image, everywhere: dict[str, Site]) -> None:
    """The distribution `truststore` brings a package of the same name; it stays what `import truststore` gives."""
    image.run("python3", "-m", "venv", "--without-pip", "/srv/other")
    pip(image, "truststore", "requests", python="/srv/other/bin/python")
    assert image.run("/srv/other/bin/python", "-c", WHO).stdout == IMAGES_HOOK
    whose = "import truststore; print(truststore.__file__, truststore.SSLContext.__module__)"
    file = "/srv/other/lib/python3.11/site-packages/truststore/__init__.py"
    assert image.run("/srv/other/bin/python", "-c", whose).stdout == f"{file} truststore._api\n"
    assert verdicts(image, everywhere, "/srv/other/bin/python") == RIGHT


def test_the_command_line_answers_in_an_environment_without_it(
    image: Image, environments: Callable[[str], str]
) -> None:
    done = image.run(environments("venv"), "-m", "truststore", "image")
    assert done.returncode == 0
    assert SITECUSTOMIZE in done.stdout


def test_without_permission_it_says_so_and_changes_nothing(image: Image) -> None:
    before = image.path(SITECUSTOMIZE).read_bytes()
    for there, reason in ((image.as_user(12345), "Permission denied"), (image.read_only(), "Read-only file system")):
        for option in ("--install", "--remove"):
            done = there.run("python3", "-m", "truststore", "image", option, check=False)
            assert done.returncode == 3
            assert reason in done.stderr
            assert "Traceback" not in done.stderr
    assert image.path(SITECUSTOMIZE).read_bytes() == before
    assert [path.name for path in image.path("/etc/python3.11").iterdir()] == ["sitecustomize.py"]


def test_in_an_environment_it_refuses_to_tie_the_base_to_it(image: Image) -> None:
    done = image.run("/srv/own/bin/python", "-m", "truststore", "image", "--install", check=False)
    assert done.returncode == 3
    assert "/usr/bin/python3.11 -m truststore image --install" in done.stderr


@pytest.mark.parametrize("how", ["uninstalled first", "removed"])
def test_it_leaves_as_it_came(how: str, image: Image, environments: Callable[[str], str]) -> None:
    """Last, since the image is without it afterwards (and gets it back for the other order)."""
    python = environments("venv")
    if how == "uninstalled first":
        image.run("python3", "-m", "pip", "uninstall", "-y", "-q", "--break-system-packages", "truststore-auto")
        done = image.run(python, "-c", "import ssl; print(ssl.SSLContext.__module__)")
        assert (done.stdout, done.stderr) == ("ssl\n", "")
        pip(image, "truststore-auto")
        assert image.run(python, "-c", WHO).stdout == IMAGES_HOOK
        return
    image.run("python3", "-m", "truststore", "image", "--install")  # twice is once
    assert image.path(SITECUSTOMIZE).read_text().count(">>> truststore-auto") == 1
    image.run("python3", "-m", "truststore", "image", "--remove")
    assert image.path(SITECUSTOMIZE).read_text().endswith("\nimport sys\nsys.company = 'was here'\n")
    assert image.run(python, "-c", "import ssl; print(ssl.SSLContext.__module__)").stdout == "ssl\n"
    assert image.run("python3", "-m", "truststore", "image", check=False).returncode == 1
    assert image.run("/usr/bin/python3", "-c", WHO).stdout == IMAGES_HOOK  # its own .pth
