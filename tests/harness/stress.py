"""Many threads use the package at once. A program: `python stress.py DIRECTORY native|delegated ROUNDS`.

It ends with an error on any wrong verdict, byte that leaked, setting that was lost, unexpected exception or hang. It
needs the standard library and the package alone, so that it runs on interpreters for which nothing else is built.
`harness.pki.stress_material` writes what DIRECTORY must hold.
"""

from __future__ import annotations

import faulthandler
import pathlib
import random
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Sequence

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import truststore
from harness.oracle import OracleVerifier
from harness.servers import EchoServer
from truststore import _context, _inject, _verify
from truststore._backends import openssl
from truststore._context import Genuine

WORKERS = 12
HOST = "localhost"
AUTHORITIES = ("system", "private", "stranger")
_PATIENCE = 600  # seconds until everything counts as hanging


class World:
    """Three servers: of a CA in the system store, of one that programs load, and of one that nobody knows."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.files = {name: str(directory / f"{name}.pem") for name in AUTHORITIES}
        self.servers = {name: EchoServer(_server_context(directory / f"{name}-server.pem")) for name in AUTHORITIES}

    def expect(self, context: ssl.SSLContext, trusted: Sequence[str]) -> None:
        """Connect to a server by chance, and to one under a wrong name: only those of `trusted` may be reached."""
        name = random.choice(AUTHORITIES)
        self._is(self._outcome(context, name, HOST), "x" if name in trusted else "refused", name, trusted)
        if trusted:
            self._is(self._outcome(context, trusted[0], "wrong.test"), "refused", "wrong name", trusted)

    def _is(self, found: str, expected: str, *case: object) -> None:
        if found != expected:
            raise AssertionError(f"{case}: {found} instead of {expected}")

    def _outcome(self, context: ssl.SSLContext, server: str, name: str) -> str:
        with socket.create_connection(self.servers[server].address, timeout=60) as plain:
            try:
                with context.wrap_socket(plain, server_hostname=name) as tls:
                    tls.sendall(server.encode())
                    return tls.recv(1).decode() and "x"
            except ssl.SSLCertVerificationError:
                return "refused"


def _server_context(certificate: pathlib.Path) -> ssl.SSLContext:
    context: ssl.SSLContext = Genuine.__new__(Genuine, ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


class Scenes:
    """What the threads do at once. Each scene gets fresh contexts, for nothing is as fragile as the first use."""

    def __init__(self, world: World) -> None:
        self._world = world

    def first_use(self) -> Callable[[int], None]:
        """One fresh context that every thread uses at once, and fresh ones beside it."""
        shared = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

        def act(_: int) -> None:
            self._world.expect(shared, ["system"])
            self._world.expect(truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ["system"])

        return act

    def loading(self) -> Callable[[int], None]:
        """Threads load a CA, list, count and set flags while others connect; then everybody's load counts."""
        shared = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        shared.verify_flags |= ssl.VERIFY_X509_STRICT
        loaded = threading.Event()

        def act(number: int) -> None:
            if number % 4 == 0:
                shared.load_verify_locations(cafile=self._world.files["private"])
                loaded.set()
            elif number % 4 == 1:
                shared.get_ca_certs(binary_form=True)
                shared.cert_store_stats()
            elif number % 4 == 2:
                shared.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
                shared.options |= ssl.OP_NO_TICKET
            if loaded.is_set():
                self._world.expect(shared, ["system", "private"])
            else:
                self._world._outcome(shared, "stranger", HOST)  # refused either way: the server tells
            assert (shared.verify_mode, shared.check_hostname) == (ssl.CERT_REQUIRED, True)
            if number % 4 == 2:
                assert shared.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN
                assert shared.verify_flags & ssl.VERIFY_X509_STRICT

        return act

    def pinning(self) -> Callable[[int], None]:
        """Under the hook, pinned contexts and such as trust the system, side by side."""

        def act(_: int) -> None:
            pinned = ssl.create_default_context(cafile=self._world.files["private"])
            self._world.expect(pinned, ["private"])
            self._world.expect(ssl.create_default_context(), ["system"])

        return act

    def injecting(self) -> Callable[[int], None]:
        """Threads inject and extract while others make contexts: those that took the class are always ours."""

        def act(number: int) -> None:
            if number % 3 == 0:
                truststore.inject_into_ssl()
                truststore.extract_from_ssl()
            else:
                self._world.expect(truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ["system"])
            assert issubclass(ssl.SSLContext, Genuine)

        return act


def _run(act: Callable[[int], None]) -> None:
    """`act` in all threads at the same moment; the first failure of any."""
    barrier = threading.Barrier(WORKERS)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        barrier.wait()
        try:
            act(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def main(directory: str, path: str, rounds: str) -> None:
    faulthandler.dump_traceback_later(_PATIENCE, exit=True)
    world = World(pathlib.Path(directory))
    system = world.files["system"]
    openssl._system_store = openssl.Store("stress", files=[system], bundle=system)
    if path == "delegated":
        _verify.replace_verifier(OracleVerifier([ssl.PEM_cert_to_DER_cert(pathlib.Path(system).read_text())]))
    scenes = Scenes(world)
    with world.servers["system"], world.servers["private"], world.servers["stranger"] as stranger:
        for _ in range(int(rounds)):
            _inject.inject_by_hook()
            for scene in (scenes.first_use, scenes.loading, scenes.pinning):
                _run(scene())
            truststore.extract_from_ssl()
            assert ssl.SSLContext is Genuine
            _run(scenes.injecting())
            truststore.extract_from_ssl()
            truststore.extract_from_ssl()
            assert (ssl.SSLContext, _context.injected) == (Genuine, False)
        stranger.settle()
        assert stranger.received == b""
    print(path, rounds, "rounds;", "GIL on" if getattr(sys, "_is_gil_enabled", lambda: True)() else "GIL off")


if __name__ == "__main__":
    main(*sys.argv[1:])
