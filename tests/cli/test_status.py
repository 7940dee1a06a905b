"""`status` in real interpreters: active or not, why not, what decides, and what is in the way."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.command_line import Command
from harness.environment import missing
from harness.environments import Environment, NewEnvironment, bare_environment

_STATUS = "import sys; from truststore._cli import main; sys.exit(main(['status', '--json']))"


@pytest.fixture
def own(new_environment: NewEnvironment) -> Environment:
    """An environment with the wheel, for a test that changes it."""
    return new_environment()


def add_distribution(environment: Environment, name: str, version: str) -> None:
    """What `importlib.metadata` needs to know that `name` is installed."""
    metadata = environment.site_packages / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def run(environment: Environment, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`python -m truststore` with `arguments`."""
    return environment.run("-m", "truststore", *arguments, check=False, **variables)


def status(result: subprocess.CompletedProcess[str], code: int) -> dict[str, Any]:
    assert result.returncode == code, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    assert found["active"] is (code == 0)
    return found


def test_active(hooked: Environment) -> None:
    found = status(run(hooked, "status", "--json"), 0)
    assert found["hook"]["state"] == "injected"
    assert found["hook"]["why_not"] is None
    assert found["hook"]["startup_files"] == [str(hooked.site_packages / "truststore_autoinject.pth")]
    assert found["hook"]["class"] == "truststore._context.SSLContext"
    assert found["interpreter"]["executable"] == str(hooked.python)
    assert found["interpreter"]["venv"] is True
    assert found["variables"] == []
    assert [conflict for conflict in found["conflicts"] if conflict["serious"]] == []


def test_status_is_what_is_asked_without_a_command(hooked: Environment) -> None:
    by_default, by_name = run(hooked), run(hooked, "status")
    assert (by_default.returncode, by_default.stdout) == (by_name.returncode, by_name.stdout)
    assert by_default.stdout.splitlines()[0].endswith("active")
    assert by_default.stderr == ""
    assert status(run(hooked, "--json"), 0) == status(run(hooked, "status", "--json"), 0)


def test_disabled_by_a_variable(hooked: Environment) -> None:
    found = status(run(hooked, "--json", TRUSTSTORE_DISABLE="yes"), 1)
    assert found["hook"]["why_not"] == "TRUSTSTORE_DISABLE=yes switches it off"
    assert found["variables"][0]["name"] == "TRUSTSTORE_DISABLE"
    text = run(hooked, TRUSTSTORE_DISABLE="yes")
    assert text.stdout.splitlines()[0].endswith("NOT ACTIVE")
    assert "TLS is verified as the standard library does it" in text.stdout


def test_an_interpreter_without_site(hooked: Environment) -> None:
    result = hooked.run("-S", "-m", "truststore", "--json", PYTHONPATH=str(hooked.site_packages), check=False)
    assert "-S" in status(result, 1)["hook"]["why_not"]
    assert "-S" in status(result, 1)["interpreter"]["options"]


def test_an_isolated_interpreter_is_served(hooked: Environment) -> None:
    found = status(hooked.run("-I", "-m", "truststore", "--json", check=False), 0)
    assert "-I" in found["interpreter"]["options"]


def test_a_startup_file_that_is_gone(own: Environment) -> None:
    (own.site_packages / "truststore_autoinject.pth").unlink()
    why = status(run(own, "--json"), 1)["hook"]["why_not"]
    assert str(own.site_packages) in why
    assert "install truststore-auto again" in why


def test_a_package_that_lies_on_the_path_only(hooked: Environment, own: Environment) -> None:
    for name in ("truststore_autoinject.pth", "truststore_autoinject.py"):
        (own.site_packages / name).unlink()
    found = status(run(own, "--json", PYTHONPATH=str(hooked.site_packages)), 1)
    why = found["hook"]["why_not"]
    assert "no site directory of this interpreter" in why


def test_an_injection_that_failed(own: Environment) -> None:
    (own.site_packages / "truststore" / "_inject.py").write_text("raise RuntimeError('broken on purpose')\n")
    assert "RuntimeError: broken on purpose" in status(run(own, "--json"), 1)["hook"]["why_not"]


def test_a_program_that_opted_out(hooked: Environment) -> None:
    found = status(hooked.run("-c", f"import truststore; truststore.extract_from_ssl()\n{_STATUS}", check=False), 1)
    assert found["hook"]["why_not"].startswith("it was active, but ssl.SSLContext stands in ssl now")


def test_a_program_that_injected_by_itself(hooked: Environment) -> None:
    code = f"import truststore; truststore.inject_into_ssl()\n{_STATUS}"
    found = status(hooked.run("-c", code, TRUSTSTORE_DISABLE="1", check=False), 0)
    assert found["hook"]["injected_by_program"] is True


def test_another_injector_came_first(hooked: Environment) -> None:
    code = (
        "import ssl\n"
        "ssl.SSLContext = type('SSLContext', (ssl.SSLContext,), {'__module__': 'pip._vendor.truststore._api'})\n"
        f"import truststore; truststore.inject_into_ssl()\n{_STATUS}"
    )
    found = status(hooked.run("-c", code, TRUSTSTORE_DISABLE="1", check=False), 0)
    assert found["hook"]["came_before"] == "pip._vendor.truststore._api.SSLContext"


