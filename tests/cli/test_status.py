"""`status` in real interpreters: active or not, why not, what decides, and what is in the way."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import Command
from harness.environment import clean_environment, missing
from harness.installation import Installation

_STATUS = "import sys; from truststore._cli import main; sys.exit(main(['status', '--json']))"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """For tests that do not change it."""
    return Installation(tmp_path_factory.mktemp("environments") / "shared")


@pytest.fixture
def own(tmp_path: Path) -> Installation:
    """For tests that do."""
    return Installation(tmp_path / "own")


def status(result: subprocess.CompletedProcess[str], code: int) -> dict[str, Any]:
    assert result.returncode == code, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    assert found["active"] is (code == 0)
    return found


def test_active(shared: Installation) -> None:
    found = status(shared.truststore("status", "--json"), 0)
    assert found["hook"]["state"] == "injected"
    assert found["hook"]["why_not"] is None
    assert found["hook"]["startup_files"] == [str(shared.packages / "truststore_autoinject.pth")]
    assert found["hook"]["class"] == "truststore._context.SSLContext"
    assert found["interpreter"]["executable"] == str(shared.python)
    assert found["interpreter"]["venv"] is True
    assert found["variables"] == []
    assert [conflict for conflict in found["conflicts"] if conflict["serious"]] == []


def test_status_is_what_is_asked_without_a_command(shared: Installation) -> None:
    by_default, by_name = shared.truststore(), shared.truststore("status")
    assert (by_default.returncode, by_default.stdout) == (by_name.returncode, by_name.stdout)
    assert by_default.stdout.splitlines()[0].endswith("active")
    assert by_default.stderr == ""
    assert status(shared.truststore("--json"), 0) == status(shared.truststore("status", "--json"), 0)


def test_disabled_by_a_variable(shared: Installation) -> None:
    found = status(shared.truststore("--json", TRUSTSTORE_DISABLE="yes"), 1)
    assert found["hook"]["why_not"] == "TRUSTSTORE_DISABLE=yes switches it off"
    assert found["variables"][0]["name"] == "TRUSTSTORE_DISABLE"
    text = shared.truststore(TRUSTSTORE_DISABLE="yes")
    assert text.stdout.splitlines()[0].endswith("NOT ACTIVE")
    assert "TLS is verified as the standard library does it" in text.stdout


def test_an_interpreter_without_site(shared: Installation) -> None:
    result = shared.run("-S", "-m", "truststore", "--json", PYTHONPATH=str(shared.packages))
    assert "-S" in status(result, 1)["hook"]["why_not"]
    assert "-S" in status(result, 1)["interpreter"]["options"]


def test_an_isolated_interpreter_is_served(shared: Installation) -> None:
    found = status(shared.run("-I", "-m", "truststore", "--json"), 0)
    assert "-I" in found["interpreter"]["options"]


def test_a_startup_file_that_is_gone(own: Installation) -> None:
    (own.packages / "truststore_autoinject.pth").unlink()
    why = status(own.truststore("--json"), 1)["hook"]["why_not"]
    assert str(own.packages) in why
    assert "install truststore-auto again" in why


def test_a_package_that_lies_on_the_path_only(shared: Installation, own: Installation) -> None:
    for name in ("truststore_autoinject.pth", "truststore_autoinject.py"):
        (own.packages / name).unlink()
    why = status(own.run("-m", "truststore", "--json", PYTHONPATH=str(shared.packages)), 1)["hook"]["why_not"]
    assert "no site directory of this interpreter" in why


def test_an_injection_that_failed(own: Installation) -> None:
    (own.packages / "truststore" / "_inject.py").write_text("raise RuntimeError('broken on purpose')\n")
    assert "RuntimeError: broken on purpose" in status(own.truststore("--json"), 1)["hook"]["why_not"]


def test_a_program_that_opted_out(shared: Installation) -> None:
    found = status(shared.run("-c", f"import truststore; truststore.extract_from_ssl()\n{_STATUS}"), 1)
    assert found["hook"]["why_not"].startswith("it was active, but ssl.SSLContext stands in ssl now")


def test_a_program_that_injected_by_itself(shared: Installation) -> None:
    code = f"import truststore; truststore.inject_into_ssl()\n{_STATUS}"
    found = status(shared.run("-c", code, TRUSTSTORE_DISABLE="1"), 0)
    assert found["hook"]["injected_by_program"] is True


def test_another_injector_came_first(shared: Installation) -> None:
    code = (
        "import ssl\n"
        "ssl.SSLContext = type('SSLContext', (ssl.SSLContext,), {'__module__': 'pip._vendor.truststore._api'})\n"
        f"import truststore; truststore.inject_into_ssl()\n{_STATUS}"
    )
    found = status(shared.run("-c", code, TRUSTSTORE_DISABLE="1"), 0)
    assert found["hook"]["came_before"] == "pip._vendor.truststore._api.SSLContext"


def test_variables_are_shown_with_what_is_wrong_with_them(shared: Installation, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere.pem")
    found = status(
        shared.truststore("--json", SSL_CERT_FILE=nowhere, TRUSTSTORE_EXTRA_CA_CERTS=nowhere, REQUESTS_CA_BUNDLE=nowhere), 0
    )
    variables = {variable["name"]: variable for variable in found["variables"]}
    assert set(variables) == {"SSL_CERT_FILE", "TRUSTSTORE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"}
    for variable in variables.values():
        assert variable["value"] == nowhere
        assert variable["problem"] == f"does not exist: {nowhere}"
        assert variable["effect"]
    assert found["verifier"]["from_environment"] is True
    assert f"{nowhere}: no such file" in found["verifier"]["problems"]


def test_a_variable_inside_the_interpreters_own_distribution(shared: Installation) -> None:
    inside = shared.packages / "bundle.pem"
    found = status(shared.truststore("--json", SSL_CERT_FILE=str(inside)), 0)
    assert found["variables"][0]["problem"].startswith("ignored: ")
    assert found["verifier"]["from_environment"] is False


@pytest.mark.parametrize(
    "name", ["pip-system-certs", "auto-truststore", "python-certifi-win32", "certifi-linux", "robocorp-truststore"]
)
def test_a_package_in_the_way(own: Installation, name: str) -> None:
    own.add_distribution(name, "1.2.3")
    found = status(own.truststore("--json"), 0)
    conflict = next(it for it in found["conflicts"] if it["subject"] == f"{name} 1.2.3")
    assert f"uninstall {name}" in conflict["remedy"] or f"uninstall -y {name}" in conflict["remedy"]
    assert conflict["effect"] in own.truststore().stdout


def test_both_distributions_named_truststore(own: Installation) -> None:
    own.add_distribution("truststore", "0.10.5")
    found = status(own.truststore("--json"), 0)
    conflict = next(it for it in found["conflicts"] if it["subject"] == "truststore 0.10.5")
    assert conflict["serious"] is False
    (own.packages / "truststore" / "__init__.py").write_text("from somewhere_else import SSLContext\n" * 0 + "x = 1\n")
    found = status(own.truststore("--json"), 0)
    (conflict,) = [it for it in found["conflicts"] if it["serious"]]
    assert "is not ours" in conflict["subject"]
    assert conflict["remedy"].endswith("--force-reinstall --no-deps truststore-auto") or "uv pip" in conflict["remedy"]


def test_a_bundle_that_somebody_changed(own: Installation) -> None:
    from importlib.util import find_spec

    spec = find_spec("certifi")
    if spec is None or spec.origin is None:
        missing("certifi is not installed")
    bundle = (Path(spec.origin).parent / "cacert.pem").read_bytes()
    certifi = own.packages / "certifi"
    certifi.mkdir()
    (certifi / "__init__.py").write_text("")
    (certifi / "cacert.pem").write_bytes(bundle)
    own.add_distribution("certifi", "2026.1.1")
    record = own.packages / "certifi-2026.1.1.dist-info" / "RECORD"
    record.write_text("certifi/cacert.pem,sha256=AAAA,1\n")
    found = status(own.truststore("--json"), 0)
    (conflict,) = [it for it in found["conflicts"] if "cacert.pem" in it["subject"]]
    assert conflict["remedy"].endswith("certifi") or "certifi --python" in conflict["remedy"]


# ---- delegated, in this process -------------------------------------------------------------------------------------


def test_the_systems_own_verifier_is_named(system: str, command: Command) -> None:
    outcome = command("status", "--json")
    verifier = outcome.json["verifier"]
    assert outcome.code == 0
    assert verifier["roots"] == 1
    if system == "delegated":
        assert (verifier["kind"], verifier["name"]) == ("system", "OpenSSL oracle")
    else:
        assert verifier["kind"] == "openssl"
        assert verifier["files"]
        assert verifier["unchanged_since"].endswith("+00:00")


# ---- the terminal ---------------------------------------------------------------------------------------------------


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=["terminal", "NO_COLOR", "dumb"],
)
def test_colours_on_a_terminal_only(
    shared: Installation, terminal: tuple[int, int], variables: dict[str, str], coloured: bool
) -> None:
    ours, theirs = terminal
    environment = clean_environment()
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [str(shared.python), "-m", "truststore"], stdout=theirs, stderr=theirs, env=environment | variables
    )
    os.close(theirs)
    shown = b""
    try:
        while data := os.read(ours, 65536):
            shown += data
    except OSError:  # how Linux says that the other side of a terminal is closed
        pass
    assert process.wait(60) == 0
    assert b"active" in shown
    assert (b"\x1b[" in shown) is coloured


def test_a_pipe_gets_no_colours(shared: Installation) -> None:
    assert "\x1b" not in shared.truststore(TERM="xterm").stdout


def test_a_stream_that_only_knows_ascii(shared: Installation) -> None:
    result = shared.truststore("status", PYTHONIOENCODING="ascii", TRUSTSTORE_EXTRA_CA_CERTS="/nöwhere")
    assert result.returncode == 0
    assert "/n\\xf6where" in result.stdout


def test_a_reader_that_goes_away(shared: Installation) -> None:
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [str(shared.python), "-m", "truststore", "export"], stdout=writer, stderr=subprocess.PIPE, env=clean_environment()
    )
    os.close(writer)
    os.close(reader)
    _, errors = process.communicate(timeout=60)
    assert b"Traceback" not in errors
    assert process.returncode == 3


def test_help_begins_with_examples(shared: Installation) -> None:
    for arguments in ([], ["status"], ["check"], ["explain"], ["export"], ["env"]):
        result = shared.truststore(*arguments, "--help")
        assert result.returncode == 0
        assert result.stdout.startswith("examples:\n  ")
        assert "exit codes:" in result.stdout
