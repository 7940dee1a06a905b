"""One context, many threads: every verdict right, nobody waits for somebody else's peer, nothing left changed."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness.oracle import OracleVerifier
from harness.pki import HOST, Authority
from harness.servers import EchoServer, stalled_server

import truststore

THREADS = 16
CONNECTIONS = 50


@pytest.fixture(params=["native", "delegated"])
def context(request: pytest.FixtureRequest, system_store: object) -> Iterator[ssl.SSLContext]:
    if request.param == "delegated":
        request.getfixturevalue("delegated")
    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def outcome(context: ssl.SSLContext, address: tuple[str, int], name: str) -> str:
    try:
        with (
            socket.create_connection(address, timeout=60) as plain,
            context.wrap_socket(plain, server_hostname=name) as tls,
        ):
            tls.sendall(b"x")
            return tls.recv(1).decode()
    except ssl.SSLCertVerificationError as error:
        return f"refused {error.verify_code}"


def settings_of(context: ssl.SSLContext) -> tuple[object, ...]:
    return context.verify_mode, context.check_hostname, context.verify_flags, context.minimum_version


def test_overlapping_handshakes_with_a_stalled_server(
    context: ssl.SSLContext, system_ca: Authority, private_ca: Authority
) -> None:
    before = settings_of(context)
    with (
        EchoServer(system_ca.server_context()) as good,
        EchoServer(private_ca.server_context()) as untrusted,
    ):
        cases = [
            (good.address, HOST, "x"),
            (untrusted.address, HOST, "refused"),
            (good.address, "wrong.test", "refused 62"),
        ]

        def work(number: int) -> None:
            for turn in range(CONNECTIONS):
                address, name, expected = cases[(number + turn) % len(cases)]
                assert outcome(context, address, name).startswith(expected)
                assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)

        with stalled_server() as stalled:
            unanswered = socket.create_connection(stalled)
            hanging = threading.Thread(target=_fails, args=(context, unanswered))
            hanging.start()
            with ThreadPoolExecutor(THREADS) as pool:
                list(pool.map(work, range(THREADS)))
            # All of these have ended while that handshake still hangs: it cannot end before its peer goes.
            assert hanging.is_alive()
        hanging.join()
        untrusted.settle()
        assert untrusted.received == b""
    after = settings_of(context)
    assert after == before


def _fails(context: ssl.SSLContext, plain: socket.socket) -> None:
    with plain, pytest.raises(OSError):  # noqa: PT011  # whichever OpenSSL gives for a connection that goes away
        context.wrap_socket(plain, server_hostname=HOST)


def test_settings_can_be_read_and_written_while_connections_are_made(
    system_ca: Authority, delegated: OracleVerifier
) -> None:
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    seen: set[tuple[object, object]] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.add((context.verify_mode, context.check_hostname))
            context.check_hostname = True
            context.verify_mode = ssl.CERT_REQUIRED

    watcher = threading.Thread(target=watch)
    watcher.start()
    with EchoServer(system_ca.server_context()) as server:
        for _ in range(100):
            assert outcome(context, server.address, HOST) == "x"
    done.set()
    watcher.join()
    assert seen == {(ssl.CERT_REQUIRED, True)}


def test_a_writer_waits_for_the_verdict_that_another_thread_is_waiting_for(
    private_ca: Authority, delegated: OracleVerifier
) -> None:
    """Two threads use one connection: the second must not slip past while the verifier still thinks."""
    thinking, proceed = threading.Event(), threading.Event()
    judge = delegated.verify

    def slow_verify(*args: object) -> None:
        thinking.set()
        assert proceed.wait(30)
        judge(*args)  # type: ignore[arg-type]

    delegated.verify = slow_verify  # type: ignore[assignment]
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with (
        EchoServer(private_ca.server_context()) as server,
        socket.create_connection(server.address, timeout=30) as plain,
    ):
        tls = context.wrap_socket(plain, server_hostname=HOST, do_handshake_on_connect=False)
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(tls.do_handshake)
            assert thinking.wait(30)
            second = pool.submit(tls.write, b"too early")
            proceed.set()
            assert isinstance(first.exception(), ssl.SSLCertVerificationError)
            assert isinstance(second.exception(), ssl.SSLCertVerificationError)
        tls.close()
        server.settle()
        assert server.received == b""
