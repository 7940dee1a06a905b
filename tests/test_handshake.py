"""Every way into a handshake, with every verdict, natively and delegated: no application byte without an acceptance."""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence

import pytest
from harness.oracle import OracleVerifier
from harness.pki import HOST, Authority
from harness.servers import EchoServer

import truststore
from truststore import _verify
from truststore._verify import Options

MESSAGE = b"application data"
TLS_VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class BrokenVerifier:
    """Fails in its machinery, with an exception that is no verdict."""

    name = "broken"

    def verify(self, chain: Sequence[bytes], options: Options) -> None:
        raise RuntimeError("the trust service is away")

    def roots(self) -> list[bytes]:
        return []


def connect(server: EchoServer) -> socket.socket:
    return socket.create_connection(server.address, timeout=30)


# ---- the ways in: each sends MESSAGE and returns the answer ---------------------------------------------------------


def connect_first(context: ssl.SSLContext, server: EchoServer) -> bytes:
    with connect(server) as plain, context.wrap_socket(plain, server_hostname=HOST) as tls:
        tls.sendall(MESSAGE)
        return tls.recv(1024)


def wrap_first(context: ssl.SSLContext, server: EchoServer) -> bytes:
    with socket.socket() as plain:
        plain.settimeout(30)
        with context.wrap_socket(plain, server_hostname=HOST) as tls:
            tls.connect(server.address)
            tls.sendall(MESSAGE)
            return tls.recv(1024)


def handshake_later(context: ssl.SSLContext, server: EchoServer) -> bytes:
    with (
        connect(server) as plain,
        context.wrap_socket(plain, server_hostname=HOST, do_handshake_on_connect=False) as tls,
    ):
        tls.do_handshake()
        tls.sendall(MESSAGE)
        return tls.recv(1024)


def write_first(context: ssl.SSLContext, server: EchoServer) -> bytes:
    with (
        connect(server) as plain,
        context.wrap_socket(plain, server_hostname=HOST, do_handshake_on_connect=False) as tls,
    ):
        tls.write(MESSAGE)
        return tls.recv(1024)


def read_first(context: ssl.SSLContext, server: EchoServer) -> bytes:
    with (
        connect(server) as plain,
        context.wrap_socket(plain, server_hostname=HOST, do_handshake_on_connect=False) as tls,
    ):
        tls.setblocking(False)
        while True:
            try:
                tls.read(1024)
            except ssl.SSLWantReadError:
                if tls.version() is not None and tls.cipher() is not None and tls.getpeercert(True):
                    break
                select.select([tls], [], [], 30)
        tls.setblocking(True)
        tls.write(MESSAGE)
        return tls.recv(1024)


def non_blocking(context: ssl.SSLContext, server: EchoServer) -> bytes:
    with (
        connect(server) as plain,
        context.wrap_socket(plain, server_hostname=HOST, do_handshake_on_connect=False) as tls,
    ):
        tls.setblocking(False)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                select.select([tls], [], [], 30)
            except ssl.SSLWantWriteError:
                select.select([], [tls], [], 30)
        tls.setblocking(True)
        tls.sendall(MESSAGE)
        return tls.recv(1024)


