"""A program that PyInstaller froze into one file, where truststore-auto was installed, has the hook."""

from __future__ import annotations

import pathlib

import pytest
from harness.clients import PROGRAMS, Client, Record, run_in_situations
from harness.environments import Environment, NewEnvironment, run
from harness.private_system import PrivateSystem
from harness.situations import SITUATIONS, Site

pytestmark = [pytest.mark.matrix, pytest.mark.full, pytest.mark.timeout(900)]


def _freeze(environment: Environment, directory: pathlib.Path) -> pathlib.Path:
    run(
        *(environment.scripts / "pyinstaller", "--onefile", "--log-level=ERROR"),
        *(f"--distpath={directory}", f"--workpath={directory / 'work'}", f"--specpath={directory}"),
        PROGRAMS / "requests_get.py",
        cwd=directory,
        timeout=600,
    )
    return directory / "requests_get"


@pytest.mark.parametrize("hooked", [True, False], ids=["with", "without"])
def test_a_frozen_program(
    hooked: bool,
    new_environment: NewEnvironment,
    private_system: PrivateSystem,
    everywhere: dict[str, Site],
    tmp_path: pathlib.Path,
    record: Record,
) -> None:
    environment = new_environment(hooked=hooked)
    environment.install_from_registry("pyinstaller", "requests", timeout=600)
    version = environment.run("-m", "PyInstaller", "--version").stdout.strip()
    program = _freeze(environment, tmp_path)
    # The program gets its own name in front, as `python program.py` would; only the URL counts.
    client = Client("requests_get", "requests", "bundle")
    found = run_in_situations(private_system, ["sh", "-c", f'exec "{program}" "$1"'], client, everywhere)
    verdicts = {situation: outcome.verdict for situation, outcome in found.items()}
    record("frozen", what=f"PyInstaller {version}, one file, hook {'on' if hooked else 'off'}", verdicts=verdicts)
    if hooked:
        assert verdicts == {situation: client.with_hook(situation) for situation in SITUATIONS}
    else:  # nothing of certifi_only is in this certifi: nobody is trusted
        assert "reached" not in verdicts.values()
