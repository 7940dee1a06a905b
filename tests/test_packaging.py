"""What is shipped, and what installers make of it."""

from __future__ import annotations

import base64
import csv
import email
import hashlib
import io
import os
import pathlib
import shutil
import sys
import tarfile
import textwrap
import zipfile

import pytest
from harness.environment import missing
from harness.environments import (
    PROJECT,
    SWITCH,
    Environment,
    NewEnvironment,
    build,
    interpreters,
    run,
)

# Names inside truststore/ that the PyPI distribution "truststore" installs: a file of ours by such a name would be
# overwritten or removed with it.
FOREIGN_NAMES = {"_api.py", "_macos.py", "_openssl.py", "_ssl_constants.py", "_windows.py"}

# The interpreter that the environment of this process was made from.
BASE_PYTHON = pathlib.Path(
    sys.base_prefix, *(["python.exe"] if os.name == "nt" else ["bin", f"python3.{sys.version_info[1]}"])
)

REPORT = "import ssl, sys, truststore_autoinject as hook; print(hook.state, hook.__file__, ssl.SSLContext.__module__)"
STARTUP_LINE = "import truststore_autoinject; truststore_autoinject.activate()\n"


def shipped_sources() -> set[str]:
    package = PROJECT / "truststore"
    return {
        path.relative_to(PROJECT).as_posix() for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"
    }


def contents(archive: pathlib.Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def metadata(archive: pathlib.Path, name: str) -> email.message.Message:
    (found,) = [path for path in contents(archive) if path.endswith(f".dist-info/{name}")]
    return email.message_from_bytes(contents(archive)[found])


def assert_hooked(environment: Environment, **variables: str) -> None:
    state, _, module = environment.run("-c", REPORT, **variables).stdout.split()
    assert (state, module) == ("injected", "truststore._context")


# ---- the wheel ------------------------------------------------------------------------------------------------------


def test_the_wheel_holds_the_package_the_startup_module_and_the_startup_line_only(wheel: pathlib.Path) -> None:
    names = set(contents(wheel))
    information = {name for name in names if ".dist-info/" in name}
    assert names - information == shipped_sources() | {"truststore_autoinject.py", "truststore_autoinject.pth"}
    assert {name.partition("/")[2] for name in information} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",  # PyInstaller's
        "licenses/LICENSE",
    }
    assert contents(wheel)["truststore_autoinject.pth"].decode() == STARTUP_LINE
    assert contents(wheel)["truststore/py.typed"] == b""


def test_the_wheel_is_for_every_python_3_and_platform(wheel: pathlib.Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    assert metadata(wheel, "WHEEL").get_all("Tag") == ["py3-none-any"]
    assert metadata(wheel, "WHEEL")["Root-Is-Purelib"] == "true"


def test_the_record_names_every_file_with_its_hash(wheel: pathlib.Path) -> None:
    files = contents(wheel)
    (record,) = [name for name in files if name.endswith("/RECORD")]
    rows = list(csv.reader(io.StringIO(files[record].decode())))
    assert {row[0] for row in rows} == set(files)
    for name, digest, size in rows:
        if name != record:
            expected = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).rstrip(b"=").decode()
            assert (digest, size) == (f"sha256={expected}", str(len(files[name])))


