"""`export` and `env`: what is written, in which order, and that nobody ever sees half of it."""

from __future__ import annotations

import base64
import os
import shutil
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from harness.command_line import Command, system_with
from harness.environment import clean_environment
from harness.issuing import Issued, issue, root

from truststore import _environment, _oracle, _pem
from truststore._backends import openssl
from truststore._commands import environment, export, roots
from truststore._oracle import Assumptions

NAMES = ("Bravo", "alpha", "Charlie \u00e9\u4e2d", "Same", "Same")


@pytest.fixture(scope="module")
def many() -> list[Issued]:
    """Roots out of order; two have the same name."""
    return [root(name, organization="Example") for name in NAMES]


@pytest.fixture(params=["native", "delegated"])
def store(request: pytest.FixtureRequest, many: list[Issued], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in system_with(many, request.param, tmp_path, monkeypatch):
        yield


def ders(path: Path) -> list[bytes]:
    return _pem.certificates_in_file(path)


# ---- pem ------------------------------------------------------------------------------------------------------------


def test_pem_on_stdout(store: None, command: Command, many: list[Issued]) -> None:
    outcome = command("export")
    assert outcome.code == 0
    assert set(_pem.certificates(outcome.out.encode())) == {one.der for one in many}
    comments = [line for line in outcome.out.splitlines() if line.startswith("# CN=")]
    assert comments[:2] == ["# CN=alpha, O=Example", "# CN=Bravo, O=Example"]
    assert comments[2] == "# CN=Charlie \\xe9\\u4e2d, O=Example"
    assert outcome.out.isascii()
    assert ssl.create_default_context(cadata=outcome.out).cert_store_stats()["x509_ca"] == len(many)


def test_the_same_store_gives_the_same_bytes(
    store: None, command: Command, many: list[Issued], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = command("export").out
    for _ in system_with(list(reversed(many)), "native", tmp_path, monkeypatch):
        assert command("export").out == before


def test_a_file_is_replaced_in_one_step(store: None, command: Command, many: list[Issued], tmp_path: Path) -> None:
    directory = tmp_path / "out"
    directory.mkdir()
    target, link = directory / "roots.pem", directory / "link.pem"
    target.write_text("old")
    inode = target.stat().st_ino
    os.symlink(target, link)
    outcome = command("export", "-o", link)
    assert (outcome.code, outcome.out) == (0, "")
    assert "5 roots of" in outcome.err
    assert link.is_symlink()
    assert target.stat().st_ino != inode  # a new file in its place: who had opened the old one still reads it
    assert set(ders(target)) == {one.der for one in many}
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    assert sorted(directory.iterdir()) == [link, target]


def test_a_write_that_fails_leaves_the_old_file(
    store: None, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "roots.pem"
    target.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    outcome = command("export", "-o", target)
    assert (outcome.code, outcome.out) == (3, "")
    assert "No space left" in outcome.err
    assert target.read_text() == "old"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".truststore")]


def test_a_store_without_roots_is_never_written(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "roots.pem"
    target.write_text("old")
    for _ in system_with([], "native", tmp_path, monkeypatch):
        for form in ("pem", "der-dir", "hashed-dir"):
            assert command("export", "--format", form, "-o", target).code == 3
    assert target.read_text() == "old"


def test_ssl_cert_file_may_name_the_file_that_is_written(
    store: None, command: Command, many: list[Issued], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "roots.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(target))
    assert command("export", "-o", target).code == 0
    assert len(ders(target)) == len(many)
    assert command("export", "-o", target).code == 0
    assert len(ders(target)) == len(many)


def test_extra_certificates_are_exported_too(
    store: None, command: Command, many: list[Issued], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = root("Extra")
    file = tmp_path / "extra.pem"
    file.write_text(extra.pem)
    monkeypatch.setattr(_environment.settings, "extra_ca_certs", (str(file), str(tmp_path / "nowhere")))
    assert extra.der in _pem.certificates(command("export").out.encode())


def test_a_name_cannot_end_its_comment(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = root("x\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")
    for _ in system_with([evil], "native", tmp_path, monkeypatch):
        assert list(_pem.certificates(command("export").out.encode())) == [evil.der]


def test_certificates_with_trust_settings_of_openssl(tmp_path: Path) -> None:
    """openSSL's own form: exported if it is trusted for servers, or for everything, and not rejected for them."""
    server, client = "06082b06010505070301", "06082b06010505070302"
    one = root("Trusted")
    expected = {
        "": True,  # no settings at all
        f"300c300a{server}": True,
        f"300c300a{client}": False,
        f"300ca00a{server}": False,
        f"300ca00a{client}": True,
        f"3018300a{server}a00a{server}": False,
        "30": False,  # cut off
    }
    for settings, exported in expected.items():
        text = base64.encodebytes(one.der + bytes.fromhex(settings)).decode()
        file = tmp_path / "trusted.pem"
        file.write_text(f"-----BEGIN TRUSTED CERTIFICATE-----\n{text}-----END TRUSTED CERTIFICATE-----\n")
        assert roots.certificates_in(str(file)) == ([one.der] if exported else []), settings


# ---- directories ----------------------------------------------------------------------------------------------------


def test_a_directory_of_der_files(store: None, command: Command, many: list[Issued], tmp_path: Path) -> None:
    target = tmp_path / "roots"
    assert command("export", "--format", "der-dir", "-o", target).code == 0
    files = sorted(target.glob("*.der"))
    assert {file.read_bytes() for file in files} == {one.der for one in many}
    assert all(file.name.isascii() for file in files)
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


def test_openssl_finds_every_root_in_a_hashed_directory(
    store: None, command: Command, many: list[Issued], tmp_path: Path
) -> None:
    target = tmp_path / "hashed"
    assert command("export", "--format", "hashed-dir", "-o", target).code == 0
    names = [path.name for path in target.iterdir() if not path.name.startswith(".")]
    assert len(names) == len(many)
    assert sorted(name.partition(".")[2] for name in names) == ["0", "0", "0", "0", "1"]

    def load(context: ssl.SSLContext) -> None:
        context.load_verify_locations(capath=str(target))

    for one in many:
        leaf = issue(one, "leaf", "a.example.com")
        assert _oracle.judge(leaf.chain, Assumptions(load, server_name="a.example.com")).accepted
    stranger = issue(root("Bravo", organization="Example"), "leaf", "a.example.com")
    assert not _oracle.judge(stranger.chain, Assumptions(load, server_name="a.example.com")).accepted


def test_a_directory_is_replaced_whole(store: None, command: Command, many: list[Issued], tmp_path: Path) -> None:
    target = tmp_path / "out" / "hashed"
    target.parent.mkdir()
    for form in ("hashed-dir", "der-dir", "der-dir"):
        assert command("export", "--format", form, "-o", target).code == 0
    assert len(list(target.glob("*.der"))) == len(many)
    assert not list(target.glob("*.0"))
    assert list(target.parent.iterdir()) == [target]


def test_somebody_elses_directory_is_left_alone(store: None, command: Command, tmp_path: Path) -> None:
    target = tmp_path / "certs"
    target.mkdir()
    (target / "precious.pem").write_text("mine")
    outcome = command("export", "--format", "hashed-dir", "-o", target)
    assert outcome.code == 3
    assert "was not written by this command" in outcome.err
    assert (target / "precious.pem").read_text() == "mine"
    file = tmp_path / "file"
    file.write_text("mine")
    assert command("export", "--format", "der-dir", "-o", file).code == 3
    assert file.read_text() == "mine"


def test_a_rename_that_fails_brings_the_old_directory_back(
    store: None, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out" / "hashed"
    target.parent.mkdir()
    assert command("export", "--format", "hashed-dir", "-o", target).code == 0
    before = sorted(path.name for path in target.iterdir())
    rename, calls = os.rename, []

    def failing(source: str, destination: str) -> None:
        calls.append(source)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        rename(source, destination)

    monkeypatch.setattr(os, "rename", failing)
    assert command("export", "--format", "der-dir", "-o", target).code == 3
    assert sorted(path.name for path in target.iterdir()) == before
    assert list(target.parent.iterdir()) == [target]


def test_hash_names_are_those_of_this_systems_directory() -> None:
    """Every root of the system's bundle is found under its name in the system's directory, where it has both."""
    store = openssl.find_store(*openssl.compiled_paths())
    if store.directory is None or store.bundle is None:
        pytest.skip("this system has no hashed directory beside its bundle")
    names = set(os.listdir(store.directory))
    for certificate in roots.of_store(store).certificates:
        assert any(f"{certificate.subject.hash_name}.{number}" in names for number in range(4)), certificate.subject


# ---- env ------------------------------------------------------------------------------------------------------------

PATHS = ("/etc/ssl/certs/ca-certificates.crt", '/a b/it\'s $HOME `x` \\ "q" %PATH% !x! \u2019;&|<>.pem')


def test_the_systems_bundle_is_named_if_there_is_one(native: None, command: Command, tmp_path: Path) -> None:
    outcome = command("env", "--shell", "plain")
    assert outcome.code == 0
    lines = dict(line.split("=", 1) for line in outcome.out.splitlines())
    bundle = str(tmp_path / "system.pem")
    for name in (
        "CURL_CA_BUNDLE",
        "GIT_SSL_CAINFO",
        "NODE_EXTRA_CA_CERTS",
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
        "AWS_CA_BUNDLE",
        "CARGO_HTTP_CAINFO",
    ):
        assert lines[name] == bundle
    assert lines["NODE_USE_SYSTEM_CA"] == "1"
    assert lines["UV_SYSTEM_CERTS"] == "true"
    assert "SSL_CERT_FILE" not in lines


def test_otherwise_the_roots_are_exported(
    system: str, command: Command, company_root: Issued, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, target = tmp_path / "cache", tmp_path / "roots.pem"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    outcome = command("env", "--shell", "plain", "-o", target)
    assert f"GIT_SSL_CAINFO={target}\n" in outcome.out
    assert ders(target) == [company_root.der]
    outcome = command("env", "--shell", "plain")
    exported = cache / "truststore" / "roots.pem"
    assert exported.exists() is (system == "delegated")
    if system == "delegated":
        assert f"GIT_SSL_CAINFO={exported}\n" in outcome.out
        assert ders(exported) == [company_root.der]
        assert "CURL_CA_BUNDLE" not in outcome.out  # requests would take it for a pin


def test_without_a_home_a_file_must_be_named(
    command: Command, company_root: Issued, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    for _ in system_with([company_root], "delegated", tmp_path, monkeypatch):
        outcome = command("env")
    assert (outcome.code, outcome.out) == (3, "")
    assert "-o" in outcome.err


@pytest.mark.parametrize("path", PATHS)
def test_a_posix_shell_reads_back_what_was_written(path: str) -> None:
    shell = shutil.which("sh")
    assert shell is not None
    program = (
        environment.script("sh", path) + f'"{sys.executable}" -c "import os; print(os.environ[\'GIT_SSL_CAINFO\'])"'
    )
    result = subprocess.run(
        [shell, "-c", program], env=clean_environment(PYTHONUTF8="1"), capture_output=True, encoding="utf-8", check=True
    )
    assert result.stdout == f"{path}\n"


def test_quoting_for_each_shell() -> None:
    def line(shell: str, path: str) -> str:
        return next(line for line in environment.script(shell, path).splitlines() if "GIT_SSL_CAINFO" in line)

    assert line("fish", r"/it's\a") == r"set -gx GIT_SSL_CAINFO '/it\'s\\a'  # git"
    assert line("powershell", "C:\\it's \u2019$x") == "$env:GIT_SSL_CAINFO = 'C:\\it''s \u2019\u2019$x'  # git"
    assert line("cmd", "C:\\a&b 100%\\x") == 'set "GIT_SSL_CAINFO=C:\\a&b 100%%\\x"'
    assert environment.script("cmd", "x").replace("\r\n", "").count("\n") == 0
    for shell, path in (("cmd", 'C:\\"x'), ("cmd", "a\nb"), ("plain", "a\nb")):
        with pytest.raises(ValueError, match="path"):
            environment.script(shell, path)


def test_the_bundle_serves_openssl_as_the_store_does(store: None, command: Command, many: list[Issued]) -> None:
    """What is exported decides as the store does: nothing is lost and nothing is added on the way."""
    exported = export.in_order(roots.Roots("", _pem.certificates(command("export").out.encode())).certificates)
    assert [one.der for one in exported] == [one.der for one in export.in_order(export.trusted_roots().certificates)]
    assert len(exported) == len(many)
