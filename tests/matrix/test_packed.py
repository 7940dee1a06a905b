"""Programs that zipapp, shiv, pex or cx_Freeze packed: which have the hook by themselves, and what the others need."""

from __future__ import annotations

import pathlib
import shutil
import zipapp
from collections.abc import Callable
from typing import NamedTuple

import pytest
from harness.clients import PROGRAMS, REFUSED, Client, Record, run_in_situations
from harness.environments import Environment, NewEnvironment, download, run
from harness.private_system import PrivateSystem
from harness.situations import SITUATIONS, Site

pytestmark = [pytest.mark.matrix, pytest.mark.full, pytest.mark.timeout(600)]

REQUESTS = Client("requests_get", "requests", "bundle")
# What docs/how-to/frozen.md tells authors to put in front.
LINES = "import truststore_autoinject\n\ntruststore_autoinject.activate()\n\n"


class Workshop:
    """What programs are packed with and from, made when it is first asked for."""

    def __init__(
        self,
        new_environment: NewEnvironment,
        installer: Environment,
        wheel: pathlib.Path,
        new_directory: Callable[[], pathlib.Path],
    ) -> None:
        self._new_environment = new_environment
        self._installer = installer
        self._wheel = wheel
        self._new_directory = new_directory
        self._made: dict[object, Environment] = {}

    def environment(self, *requirements: str, hooked: bool = False) -> Environment:
        """An environment with `requirements`, and with truststore-auto if `hooked`."""
        key = (requirements, hooked)
        if key not in self._made:
            self._made[key] = self._new_environment(hooked=hooked)
            if requirements:
                self._made[key].install_from_registry(*requirements, timeout=500)
        return self._made[key]

    def directory_with_requests(self, ours: bool) -> pathlib.Path:
        """A directory to pack: requests and what it needs, with truststore-auto if `ours`."""
        directory = self._new_directory() / "app"
        installed = self.environment("requests", hooked=ours).site_packages
        shutil.copytree(installed, directory, ignore=shutil.ignore_patterns("__pycache__", "*_virtualenv*"))
        return directory

    def wheels(self, ours: bool) -> pathlib.Path:
        """requests and what it needs as wheels, with truststore-auto if `ours`."""
        directory = self._new_directory()
        download(self._installer, directory, "--only-binary=:all:", "requests")
        if ours:
            shutil.copy(self._wheel, directory)
        return directory


@pytest.fixture(scope="module")
def workshop(
    new_environment: NewEnvironment,
    installer: Environment,
    wheel: pathlib.Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Workshop:
    return Workshop(new_environment, installer, wheel, lambda: tmp_path_factory.mktemp("packed"))


def by_zipapp(workshop: Workshop, program: str, ours: bool, result: pathlib.Path) -> str:
    directory = workshop.directory_with_requests(ours)
    (directory / "__main__.py").write_text(program)
    zipapp.create_archive(directory, result)
    return "zipapp"


def by_shiv(workshop: Workshop, program: str, ours: bool, result: pathlib.Path) -> str:
    directory = workshop.directory_with_requests(ours)
    (directory / "program.py").write_text("def main():\n    " + program.replace("\n", "\n    "))
    shiv = workshop.environment("shiv")
    run(shiv.scripts / "shiv", "--site-packages", directory, "-e", "program:main", "-o", result)
    return "shiv " + version(shiv, "shiv")


def by_pex(workshop: Workshop, program: str, ours: bool, result: pathlib.Path) -> str:
    source = result.parent / "source"
    source.mkdir()
    (source / "program.py").write_text(program)
    pex = workshop.environment("pex")
    wanted = ("requests", "truststore-auto") if ours else ("requests",)
    options = ("--no-index", "--find-links", workshop.wheels(ours), "--pex-root", result.parent / "root")
    run(pex.scripts / "pex", "-D", source, "-m", "program", *options, *wanted, "-o", result, timeout=300)
    return "pex " + version(pex, "pex")


def by_cx_freeze(workshop: Workshop, program: str, ours: bool, result: pathlib.Path) -> str:
    script = result.parent / "program.py"
    script.write_text(program)
    environment = workshop.environment("cx_Freeze", "requests", hooked=ours)
    run(environment.scripts / "cxfreeze", "build_exe", "--script", script, "--build-exe", result, timeout=300)
    return "cx_Freeze " + version(environment, "cx_Freeze")


def version(environment: Environment, distribution: str) -> str:
    program = f"import importlib.metadata; print(importlib.metadata.version({distribution!r}))"
    return environment.run("-c", program).stdout.strip()


class Case(NamedTuple):
    pack: Callable[[Workshop, str, bool, pathlib.Path], str]
    ours: bool  # truststore-auto was packed with the program
    lines: bool  # and the program starts the hook
    hooked: bool  # the interpreter that runs it has truststore-auto
    works: bool

    def __str__(self) -> str:
        inside = "truststore-auto and the two lines inside" if self.lines else "truststore-auto inside"
        return inside if self.ours else "truststore-auto in the interpreter"


CASES = [
    Case(by_zipapp, ours=False, lines=False, hooked=True, works=True),
    Case(by_zipapp, ours=True, lines=False, hooked=False, works=False),
    Case(by_zipapp, ours=True, lines=True, hooked=False, works=True),
    Case(by_shiv, ours=False, lines=False, hooked=True, works=True),
    Case(by_shiv, ours=True, lines=False, hooked=False, works=True),
    Case(by_pex, ours=False, lines=False, hooked=True, works=False),
    Case(by_pex, ours=True, lines=False, hooked=False, works=True),
    Case(by_cx_freeze, ours=True, lines=False, hooked=False, works=False),
    Case(by_cx_freeze, ours=True, lines=True, hooked=False, works=True),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.pack.__name__}, {case}")
def test_a_packed_program(
    case: Case,
    workshop: Workshop,
    private_system: PrivateSystem,
    everywhere: dict[str, Site],
    tmp_path: pathlib.Path,
    record: Record,
) -> None:
    program = (LINES if case.lines else "") + (PROGRAMS / "requests_get.py").read_text()
    result = tmp_path / "packed"
    tool = case.pack(workshop, program, case.ours, result)
    python = workshop.environment(hooked=case.hooked).python
    start = f'"{result}/program"' if case.pack is by_cx_freeze else f'"{python}" "{result}"'
    # The program gets its own name in front, as `python program.py` would; only the URL counts.
    command = ["sh", "-c", f'exec {start} "$1"']
    variables = {"HOME": str(tmp_path), "PEX_ROOT": str(tmp_path / "root")}
    outcomes = run_in_situations(private_system, command, REQUESTS, everywhere, SITUATIONS, variables)
    found = {situation: outcome.verdict for situation, outcome in outcomes.items()}
    record("frozen", what=f"{tool}, {case}", verdicts=found)
    if case.works:
        assert found == {situation: REQUESTS.with_hook(situation) for situation in SITUATIONS}
    else:  # the certifi inside knows none of these CAs: nobody is trusted
        assert set(found.values()) == {REFUSED}
