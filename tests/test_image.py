"""The block in a base interpreter's sitecustomize.py, and the directory for PYTHONPATH."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from harness.environments import Environment, NewEnvironment

from truststore import _image
from truststore._commands import image as image_command
from truststore._image import BEGIN, END, Image, ImageError

WHO = "import ssl; print(ssl.SSLContext.__module__)"
HOOKED = "truststore._context\n"


@pytest.fixture
def image(tmp_path: pathlib.Path) -> Image:
    return Image(stdlib=str(tmp_path), executable=sys.executable)


def run_block(image: Image, *path: os.PathLike[str], program: str = WHO) -> subprocess.CompletedProcess[str]:
    """Start a Python that has nothing but the standard library and `path`, with the image's sitecustomize."""
    places = [image.stdlib, *map(str, path)]
    code = f"import sys; sys.path[:0] = {places!r}; import sitecustomize; {program}"
    command = [image.executable, "-I", "-S", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"first = 1\n",
        b"first = 1",
        b"# -*- coding: latin-1 -*-\nname = '\xe9'\n",
        b"from __future__ import annotations\n",
    ],
)
def test_what_was_there_stays_and_comes_back(before: bytes, image: Image) -> None:
    if before:
        pathlib.Path(image.file).write_bytes(before)
    image.install()
    after = pathlib.Path(image.file).read_bytes()
    assert after.startswith(before)
    assert (after.count(BEGIN), after.count(END)) == (1, 1)
    assert image.installed()
    done = run_block(image)
    assert (done.stdout, done.stderr) == (HOOKED, "")
    image.install()
    assert pathlib.Path(image.file).read_bytes() == after
    image.remove()
    if before:
        assert pathlib.Path(image.file).read_bytes().rstrip(b"\n") == before.rstrip(b"\n")
    else:
        assert not os.path.exists(image.file)
    image.remove()  # nothing to do
    assert not image.installed()


