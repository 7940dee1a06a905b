"""Real handshakes through `truststore.SSLContext`, with the macOS verifier behind the gate."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import truststore
from macos import pki
from macos.pki import Certified, issue
from macos.world import NAME, World, assert_no_verdict, assert_refused
from truststore import _verify
from truststore._backends.macos import MacOSVerifier
from truststore._errors import Reason


@pytest.fixture(autouse=True)
def _macos_decides(world: World) -> Iterator[None]:
    previous = _verify.replace_verifier(MacOSVerifier())
    yield
    _verify.replace_verifier(previous)  # type: ignore[arg-type]


def client(**attributes: Any) -> ssl.SSLContext:
    """A context such as a program makes that takes `truststore.SSLContext` itself."""
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name, value in attributes.items():
        setattr(context, name, value)
    return context


class Server:
    """A TLS server in memory, one per certificate."""

    def __init__(
        self, directory: Path, leaf: Certified | bytes, *chain: Certified, key: Certified | None = None
    ) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        path = directory / f"{id(self)}.pem"
        if isinstance(leaf, bytes):
            assert key is not None
            private = key.pem[key.pem.index(b"-----BEGIN PRIVATE") :]
            path.write_bytes(ssl.DER_cert_to_PEM_cert(leaf).encode() + private)
        else:
            path.write_bytes(leaf.pem)
        with path.open("ab") as file:
            for each in chain:
                file.write(each.pem[: each.pem.index(b"-----BEGIN PRIVATE")])
        self.context.load_cert_chain(path)


def connect(context: ssl.SSLContext, server: Server, name: str | None = NAME) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """A whole handshake between `context` and `server` without a socket. Raises what the client raises."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = context.wrap_bio(to_client, to_server, server_hostname=name)
    theirs = server.context.wrap_bio(to_server, to_client, server_side=True)
    waiting = [ours, theirs]
    for _ in range(20):
        for side in tuple(waiting):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
                waiting.remove(side)
        if not waiting:
            return ours, theirs
    raise AssertionError("the handshake does not end")


def refused(context: ssl.SSLContext, server: Server, name: str | None = NAME) -> ssl.SSLError:
    with pytest.raises(ssl.SSLError) as caught:
        connect(context, server, name)
    return caught.value


@pytest.fixture
def good(world: World, tmp_path: Path) -> Server:
    return Server(tmp_path, world.leaf(), world.intermediate)


@pytest.fixture
def evil(world: World, tmp_path: Path) -> Server:
    """Neither its root nor its name is right."""
    return Server(tmp_path, world.private_leaf(names=["evil.example"]), world.private_intermediate, world.private_root)


def test_trusted_peer(good: Server) -> None:
    ours, theirs = connect(client(), good)
    ours.write(b"question")
    assert theirs.read() == b"question"


def test_refused_peers(world: World, good: Server, evil: Server, tmp_path: Path) -> None:
    expired = Server(tmp_path, world.leaf(start=pki.NOW - pki.days(9), life=pki.days(5)), world.intermediate)
    alone = Server(tmp_path, world.leaf())
    assert_refused(refused(client(), good, "other.example"), Reason.WRONG_NAME, -67602)
    assert_refused(refused(client(), good, "127.0.0.1"), Reason.WRONG_IP_ADDRESS, -67602)
    assert_refused(refused(client(), evil), Reason.UNTRUSTED_ROOT, -67843)
    assert_refused(refused(client(), expired), Reason.EXPIRED, -67818)
    assert_refused(refused(client(), alone), Reason.UNKNOWN_ISSUER, -25318)


def test_extra_anchors(world: World, good: Server, tmp_path: Path) -> None:
    private = Server(tmp_path, world.private_leaf(), world.private_intermediate)
    context = client()
    context.load_verify_locations(cadata=world.private_root.der)
    connect(context, private)
    connect(context, good)
    long_lived = Server(tmp_path, world.private_leaf(life=pki.days(900)), world.private_intermediate)
    without_usage = Server(tmp_path, world.private_leaf(usages=[]), world.private_intermediate)
    assert "825 days" in str(refused(context, long_lived))
    assert "serverAuth" in str(refused(context, without_usage))


def test_internationalised_name(world: World, tmp_path: Path) -> None:
    server = Server(tmp_path, world.leaf(names=["xn--bcher-kva.example"]), world.intermediate)
    connect(client(), server, "bücher.example")
    assert_refused(refused(client(), server, "bücherei.example"), Reason.WRONG_NAME, -67602)


def test_ip_address(world: World, tmp_path: Path) -> None:
    server = Server(tmp_path, world.leaf(names=[], addresses=["127.0.0.1", "::1"]), world.intermediate)
    connect(client(), server, "127.0.0.1")
    connect(client(), server, "::1")


def test_without_host_name_check(good: Server, evil: Server) -> None:
    connect(client(check_hostname=False), good, "other.example")
    connect(client(check_hostname=False), good, None)
    assert_refused(refused(client(check_hostname=False), evil), Reason.UNTRUSTED_ROOT, -67843)


def test_cert_none_asks_nothing(world: World, evil: Server) -> None:
    connect(client(check_hostname=False, verify_mode=ssl.CERT_NONE), evil)
    assert world.double.calls() == {}


