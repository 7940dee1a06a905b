"""Whom a context trusts: the table of the documentation's page "Whom a context trusts", row by row, with real peers.

`system_ca` is what the system store knows; `private_ca` is what a program loads.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness.injection import injection
from harness.oracle import OracleVerifier
from harness.pki import HOST, Authority, hash_name
from harness.servers import EchoServer

import truststore
from truststore import _environment, _trust
from truststore._backends import openssl
from truststore._backends.openssl import Store

CLIENT = ssl.PROTOCOL_TLS_CLIENT
ASKING = "import truststore\nfrom truststore import SSLContext\n"


@pytest.fixture(params=["native", "delegated"])
def _verifier(request: pytest.FixtureRequest, system_store: object) -> None:
    if request.param == "delegated":
        request.getfixturevalue("delegated")


@pytest.fixture(scope="module")
def system_server(system_ca: Authority) -> Iterator[EchoServer]:
    with EchoServer(system_ca.server_context()) as server:
        yield server


@pytest.fixture(scope="module")
def private_server(private_ca: Authority) -> Iterator[EchoServer]:
    with EchoServer(private_ca.server_context()) as server:
        yield server


def accepts(context: ssl.SSLContext, server: EchoServer) -> bool:
    with socket.create_connection(server.address, timeout=30) as plain:
        try:
            context.wrap_socket(plain, server_hostname=HOST).close()
        except ssl.SSLCertVerificationError as error:
            verdict = error.verify_code
        else:
            return True
    assert verdict in (18, 19, 20, 21), "refused for another reason than its issuer"
    return False


@pytest.fixture
def trusts(system_server: EchoServer, private_server: EchoServer) -> Callable[[ssl.SSLContext], set[str]]:
    def trusts(context: ssl.SSLContext) -> set[str]:
        names = {"system": system_server, "private": private_server}
        return {name for name, server in names.items() if accepts(context, server)}

    return trusts


Trusts = Callable[[ssl.SSLContext], set[str]]


def made_by_an_aware_module(body: str, **names: object) -> ssl.SSLContext:
    """The `context` that a module which takes the class from `truststore` makes."""
    scope: dict[str, object] = {"__name__": f"aware_{abs(hash(body))}", "ssl": ssl, **names}
    exec(compile(ASKING + body, "aware.py", "exec"), scope)
    context = scope["context"]
    assert isinstance(context, ssl.SSLContext)
    return context


@pytest.mark.usefixtures("_verifier", "hook")
class TestUnderTheHook:
    def test_nothing_loaded(self, trusts: Trusts) -> None:
        assert trusts(ssl.SSLContext(CLIENT)) == {"system"}

    def test_create_default_context(self, trusts: Trusts) -> None:
        assert trusts(ssl.create_default_context()) == {"system"}

    def test_set_default_verify_paths(self, trusts: Trusts) -> None:
        context = ssl.SSLContext(CLIENT)
        context.set_default_verify_paths()
        assert trusts(context) == {"system"}

    def test_default_and_extra(self, trusts: Trusts, private_ca: Authority) -> None:
        context = ssl.create_default_context()
        context.load_verify_locations(private_ca.file)
        assert trusts(context) == {"system", "private"}

    def test_extra_and_default(self, trusts: Trusts, private_ca: Authority) -> None:
        context = ssl.SSLContext(CLIENT)
        context.load_verify_locations(cadata=private_ca.pem)
        context.load_default_certs()
        assert trusts(context) == {"system", "private"}

    @pytest.mark.parametrize("form", ["cafile", "bytes path", "cadata", "cadata der", "capath"])
    def test_a_pin_stays_a_pin(self, trusts: Trusts, private_ca: Authority, tmp_path: Path, form: str) -> None:
        context = ssl.SSLContext(CLIENT)
        if form == "capath":
            (tmp_path / f"{hash_name(private_ca.der)}.0").write_text(private_ca.pem)
            context.load_verify_locations(capath=tmp_path)
        else:
            context.load_verify_locations(
                **{
                    "cafile": {"cafile": private_ca.file},
                    "bytes path": {"cafile": os.fsencode(private_ca.file)},
                    "cadata": {"cadata": private_ca.pem},
                    "cadata der": {"cadata": private_ca.der},
                }[form]  # type: ignore[arg-type]
            )
        assert trusts(context) == {"private"}

    def test_a_pin_comes_too_late_after_a_connection_that_openssl_verified(
        self, request: pytest.FixtureRequest, trusts: Trusts, private_ca: Authority, system_ca: Authority
    ) -> None:
        """OpenSSL cannot forget the system's roots; then the context must not call itself a pin either."""
        context = ssl.SSLContext(CLIENT)
        assert trusts(context) == {"system"}
        context.load_verify_locations(private_ca.file)
        native = "native" in request.node.callspec.params.values()
        assert trusts(context) == ({"system", "private"} if native else {"private"})
        listed = set(context.get_ca_certs(binary_form=True))
        assert listed == ({system_ca.der, private_ca.der} if native else {private_ca.der})

    def test_create_default_context_with_cafile(self, trusts: Trusts, private_ca: Authority) -> None:
        assert trusts(ssl.create_default_context(cafile=str(private_ca.file))) == {"private"}

    def test_a_failed_load_does_not_pin(self, trusts: Trusts, tmp_path: Path) -> None:
        context = ssl.SSLContext(CLIENT)
        with pytest.raises(FileNotFoundError):
            context.load_verify_locations(tmp_path / "missing.pem")
        (tmp_path / "broken.pem").write_text("nothing")
        with pytest.raises(ssl.SSLError):
            context.load_verify_locations(tmp_path / "broken.pem")
        with pytest.raises(TypeError):
            context.load_verify_locations()
        assert trusts(context) == {"system"}

    def test_the_systems_own_bundle_is_the_system_store(
        self, trusts: Trusts, system_store: Store, tmp_path: Path
    ) -> None:
        assert system_store.bundle is not None
        link = tmp_path / "link.pem"
        link.symlink_to(system_store.bundle)
        context = ssl.SSLContext(CLIENT)
        context.load_verify_locations(link)
        assert not context._truststore.pinned  # type: ignore[attr-defined]
        assert trusts(context) == {"system"}

    def test_the_class_taken_from_truststore_is_additive(self, trusts: Trusts, private_ca: Authority) -> None:
        for body in (
            "context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)",
            "context = SSLContext(ssl.PROTOCOL_TLS_CLIENT)",
            "class Own(truststore.SSLContext): pass\ncontext = make(Own)",
        ):
            context = made_by_an_aware_module(body, make=lambda cls: cls(CLIENT))
            context.load_verify_locations(private_ca.file)
            assert trusts(context) == {"system", "private"}, body

    def test_asking_whether_it_is_injected_does_not_widen_a_pin(self, trusts: Trusts, private_ca: Authority) -> None:
        scope: dict[str, object] = {"__name__": "only_asking"}
        code = "import ssl, truststore\nactive = ssl.SSLContext is truststore.SSLContext\n"
        exec(compile(code + "context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n", "asking.py", "exec"), scope)
        assert scope["active"] is True
        context = scope["context"]
        assert isinstance(context, ssl.SSLContext)
        context.load_verify_locations(private_ca.file)
        assert trusts(context) == {"private"}

    def test_a_context_of_somebody_else_is_not_made_additive_by_an_aware_module(
        self, trusts: Trusts, private_ca: Authority
    ) -> None:
        context = made_by_an_aware_module("context = make()", make=lambda: ssl.SSLContext(CLIENT))
        context.load_verify_locations(private_ca.file)
        assert trusts(context) == {"private"}

    def test_a_programs_own_injection_is_additive(self, trusts: Trusts, private_ca: Authority) -> None:
        truststore.inject_into_ssl()
        context = ssl.SSLContext(CLIENT)
        context.load_verify_locations(private_ca.file)
        assert trusts(context) == {"system", "private"}
        truststore.extract_from_ssl()
        context = ssl.SSLContext(CLIENT)
        context.load_verify_locations(private_ca.file)
        assert trusts(context) == {"private"}, "the hook is left"

    def test_a_pin_says_so_in_its_refusal(self, system_server: EchoServer, private_ca: Authority) -> None:
        context = ssl.SSLContext(CLIENT)
        context.load_verify_locations(private_ca.file)
        with (
            socket.create_connection(system_server.address, timeout=30) as plain,
            pytest.raises(ssl.SSLCertVerificationError) as caught,
        ):
            context.wrap_socket(plain, server_hostname=HOST)
        said = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
        assert "trusts only what its program loaded" in said
        assert str(private_ca.file) in said

    @pytest.mark.parametrize("mode", [ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED])
    def test_optional_on_a_client_is_required(self, private_server: EchoServer, mode: ssl.VerifyMode) -> None:
        context = ssl.SSLContext(CLIENT)
        context.verify_mode = mode
        assert not accepts(context, private_server)

    def test_no_verification_asked_for(self, private_server: EchoServer) -> None:
        context = ssl.SSLContext(CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        assert accepts(context, private_server)
        assert context.cert_store_stats() == {"x509": 0, "crl": 0, "x509_ca": 0}

    def test_the_name_is_checked_if_asked_for(self, system_ca: Authority, system_store: object) -> None:
        with EchoServer(system_ca.server_context("other.test")) as server:
            context = ssl.SSLContext(CLIENT)
            with (
                socket.create_connection(server.address, timeout=30) as plain,
                pytest.raises(ssl.SSLCertVerificationError) as caught,
            ):
                context.wrap_socket(plain, server_hostname=HOST)
            assert caught.value.verify_code == 62
            context.check_hostname = False
            assert accepts(context, server)


class TestInjectedByTheProgram:
    @pytest.fixture(autouse=True)
    def _injected(self, system_store: object) -> Iterator[None]:
        with injection(by_program=True):
            yield

    def test_everything_is_additive(self, trusts: Trusts, private_ca: Authority) -> None:
        context = ssl.create_default_context(cafile=str(private_ca.file))
        assert trusts(context) == {"system", "private"}

    def test_after_the_extraction_everything_is_stock(self, private_ca: Authority) -> None:
        left_over = ssl.SSLContext
        truststore.extract_from_ssl()
        context = left_over(CLIENT)
        context.load_verify_locations(private_ca.file)
        assert context.cert_store_stats()["x509"] == 1
        assert left_over(CLIENT).get_ca_certs() == []


def test_the_class_works_without_any_injection(trusts: Trusts, private_ca: Authority, system_store: object) -> None:
    with injection():
        context = made_by_an_aware_module("context = SSLContext(ssl.PROTOCOL_TLS_CLIENT)")
        context.load_verify_locations(private_ca.file)
        assert trusts(context) == {"system", "private"}


# ---- servers --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["stream", "asyncio"])
def mutual(request: pytest.FixtureRequest) -> Callable[[ssl.SSLContext, ssl.SSLContext], bool]:
    """Whether a server with the first context accepts a client with the second."""
    return {"stream": _mutual_by_socket, "asyncio": _mutual_by_asyncio}[request.param]


def _mutual_by_socket(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> bool:
    with EchoServer(server_context) as server:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(server.address, timeout=30) as plain,
            client_context.wrap_socket(plain, server_hostname=HOST) as tls,
        ):
            tls.sendall(b"x")
            tls.recv(1)
        server.settle()
        return bool(server.received)


def _mutual_by_asyncio(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> bool:
    received = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            received.append(await reader.read(1))
            writer.close()
        except OSError:
            return

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_context)
        async with server:
            address = server.sockets[0].getsockname()
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(*address, ssl=client_context, server_hostname=HOST)
                writer.write(b"x")
                await reader.read(1)
                writer.close()

    asyncio.run(run())
    return b"x" in received


@pytest.mark.usefixtures("system_store", "hook")
@pytest.mark.parametrize("made_by", ["PROTOCOL_TLS_SERVER", "create_default_context", "PROTOCOL_TLS", "truststore"])
def test_a_server_judges_its_clients_by_its_own_ca_only(
    mutual: Callable[..., bool], made_by: str, system_ca: Authority, private_ca: Authority
) -> None:
    server_context = _server_context(made_by)
    system_ca.leaf().configure_cert(server_context)
    server_context.load_verify_locations(private_ca.file)
    server_context.verify_mode = ssl.CERT_REQUIRED

    stranger = ssl.create_default_context()
    system_ca.leaf("client.test").configure_cert(stranger)
    assert not mutual(server_context, stranger)

    client = ssl.create_default_context()
    private_ca.leaf("client.test").configure_cert(client)
    assert mutual(server_context, client)
    assert server_context.cert_store_stats()["x509_ca"] == 1


def _server_context(made_by: str) -> ssl.SSLContext:
    if made_by == "create_default_context":
        return ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    if made_by == "truststore":
        return made_by_an_aware_module("context = SSLContext(ssl.PROTOCOL_TLS_SERVER)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # PROTOCOL_TLS
        return ssl.SSLContext(getattr(ssl, made_by))


@pytest.mark.usefixtures("system_store", "hook")
def test_a_context_that_trusted_the_system_cannot_judge_clients(
    system_ca: Authority, system_server: EchoServer
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS)
    context.verify_mode = ssl.CERT_REQUIRED
    assert accepts(context, system_server)
    with pytest.raises(ssl.SSLError, match="PROTOCOL_TLS_SERVER"):
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)


# ---- the variables --------------------------------------------------------------------------------------------------


def settings(**variables: str) -> _environment.Settings:
    return _environment.Settings(variables)


@pytest.mark.usefixtures("_verifier", "hook")
class TestExtraCertificates:
    @pytest.mark.parametrize("form", ["file", "directory", "two paths"])
    def test_are_trusted_besides_the_system(
        self, trusts: Trusts, private_ca: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
    ) -> None:
        (tmp_path / "any-name.crt").write_text(private_ca.pem)
        (tmp_path / "unrelated.pem").write_text(Authority(tmp_path / "..", "unrelated").pem)
        value = {
            "file": str(private_ca.file),
            "directory": str(tmp_path),
            "two paths": os.pathsep.join([str(tmp_path / "unrelated.pem"), str(private_ca.file)]),
        }[form]
        monkeypatch.setattr(_trust, "settings", settings(TRUSTSTORE_EXTRA_CA_CERTS=value))
        assert trusts(ssl.create_default_context()) == {"system", "private"}

    def test_do_not_widen_a_pin(
        self, trusts: Trusts, private_ca: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pinned = Authority(tmp_path, "pinned")
        monkeypatch.setattr(_trust, "settings", settings(TRUSTSTORE_EXTRA_CA_CERTS=str(private_ca.file)))
        context = ssl.SSLContext(CLIENT)
        context.load_verify_locations(pinned.file)
        assert trusts(context) == set()

    def test_that_cannot_be_read_are_reported_once_and_the_rest_works(
        self, trusts: Trusts, private_ca: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        value = os.pathsep.join([str(tmp_path / "missing.pem"), str(private_ca.file)])
        monkeypatch.setattr(_trust, "settings", settings(TRUSTSTORE_EXTRA_CA_CERTS=value))
        with pytest.warns(RuntimeWarning, match="TRUSTSTORE_EXTRA_CA_CERTS names .*missing.pem") as warned:
            both = [trusts(ssl.create_default_context()) for _ in range(2)]
        assert both == [{"system", "private"}] * 2
        assert len(warned) == 1


@pytest.mark.usefixtures("_verifier", "hook")
class TestSSLCertFile:
    """SSL_CERT_FILE and SSL_CERT_DIR decide on every OS: with a verifier present, too, OpenSSL judges."""

    @pytest.fixture(autouse=True)
    def _no_default_directory(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        # Otherwise the machine's own directory is trusted besides, as always with OpenSSL.
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))

    def test_decides(self, trusts: Trusts, private_ca: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(private_ca.file))
        assert trusts(ssl.create_default_context()) == {"private"}
        assert trusts(ssl.SSLContext(CLIENT)) == {"private"}

    def test_decides_where_the_program_set_it_for_one_context(
        self, trusts: Trusts, private_ca: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(private_ca.file))
        context = ssl.create_default_context()
        monkeypatch.delenv("SSL_CERT_FILE")
        monkeypatch.delenv("SSL_CERT_DIR")
        assert trusts(context) == {"private"}
        assert trusts(ssl.create_default_context()) == {"system"}

    def test_may_name_a_pipe(self, trusts: Trusts, private_ca: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
        """As a shell's `<(...)` does. What is in it can be read once, and that is for OpenSSL to do."""
        reader, writer = os.pipe()
        with open(reader, "rb"), open(writer, "wb") as file:
            file.write(private_ca.pem.encode("ascii"))
            file.close()
            monkeypatch.setenv("SSL_CERT_FILE", f"/dev/fd/{reader}")
            context = ssl.create_default_context()
        assert trusts(context) == {"private"}

    @pytest.mark.parametrize("value", ["missing", "empty file", "empty value", "garbage"])
    def test_that_names_no_certificate_never_falls_back(
        self, trusts: Trusts, system_server: EchoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
    ) -> None:
        (tmp_path / "empty.pem").write_bytes(b"")
        (tmp_path / "garbage.pem").write_bytes(b"no certificate")
        path = {
            "missing": str(tmp_path / "missing.pem"),
            "empty file": str(tmp_path / "empty.pem"),
            "empty value": "",
            "garbage": str(tmp_path / "garbage.pem"),
        }[value]
        monkeypatch.setenv("SSL_CERT_FILE", path)
        context = ssl.create_default_context()
        assert trusts(context) == set()
        with (
            socket.create_connection(system_server.address, timeout=30) as plain,
            pytest.raises(ssl.SSLCertVerificationError) as caught,
        ):
            context.wrap_socket(plain, server_hostname=HOST)
        said = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
        assert f"SSL_CERT_FILE={path}" in said

    def test_directory(
        self, trusts: Trusts, private_ca: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / f"{hash_name(private_ca.der)}.0").write_text(private_ca.pem)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
        monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join([str(tmp_path / "none"), str(tmp_path)]))
        assert trusts(ssl.create_default_context()) == {"private"}

    def test_inside_the_interpreters_own_distribution_is_ignored(
        self, trusts: Trusts, private_ca: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr("sys.prefix", str(private_ca.file.parent))
        monkeypatch.setenv("SSL_CERT_FILE", str(private_ca.file))
        monkeypatch.delenv("SSL_CERT_DIR")
        monkeypatch.setattr(openssl, "_INHERITED", {"SSL_CERT_FILE": str(private_ca.file), "SSL_CERT_DIR": None})
        assert openssl.ignored_variables() == ["SSL_CERT_FILE"]
        assert trusts(ssl.create_default_context()) == {"system"}

    def test_does_not_widen_a_pin(
        self, trusts: Trusts, system_ca: Authority, private_ca: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(system_ca.file))
        context = ssl.SSLContext(CLIENT)
        context.load_verify_locations(private_ca.file)
        assert trusts(context) == {"private"}


# ---- listing --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_verifier", "hook")
class TestListing:
    def test_the_system_store(self, system_ca: Authority) -> None:
        context = ssl.create_default_context()
        assert context.get_ca_certs(binary_form=True) == [system_ca.der]
        assert context.get_ca_certs()[0]["subject"]
        assert context.cert_store_stats() == {"x509": 1, "crl": 0, "x509_ca": 1}

    def test_the_system_store_and_more(self, system_ca: Authority, private_ca: Authority) -> None:
        context = ssl.create_default_context()
        context.load_verify_locations(private_ca.file)
        assert set(context.get_ca_certs(binary_form=True)) == {system_ca.der, private_ca.der}

    def test_a_pin(self, private_ca: Authority) -> None:
        context = ssl.create_default_context(cafile=str(private_ca.file))
        assert context.get_ca_certs(binary_form=True) == [private_ca.der]
        assert context.cert_store_stats() == {"x509": 1, "crl": 0, "x509_ca": 1}

    def test_a_context_that_nobody_has_used_yet_says_what_the_standard_library_says(self) -> None:
        context = ssl.SSLContext(CLIENT)
        assert context.get_ca_certs() == []
        assert context.cert_store_stats() == {"x509": 0, "crl": 0, "x509_ca": 0}

    def test_after_a_connection(self, system_server: EchoServer, system_ca: Authority) -> None:
        context = ssl.SSLContext(CLIENT)
        assert accepts(context, system_server)
        assert context.get_ca_certs(binary_form=True) == [system_ca.der]

    def test_a_malformed_root_is_left_out(self, system_ca: Authority, delegated: OracleVerifier) -> None:
        delegated.anchors = [b"garbage", system_ca.der]
        assert ssl.create_default_context().get_ca_certs(binary_form=True) == [system_ca.der]