@pytest.mark.parametrize("before", [None, b"", b"first = 1\n"])
def test_what_is_printed_is_what_is_installed(
    before: bytes | None, image: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before, so that it can be read; and afterwards, so that a file can be compared with it."""
    file = pathlib.Path(image.file)
    if before is not None:
        file.write_bytes(before)
    for _ in range(2):
        image_command._print(image)
        title, block = capsys.readouterr().out.split("\n", 1)
        assert title == f"# for {file}"
        image.install()
        assert file.read_bytes() == (before or b"") + block.encode("ascii")


def test_a_link_stays_a_link(image: Image, tmp_path: pathlib.Path) -> None:
    (tmp_path / "etc").mkdir()
    target = tmp_path / "etc" / "sitecustomize.py"
    target.write_text("first = 1\n")
    target.chmod(0o640)
    pathlib.Path(image.link).symlink_to(target)
    linked = Image(stdlib=image.stdlib, executable=image.executable)
    linked.install()
    assert pathlib.Path(image.link).is_symlink()
    assert linked.installed()
    assert target.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_new_file_runs_the_one_that_it_hides(image: Image, tmp_path: pathlib.Path) -> None:
    site_packages = tmp_path / "site-packages"
    site_packages.mkdir()
    (site_packages / "sitecustomize.py").write_text("import sys; sys.hidden = 'ran'\n")
    image.install()
    done = run_block(image, site_packages, program="print(sys.hidden, sitecustomize.__file__)")
    assert done.stdout == f"ran {site_packages / 'sitecustomize.py'}\n", done.stderr


def test_what_the_hidden_one_raises_is_seen(image: Image, tmp_path: pathlib.Path) -> None:
    site_packages = tmp_path / "site-packages"
    site_packages.mkdir()
    (site_packages / "sitecustomize.py").write_text("raise ValueError('mine')\n")
    image.install()
    done = run_block(image, site_packages)
    assert "ValueError: mine" in done.stderr


def test_the_block_is_silent_when_the_package_is_gone(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_image, "package_directory", lambda: "/nonexistent")
    image.install()
    monkeypatch.undo()
    done = run_block(image)
    assert (done.stdout, done.stderr) == ("ssl\n", "")
    assert not image.installed()
    assert image.outdated()
    image.install()
    assert run_block(image).stdout == HOOKED


def test_a_failing_replacement_changes_nothing(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    pathlib.Path(image.file).write_text("first = 1\n")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ImageError, match=r"No space left on device; nothing was changed"):
        image.install()
    assert pathlib.Path(image.file).read_text() == "first = 1\n"
    assert os.listdir(image.stdlib) == ["sitecustomize.py"]


def test_works_asks_a_real_interpreter(image: Image, tmp_path: pathlib.Path) -> None:
    """`Image.works` runs the base interpreter, whose own standard library has no block in these tests."""
    image.install()
    assert not image.works()


# ---- PYTHONPATH -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def later(new_environment: NewEnvironment) -> Environment:
    """An environment that knows nothing of truststore-auto."""
    return new_environment(hooked=False)


def sitedir(hooked: Environment) -> str:
    return hooked.run("-m", "truststore", "sitedir").stdout.strip()


def test_the_directory_reaches_an_interpreter_that_comes_later(hooked: Environment, later: Environment) -> None:
    assert later.run("-c", WHO).stdout == "ssl\n"
    done = later.run("-c", WHO, PYTHONPATH=sitedir(hooked))
    assert (done.stdout, done.stderr) == (HOOKED, "")
    assert later.run("-E", "-c", WHO, PYTHONPATH=sitedir(hooked)).stdout == "ssl\n"
    assert later.run("-c", WHO, PYTHONPATH=sitedir(hooked), TRUSTSTORE_DISABLE="1").stdout == "ssl\n"


def test_it_shows_nothing_else_of_where_it_is_from(hooked: Environment, later: Environment) -> None:
    (hooked.site_packages / "only_there.py").write_text("")
    done = later.run("-c", "import only_there", check=False, PYTHONPATH=sitedir(hooked))
    assert "No module named 'only_there'" in done.stderr


def test_it_runs_the_sitecustomize_that_it_shadows(
    hooked: Environment, new_environment: NewEnvironment, tmp_path: pathlib.Path
) -> None:
    environment = new_environment(hooked=False)
    (environment.site_packages / "sitecustomize.py").write_text("import sys; sys.shadowed = 'ran'\n")
    done = environment.run("-c", f"import sys; print(sys.shadowed); {WHO}", PYTHONPATH=sitedir(hooked))
    assert done.stdout == f"ran\n{HOOKED}"
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.first = 'ran'\n")
    both = os.pathsep.join([sitedir(hooked), str(tmp_path)])
    assert environment.run("-c", "import sys; print(sys.first)", PYTHONPATH=both).stdout == "ran\n"


def test_the_environments_own_wins(hooked: Environment, new_environment: NewEnvironment) -> None:
    own = new_environment()
    done = own.run("-c", "import ssl, truststore; print(truststore.__file__)", PYTHONPATH=sitedir(hooked))
    assert done.stdout == f"{own.site_packages / 'truststore' / '__init__.py'}\n"


def test_the_profile_is_written_checked_and_removed(
    hooked: Environment, later: Environment, tmp_path: pathlib.Path
) -> None:
    profile = tmp_path / "truststore-auto.sh"
    hooked.run("-m", "truststore", "sitedir", "--install", profile)
    script = f". {profile}; exec {later.python} -c '{WHO}'"
    shell = shutil.which("sh")
    assert shell is not None
    for before in ({}, {"PYTHONPATH": "/nonexistent"}):
        done = subprocess.run([shell, "-c", script], env=before, capture_output=True, text=True, check=False)
        assert done.stdout == HOOKED
    assert later.run("-m", "truststore", "sitedir", "--status", PYTHONPATH=sitedir(hooked)).returncode == 0
    assert hooked.run("-m", "truststore", "sitedir", "--status", check=False).returncode == 1
    hooked.run("-m", "truststore", "sitedir", "--remove", profile)
    assert not profile.exists()
    profile.write_text("somebody's\n")
    for option in ("--install", "--remove"):
        assert hooked.run("-m", "truststore", "sitedir", option, profile, check=False).returncode == 3
    assert profile.read_text() == "somebody's\n"