def test_variables_are_shown_with_what_is_wrong_with_them(hooked: Environment, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere.pem")
    names = ("SSL_CERT_FILE", "TRUSTSTORE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "HTTPLIB2_CA_CERTS")
    found = status(run(hooked, "--json", **dict.fromkeys(names, nowhere)), 0)
    variables = {variable["name"]: variable for variable in found["variables"]}
    assert set(variables) == set(names)
    for variable in variables.values():
        assert variable["value"] == nowhere
        assert variable["problem"] == f"does not exist: {nowhere}"
        assert variable["effect"]
    assert found["verifier"]["from_environment"] is True
    assert f"{nowhere}: no such file" in found["verifier"]["problems"]


def test_that_no_root_is_trusted_stands_in_the_first_line(hooked: Environment, tmp_path: Path) -> None:
    nothing = {"SSL_CERT_FILE": str(tmp_path / "nowhere.pem"), "SSL_CERT_DIR": str(tmp_path)}
    assert "no root is trusted" in run(hooked, **nothing).stdout.splitlines()[0]
    assert "unset the variable" in status(run(hooked, "--json", **nothing), 0)["verifier"]["hint"]
    assert "no root is trusted" not in run(hooked).stdout
    assert status(run(hooked, "--json"), 0)["verifier"]["hint"] is None


def test_a_system_without_a_store(hooked: Environment) -> None:
    code = (
        "from truststore._backends import openssl\n"
        f"openssl.find_store = lambda *_: openssl.Store('no system trust store was found')\n{_STATUS}"
    )
    found = status(hooked.run("-c", code, check=False), 0)
    assert found["verifier"]["roots"] == 0
    assert "ca-certificates" in found["verifier"]["hint"]


def test_a_variable_inside_the_interpreters_own_distribution(hooked: Environment) -> None:
    inside = hooked.site_packages / "bundle.pem"
    found = status(run(hooked, "--json", SSL_CERT_FILE=str(inside)), 0)
    assert found["variables"][0]["problem"].startswith("ignored: ")
    assert found["verifier"]["from_environment"] is False


@pytest.mark.parametrize(
    "name", ["pip-system-certs", "auto-truststore", "python-certifi-win32", "certifi-linux", "robocorp-truststore"]
)
def test_a_package_in_the_way(own: Environment, name: str) -> None:
    add_distribution(own, name, "1.2.3")
    found = status(run(own, "--json"), 0)
    conflict = next(it for it in found["conflicts"] if it["subject"] == f"{name} 1.2.3")
    assert f"uninstall {name}" in conflict["remedy"] or f"uninstall -y {name}" in conflict["remedy"]
    assert conflict["effect"] in run(own).stdout


def test_both_distributions_named_truststore(own: Environment) -> None:
    add_distribution(own, "truststore", "0.10.5")
    found = status(run(own, "--json"), 0)
    conflict = next(it for it in found["conflicts"] if it["subject"] == "truststore 0.10.5")
    assert conflict["serious"] is False
    (own.site_packages / "truststore" / "__init__.py").write_text("SSLContext = object\n")
    found = status(run(own, "--json"), 0)
    (conflict,) = [it for it in found["conflicts"] if it["serious"]]
    assert "is not ours" in conflict["subject"]
    assert conflict["remedy"].endswith("--force-reinstall --no-deps truststore-auto") or "uv pip" in conflict["remedy"]


def test_a_bundle_that_somebody_changed(own: Environment) -> None:
    from importlib.util import find_spec

    spec = find_spec("certifi")
    if spec is None or spec.origin is None:
        missing("certifi is not installed")
    bundle = (Path(spec.origin).parent / "cacert.pem").read_bytes()
    certifi = own.site_packages / "certifi"
    certifi.mkdir()
    (certifi / "__init__.py").write_text("")
    (certifi / "cacert.pem").write_bytes(bundle)
    add_distribution(own, "certifi", "2026.1.1")
    record = own.site_packages / "certifi-2026.1.1.dist-info" / "RECORD"
    record.write_text("certifi/cacert.pem,sha256=AAAA,1\n")
    found = status(run(own, "--json"), 0)
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
    hooked: Environment, terminal: tuple[int, int], variables: dict[str, str], coloured: bool
) -> None:
    ours, theirs = terminal
    environment = bare_environment()
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [str(hooked.python), "-m", "truststore"], stdout=theirs, stderr=theirs, env=environment | variables
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


def test_a_pipe_gets_no_colours(hooked: Environment) -> None:
    assert "\x1b" not in run(hooked, TERM="xterm").stdout


def test_a_stream_that_only_knows_ascii(hooked: Environment) -> None:
    result = run(hooked, "status", PYTHONIOENCODING="ascii", TRUSTSTORE_EXTRA_CA_CERTS="/nöwhere")
    assert result.returncode == 0
    assert "/n\\xf6where" in result.stdout


def test_a_reader_that_goes_away(hooked: Environment) -> None:
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [str(hooked.python), "-m", "truststore", "export"],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=bare_environment(),
    )
    os.close(writer)
    os.close(reader)
    _, errors = process.communicate(timeout=60)
    assert b"Traceback" not in errors
    assert process.returncode == 3


def test_help_begins_with_examples(hooked: Environment) -> None:
    for arguments in ([], ["status"], ["check"], ["explain"], ["export"], ["env"]):
        result = run(hooked, *arguments, "--help")
        assert result.returncode == 0
        assert result.stdout.startswith("examples:\n  ")
        assert "exit codes:" in result.stdout
