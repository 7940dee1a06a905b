"""One context, many threads: every verdict right, nobody waits for somebody else's peer, nothing left changed."""

from __future__ import annotations

import pathlib
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from harness.environment import clean_environment
from harness.environments import PROJECT
from harness.oracle import OracleVerifier
from harness.pki import HOST, Authority, stress_material
from harness.servers import EchoServer, stalled_server

import truststore
from truststore import _context, _pem
from truststore._environment import settings
from truststore._trust import Trust

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


@pytest.mark.parametrize("path", ["native", "delegated"])
def test_everything_at_once(path: str, tmp_path: pathlib.Path) -> None:
    stress_material(tmp_path)
    done = subprocess.run(
        [sys.executable, PROJECT / "tests" / "harness" / "stress.py", tmp_path, path, "4"],
        env=clean_environment(PYTHONPATH=str(PROJECT)),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


# ---- what two threads do to one context at once ---------------------------------------------------------------------


class Pause:
    """Where a thread stops until it is told to go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.over = threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        assert self.over.wait(30)


class WatchedLock:
    """A lock that tells as soon as a thread has to wait for it, or `future` is done without having to."""

    def __init__(self, lock: threading.RLock) -> None:  # type: ignore[valid-type]
        self._lock = lock
        self.told = threading.Event()

    def watch(self, future: Future[object]) -> None:
        future.add_done_callback(lambda _: self.told.set())
        assert self.told.wait(30)

    def acquire(self) -> None:
        if not self._lock.acquire(blocking=False):  # type: ignore[attr-defined]
            self.told.set()
            self._lock.acquire()  # type: ignore[attr-defined]

    def release(self) -> None:
        self._lock.release()  # type: ignore[attr-defined]

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def test_no_connection_is_made_while_another_thread_has_verification_off(
    system_ca: Authority, private_ca: Authority, delegated: OracleVerifier, hook: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread decided that the system judges its peer; meanwhile another pinned the same context, and connects."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=private_ca.file)
    decided, decide = Pause(), Trust.verifier

    def verifier(trust: Trust) -> object:
        found = decide(trust)
        decided()
        return found

    monkeypatch.setattr(Trust, "verifier", verifier)
    lock = WatchedLock(_context._creation_lock)
    monkeypatch.setattr(_context, "_creation_lock", lock)
    with EchoServer(system_ca.server_context()) as server, ThreadPoolExecutor(1) as pool:
        connection = pool.submit(outcome, context, server.address, HOST)
        assert decided.reached.wait(30)
        with lock:
            _context._switch_verification_off(context)  # type: ignore[arg-type]
            decided.over.set()
            lock.watch(connection)
            _context._switch_verification_on(context)  # type: ignore[arg-type]
        assert connection.result().startswith("refused")
        server.settle()
        assert server.received == b""


def test_flags_that_are_set_while_another_thread_configures_are_kept(
    system_ca: Authority, system_store: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags = ssl.VERIFY_X509_STRICT
    settling, withholds_strict = Pause(), Trust.withholds_strict

    def withholds(trust: Trust) -> bool:
        settling()
        return withholds_strict(trust)

    monkeypatch.setattr(Trust, "withholds_strict", withholds)
    lock = WatchedLock(context._truststore.configuration_lock())
    monkeypatch.setattr(Trust, "configuration_lock", lambda _: lock)
    with EchoServer(system_ca.server_context()) as server, ThreadPoolExecutor(2) as pool:
        connection = pool.submit(outcome, context, server.address, HOST)
        assert settling.reached.wait(30)
        wanted = ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
        setting = pool.submit(setattr, context, "verify_flags", wanted)
        try:
            lock.watch(setting)
        finally:
            settling.over.set()
        setting.result()
        assert connection.result() == "x"
    assert context.verify_flags == wanted


def test_default_certificates_for_clients_disturb_no_other_thread(
    system_ca: Authority, delegated: OracleVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    loading, load = Pause(), _context.Genuine.load_default_certs

    def load_default_certs(*args: object) -> None:
        loading()
        load(*args)

    monkeypatch.setattr(_context.Genuine, "load_default_certs", load_default_certs)
    with EchoServer(system_ca.server_context()) as server, ThreadPoolExecutor(1) as pool:
        loaded = pool.submit(context.load_default_certs, ssl.Purpose.CLIENT_AUTH)
        assert loading.reached.wait(30)
        try:
            assert outcome(context, server.address, HOST) == "x"
        finally:
            loading.over.set()
        loaded.result()


def test_extra_anchors_are_complete_for_every_thread(
    private_ca: Authority, delegated: OracleVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)._truststore
    reading, read, first = Pause(), _pem.certificates_in_file, [True]

    def certificates_in_file(path: str) -> list[bytes]:
        if first:
            first.clear()
            reading()
        return read(path)

    monkeypatch.setattr(settings, "extra_ca_certs", (str(private_ca.file),))
    monkeypatch.setattr(_pem, "certificates_in_file", certificates_in_file)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(trust.extra_anchors)
        assert reading.reached.wait(30)
        try:
            assert trust.extra_anchors() == (private_ca.der,)
        finally:
            reading.over.set()
        assert slow.result() == (private_ca.der,)
