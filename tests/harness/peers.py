"""Peers on loopback that answer with whatever a test wants, TLS or not."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping

Answer = Callable[[socket.socket], None]


@contextlib.contextmanager
def peer(answer: Answer) -> Iterator[int]:
    """Yields the port of a server that lets `answer` talk to each connection, and closes it afterwards."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(30)
            answer(connection)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=serve, args=(connection,), daemon=True)
            threads.append(thread)
            thread.start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join()
        for thread in threads:
            thread.join(timeout=30)


def speaking_tls(context: ssl.SSLContext) -> Answer:
    """Shakes hands and waits for the client to go."""

    def answer(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            while tls.recv(1024):
                pass

    return answer


def saying(data: bytes) -> Answer:
    """Sends `data` as soon as the client has said something, and hangs up."""

    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(data)

    return answer


def greeting(data: bytes) -> Answer:
    """Sends `data` at once and waits for the client to go."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(data)
        while connection.recv(4096):
            pass

    return answer


def silent(connection: socket.socket) -> None:
    """Never answers; ends when the client goes."""
    while connection.recv(4096):
        pass


def hanging_up(connection: socket.socket) -> None:
    """Takes the client's greeting and closes."""
    connection.recv(4096)


def dripping(data: bytes, seconds: float) -> Answer:
    """Sends `data` one byte at a time, each after `seconds`, until the client goes."""

    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        gone = threading.Event()
        for byte in data:
            connection.sendall(bytes([byte]))
            gone.wait(seconds)  # nobody sets it: this is what dripping means

    return answer


def tls_record(kind: int, content: bytes) -> bytes:
    return bytes([kind, 3, 3]) + len(content).to_bytes(2, "big") + content


def certificate_flood(certificates: list[bytes]) -> bytes:
    """A TLS 1.2 server's first flight with all these certificates in it (RFC 5246, 7.4.2)."""
    hello = b"\x03\x03" + bytes(32) + b"\x00" + b"\xc0\x2b" + b"\x00" + b"\x00\x05\xff\x01\x00\x01\x00"
    body = b"".join(len(der).to_bytes(3, "big") + der for der in certificates)
    body = len(body).to_bytes(3, "big") + body
    messages = b"\x02" + len(hello).to_bytes(3, "big") + hello + b"\x0b" + len(body).to_bytes(3, "big") + body
    pieces = [messages[start : start + 16384] for start in range(0, len(messages), 16384)]
    return b"".join(tls_record(0x16, piece) for piece in pieces)


def proxy(status: bytes, seen: list[bytes], ports: Mapping[str, int] | None = None) -> Answer:
    """An HTTP proxy that answers CONNECT with `status` and, if that is 200, passes everything on: to the host that it
    was asked for, or to the port that `ports` has for that."""

    def answer(connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(4096)
        seen.append(request)
        connection.sendall(b"HTTP/1.1 " + status + b"\r\n\r\n")
        if not status.startswith(b"200"):
            return
        host, _, port = request.split()[1].decode().rpartition(":")
        address = (host, int(port)) if ports is None else ("127.0.0.1", ports[host])
        with socket.create_connection(address, timeout=30) as upstream:
            back = threading.Thread(target=_copy, args=(upstream, connection), daemon=True)
            back.start()
            _copy(connection, upstream)
            back.join()

    return answer


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


# ---- STARTTLS -------------------------------------------------------------------------------------------------------

# What a server says, and what the client must have said before: None at the beginning.
STARTTLS = {
    "smtp": [
        (None, b"220-hello\r\n220 smtp\r\n"),
        (b"EHLO", b"250-smtp\r\n250-SIZE\r\n250 STARTTLS\r\n"),
        (b"STARTTLS", b"220 go\r\n"),
    ],
    "imap": [(None, b"* OK imap\r\n"), (b"a STARTTLS", b"* CAPABILITY IMAP4\r\na OK begin\r\n")],
    "pop3": [(None, b"+OK pop\r\n"), (b"STLS", b"+OK begin\r\n")],
    "ftp": [(None, b"220 ftp\r\n"), (b"AUTH TLS", b"234 begin\r\n")],
    "postgres": [(bytes.fromhex("0000000804d2162f"), b"S")],
    "ldap": [(b"1.3.6.1.4.1.1466.20037", bytes.fromhex("300c02010178070a010004000400"))],
    # Active Directory writes its lengths like this.
    "ldap of Active Directory": [
        (b"1.3.6.1.4.1.1466.20037", bytes.fromhex("308400000010020101788400000007 0a010004000400".replace(" ", "")))
    ],
}


def after_starttls(dialogue: list[tuple[bytes | None, bytes]], context: ssl.SSLContext) -> Answer:
    """Talks as `dialogue` says, and then TLS."""

    def answer(connection: socket.socket) -> None:
        for expected, says in dialogue:
            if expected is not None:
                heard = connection.recv(4096)
                assert expected in heard, heard
            connection.sendall(says)
        speaking_tls(context)(connection)

    return answer
