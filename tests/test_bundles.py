"""Which files count as a package's copy of the public CAs, and what becomes of a context that loads one."""

from __future__ import annotations

import base64
import hashlib
import shutil
import ssl
import subprocess
import sys
import textwrap
import zipapp
from collections.abc import Callable
from pathlib import Path

import certifi
import pytest
from harness.environment import clean_environment
from harness.environments import PROJECT
from harness.pki import Authority

import truststore
from truststore import _bundles, _environment, _pem, _trust
from truststore._backends import openssl
from truststore._backends.openssl import Store

CERTIFI = Path(certifi.where())
Install = Callable[..., Path]


@pytest.fixture
def site_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "lib" / "site-packages"
    place.mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [*sys.path, str(place)])
    return place


@pytest.fixture
def install(site_packages: Path) -> Install:
    """Installs a distribution `name` that ships the bundle `text` as `path`, with a RECORD."""

    def install(text: bytes, path: str = "vendor/cacert.pem", name: str = "vendor", record: bool = True) -> Path:
        file = site_packages / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text)
        if record:
            digest = base64.urlsafe_b64encode(hashlib.sha256(text).digest()).rstrip(b"=").decode()
            info = site_packages / f"{name}-1.0.dist-info"
            info.mkdir(exist_ok=True)
            (info / "RECORD").write_text(f"{path}.txt,,\n{path},sha256={digest},{len(text)}\nother.py,,\n")
        return file

    return install


def private_roots(tmp_path: Path, number: int) -> bytes:
    """A database vendor's bundle: many roots, none of them public. Their names and keys do not matter here."""
    ders = [Authority(tmp_path, "vendor").der] + [b"0\x03\x02\x01%c" % n for n in range(number - 1)]
    return "".join(ssl.DER_cert_to_PEM_cert(der) for der in ders).encode()


def public_roots(number: int) -> bytes:
    """A short list of public roots, as some vendors ship: the first of each of `number` CAs that the table knows."""
    chosen: dict[str, bytes] = {}
    for der in _pem.certificates_in_file(CERTIFI):
        authority = _bundles._PUBLIC_CA_BY_FINGERPRINT.get(hashlib.sha256(der).hexdigest())
        if authority is not None:
            chosen.setdefault(authority, der)
    assert len(chosen) >= number
    return "".join(ssl.DER_cert_to_PEM_cert(der) for der in list(chosen.values())[:number]).encode()


def test_certifi_as_shipped() -> None:
    assert _bundles.judge(str(CERTIFI)) == _bundles.SHIPPED


def test_certifi_with_a_root_appended(install: Install, private_ca: Authority) -> None:
    file = install(CERTIFI.read_bytes(), "certifi/cacert.pem", "certifi")
    assert _bundles.judge(str(file)) == _bundles.SHIPPED
    with file.open("a") as text:
        text.write(private_ca.pem)
    assert _bundles.judge(str(file)) == _bundles.CHANGED


def test_a_bundle_inside_another_distribution(install: Install) -> None:
    assert (
        _bundles.judge(str(install(CERTIFI.read_bytes(), "pip/_vendor/certifi/cacert.pem", "pip"))) == _bundles.SHIPPED
    )


def test_a_distribution_that_is_not_named_like_its_package(install: Install, private_ca: Authority) -> None:
    file = install(CERTIFI.read_bytes(), "vendor/cacert.pem", "another_name")
    assert _bundles.judge(str(file)) == _bundles.SHIPPED
    file.write_bytes(CERTIFI.read_bytes() + private_ca.pem.encode())
    assert _bundles.judge(str(file)) == _bundles.CHANGED


def test_without_a_record_it_counts_as_shipped(install: Install) -> None:
    assert _bundles.judge(str(install(CERTIFI.read_bytes(), record=False))) == _bundles.SHIPPED


def test_a_private_bundle_of_a_hundred_roots(install: Install, tmp_path: Path) -> None:
    assert _bundles.judge(str(install(private_roots(tmp_path, 100)))) == _bundles.CHOSEN


def test_a_vendors_list_of_twelve_roots(install: Install) -> None:
    text = public_roots(6) + public_roots(6)
    assert _pem.count(text) == 12
    assert _bundles.judge(str(install(text))) == _bundles.SHIPPED


@pytest.mark.parametrize(("number", "judgement"), [(2, _bundles.CHOSEN), (3, _bundles.SHIPPED)])
def test_three_unrelated_cas_make_it_public(install: Install, number: int, judgement: str) -> None:
    assert _bundles.judge(str(install(public_roots(number)))) == judgement


def test_a_bundle_outside_site_packages(tmp_path: Path, site_packages: Path) -> None:
    file = tmp_path / "cacert.pem"
    file.write_bytes(CERTIFI.read_bytes())
    assert _bundles.judge(str(file)) == _bundles.CHOSEN


