"""Real TLS over loopback from an unmodified program's view: the wheel's `.pth` has injected into `ssl` at startup."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import pathlib
import ssl
import sys
import threading
from collections.abc import Iterator

import httpx
import pytest
import requests
from cryptography import x509
from harness.authority import Issued
from harness.loopback import Files, Server, fetch
from harness.pki import hash_name

import truststore
import truststore_autoinject
from truststore import _context

HELLO = b"hello"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="module")
def server(intermediate: Issued, folder: pathlib.Path) -> Iterator[Server]:
    """Its root is unknown to the system."""
    with Server(intermediate.issue("localhost", "xn--bcher-kva.test"), folder) as running:
        yield running


@pytest.fixture(scope="module")
def system_server(system_root: Issued, folder: pathlib.Path) -> Iterator[Server]:
    """Its root is in the ROOT store, and not sent."""
    with Server(system_root.issue("localhost"), folder, with_root=False) as running:
        yield running


@pytest.fixture(scope="module")
def other_name(system_root: Issued, folder: pathlib.Path) -> Iterator[Server]:
    with Server(system_root.issue("other.test"), folder) as running:
        yield running


@pytest.fixture(scope="module")
def ca_file(root: Issued, folder: pathlib.Path) -> str:
    file = folder / "ca.pem"
    file.write_text(root.pem, encoding="ascii")
    return str(file)


def additive(*anchors: Issued) -> ssl.SSLContext:
    """The system store and `anchors`."""
    context = ssl.create_default_context()
    for anchor in anchors:
        context.load_verify_locations(cadata=anchor.pem)
    return context


def refused_by_windows(context: ssl.SSLContext, server: Server, name: str | None = "localhost") -> int:
    """The refusal's verify code. It came from CryptoAPI, and no byte reached the server."""
    before = server.received
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        fetch(context, server.port, name)
    assert server.received == before
    assert vars(caught.value)["native_code"]
    assert caught.value.reason == "CERTIFICATE_VERIFY_FAILED"
    return caught.value.verify_code


# --- what runs here --------------------------------------------------------------------------------------------------


def test_the_installed_wheel_has_injected_itself() -> None:
    assert sys.platform == "win32"
    assert truststore_autoinject.state == "injected"
    assert truststore_autoinject.failure is None
    assert ssl.SSLContext is truststore.SSLContext
    for module in (truststore, truststore_autoinject):
        assert os.path.dirname(os.path.abspath(module.__file__ or "")).startswith(sys.prefix)


# --- trust -----------------------------------------------------------------------------------------------------------


def test_a_root_in_the_root_store_is_trusted(system_server: Server) -> None:
    assert fetch(ssl.create_default_context(), system_server.port) == HELLO


def test_an_unknown_root_is_refused(server: Server) -> None:
    assert refused_by_windows(ssl.create_default_context(), server) == 19


def test_a_custom_ca_is_trusted_besides_the_system(server: Server, system_server: Server, root: Issued) -> None:
    context = additive(root)
    assert fetch(context, server.port) == HELLO
    assert fetch(context, system_server.port) == HELLO


def test_another_custom_ca_is_not_enough(server: Server, system_root: Issued) -> None:
    assert refused_by_windows(additive(system_root), server) == 19


def test_truststores_own_class_adds_to_the_system(server: Server, system_server: Server, root: Issued) -> None:
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=root.pem)
    assert fetch(context, server.port) == HELLO
    assert fetch(context, system_server.port) == HELLO


def test_a_pinned_context_trusts_its_file_alone(server: Server, system_server: Server, ca_file: str) -> None:
    context = ssl.create_default_context(cafile=ca_file)
    assert fetch(context, server.port) == HELLO
    with pytest.raises(ssl.SSLCertVerificationError):
        fetch(context, system_server.port)