def test_cert_optional_on_a_client_is_cert_required(world: World, good: Server, evil: Server) -> None:
    context = client(verify_mode=ssl.CERT_OPTIONAL)
    connect(context, good)
    assert_refused(refused(context, evil), Reason.UNTRUSTED_ROOT, -67843)
    assert_refused(refused(context, good, "other.example"), Reason.WRONG_NAME, -67602)
    assert context.verify_mode == ssl.CERT_OPTIONAL


def test_revocation_flags(world: World, tmp_path: Path) -> None:
    leaf = world.leaf()
    server = Server(tmp_path, leaf, world.intermediate)
    chain, only_leaf = client(), client()
    chain.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    only_leaf.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    assert_refused(refused(chain, server), Reason.REVOCATION_UNKNOWN, -67635)
    world.double.answer_ocsp(pki.ocsp_response(leaf, revoked=True))
    assert_refused(refused(chain, server), Reason.REVOKED, -67820)
    connect(client(), server)
    error = refused(only_leaf, server)
    assert_no_verdict(error)
    assert "VERIFY_CRL_CHECK_LEAF" in str(error)
    world.double.answer_ocsp(pki.ocsp_response(leaf, revoked=False))
    connect(chain, server)


def test_peer_that_macos_cannot_parse(world: World, tmp_path: Path) -> None:
    leaf = world.leaf()
    server = Server(tmp_path, pki.with_serial(leaf, b"\x01" * 41), world.intermediate, key=leaf)
    assert_refused(refused(client(), server), Reason.BAD_ENCODING, None)


@pytest.mark.parametrize("common_name", ["x" * 1100, "\U0001f600" * 300])
def test_long_and_foreign_words(world: World, tmp_path: Path, common_name: str) -> None:
    server = Server(tmp_path, world.leaf(common_name=common_name), world.intermediate)
    connect(client(), server)
    assert common_name in str(refused(client(), server, "other.example"))


def test_twenty_intermediates(world: World, tmp_path: Path) -> None:
    chain = [world.root]
    for number in range(20):
        chain.insert(0, issue(f"Intermediate {number}", chain[0], authority=True))
    server = Server(tmp_path, world.leaf(issuer=chain[0]), *chain)
    connect(client(), server)
    assert_refused(refused(client(), server, "other.example"), Reason.WRONG_NAME, -67602)


def test_no_trustd_and_the_way_out(world: World, good: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world.double.force_status(-25291)
    error = refused(client(), good)
    assert_no_verdict(error)
    assert "trustd" in str(error)
    assert "SSL_CERT_FILE" in str(error)
    roots = tmp_path / "roots.pem"
    roots.write_text(ssl.DER_cert_to_PEM_cert(world.root.der))
    monkeypatch.setenv("SSL_CERT_FILE", str(roots))
    before = world.double.calls()
    connect(client(), good)
    assert isinstance(refused(client(), good, "other.example"), ssl.SSLCertVerificationError)
    assert world.double.calls() == before, "SSL_CERT_FILE makes the context native: trustd is not asked"


def test_roots_of_a_context(world: World) -> None:
    context = client()
    context.load_verify_locations(cadata=world.private_root.der)
    assert set(context.get_ca_certs(binary_form=True)) == {world.root.der, world.private_root.der}
    assert context.cert_store_stats()["x509_ca"] == 2


def test_overlapping_handshakes_leave_a_shared_context_as_it_was(world: World, good: Server, evil: Server) -> None:
    """Good and evil peers, verdicts overlapping; then an untrusted peer with a wrong name on the same context."""
    context = client()
    peers = [good, evil] * 4

    def run(peer: Server) -> bool:
        try:
            connect(context, peer)
        except ssl.SSLCertVerificationError:
            return False
        return True

    def seen() -> tuple[ssl.VerifyMode, bool]:
        return context.verify_mode, context.check_hostname

    for _ in range(10):
        world.double.let_meet(len(peers))
        with ThreadPoolExecutor(len(peers)) as pool:
            assert list(pool.map(run, peers)) == [True, False] * 4
        assert seen() == (ssl.CERT_REQUIRED, True)
    assert_refused(refused(context, evil), Reason.UNTRUSTED_ROOT, -67843)
    assert_refused(refused(context, good, "wrong.example"), Reason.WRONG_NAME, -67602)
    connect(context, good)
    assert seen() == (ssl.CERT_REQUIRED, True)


def test_real_sockets(good: Server, evil: Server) -> None:
    """The same through `wrap_socket`; a refused client never sends a byte of its data."""
    for server, trusted in ((good, True), (evil, False)):
        ours, theirs = socket.socketpair()
        received: list[bytes] = []

        def serve(raw: socket.socket = theirs, server: Server = server, received: list[bytes] = received) -> None:
            with suppress(OSError), server.context.wrap_socket(raw, server_side=True) as tls:
                received.append(tls.recv(100))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with client().wrap_socket(ours, server_hostname=NAME) as tls:
                tls.sendall(b"question")
        except ssl.SSLCertVerificationError:
            assert not trusted
        finally:
            ours.close()
            thread.join(60)
            theirs.close()
        assert b"".join(received) == (b"question" if trusted else b"")
