"""Where the system's anchors are: every row of the table on a root directory of its own, and what can be wrong."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest
from harness.pki import Authority, hash_name, new_genuine

from truststore._backends import openssl
from truststore._backends.openssl import PLACES, Place, Store, find_store

NOWHERE = ("/nowhere/cert.pem", "/nowhere/certs")


class Root:
    """A root directory in which a test lays out a system's store."""

    def __init__(self, path: Path, authority: Authority) -> None:
        self.path = path
        self._authority = authority

    def bundle(self, path: str, certificates: int = 3) -> str:
        """A bundle of the same certificate `certificates` times: OpenSSL and we count blocks."""
        file = self._below(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self._authority.pem * certificates)
        return str(file)

    def hashed(self, path: str, names: int = 3) -> str:
        """A hashed directory with the authority under its true name, and further names up to `names`."""
        directory = self._below(path)
        directory.mkdir(parents=True, exist_ok=True)
        for number in range(names):
            (directory / f"{hash_name(self._authority.der)}.{number}").write_text(self._authority.pem)
        return str(directory)

    def link(self, path: str, target: str) -> None:
        file = self._below(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to(self._below(target))

    def _below(self, path: str) -> Path:
        return self.path / path.lstrip("/")

    def find(self, cafile: str = NOWHERE[0], capath: str = NOWHERE[1], prefixes: tuple[str, ...] = ()) -> Store:
        return find_store(cafile, capath, str(self.path), prefixes)


@pytest.fixture
def root(tmp_path: Path, system_ca: Authority) -> Root:
    return Root(tmp_path, system_ca)


def loads_authority(store: Store, authority: Authority) -> bool:
    """Whether a context to which the store is given trusts what `authority` issues."""
    from harness.oracle import judge
    from harness.pki import chain_der

    context = new_genuine(ssl.PROTOCOL_TLS_CLIENT)
    if store.directory is not None:
        context.load_verify_locations(capath=store.directory)
    for file in store.files:
        context.load_verify_locations(cafile=file)
    judge(context, chain_der(authority.leaf()), "localhost")
    return True


BUNDLES = [(place, path) for place in PLACES for path in place.bundles]
DIRECTORIES = [(place, path) for place in PLACES if not place.old_hashes for path in place.directories]
OLD_HASHES = [(place, path) for place in PLACES if place.old_hashes for path in place.directories]


def row(value: object) -> str:
    return value.system if isinstance(value, Place) else str(value)


@pytest.mark.parametrize(("place", "path"), BUNDLES, ids=row)
def test_bundle(root: Root, system_ca: Authority, place: Place, path: str) -> None:
    bundle = root.bundle(path)
    store = root.find()
    assert (store.files, store.directory, store.bundle) == ((bundle,), None, bundle)
    assert loads_authority(store, system_ca)


@pytest.mark.parametrize(("place", "path"), DIRECTORIES, ids=row)
def test_hashed_directory(root: Root, system_ca: Authority, place: Place, path: str) -> None:
    directory = root.hashed(path)
    store = root.find()
    assert (store.directory, store.files) == (directory, ())
    assert loads_authority(store, system_ca)


@pytest.mark.parametrize(("place", "path"), DIRECTORIES, ids=row)
def test_a_hashed_directory_comes_before_its_bundle(root: Root, place: Place, path: str) -> None:
    for bundle in place.bundles:
        root.bundle(bundle)
    directory = root.hashed(path)
    store = root.find()
    assert (store.directory, store.files) == (directory, ())


@pytest.mark.parametrize(("place", "path"), DIRECTORIES, ids=row)
def test_a_directory_that_is_not_complete_does_not_count(root: Root, place: Place, path: str) -> None:
    bundles = [root.bundle(bundle, certificates=4) for bundle in place.bundles]
    root.hashed(path, names=3)
    store = root.find()
    if bundles:
        assert store.files == (bundles[0],)
        assert store.directory is None


@pytest.mark.parametrize(("place", "path"), OLD_HASHES, ids=row)
def test_android_names_are_loaded_file_by_file(root: Root, system_ca: Authority, place: Place, path: str) -> None:
    directory = root.path / path.lstrip("/")
    directory.mkdir(parents=True)
    (directory / "00000000.0").write_text(system_ca.pem)  # an old-style name: not what OpenSSL looks for today
    store = root.find()
    assert store.directory is None
    assert store.files == (str(directory / "00000000.0"),)
    assert loads_authority(store, system_ca)


def test_every_system_of_the_facts_has_a_row() -> None:
    assert len(PLACES) >= 20
    assert len({place.system for place in PLACES}) == len(PLACES)


# ---- order ----------------------------------------------------------------------------------------------------------


def test_the_compiled_paths_come_first(root: Root) -> None:
    root.hashed("/etc/ssl/certs")
    directory = root.hashed("/opt/distro/certs")
    assert root.find("/opt/distro/cert.pem", "/opt/distro/certs").directory == directory


def test_debian_finds_the_bundle_of_its_compiled_directory(root: Root) -> None:
    """/usr/lib/ssl/certs is a link to /etc/ssl/certs; cert.pem beside it came late."""
    root.hashed("/etc/ssl/certs", names=3)
    root.link("/usr/lib/ssl/certs", "/etc/ssl/certs")
    bundle = root.bundle("/etc/ssl/certs/ca-certificates.crt", certificates=4)
    assert root.find("/usr/lib/ssl/cert.pem", "/usr/lib/ssl/certs").files == (bundle,), "one hash name is missing"
    root.hashed("/etc/ssl/certs", names=4)
    store = root.find("/usr/lib/ssl/cert.pem", "/usr/lib/ssl/certs")
    assert store.directory == str(root.path / "usr/lib/ssl/certs")
    assert store.bundle == bundle


def test_fedora_finds_the_hashed_directory_of_its_compiled_bundle(root: Root) -> None:
    root.bundle("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem")
    root.link("/etc/pki/tls/cert.pem", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem")
    directory = root.hashed("/etc/pki/ca-trust/extracted/pem/directory-hash")
    assert root.find("/etc/pki/tls/cert.pem", "/etc/pki/tls/certs").directory == directory


@pytest.mark.parametrize(
    "openssldir",
    [
        "/opt/conda/ssl",
        "/opt/_internal/openssl-3.0",
        "/home/linuxbrew/.linuxbrew/etc/openssl@3",
        "/opt/homebrew/etc/ca",
    ],
)
def test_a_bundled_distributions_own_paths_are_not_the_systems(root: Root, openssldir: str) -> None:
    root.bundle(f"{openssldir}/cert.pem")
    root.hashed(f"{openssldir}/certs")
    system = root.hashed("/etc/ssl/certs")
    store = root.find(f"{openssldir}/cert.pem", f"{openssldir}/certs", prefixes=("/opt/conda",))
    assert store.directory == system


def test_uv_on_rhel_8_finds_the_systems_bundle(root: Root) -> None:
    """Its OpenSSL was built for /etc/ssl, where RHEL has nothing."""
    bundle = root.bundle("/etc/pki/tls/certs/ca-bundle.crt")
    assert root.find("/etc/ssl/cert.pem", "/etc/ssl/certs", prefixes=("/root/.local/share/uv/python",)).files == (
        bundle,
    )


@pytest.mark.parametrize("prefix", ["/usr", "/usr/local", "/"])
def test_the_systems_own_prefix_is_no_bundled_distribution(prefix: str) -> None:
    assert not openssl.in_bundled_distribution("/usr/lib/ssl/certs", [prefix])
    assert not openssl.in_bundled_distribution("/usr/local/share/ca-certificates/company.crt", [prefix])


# ---- what can be wrong ----------------------------------------------------------------------------------------------


def test_no_store(root: Root) -> None:
    store = root.find()
    assert not store
    assert "no system trust store" in store.describe()


def test_an_empty_store_says_so(root: Root) -> None:
    root.hashed("/etc/ssl/certs", names=0)
    bundle = root.bundle("/etc/ssl/certs/ca-certificates.crt", certificates=0)
    store = root.find()
    assert not store
    assert store.problems == (f"{bundle}: holds no certificate",)


def test_links_that_lead_nowhere_do_not_count(root: Root) -> None:
    """An image that copies /etc/ssl/certs alone has the bundle, and links into a directory that it left behind."""
    bundle = root.bundle("/etc/ssl/certs/ca-certificates.crt", certificates=3)
    for number in range(5):
        root.link(f"/etc/ssl/certs/0000000{number}.0", "/usr/share/ca-certificates/gone.crt")
    assert root.find().files == (bundle,)


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="nothing is unreadable for root")
def test_an_unreadable_store_says_so(root: Root) -> None:
    bundle = root.bundle("/etc/ssl/certs/ca-certificates.crt")
    other = root.bundle("/etc/ssl/cert.pem")
    os.chmod(bundle, 0)
    directory = root.hashed("/etc/ssl/certs", names=0)
    os.chmod(directory, 0)
    try:
        store = root.find()
    finally:
        os.chmod(directory, 0o700)
    assert store.files == (other,)
    assert any("Permission denied" in problem for problem in store.problems)


def test_what_cannot_be_opened_is_reported_and_the_next_is_taken(root: Root) -> None:
    (root.path / "etc/ssl/certs/ca-certificates.crt").mkdir(parents=True)  # a directory in the bundle's place
    other = root.bundle("/etc/pki/tls/certs/ca-bundle.crt")
    store = root.find()
    assert store.files == (other,)
    assert any("Is a directory" in problem for problem in store.problems)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("3513523f.0", True),
        ("3bde41ac.1", True),
        ("3bde41ac.12", True),
        ("3513523f.r0", False),
        ("3513523F.0", False),
        ("3513523f", False),
        ("3513523.0", False),
        ("3513523g.0", False),
        ("351g523f.0", False),
        ("g513523f.0", False),
        ("ca-certificates.crt", False),
        ("README.0", False),
        ("3513523f.²", False),
    ],
)
def test_hash_names(name: str, is_one: bool) -> None:
    assert openssl._is_hash_name(name) is is_one