@pytest.mark.parametrize(("starts", "ends", "code"), [(-10, -1, 10), (5, 10, 9)], ids=["expired", "not yet valid"])
def test_a_certificate_outside_its_time_is_refused(
    intermediate: Issued, root: Issued, folder: pathlib.Path, starts: int, ends: int, code: int
) -> None:
    with Server(intermediate.issue("localhost", starts_in_days=starts, ends_in_days=ends), folder) as server:
        assert refused_by_windows(additive(root), server) == code
    assert server.received == b""


# --- names -----------------------------------------------------------------------------------------------------------


def test_a_wrong_name_is_refused(other_name: Server, server: Server, root: Issued) -> None:
    assert refused_by_windows(ssl.create_default_context(), other_name) == 62
    assert refused_by_windows(additive(root), server, "other.test") == 62


@pytest.mark.parametrize("name", ["b\u00fccher.test", "xn--bcher-kva.test", "localhost."])
def test_idn_and_a_trailing_dot(server: Server, root: Issued, name: str) -> None:
    assert fetch(additive(root), server.port, name) == HELLO


def test_without_check_hostname_the_name_does_not_matter_and_trust_does(other_name: Server, server: Server) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    assert fetch(context, other_name.port, "localhost") == HELLO
    assert fetch(context, other_name.port, None) == HELLO
    assert refused_by_windows(context, server) == 19


# --- verify_mode -----------------------------------------------------------------------------------------------------


