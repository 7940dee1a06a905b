"""TLS and HTTP servers on a free port of this machine, in threads, that remember what reached them."""

from __future__ import annotations

import pathlib
import socket
import ssl
import threading

from harness.authority import Issued

RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


class Server:
    """Answers each request over TLS with "hello". `received` is all application data that ever arrived.

    After `close()`, which waits for every connection to end, it is final.
    """

    def __init__(self, identity: Issued, folder: pathlib.Path, with_root: bool = True) -> None:
        file = identity.write(folder / f"server-{identity.certificate.serial_number:x}.pem", with_root)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(file)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.received = b""
        self.handshakes = 0
        self._lock = threading.Lock()
        self._connections: list[threading.Thread] = []
        self._open = True
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if not self._open:
                connection.close()
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._connections.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with self._context.wrap_socket(connection, server_side=True) as tls:
                with self._lock:
                    self.handshakes += 1
                request = b""
                while b"\r\n\r\n" not in request:
                    part = tls.recv(1000)
                    if not part:
                        return
                    request += part
                    with self._lock:
                        self.received += part
                tls.sendall(RESPONSE)
        except OSError:  # the client refused us, or went away
            pass
        finally:
            connection.close()

    def close(self) -> None:
        # Closing a listener does not wake the thread that waits on it; a connection does.
        self._open = False
        with socket.create_connection(("127.0.0.1", self.port)):
            self._acceptor.join(30)
        self._listener.close()
        for thread in self._connections:
            thread.join(30)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Files:
    """Serves bytes over plain HTTP and remembers which paths were asked for."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.asked: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open = True
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while self._open:
            connection, _ = self._listener.accept()
            with connection:
                connection.settimeout(10)
                try:
                    request = connection.recv(4000).split()
                    if len(request) < 2:
                        continue
                    path = request[1].decode("ascii")
                    self.asked.append(path)
                    body = self.content.get(path)
                    status = "404 Not Found" if body is None else "200 OK"
                    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body or b'')}\r\nConnection: close\r\n\r\n"
                    connection.sendall(head.encode("ascii") + (body or b""))
                except OSError:
                    continue

    def close(self) -> None:
        self._open = False
        with socket.create_connection(self._listener.getsockname()[:2]):
            pass
        self._thread.join(30)
        self._listener.close()

    def __enter__(self) -> Files:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def fetch(context: ssl.SSLContext, port: int, name: str | None = "localhost") -> bytes:
    """One request over a connection of its own; returns the response's body."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as connection,
        context.wrap_socket(connection, server_hostname=name) as tls,
    ):
        tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        response = b""
        while part := tls.recv(1000):
            response += part
    return response.partition(b"\r\n\r\n")[2]