def test_the_wheel_needs_nothing_but_python_3_10(wheel: pathlib.Path) -> None:
    facts = metadata(wheel, "METADATA")
    assert facts["Name"] == "truststore-auto"
    assert facts["Requires-Python"] == ">=3.10"
    assert facts["License-Expression"] == "MIT"
    needed = [line for line in facts.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert needed == []


def test_no_file_is_named_like_one_of_the_distribution_truststore(wheel: pathlib.Path) -> None:
    assert not {name.rpartition("/")[2] for name in contents(wheel)} & FOREIGN_NAMES


def test_the_switch_builds_a_wheel_with_a_start_file_for_python_3_18(
    wheel: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    built = build(PROJECT, tmp_path, **{SWITCH: "start"})
    assert built.name.endswith("-py318-none-any.whl")
    assert metadata(built, "WHEEL").get_all("Tag") == ["py318-none-any"]
    names = {name for name in contents(built) if ".dist-info/" not in name}
    assert names == shipped_sources() | {"truststore_autoinject.py", "truststore_autoinject.start"}
    assert contents(built)["truststore_autoinject.start"].decode() == "truststore_autoinject:activate\n"


def test_the_switch_refuses_what_it_does_not_know(tmp_path: pathlib.Path) -> None:
    arguments = ("-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path)
    done = run(sys.executable, *arguments, check=False, cwd=PROJECT, **{SWITCH: "x"})
    assert done.returncode != 0
    assert not list(tmp_path.iterdir())


def unpacked_source(directory: pathlib.Path) -> pathlib.Path:
    source = build(PROJECT, directory / "dist", "sdist")
    with tarfile.open(source) as archive:
        archive.extractall(directory / "unpacked", filter="data")
    (root,) = (directory / "unpacked").iterdir()
    return root


def test_the_source_distribution_builds_the_same_wheel(wheel: pathlib.Path, tmp_path: pathlib.Path) -> None:
    root = unpacked_source(tmp_path)
    assert contents(build(root, tmp_path / "again")) == contents(wheel)
    # ... and is complete: whoever packages it can run the tests, and switch to the other startup file.
    assert (root / "tests" / "test_packaging.py").is_file()
    assert (root / "truststore_autoinject.start").is_file()


def test_every_build_gives_the_same_bytes(wheel: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """With the same hatchling, whatever the files' times, modes and place, and the time zone: the page on scanners."""
    root = unpacked_source(tmp_path)
    for path in root.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.utime(path, (1e9, 1e9))
    assert build(root, tmp_path / "again", TZ="Pacific/Auckland").read_bytes() == wheel.read_bytes()
    first = build(PROJECT, tmp_path / "first", SOURCE_DATE_EPOCH="1700000000").read_bytes()
    second = build(root, tmp_path / "second", SOURCE_DATE_EPOCH="1700000000").read_bytes()
    assert first == second != wheel.read_bytes()


# ---- installing and uninstalling ------------------------------------------------------------------------------------


def use_everything(environment: Environment) -> None:
    """Have every module compiled, as a long life with the package would."""
    environment.run("-c", "import ssl, truststore; truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)")
    environment.run("-m", "compileall", "-q", environment.site_packages)


@pytest.mark.parametrize("option", ["--compile", "--no-compile"])
def test_pip_uninstall_leaves_nothing_behind(option: str, new_environment: NewEnvironment, wheel: pathlib.Path) -> None:
    environment = new_environment(hooked=False)
    before = environment.files()
    environment.pip("install", "--no-index", option, wheel)
    assert_hooked(environment)
    use_everything(environment)
    environment.uninstall("truststore-auto")
    assert environment.files() == before
    assert environment.run("-c", "import ssl; print(ssl.SSLContext.__module__)").stdout == "ssl\n"


def test_an_editable_installation_has_the_hook(new_environment: NewEnvironment, wheelhouse: pathlib.Path) -> None:
    environment = new_environment(hooked=False)
    before = environment.files()
    environment.install_from(wheelhouse, "--editable", str(PROJECT))
    assert_hooked(environment)
    used = environment.run("-c", "import truststore; print(truststore.__file__)").stdout.strip()
    assert pathlib.Path(used) == PROJECT / "truststore" / "__init__.py"
    environment.uninstall("truststore-auto")
    assert environment.files() == before
    assert environment.run("-c", "pass").stderr == ""


def test_an_installation_from_the_source_tree_has_the_hook(
    new_environment: NewEnvironment, wheelhouse: pathlib.Path
) -> None:
    environment = new_environment(hooked=False)
    environment.install_from(wheelhouse, str(PROJECT))
    assert_hooked(environment)


def test_a_user_installation_has_the_hook(installer: Environment, wheel: pathlib.Path, tmp_path: pathlib.Path) -> None:
    variables = {"PYTHONUSERBASE": str(tmp_path), "TRUSTSTORE_DISABLE": "1"}
    pip = ("-m", "pip", "--quiet", "--python", BASE_PYTHON)
    arguments = ("--user", "--break-system-packages", "--ignore-installed", "--no-index", "--no-deps", wheel)
    installer.run(*pip, "install", *arguments, **variables)
    state, file, module = run(BASE_PYTHON, "-c", REPORT, PYTHONUSERBASE=str(tmp_path)).stdout.split()
    assert (state, module) == ("injected", "truststore._context")
    assert pathlib.Path(file).is_relative_to(tmp_path)
    # -I and -s leave the user's packages out, and with them the hook.
    assert run(BASE_PYTHON, "-I", "-c", "pass", PYTHONUSERBASE=str(tmp_path)).stderr == ""

    installer.run(*pip, "uninstall", "--yes", "--break-system-packages", "truststore-auto", **variables)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_uv_installs_and_uninstalls(new_environment: NewEnvironment, wheel: pathlib.Path) -> None:
    uv = shutil.which("uv", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))
    if uv is None:
        missing("uv is not installed")
    environment = new_environment(hooked=False)
    before = environment.files()
    options = ("--offline", "--no-config", "--no-cache", "--python", environment.python)
    run(uv, "pip", "install", *options, "--no-deps", wheel)
    assert_hooked(environment)
    use_everything(environment)
    run(uv, "pip", "uninstall", "--no-config", "--no-cache", "--python", environment.python, "truststore-auto")
    # uv leaves the compiled form of any top-level module. Without the source nothing imports it.
    left = environment.files() - before - {"__pycache__"}
    assert all(name.startswith("__pycache__/truststore_autoinject.") for name in left)
    done = environment.run("-c", "import ssl; print(ssl.SSLContext.__module__)")
    assert (done.stdout, done.stderr) == ("ssl\n", "")


def test_the_package_works_from_a_zip_file(stock: Environment, wheel: pathlib.Path) -> None:
    """Zip-safe: a zipped application may carry it. Only the startup line needs a directory, as every `.pth` does."""
    program = "import truststore, ssl; truststore.inject_into_ssl(); print(ssl.SSLContext is truststore.SSLContext)"
    assert stock.run("-c", program, PYTHONPATH=str(wheel)).stdout == "True\n"


# ---- interpreters that are too old ----------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["2.7", "3.6", "3.7", "3.8", "3.9"])
def old_python(request: pytest.FixtureRequest) -> pathlib.Path:
    major, minor = map(int, request.param.split("."))
    found = interpreters((major, minor), (major, minor))
    if not found:
        pytest.skip(f"no Python {request.param} here")  # none can be had from a current Debian, so not `missing`
    return found[major, minor]


@pytest.fixture
def old_user_base(old_python: pathlib.Path, wheel: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """A PYTHONUSERBASE into which the wheel was unpacked by force: installers refuse."""
    program = "import site; print(site.getusersitepackages())"
    directory = run(old_python, "-c", program, PYTHONUSERBASE=str(tmp_path)).stdout.strip()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory)
    return tmp_path


def test_an_old_python_starts_silently(old_python: pathlib.Path, old_user_base: pathlib.Path) -> None:
    done = run(old_python, "-c", "import ssl", PYTHONUSERBASE=str(old_user_base))
    assert (done.stdout, done.stderr) == ("", "")
    program = "import truststore_autoinject, sys; sys.stdout.write(truststore_autoinject.state)"
    assert run(old_python, "-c", program, PYTHONUSERBASE=str(old_user_base)).stdout == "unsupported"


def test_an_old_python_is_told_what_is_needed(old_python: pathlib.Path, old_user_base: pathlib.Path) -> None:
    done = run(old_python, "-c", "import truststore", check=False, PYTHONUSERBASE=str(old_user_base))
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: truststore needs Python 3.10 or later; this is Python ")


# ---- types ----------------------------------------------------------------------------------------------------------

GOOD_PROGRAM = """
    import ssl
    import truststore

    context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile="ca.pem")
    def version() -> str:
        return truststore.__version__
    truststore.inject_into_ssl()
    truststore.extract_from_ssl()
    class Own(truststore.SSLContext):
        pass
    reveal_type(truststore.SSLContext)
"""
BAD_PROGRAM = """
    import truststore

    truststore.inject_into_ssl(1)
    number: int = truststore.__version__
    truststore.nothing_like_that()
"""


def mypy(environment: Environment, program: str, directory: pathlib.Path) -> tuple[int, str]:
    try:
        import mypy  # noqa: F401
    except ImportError:
        missing("mypy is not installed")
    file = directory / "program.py"
    file.write_text(textwrap.dedent(program))
    options = ("--strict", "--python-executable", environment.python, "--cache-dir", os.devnull)
    done = run(sys.executable, "-m", "mypy", *options, file, check=False)
    return done.returncode, done.stdout


def test_the_public_names_are_typed(hooked: Environment, tmp_path: pathlib.Path) -> None:
    status, output = mypy(hooked, GOOD_PROGRAM, tmp_path)
    assert status == 0, output
    assert "truststore._context.SSLContext" in output  # and not Any


def test_wrong_uses_are_found_by_a_type_checker(hooked: Environment, tmp_path: pathlib.Path) -> None:
    status, output = mypy(hooked, BAD_PROGRAM, tmp_path)
    assert status == 1
    assert [line.rpartition("[")[2] for line in output.splitlines() if ": error:" in line] == [
        "call-arg]",
        "assignment]",
        "attr-defined]",
    ]