def test_cert_none_asks_nobody(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    asked = _count_verdicts(monkeypatch)
    assert fetch(context, server.port) == HELLO
    assert fetch(context, server.port, None) == HELLO
    assert asked == []


def test_cert_optional_on_a_client_is_cert_required(server: Server, other_name: Server, system_server: Server) -> None:
    context = ssl.create_default_context()
    context.verify_mode = ssl.CERT_OPTIONAL
    assert fetch(context, system_server.port) == HELLO
    assert refused_by_windows(context, server) == 19
    assert refused_by_windows(context, other_name) == 62
    assert context.verify_mode is ssl.CERT_OPTIONAL


def test_windows_is_asked_once_per_connection(system_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _count_verdicts(monkeypatch)
    context = ssl.create_default_context()
    for _ in range(3):
        assert fetch(context, system_server.port) == HELLO
    assert len(asked) == 3


def _count_verdicts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    from truststore._backends.windows import WindowsVerifier

    asked: list[int] = []
    genuine = WindowsVerifier.verify

    def counting(self: WindowsVerifier, chain: list[bytes], options: object) -> None:
        asked.append(len(chain))
        genuine(self, chain, options)  # type: ignore[arg-type]

    monkeypatch.setattr(WindowsVerifier, "verify", counting)
    return asked


# --- environment and listing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_the_variables_make_a_context_native(
    monkeypatch: pytest.MonkeyPatch,
    server: Server,
    system_server: Server,
    root: Issued,
    tmp_path: pathlib.Path,
    variable: str,
) -> None:
    if variable == "SSL_CERT_FILE":
        path = tmp_path / "root.pem"
        path.write_text(root.pem, encoding="ascii")
    else:
        path = tmp_path
        (tmp_path / f"{hash_name(root.der)}.0").write_text(root.pem, encoding="ascii")
    monkeypatch.setenv(variable, str(path))
    asked = _count_verdicts(monkeypatch)
    assert fetch(ssl.create_default_context(), server.port) == HELLO
    with pytest.raises(ssl.SSLCertVerificationError):
        fetch(ssl.create_default_context(), system_server.port)
    assert asked == []


def test_an_unusable_variable_is_no_fallback_to_the_system(
    monkeypatch: pytest.MonkeyPatch, system_server: Server, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    with pytest.raises(ssl.SSLCertVerificationError):
        fetch(ssl.create_default_context(), system_server.port)


def test_listing_answers_from_the_root_store(system_root: Issued, root: Issued) -> None:
    context = ssl.create_default_context()
    listed = context.get_ca_certs(binary_form=True)
    assert system_root.der in listed
    assert root.der not in listed
    assert context.cert_store_stats()["x509_ca"] == len(listed) > 50
    assert root.der in additive(root).get_ca_certs(binary_form=True)


# --- revocation ------------------------------------------------------------------------------------------------------


def test_revocation_is_asked_for_by_verify_flags(intermediate: Issued, root: Issued, folder: pathlib.Path) -> None:
    with Files() as files:
        path = f"/{x509.random_serial_number():x}.crl"
        with Server(intermediate.issue("localhost", crl_url=files.url + path), folder) as server:
            context = additive(root)
            assert fetch(context, server.port) == HELLO
            assert files.asked == []
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
            assert refused_by_windows(context, server) == 3
            assert path in files.asked


# --- asyncio, libraries ----------------------------------------------------------------------------------------------


async def _fetch_async(context: ssl.SSLContext, port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return (await reader.read()).partition(b"\r\n\r\n")[2]
    finally:
        writer.close()
        await writer.wait_closed()


def test_asyncio(server: Server, other_name: Server, root: Issued) -> None:
    before = server.received, other_name.received
    assert asyncio.run(_fetch_async(additive(root), server.port)) == HELLO
    before = server.received, other_name.received
    for context, running in ((ssl.create_default_context(), server), (additive(root), other_name)):
        with pytest.raises(ssl.SSLCertVerificationError):
            asyncio.run(_fetch_async(context, running.port))
    assert (server.received, other_name.received) == before


def test_requests(server: Server, system_server: Server, other_name: Server, ca_file: str) -> None:
    with requests.Session() as session:
        session.trust_env = False
        assert session.get(f"https://localhost:{system_server.port}/", timeout=60).content == HELLO
        assert session.get(f"https://localhost:{server.port}/", timeout=60, verify=ca_file).content == HELLO
        before = server.received, other_name.received
        for refusing in (server, other_name):
            with pytest.raises(requests.exceptions.SSLError):
                session.get(f"https://localhost:{refusing.port}/", timeout=60)
        assert (server.received, other_name.received) == before


def test_httpx(server: Server, system_server: Server, other_name: Server, root: Issued) -> None:
    with httpx.Client(trust_env=False, timeout=60) as client:
        assert client.get(f"https://localhost:{system_server.port}/").content == HELLO
        before = server.received, other_name.received
        for refusing in (server, other_name):
            with pytest.raises(httpx.ConnectError):
                client.get(f"https://localhost:{refusing.port}/")
        assert (server.received, other_name.received) == before
    with httpx.Client(trust_env=False, timeout=60, verify=additive(root)) as client:
        assert client.get(f"https://localhost:{server.port}/").content == HELLO


# --- threads ---------------------------------------------------------------------------------------------------------


def test_one_context_in_sixteen_threads(
    server: Server, system_server: Server, other_name: Server, root: Issued, folder: pathlib.Path
) -> None:
    """All sixteen finish OpenSSL's handshake before the first verdict is asked for, and get the right one."""
    stranger = Server(other_root().issue("localhost"), folder)
    cases = [(server, True), (system_server, True), (other_name, False), (stranger, False)] * 4
    context = additive(root)
    rounds = 4
    overlap = threading.Barrier(len(cases), timeout=90)
    genuine = _context._verify.system_verifier()
    assert genuine is not None

    class Together:
        """Waits until every thread stands at the gate."""

        name = genuine.name
        roots = genuine.roots

        def verify(self, chain: list[bytes], options: object) -> None:
            overlap.wait()
            genuine.verify(chain, options)  # type: ignore[arg-type]

    def verdict(case: tuple[Server, bool]) -> bool:
        try:
            return fetch(context, case[0].port) == HELLO
        except ssl.SSLCertVerificationError:
            return False

    before = other_name.received
    previous = _context._verify.replace_verifier(Together())  # type: ignore[arg-type]
    try:
        with stranger, concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
            for _ in range(rounds):
                assert list(pool.map(verdict, cases)) == [expected for _, expected in cases]
    finally:
        _context._verify.replace_verifier(previous)  # type: ignore[arg-type]
    assert stranger.received == b""
    assert other_name.received == before


def other_root() -> Issued:
    from harness import authority

    return authority.root("stranger")
