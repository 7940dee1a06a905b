"""Servers on loopback that remember which application bytes reached them."""

from __future__ import annotations

import contextlib
import functools
import http.server
import pathlib
import shutil
import socket
import socketserver
import ssl
import threading
import typing
from collections.abc import Callable, Iterable, Iterator


class EchoServer:
    """Answers each connection with what it got, until it is closed. `received` is every application byte of all."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self.address: tuple[str, int] = self._listener.getsockname()
        self.received = b""
        self.peers: list[object] = []  # what getpeercert() said, per finished handshake
        self.failures: list[BaseException] = []  # what ended a connection, if not its end

    def __enter__(self) -> EchoServer:
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()
        self.settle()

    def settle(self) -> None:
        """Wait until every connection that clients have closed is over here, too, so that `received` is complete."""
        for thread in self._threads:
            thread.join(timeout=30)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(30)
        try:
            with self._context.wrap_socket(connection, server_side=True) as tls:
                with self._lock:
                    self.peers.append(tls.getpeercert())
                while data := tls.recv(65536):
                    with self._lock:
                        self.received += data
                    tls.sendall(data)
        except OSError as error:  # ssl.SSLError is one
            self.failures.append(error)
        finally:
            connection.close()


class _Hello(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b"hello"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _HTTPSServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    context: ssl.SSLContext

    def get_request(self) -> tuple[socket.socket, object]:
        connection, address = super().get_request()
        # The handshake happens in the connection's own thread, at its first read.
        return self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, *_: object) -> None:  # a client that refuses us is what many tests are about
        pass


class _Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def https_server(context: ssl.SSLContext) -> contextlib.AbstractContextManager[str]:
    """A web server that answers `hello`; yields its URL, with the name `localhost`."""
    return _serving(_Hello, context)


@contextlib.contextmanager
def package_index(context: ssl.SSLContext, directory: pathlib.Path, wheels: Iterable[pathlib.Path]) -> Iterator[str]:
    """A package index with `wheels`, kept in `directory` (the simple repository API); yields its URL."""
    for wheel in wheels:
        project = directory / "simple" / wheel.name.partition("-")[0].replace("_", "-")
        project.mkdir(parents=True)
        shutil.copy(wheel, project)
        (project / "index.html").write_text(f'<!DOCTYPE html><a href="{wheel.name}">{wheel.name}</a>')
    with _serving(functools.partial(_Files, directory=str(directory)), context) as url:
        yield url + "simple/"


@contextlib.contextmanager
def _serving(handler: Callable[..., http.server.BaseHTTPRequestHandler], context: ssl.SSLContext) -> Iterator[str]:
    server = _HTTPSServer(("127.0.0.1", 0), handler)  # type: ignore[arg-type]  # a class, or something like one
    server.context = context
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"https://localhost:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


class _Mail(socketserver.StreamRequestHandler):
    """As much of SMTP as a client needs to start TLS and leave."""

    def handle(self) -> None:
        file: typing.Any = self.rfile
        self.request.sendall(b"220 localhost ESMTP\r\n")
        while line := file.readline():
            verb = line.split()[0].upper()
            answer = {b"EHLO": b"250-localhost\r\n250 STARTTLS\r\n", b"QUIT": b"221 bye\r\n", b"NOOP": b"250 hello\r\n"}
            self.request.sendall(b"220 go ahead\r\n" if verb == b"STARTTLS" else answer.get(verb, b"502 what?\r\n"))
            if verb == b"STARTTLS":
                context: ssl.SSLContext = self.server.context  # type: ignore[attr-defined]
                self.request = context.wrap_socket(self.request, server_side=True)
                file = self.request.makefile("rb")
            elif verb == b"QUIT":
                break

    def finish(self) -> None:
        self.request.close()


class _MailServer(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:  # as above
        pass


@contextlib.contextmanager
def mail_server(context: ssl.SSLContext) -> Iterator[int]:
    """A mail server that offers STARTTLS and answers `hello` to NOOP; yields its port on localhost."""
    with _MailServer(("127.0.0.1", 0), _Mail) as server:
        server.context = context  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


@contextlib.contextmanager
def stalled_server() -> Iterator[tuple[str, int]]:
    """Accepts connections and never answers. Yields its address."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        yield listener.getsockname()