class TestElsewhere:
    """Programs that run from a directory that `pip install --target` filled, a PEX, or an archive."""

    @pytest.fixture
    def target(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """An entry of `sys.path` with certifi in it, as an installer leaves it."""
        target = tmp_path / "app"
        shutil.copytree(CERTIFI.parent, target / "certifi")
        digest = base64.urlsafe_b64encode(hashlib.sha256(CERTIFI.read_bytes()).digest()).rstrip(b"=").decode()
        info = target / "certifi-1.0.dist-info"
        info.mkdir()
        (info / "RECORD").write_text(f"certifi/cacert.pem,sha256={digest},1\ncertifi-1.0.dist-info/RECORD,,\n")
        monkeypatch.setattr(sys, "path", [str(target), *sys.path])
        return target

    def test_as_shipped(self, target: Path) -> None:
        assert _bundles.judge(str(target / "certifi" / "cacert.pem")) == _bundles.SHIPPED

    def test_among_entries_that_are_no_text(self, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "path", [None, target, 7, *sys.path])
        assert _bundles.judge(str(target / "certifi" / "cacert.pem")) == _bundles.SHIPPED
        assert _bundles.judge(str(CERTIFI)) == _bundles.SHIPPED

    def test_a_directory_that_links_to_where_it_is_kept(self, target: Path, tmp_path: Path) -> None:
        (target / "certifi").rename(tmp_path / "kept")
        (target / "certifi").symlink_to(tmp_path / "kept")
        assert _bundles.judge(str(target / "certifi" / "cacert.pem")) == _bundles.SHIPPED
        assert _bundles.judge(str(tmp_path / "kept" / "cacert.pem")) == _bundles.CHOSEN

    def test_changed(self, target: Path, private_ca: Authority) -> None:
        with (target / "certifi" / "cacert.pem").open("a") as text:
            text.write(private_ca.pem)
        assert _bundles.judge(str(target / "certifi" / "cacert.pem")) == _bundles.CHOSEN

    @pytest.mark.parametrize("record", ["", "certifi/cacert.pem,,\n", "certifi/cacert.pem,shake_128=AAAA,1\n"])
    def test_a_record_that_proves_nothing(self, target: Path, record: str) -> None:
        (target / "certifi-1.0.dist-info" / "RECORD").write_text(record)
        assert _bundles.judge(str(target / "certifi" / "cacert.pem")) == _bundles.CHOSEN

    def test_a_programs_own_copy(self, target: Path) -> None:
        (target / "program").mkdir()
        shutil.copy(CERTIFI, target / "program" / "cas.pem")
        assert _bundles.judge(str(target / "program" / "cas.pem")) == _bundles.CHOSEN

    def test_private_roots(self, target: Path, tmp_path: Path) -> None:
        text = private_roots(tmp_path, 100)
        (target / "certifi" / "cacert.pem").write_bytes(text)
        digest = base64.urlsafe_b64encode(hashlib.sha256(text).digest()).rstrip(b"=").decode()
        (target / "certifi-1.0.dist-info" / "RECORD").write_text(f"certifi/cacert.pem,sha256={digest},1\n")
        assert _bundles.judge(str(target / "certifi" / "cacert.pem")) == _bundles.CHOSEN

    @pytest.mark.parametrize("change", ["nothing", "the bundle", "what was unpacked", "the record"])
    def test_an_archive(self, target: Path, tmp_path: Path, private_ca: Authority, change: str) -> None:
        """certifi unpacks its bundle to a temporary file."""
        if change == "the bundle":
            with (target / "certifi" / "cacert.pem").open("a") as text:
                text.write(private_ca.pem)
        elif change == "the record":
            (target / "certifi-1.0.dist-info" / "RECORD").unlink()
        archive = tmp_path / "app.pyz"
        (target / "__main__.py").touch()
        zipapp.create_archive(target, archive)
        program = """
            import shutil, sys
            sys.path.insert(0, sys.argv[1])
            import certifi
            from truststore import _bundles
            assert certifi.__file__.startswith(sys.argv[1])
            if sys.argv[3] == "what was unpacked":
                with open(certifi.where(), "a") as text:
                    text.write("changed")
            shutil.copy(certifi.where(), sys.argv[2])
            print(_bundles.judge(certifi.where()), _bundles.judge(sys.argv[2]), sep="|")
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), archive, tmp_path / "copy.pem", change],
            env=clean_environment(PYTHONPATH=str(PROJECT)),
            capture_output=True,
            text=True,
            check=True,
        )
        judgement = _bundles.SHIPPED if change == "nothing" else _bundles.CHOSEN
        assert done.stdout.strip() == f"{judgement}|{_bundles.CHOSEN}"


def test_a_link_into_site_packages(tmp_path: Path, install: Install) -> None:
    link = tmp_path / "link.pem"
    link.symlink_to(install(CERTIFI.read_bytes()))
    assert _bundles.judge(str(link)) == _bundles.SHIPPED


def test_a_link_out_of_site_packages(tmp_path: Path, site_packages: Path) -> None:
    file = tmp_path / "cacert.pem"
    file.write_bytes(CERTIFI.read_bytes())
    (site_packages / "link.pem").symlink_to(file)
    assert _bundles.judge(str(site_packages / "link.pem")) == _bundles.CHOSEN


def test_a_frozen_programs_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "certifi" / "cacert.pem"
    file.parent.mkdir()
    file.write_bytes(CERTIFI.read_bytes())
    assert _bundles.judge(str(file)) == _bundles.CHOSEN
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path), raising=False)
    _bundles._judged.clear()
    assert _bundles.judge(str(file)) == _bundles.SHIPPED


@pytest.mark.parametrize("name", ["missing", "directory", "nul\0"])
def test_what_cannot_be_read_is_left_to_openssl(site_packages: Path, name: str) -> None:
    (site_packages / "directory").mkdir()
    assert _bundles.judge(str(site_packages / name)) == _bundles.CHOSEN


def test_it_is_judged_once_until_it_changes(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    file = install(CERTIFI.read_bytes())
    judgements = []
    anew = _bundles._judge_anew
    monkeypatch.setattr(_bundles, "_judge_anew", lambda *args: (judgements.append(args), anew(*args))[1])
    for _ in range(3):
        _bundles.judge(str(file))
    assert len(judgements) == 1
    file.write_bytes(file.read_bytes() + b"\n")
    _bundles.judge(str(file))
    assert len(judgements) == 2


def test_the_tables_fingerprints_are_those_of_public_roots() -> None:
    known = {hashlib.sha256(der).hexdigest() for der in _pem.certificates_in_file(CERTIFI)}
    found = {owner for digest, owner in _bundles._PUBLIC_CA_BY_FINGERPRINT.items() if digest in known}
    assert len(found) >= 7


# ---- contexts -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("hook")
class TestContext:
    def load(self, path: Path) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(path)
        return context

    def test_a_shipped_bundle_stands_for_the_system_store(self, system_store: Store, system_ca: Authority) -> None:
        context = self.load(CERTIFI)
        assert context.get_ca_certs(binary_form=True) == [system_ca.der]

    def test_the_other_arguments_count(self, system_store: Store, system_ca: Authority, private_ca: Authority) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(CERTIFI, cadata=private_ca.pem)
        assert set(context.get_ca_certs(binary_form=True)) == {system_ca.der, private_ca.der}

    def test_a_changed_bundle_is_kept_besides_the_system_store(
        self, system_store: Store, system_ca: Authority, private_ca: Authority, install: Install
    ) -> None:
        file = install(CERTIFI.read_bytes())
        file.write_bytes(CERTIFI.read_bytes() + private_ca.pem.encode())
        trusted = self.load(file).get_ca_certs(binary_form=True)
        assert {system_ca.der, private_ca.der} <= set(trusted)
        assert len(trusted) > 100

    def test_with_the_variable_bundles_are_kept(
        self, system_store: Store, system_ca: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_trust, "settings", _environment.Settings({"TRUSTSTORE_KEEP_BUNDLED": "yes"}))
        trusted = self.load(CERTIFI).get_ca_certs(binary_form=True)
        assert system_ca.der in trusted
        assert len(trusted) > 100

    def test_a_server_that_loads_a_bundle_gets_it(self, system_store: Store) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_verify_locations(CERTIFI)
        assert context.cert_store_stats()["x509"] > 100

    def test_without_any_system_store_the_bundle_is_trusted_with_one_warning(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(openssl, "find_store", lambda *args: Store("no system trust store was found"))
        monkeypatch.setattr(openssl, "_system_store", None)
        monkeypatch.setattr(_trust, "_warned", set())
        with pytest.warns(RuntimeWarning, match="no system trust store was found") as warned:
            contexts = [self.load(CERTIFI) for _ in range(3)]
        assert len(warned) == 1
        assert all(context.cert_store_stats()["x509"] > 100 for context in contexts)

    def test_with_ssl_cert_file_that_decides(
        self, private_ca: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(private_ca.file))
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
        assert self.load(CERTIFI).get_ca_certs(binary_form=True) == [private_ca.der]

    def test_delegated(self, system_ca: Authority, delegated: object) -> None:
        context = self.load(CERTIFI)
        assert context.get_ca_certs(binary_form=True) == [system_ca.der]
        assert context._truststore.extra_anchors() == ()  # type: ignore[attr-defined]


def test_under_a_programs_own_injection(system_store: Store, system_ca: Authority) -> None:
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(CERTIFI)
    assert context.get_ca_certs(binary_form=True) == [system_ca.der]
