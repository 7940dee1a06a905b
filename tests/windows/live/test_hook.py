"""The startup hook in a Windows Python of its own: the interpreter's folder copied, our files put into it.

The interpreter is the embeddable one, without pip and without `venv`, so an environment is a copy of it.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest
from harness.authority import Issued
from harness.environment import clean_environment
from harness.loopback import Server

PACKAGES = pathlib.Path(sys.prefix, "Lib", "site-packages")
OURS = ("truststore", "truststore_autoinject.py", "truststore_autoinject.pth")

STATE = "import sys, truststore_autoinject as hook; print(hook.state, hook.failure, 'ssl' in sys.modules)"
INJECTED = "import ssl; c = ssl.SSLContext; print(c.__module__, c.__name__)"
OURS_INJECTED = "truststore._context SSLContext"


def interpreter_in(folder: pathlib.Path) -> pathlib.Path:
    """A copy of this interpreter in `folder`, with our wheel's files in its site-packages and nothing else."""
    prefix = pathlib.Path(sys.prefix)
    ours = [PACKAGES / name for name in OURS]
    inside = [file for path in ours if path.is_dir() for file in path.rglob("*") if file.is_file()]
    for file in [*prefix.iterdir(), *ours, *inside]:
        if file.is_file():
            copy = folder / file.relative_to(prefix)
            copy.parent.mkdir(parents=True, exist_ok=True)
            # Not shutil.copy: from 3.12 on it calls CopyFile2, which Wine 8 lacks.
            copy.write_bytes(file.read_bytes())
    return folder / "python.exe"


def output(python: pathlib.Path | str, *arguments: str, cwd: pathlib.Path | None = None, **environment: str) -> str:
    """What a program prints, to stderr too; it must succeed."""
    result = subprocess.run(
        [str(python), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        env=clean_environment(PYTHONDONTWRITEBYTECODE="1", PYTHONUTF8="1", **environment),
        timeout=100,
        check=False,
    )
    text = result.stdout.decode("utf-8", "replace").strip()
    assert result.returncode == 0, text
    return text


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """In a folder that is hard on whoever splits at spaces or encodes paths. (The tests' own interpreter is not.)"""
    return interpreter_in(tmp_path_factory.mktemp("interpreter") / "my Zert\u00e4 \u0436 \u8a3c\u660e\u66f8" / "python")


def test_the_hook_waits_at_startup_and_imports_nothing_else(python: pathlib.Path) -> None:
    assert output(python, "-c", STATE) == "waiting None False"
    # What `site` and the codecs of a console bring varies; what the hook brings may not.
    listing = "import sys; print('\\n'.join(sorted(sys.modules)))"
    with_hook = set(output(python, "-c", listing).split())
    without = set(output(python, "-S", "-c", listing).split())
    brought = {name for name in with_hook - without if name.startswith(("truststore", "ssl", "_ssl", "ctypes"))}
    assert brought == {"truststore_autoinject"}


def test_an_import_of_ssl_is_injected_into(python: pathlib.Path) -> None:
    assert output(python, "-c", INJECTED) == OURS_INJECTED


def test_the_interpreter_has_no_pip(python: pathlib.Path) -> None:
    probe = "import importlib.util as u; print([u.find_spec(name) for name in ('pip', 'setuptools', 'certifi')])"
    assert output(python, "-c", probe) == "[None, None, None]"


@pytest.mark.parametrize("options", [("-I",), ("-E",), ("-s",), ("-O",), ("-X", "utf8=0"), ("-B", "-q")], ids=" ".join)
def test_options_that_leave_site_on_leave_the_hook_on(python: pathlib.Path, options: tuple[str, ...]) -> None:
    assert output(python, *options, "-c", INJECTED) == OURS_INJECTED


def test_without_site_there_is_no_hook(python: pathlib.Path) -> None:
    assert output(python, "-S", "-c", INJECTED) == "ssl SSLContext"


@pytest.mark.parametrize("value", ["1", "true", "YES", " on "])
@pytest.mark.parametrize("options", [(), ("-I",)], ids=["", "-I"])
def test_the_switch_turns_the_hook_off(python: pathlib.Path, value: str, options: tuple[str, ...]) -> None:
    assert output(python, *options, "-c", INJECTED, TRUSTSTORE_DISABLE=value) == "ssl SSLContext"


def test_the_switch_set_to_nothing_leaves_the_hook_on(python: pathlib.Path) -> None:
    assert output(python, "-c", INJECTED, TRUSTSTORE_DISABLE="0") == OURS_INJECTED


def test_a_current_folder_with_an_odd_name_does_not_matter(python: pathlib.Path, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "Ordner \u00e9 \u4e2d"
    folder.mkdir()
    (folder / "program.py").write_text(INJECTED, encoding="utf-8")
    assert output(python, "program.py", cwd=folder) == OURS_INJECTED
    assert output(python, str(folder / "program.py")) == OURS_INJECTED


FETCH = """
import http.client, ssl, sys
connection = http.client.HTTPSConnection("localhost", int(sys.argv[1]), timeout=60)
try:
    connection.request("GET", "/")
    print("got", connection.getresponse().read().decode())
except ssl.SSLCertVerificationError as error:
    print("refused", error.verify_code, hex(getattr(error, "native_code", None) or 0))
"""


def test_an_unmodified_program_trusts_the_root_store_and_not_others(
    python: pathlib.Path, system_root: Issued, intermediate: Issued, tmp_path: pathlib.Path
) -> None:
    with Server(system_root.issue("localhost"), tmp_path, with_root=False) as known:
        assert output(python, "-c", FETCH, str(known.port)) == "got hello"
    with Server(intermediate.issue("localhost"), tmp_path) as unknown:
        assert output(python, "-c", FETCH, str(unknown.port)) == "refused 19 0x800b0109"
    assert unknown.received == b""


def test_extra_anchors_from_the_environment_are_added_to_the_system(
    python: pathlib.Path, system_root: Issued, root: Issued, intermediate: Issued, tmp_path: pathlib.Path
) -> None:
    folder = tmp_path / "company \u00e4"
    folder.mkdir()
    file = folder / "root.pem"
    file.write_text(root.pem, encoding="ascii")
    with (
        Server(intermediate.issue("localhost"), tmp_path) as company,
        Server(system_root.issue("localhost"), tmp_path, with_root=False) as known,
        Server(intermediate.issue("other.test"), tmp_path) as misnamed,
    ):
        for extra in (str(file), os.pathsep.join([str(folder)])):
            verdicts = [
                output(python, "-c", FETCH, str(server.port), TRUSTSTORE_EXTRA_CA_CERTS=extra)
                for server in (company, known, misnamed)
            ]
            assert verdicts == ["got hello", "got hello", "refused 62 0x800b010f"]
    assert misnamed.received == b""


def test_switched_off_python_verifies_by_itself(
    python: pathlib.Path, intermediate: Issued, tmp_path: pathlib.Path
) -> None:
    with Server(intermediate.issue("localhost"), tmp_path) as unknown:
        refused = output(python, "-c", FETCH, str(unknown.port), TRUSTSTORE_DISABLE="1")
        assert refused in ("refused 19 0x0", "refused 20 0x0")
    assert unknown.received == b""


def test_windows_is_who_decides(python: pathlib.Path) -> None:
    program = "import ssl; from truststore import _verify; print(_verify.system_verifier().name)"
    assert output(python, "-c", program) == "Windows CryptoAPI"
