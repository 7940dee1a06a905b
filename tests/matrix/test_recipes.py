"""The recipes of docs/how-to/recipes.md: each is run as it is printed, in an image of its own."""

from __future__ import annotations

import json
import pathlib
import shutil
from collections.abc import Callable

import pytest
from harness import pages
from harness.clients import PROGRAMS, REACHED, REFUSED, Client, Record, run_in_situations
from harness.environment import missing
from harness.environments import Environment, download
from harness.images import Image, debian
from harness.pki import Authority
from harness.situations import TRUSTED, UNKNOWN_CA, Site

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(900)]

PAGE = pages.DOCS / "how-to" / "recipes.md"
RECIPES = {block.caption: block.text for block in pages.blocks(PAGE) if block.caption}
REQUESTS = Client("requests_get", "requests", "bundle")
RIGHT = {TRUSTED: REACHED, UNKNOWN_CA: REFUSED}


@pytest.fixture(scope="module")
def wheels(installer: Environment, wheel: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    directory = tmp_path_factory.mktemp("wheels")
    pure = ("--only-binary=:all:", "--python-version=3.11", "--platform=any")
    download(installer, directory, *pure, "requests")
    shutil.copy(wheel, directory)
    return directory


@pytest.fixture
def image(tmp_path: pathlib.Path, wheels: pathlib.Path, company: Authority) -> Image:
    """An image as recipes find it: the root and the wheels are there, and nothing is installed."""
    image = debian("bookworm", tmp_path, PROGRAMS)
    shutil.copytree(wheels, image.path("/wheels"))
    image.path("/checkout").mkdir()
    shutil.copy(company.file, image.path("/checkout/company.crt"))
    return image


def without_python(image: Image) -> Image:
    """`image` as `debian:bookworm-slim` is: without Python, pip, a store. Its recipes fetch them from Debian."""
    update = ("apt-get", "update", "-q", "-o", "APT::Update::Error-Mode=any")
    if image.run(*update, check=False).returncode:
        missing("the recipes for a slim image need a Debian mirror")
    purge = ("apt-get", "-qy", "--auto-remove", "purge")
    packages = ("ca-certificates", "openssl", "python3-minimal", "python3.11-minimal")
    image.run(*purge, *packages, DEBIAN_FRONTEND="noninteractive")
    for name in ("/usr/bin/python3", "/usr/sbin/update-ca-certificates", "/etc/ssl/certs"):
        assert not image.path(name).exists(), name
    return image


def shell(image: Image, script: str) -> None:
    variables = {"HOME": "/root", "PIP_ROOT_USER_ACTION": "ignore", "DEBIAN_FRONTEND": "noninteractive"}
    image.run("sh", "-e", "-c", f"cd /checkout\n{script}", **variables)


def dockerfile(image: Image, text: str) -> None:
    without_python(image)
    for line in text.splitlines():
        instruction, _, rest = line.partition(" ")
        if instruction == "RUN":
            shell(image, rest)
        elif instruction == "COPY" and rest.startswith("company.crt"):
            shell(image, f"cp {rest}")
        else:  # the image is given, and the wheels are in it
            assert instruction in ("FROM", "", "COPY")


def gitlab(image: Image, text: str) -> None:
    shell(image, "\n".join(line.partition("- ")[2] for line in text.splitlines() if "- " in line))


def devcontainer(image: Image, text: str) -> None:
    container = json.loads(text)
    without_python(image)
    shell(image, container["onCreateCommand"])
    shell(image, container["postCreateCommand"])


RUNNERS: dict[str, tuple[Callable[[Image, str], None], str]] = {
    "wheelhouse.sh": (shell, ""),
    "Dockerfile": (dockerfile, ""),
    ".gitlab-ci.yml": (gitlab, "/checkout/env"),
    "devcontainer.json": (devcontainer, ""),
}


def reaches(image: Image, everywhere: dict[str, Site], environment: str = "") -> dict[str, str]:
    """What requests does in `environment`, or in one that is made now."""
    if not environment:
        environment = "/srv/later"
        image.run("python3", "-m", "venv", "--without-pip", environment)
    python = f"{environment}/bin/python"
    image.run("python3", "-m", "pip", "--python", python, "install", "-q", "--no-index", "-f", "/wheels", "requests")
    situations = (TRUSTED, UNKNOWN_CA)
    found = run_in_situations(image, [python], REQUESTS, everywhere, situations, None, image.programs)
    return {situation: outcome.verdict for situation, outcome in found.items()}


def test_every_recipe_is_run() -> None:
    assert set(RECIPES) == {*RUNNERS, "truststore-auto.yml"}


@pytest.mark.parametrize(
    "name", [name if name == "Dockerfile" else pytest.param(name, marks=pytest.mark.full) for name in RUNNERS]
)
def test_a_recipe(name: str, image: Image, everywhere: dict[str, Site], record: Record) -> None:
    run, environment = RUNNERS[name]
    run(image, RECIPES[name])
    found = reaches(image, everywhere, environment)
    record("images", what=f"recipe, {name}", verdicts=found)
    assert found == RIGHT


@pytest.mark.full
def test_the_playbook(
    image: Image, installer: Environment, everywhere: dict[str, Site], tmp_path: pathlib.Path, record: Record
) -> None:
    for_image = ("--only-binary=:all:", "--python-version=3.11", "--platform=manylinux2014_x86_64")
    download(installer, tmp_path / "ansible", *for_image, "ansible-core<2.19")
    shutil.copytree(tmp_path / "ansible", image.path("/ansible"))
    image.run("python3", "-m", "venv", "--without-pip", "/opt/ansible")
    into = ("--python", "/opt/ansible/bin/python", "install", "-q", "--no-index", "--find-links", "/ansible")
    image.run("python3", "-m", "pip", *into, "ansible-core")
    image.path("/checkout/truststore-auto.yml").write_text(RECIPES["truststore-auto.yml"])
    play = "/opt/ansible/bin/ansible-playbook -i localhost, -c local -e ansible_become=false truststore-auto.yml"
    variables = {"HOME": "/root", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
    image.run("sh", "-c", f"cd /checkout && {play}", **variables)
    again = image.run("sh", "-c", f"cd /checkout && {play}", **variables)
    assert "changed=0" in again.stdout
    found = reaches(image, everywhere)
    record("images", what="recipe, Ansible playbook", verdicts=found)
    assert found == RIGHT


# Where other systems keep their store; see the table in truststore/_backends/openssl.py.
LAYOUTS = {
    "RHEL": "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "Alpine": "/etc/ssl/cert.pem",
}


@pytest.mark.full
@pytest.mark.parametrize("system", LAYOUTS)
def test_the_store_of_another_system(system: str, image: Image, everywhere: dict[str, Site], record: Record) -> None:
    """Debian's Python over the layout of another system: nothing is where this OpenSSL was told to look."""
    shell(image, RECIPES["wheelhouse.sh"])
    bundle = LAYOUTS[system]
    shell(
        image,
        f"mv /etc/ssl/certs/ca-certificates.crt /bundle; rm -r /etc/ssl /usr/lib/ssl/certs /usr/share/ca-certificates; "
        f"mkdir -p $(dirname {bundle}); mv /bundle {bundle}",
    )
    found = reaches(image, everywhere)
    record("images", what=f"store as on {system}: `{bundle}`", verdicts=found)
    assert found == RIGHT