def _pump(
    server: EchoServer, context: ssl.SSLContext, operations: Sequence[Callable[[ssl.SSLObject], object]]
) -> object:
    """Run `operations` on a memory BIO connection, moving its bytes through a plain socket."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=HOST)
    result: object = None
    with connect(server) as plain:
        try:
            for operation in operations:
                while True:
                    try:
                        result = operation(tls)
                        break
                    except ssl.SSLWantReadError:
                        plain.sendall(outgoing.read())
                        data = plain.recv(65536)
                        if not data:
                            raise
                        incoming.write(data)
        finally:
            plain.sendall(outgoing.read())
    return result


def memory_bio(context: ssl.SSLContext, server: EchoServer) -> bytes:
    answer = _pump(
        server, context, [lambda tls: tls.do_handshake(), lambda tls: tls.write(MESSAGE), lambda tls: tls.read(1024)]
    )
    assert isinstance(answer, bytes)
    return answer


def memory_bio_write_first(context: ssl.SSLContext, server: EchoServer) -> bytes:
    answer = _pump(server, context, [lambda tls: tls.write(MESSAGE), lambda tls: tls.read(1024)])
    assert isinstance(answer, bytes)
    return answer


def asyncio_streams(context: ssl.SSLContext, server: EchoServer) -> bytes:
    async def talk() -> bytes:
        reader, writer = await asyncio.open_connection(*server.address, ssl=context, server_hostname=HOST)
        writer.write(MESSAGE)
        await writer.drain()
        answer = await reader.read(1024)
        writer.close()
        await writer.wait_closed()
        return answer

    return asyncio.run(talk())


WAYS = [
    connect_first,
    wrap_first,
    handshake_later,
    write_first,
    read_first,
    non_blocking,
    memory_bio,
    memory_bio_write_first,
    asyncio_streams,
]


@pytest.fixture(params=TLS_VERSIONS, ids=["tls1.2", "tls1.3"])
def server(request: pytest.FixtureRequest, system_ca: Authority) -> Iterator[EchoServer]:
    context = system_ca.server_context()
    context.minimum_version = context.maximum_version = request.param
    with EchoServer(context) as server:
        yield server


@pytest.fixture
def untrusted_server(server: EchoServer, private_ca: Authority) -> EchoServer:
    """The same server with a certificate that the system store does not know."""
    version = server._context.minimum_version
    server._context = private_ca.server_context()
    server._context.minimum_version = server._context.maximum_version = version
    return server


def client_context() -> ssl.SSLContext:
    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@pytest.mark.parametrize("way", WAYS)
class TestNative:
    @pytest.fixture(autouse=True)
    def _system_store(self, system_store: object) -> None: ...

    def test_accepts(self, way: Callable[..., bytes], server: EchoServer) -> None:
        assert way(client_context(), server) == MESSAGE
        server.settle()
        assert server.received == MESSAGE

    def test_refuses(self, way: Callable[..., bytes], untrusted_server: EchoServer) -> None:
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            way(client_context(), untrusted_server)
        assert caught.value.verify_code in (18, 19, 20, 21)
        untrusted_server.settle()
        assert untrusted_server.received == b""


@pytest.mark.parametrize("way", WAYS)
class TestDelegated:
    def test_accepts(self, way: Callable[..., bytes], server: EchoServer, delegated: OracleVerifier) -> None:
        assert way(client_context(), server) == MESSAGE
        server.settle()
        assert server.received == MESSAGE
        assert len(delegated.asked) == 1, "the verifier is asked once per connection"
        chain, options = delegated.asked[0]
        assert len(chain) >= 1
        assert options.server_name == HOST

    def test_refuses(self, way: Callable[..., bytes], untrusted_server: EchoServer, delegated: OracleVerifier) -> None:
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            way(client_context(), untrusted_server)
        assert caught.value.verify_code in (18, 19, 20, 21)
        untrusted_server.settle()
        assert untrusted_server.received == b""
        assert len(delegated.asked) == 1

    def test_refuses_if_the_verifier_fails(self, way: Callable[..., bytes], server: EchoServer) -> None:
        previous = _verify.replace_verifier(BrokenVerifier())
        try:
            with pytest.raises(ssl.SSLError, match="trust service"):
                way(client_context(), server)
        finally:
            _verify.replace_verifier(previous)  # type: ignore[arg-type]
        server.settle()
        assert server.received == b""


RETRIES: list[Callable[[ssl.SSLSocket], object]] = [
    lambda tls: tls.do_handshake(),
    lambda tls: tls.write(MESSAGE),
    lambda tls: tls.read(1024),
    lambda tls: tls.sendall(MESSAGE),
    lambda tls: tls.recv(1024),
    lambda tls: tls.recv_into(bytearray(10)),
    lambda tls: tls.unwrap(),
]


@pytest.fixture
def refused(untrusted_server: EchoServer) -> Iterator[ssl.SSLSocket]:
    """A connection to a peer that was refused once. At the end: no byte has reached the peer."""
    with (
        connect(untrusted_server) as plain,
        client_context().wrap_socket(plain, server_hostname=HOST, do_handshake_on_connect=False) as tls,
    ):
        with pytest.raises(ssl.SSLCertVerificationError):
            tls.do_handshake()
        yield tls
    untrusted_server.settle()
    assert untrusted_server.received == b""


def test_a_refused_peer_stays_refused(delegated: OracleVerifier, refused: ssl.SSLSocket) -> None:
    for retry in RETRIES:
        with pytest.raises(ssl.SSLCertVerificationError):
            retry(refused)
    assert len(delegated.asked) == 1


def test_a_peer_that_openssl_refused_stays_refused(system_store: object, refused: ssl.SSLSocket) -> None:
    for retry in RETRIES:
        try:
            assert not retry(refused)  # ssl.py makes an end of file of the peer's alert
        except OSError:
            continue
