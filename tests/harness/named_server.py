"""A web server for several host names on loopback, port 443: `python named_server.py DIRECTORY`.

Run in a network namespace of its own. `DIRECTORY/NAME.pem` holds key and chain of the host NAME. It says `ready` when
it listens, and ends when its standard input closes.
"""

from __future__ import annotations

import fcntl
import http.server
import pathlib
import socket
import ssl
import struct
import sys
import threading

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1  # netdevice(7), linux/sockios.h


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers each GET with the name that the client asked for."""

    def do_GET(self) -> None:
        body = f"hello from {self.headers['Host']}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """Handshakes happen in the connection's own thread; a client that refuses us is what examples are about."""

    daemon_threads = True
    context: ssl.SSLContext

    def get_request(self) -> tuple[socket.socket, object]:
        connection, address = super().get_request()
        return self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, *_: object) -> None:
        pass


def bring_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", 0)
        _, flags = struct.unpack("16sh14x", fcntl.ioctl(control, SIOCGIFFLAGS, request))
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def main() -> None:
    contexts = {}
    for file in sorted(pathlib.Path(sys.argv[1]).glob("*.pem")):
        contexts[file.stem] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        contexts[file.stem].load_cert_chain(file)

    def choose(connection: ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        if name in contexts:
            connection.context = contexts[name]

    bring_loopback_up()
    server = Server(("127.0.0.1", 443), Handler)
    server.context = next(iter(contexts.values()))
    server.context.sni_callback = choose  # type: ignore[assignment]  # typeshed wants `str`, OpenSSL may have no name
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