def test_the_store_is_found_once_per_process_and_looked_for_again_while_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    searches = []
    found = [Store("nothing"), Store("nothing"), Store("found", files=["/x"])]

    def find(*args: object) -> Store:
        searches.append(args)
        return found[min(len(searches), 3) - 1]

    monkeypatch.setattr(openssl, "find_store", find)
    monkeypatch.setattr(openssl, "_system_store", None)
    for _ in range(5):
        openssl.system_store()
    assert len(searches) == 3


@pytest.mark.parametrize("scan_order", ["names first", "hash names first"])
def test_all_roots_of_a_directory_are_listed_whichever_of_their_names_the_system_gives_first(
    scan_order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        (tmp_path / f"Root_{number}.pem").write_text("")
        (tmp_path / f"{number:08x}.0").symlink_to(f"Root_{number}.pem")
    entries = sorted(os.scandir(tmp_path), key=lambda it: it.name.endswith(".0") == (scan_order == "names first"))
    monkeypatch.setattr(os, "scandir", lambda _: entries)
    assert Store("", directory=str(tmp_path)).all_files() == [str(tmp_path / f"{it:08x}.0") for it in range(10)]


def test_this_machine() -> None:
    store = openssl.system_store()
    if not store:
        assert store.describe()
    else:
        assert store.all_files() or store.directory


# ---- SSL_CERT_FILE and SSL_CERT_DIR ---------------------------------------------------------------------------------


def test_no_variable_no_store() -> None:
    assert openssl.environment_store({}) is None


def test_problems_of_the_variables(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    directories = os.pathsep.join([str(tmp_path / "empty"), str(tmp_path / "missing")])
    store = openssl.environment_store({"SSL_CERT_FILE": str(tmp_path / "none.pem"), "SSL_CERT_DIR": directories})
    assert store is not None
    assert store.by_openssl
    assert store.problems == (
        f"{tmp_path / 'none.pem'}: no such file",
        f"{tmp_path / 'empty'}: holds no hash names (run openssl rehash)",
        f"{tmp_path / 'missing'}: no such directory",
    )


def test_conda_sets_the_file_and_the_administrator_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Root
) -> None:
    monkeypatch.setattr("sys.prefix", str(tmp_path / "conda"))
    directory = root.hashed("/chosen")
    variables = {"SSL_CERT_FILE": str(tmp_path / "conda/ssl/cacert.pem"), "SSL_CERT_DIR": directory}
    monkeypatch.setattr(openssl, "_INHERITED", variables)
    store = openssl.environment_store(variables)
    assert store is not None
    assert not store.by_openssl, "OpenSSL would read both variables"
    assert store.directory == directory
    assert openssl.environment_store({"SSL_CERT_FILE": variables["SSL_CERT_FILE"]}) is None


@pytest.mark.parametrize("owner", ["/usr/local/share/ca-certificates", "/usr/share/ca-certificates/mozilla"])
@pytest.mark.parametrize("replaced", [False, True])
def test_a_directory_with_a_file_that_the_administrator_replaced_is_not_relied_upon(
    owner: str, replaced: bool, root: Root, system_ca: Authority, private_ca: Authority
) -> None:
    """update-ca-certificates puts it into the bundle, but does not rehash: found with the real one, in tests/system."""
    bundle = root.bundle("/etc/ssl/certs/ca-certificates.crt", 1)
    file = root._below(f"{owner}/company.crt")
    file.parent.mkdir(parents=True)
    file.write_text(private_ca.pem)
    root.link("/etc/ssl/certs/company.pem", f"{owner}/company.crt")
    root.link(f"/etc/ssl/certs/{hash_name(private_ca.der)}.0", "/etc/ssl/certs/company.pem")
    file.write_text(system_ca.pem)
    made = root._below(f"/etc/ssl/certs/{hash_name(private_ca.der)}.0").lstat().st_mtime_ns
    changed = made + 1 if replaced else made - 10**9
    os.utime(file, ns=(changed, changed))
    store = root.find()
    if replaced and "local" in owner:
        assert (store.directory, store.files) == (None, (bundle,))
        assert loads_authority(store, system_ca)
    else:
        assert store.directory == str(root._below("/etc/ssl/certs"))
