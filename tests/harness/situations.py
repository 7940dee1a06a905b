"""Servers in every situation that a verifying client must tell apart, and of every protocol that the clients speak.

A `Site` shows one certificate. On its TLS port it answers HTTP, WebSocket, Redis, MongoDB, MQTT, AMQP and LDAP by what
the first bytes look like; SMTP, IMAP, POP3, FTP, PostgreSQL, MySQL and NATS, which begin in plain text, have ports of
their own. It counts
every application byte, so that a test can tell "the client says that it refused" from "nothing was sent".
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import json
import pathlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator

from harness.pki import Authority

HELLO = b"reached"
_WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_PATIENCE = 30.0  # seconds
_READ = 65536  # bytes at most


class Stream:
    """One connection, read through a buffer; `secure` turns it into TLS."""

    def __init__(self, connection: socket.socket, count: Callable[[bytes], None]) -> None:
        self.connection = connection
        self._buffer = b""
        self._count = count
        self._secured = False

    def secure(self, context: ssl.SSLContext) -> None:
        """Be the server of a handshake on this connection."""
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self._secured = True

    def write(self, data: bytes) -> None:
        """Send all of `data`."""
        self.connection.sendall(data)

    def read(self) -> bytes:
        """What has come, at least one byte; nothing at the end."""
        data, self._buffer = self._buffer or self._receive(), b""
        return data

    def readuntil(self, separator: bytes) -> bytes:
        """Everything up to `separator`, that included."""
        while separator not in self._buffer:
            self._fill()
        line, _, self._buffer = self._buffer.partition(separator)
        return line + separator

    def readexactly(self, size: int) -> bytes:
        """The next `size` bytes. No more is taken from the connection: a handshake may follow without a pause."""
        while len(self._buffer) < size:
            self._fill(size - len(self._buffer))
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _fill(self, limit: int = _READ) -> None:
        data = self._receive(limit)
        if not data:
            raise EOFError("closed by the client")
        self._buffer += data

    def _receive(self, limit: int = _READ) -> bytes:
        data = self.connection.recv(limit)
        if self._secured:
            self._count(data)
        return data


class Site:
    """One server in one situation: `port` speaks TLS from the first byte, `ports[protocol]` begins in plain text."""

    def __init__(self, new_context: Callable[[], ssl.SSLContext], authority: pathlib.Path) -> None:
        self.authority = str(authority)  # the file with the CA of the certificate that is shown
        self._context = new_context()
        self._http2 = new_context()
        self._http2.set_alpn_protocols(["h2"])
        self._lock = threading.Lock()
        self._listeners: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.port = self._listen(_nothing, _answer)
        self.ports = {protocol: self._listen(*conversation) for protocol, conversation in _PLAIN.items()}
        self.ports["http2"] = self._listen(_nothing, _http2)
        self.connections = 0  # accepted, whatever became of them
        self.handshakes = 0  # finished
        self.application_bytes = 0  # received inside TLS
        self.failures: list[str] = []  # what ended a connection, if not its end

    def close(self) -> None:
        """Take no more connections."""
        for listener in self._listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def settle(self) -> None:
        """Wait until every connection that clients have closed is over here, too, so that the counts are complete."""
        for thread in list(self._threads):
            thread.join(timeout=_PATIENCE)

    def _listen(self, greet: Callable[[Stream], None], answer: Callable[[Stream], None]) -> int:
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._listeners.append(listener)
        threading.Thread(target=self._accept, args=(listener, greet, answer), daemon=True).start()
        port: int = listener.getsockname()[1]
        return port

    def _accept(
        self, listener: socket.socket, greet: Callable[[Stream], None], answer: Callable[[Stream], None]
    ) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.settimeout(_PATIENCE)
            thread = threading.Thread(target=self._serve, args=(connection, greet, answer), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(
        self, connection: socket.socket, greet: Callable[[Stream], None], answer: Callable[[Stream], None]
    ) -> None:
        stream = Stream(connection, self._count)
        try:
            greet(stream)
            stream.secure(self._http2 if answer is _http2 else self._context)
            self.handshakes += 1
            answer(stream)
        except (OSError, EOFError) as error:  # a client that refuses us is what many tests are about
            self.failures.append(str(error))
        finally:
            stream.connection.close()

    def _count(self, data: bytes) -> None:
        with self._lock:
            self.application_bytes += len(data)


# ---- TLS from the first byte ----------------------------------------------------------------------------------------


def _nothing(_: Stream) -> None:
    """What is said before TLS where TLS begins at once."""


def _answer(stream: Stream) -> None:
    """Answer whatever protocol the first four bytes belong to."""
    start = stream.readexactly(4)
    if start[:1] == b"*":
        _redis(start, stream)
    elif start[:1] == b"\x10":
        _mqtt(start, stream)
    elif start == b"AMQP":
        _amqp(stream)
    elif start[:1] == b"0" and start[2:] == b"\x02\x01":
        _ldap(start, stream)
    elif start.isalpha() or start[:3].isalpha():
        _http(start, stream)
    else:
        _mongo(start, stream)


def _http(start: bytes, stream: Stream) -> None:
    while True:
        head = start + stream.readuntil(b"\r\n\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
        }
        if b"sec-websocket-key" in headers:
            _websocket(headers[b"sec-websocket-key"], stream)
            return
        if length := int(headers.get(b"content-length", b"0")):
            stream.readexactly(length)
        method, path = head.split(b" ", 2)[:2]
        kind, body = _resource(path.decode("ascii"))
        stream.write(
            b'HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\nETag: "1"\r\nX-Repo-Commit: 1\r\n'
            b"X-Elastic-Product: Elasticsearch\r\n\r\n" % (kind, len(body)) + (b"" if method == b"HEAD" else body)
        )
        start = b""


def _resource(path: str) -> tuple[bytes, bytes]:
    """What clients of particular services expect to find: content type and body."""
    for end, document in _DOCUMENTS.items():
        if path.partition("?")[0].rstrip("/").endswith(end):
            return b"application/json", json.dumps(document).encode()
    if "/simple/" in path:
        return b"text/html", b"<!DOCTYPE html><html><body></body></html>"
    return b"text/plain", HELLO


_DOCUMENTS: dict[str, object] = {
    "/v1/models": {"object": "list", "data": [{"id": "reached", "object": "model", "created": 1, "owned_by": "test"}]},
    "/api/models/reached": {"id": "reached", "modelId": "reached", "siblings": [], "tags": []},
    "/api/whoami-v2": {"name": "reached", "type": "user", "orgs": []},
    "/version": {"major": "1", "minor": "30", "gitVersion": "v1.30.0", "gitCommit": "", "gitTreeState": "clean"}
    | {"buildDate": "", "goVersion": "", "compiler": "gc", "platform": "linux/amd64"},
    "/about": {"kind": "drive#about"},
    "/v1/balance": {"object": "balance"},
    "/api.test": {"ok": True},
    "/_cluster/health": {"status": "green"},
    "/users/reached": {"login": "reached"},
    "/token": {"access_token": "reached", "expires_in": 3600, "token_type": "Bearer"},
}


def _http2(stream: Stream) -> None:
    """Greet as HTTP/2 does (RFC 9113, 3.4): that much tells a client that its channel is ready."""
    stream.readuntil(b"SM\r\n\r\n")
    stream.write(b"\0\0\0\4\0\0\0\0\0")  # empty SETTINGS
    while stream.read():
        pass


def _websocket(key: bytes, stream: Stream) -> None:
    accept = base64.b64encode(hashlib.sha1(key + _WEBSOCKET_GUID, usedforsecurity=False).digest())
    stream.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    stream.write(b"\x81" + bytes([len(HELLO)]) + HELLO)  # one unmasked text frame
    stream.write(b"\x88\x02" + struct.pack(">H", 1000))
    stream.read()


def _redis(start: bytes, stream: Stream) -> None:
    """RESP: `PING` is answered `PONG`, whatever else with an error that says that we are an old server."""
    buffer = start
    while data := stream.read():
        buffer += data
        commands = buffer.upper().count(b"\r\nPING\r\n")
        others = sum(buffer.upper().count(b"\r\n" + word + b"\r\n") for word in (b"HELLO", b"CLIENT"))
        stream.write(b"-ERR unknown command\r\n" * others + b"+PONG\r\n" * commands)
        buffer = b""


def _mqtt(start: bytes, stream: Stream) -> None:
    stream.read()
    stream.write(b"\x20\x02\x00\x00")  # CONNACK, accepted (MQTT 3.1.1, 3.2)
    stream.read()


def _amqp(stream: Stream) -> None:
    """AMQP 0-9-1 up to a connection that is open, and its end (2.2.4 and 2.3.5 of the specification)."""
    stream.readexactly(4)  # the version
    mechanisms = struct.pack(">I", 5) + b"PLAIN" + struct.pack(">I", 5) + b"en_US"
    stream.write(_amqp_method(10, b"\0\x09" + struct.pack(">I", 0) + mechanisms))  # Start
    answers = {11: _amqp_method(30, struct.pack(">HIH", 0, 131072, 0)), 40: _amqp_method(41, b"\0")}  # Tune, OpenOk
    answers[50] = _amqp_method(51, b"")  # CloseOk
    while True:
        (size,) = struct.unpack(">I", stream.readexactly(7)[3:])
        (method,) = struct.unpack(">H", stream.readexactly(size + 1)[2:4])
        stream.write(answers.get(method, b""))


def _amqp_method(number: int, arguments: bytes) -> bytes:
    """The frame of a method of the class "connection"."""
    payload = struct.pack(">HH", 10, number) + arguments
    return struct.pack(">BHI", 1, 0, len(payload)) + payload + b"\xce"


def _ldap(start: bytes, stream: Stream) -> None:
    """Accept a bind (RFC 4511, 4.2)."""
    number = (start + stream.read())[4]
    stream.write(b"\x30\x0c\x02\x01" + bytes([number]) + b"\x61\x07\x0a\x01\0\x04\0\x04\0")
    stream.read()


def _mongo(start: bytes, stream: Stream) -> None:
    """Answer `hello`, `ping` and the like; OP_QUERY is what an unknown server is asked first, then OP_MSG."""
    while True:
        (size,) = struct.unpack("<i", start or stream.readexactly(4))
        request, _, opcode = struct.unpack("<iii", (stream.readexactly(size - 4))[:12])
        start = b""
        document = _bson_document()
        if opcode == 2004:  # OP_QUERY -> OP_REPLY
            body, answer = struct.pack("<iqii", 8, 0, 0, 1) + document, 1
        else:  # OP_MSG
            body, answer = struct.pack("<I", 0) + b"\0" + document, 2013
        stream.write(struct.pack("<iiii", 16 + len(body), 0, request, answer) + body)


def _bson_document() -> bytes:
    """BSON of {ok: 1.0, helloOk: true, isWritablePrimary: true, ismaster: true, minWireVersion: 0, maxWireVersion: 21}
    and the limits that drivers ask for."""
    body = b"\x01ok\0" + struct.pack("<d", 1.0)
    body += b"".join(b"\x08" + name + b"\0\x01" for name in (b"helloOk", b"isWritablePrimary", b"ismaster"))
    limits = {b"minWireVersion": 0, b"maxWireVersion": 25, b"maxBsonObjectSize": 16777216}
    limits |= {b"maxMessageSizeBytes": 48000000, b"maxWriteBatchSize": 100000, b"logicalSessionTimeoutMinutes": 30}
    body += b"".join(b"\x10" + name + b"\0" + struct.pack("<i", value) for name, value in limits.items())
    return struct.pack("<i", len(body) + 5) + body + b"\0"


# ---- plain text first -----------------------------------------------------------------------------------------------


def _smtp(stream: Stream) -> None:
    stream.write(b"220 test ESMTP\r\n")
    while not (line := stream.readuntil(b"\n")).upper().startswith(b"STARTTLS"):
        stream.write(b"250-test\r\n250 STARTTLS\r\n" if line.upper().startswith(b"EHLO") else b"250 ok\r\n")
    stream.write(b"220 go ahead\r\n")


def _imap(stream: Stream) -> None:
    stream.write(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] test\r\n")
    while b"STARTTLS" not in (line := stream.readuntil(b"\n")).upper():
        stream.write(b"* CAPABILITY IMAP4rev1 STARTTLS\r\n" + line.split()[0] + b" OK done\r\n")
    stream.write(line.split()[0] + b" OK go ahead\r\n")


def _pop3(stream: Stream) -> None:
    stream.write(b"+OK test\r\n")
    while not (line := stream.readuntil(b"\n")).upper().startswith(b"STLS"):
        stream.write(b"+OK\r\nSTLS\r\n.\r\n" if line.upper().startswith(b"CAPA") else b"+OK\r\n")
    stream.write(b"+OK go ahead\r\n")


def _ftp(stream: Stream) -> None:
    stream.write(b"220 test\r\n")
    while not (stream.readuntil(b"\n")).upper().startswith(b"AUTH TLS"):
        stream.write(b"500 what?\r\n")
    stream.write(b"234 go ahead\r\n")


def _postgresql(stream: Stream) -> None:
    stream.readexactly(8)  # SSLRequest (or GSSENCRequest, refused so that TLS is asked for next)
    stream.write(b"S")


def _mysql(stream: Stream) -> None:
    """Protocol::HandshakeV10, which offers TLS; the client answers with an SSLRequest."""
    capabilities = 0x0008_AA01  # LONG_PASSWORD, PROTOCOL_41, SSL, TRANSACTIONS, SECURE_CONNECTION, PLUGIN_AUTH
    greeting = b"\x0a8.0.0\0" + struct.pack("<I", 1) + b"salt4321\0" + struct.pack("<H", capabilities & 0xFFFF)
    greeting += struct.pack("<BHHB", 45, 2, capabilities >> 16, 21) + bytes(10) + b"salt43218765\0"
    stream.write(_mysql_packet(0, greeting + b"mysql_native_password\0"))
    stream.readexactly(4 + 32)


def _mysql_packet(number: int, payload: bytes) -> bytes:
    return struct.pack("<I", len(payload))[:3] + bytes([number]) + payload


def _nats(stream: Stream) -> None:
    info = {"server_id": "test", "version": "2.10.0", "proto": 1, "max_payload": 1048576, "tls_required": True}
    stream.write(b"INFO " + json.dumps(info).encode() + b"\r\n")


# ---- and inside TLS then --------------------------------------------------------------------------------------------


def _lines(stream: Stream) -> None:
    """Answer what SMTP, IMAP, POP3 and FTP clients say first inside TLS, so that they are content."""
    while data := stream.read():
        words = data.upper().split()
        if words[:1] in ([b"EHLO"], [b"NOOP"], [b"QUIT"]):
            stream.write(b"250 ok\r\n")
        elif words[:1] == [b"CAPA"]:
            stream.write(b"+OK\r\n.\r\n")
        elif words[:1] == [b"USER"]:
            stream.write(b"331 more\r\n")
        elif words[:1] == [b"PASS"]:
            stream.write(b"230 ok\r\n")
        elif len(words) > 1:
            stream.write(b"* CAPABILITY IMAP4rev1\r\n" + data.split()[0] + b" OK done\r\n")
        else:
            return


def _postgresql_session(stream: Stream) -> None:
    """Let everybody in without a password (PostgreSQL's "message flow": start-up)."""
    (size,) = struct.unpack(">I", stream.readexactly(4))
    stream.readexactly(size - 4)
    stream.write(_postgresql_message(b"R", bytes(4)))  # AuthenticationOk
    for name, value in ((b"server_version", b"16.0"), (b"client_encoding", b"UTF8")):
        stream.write(_postgresql_message(b"S", name + b"\0" + value + b"\0"))
    stream.write(_postgresql_message(b"Z", b"I"))  # ReadyForQuery
    while stream.read()[:1] not in (b"", b"X"):  # Terminate: some clients wait until we close
        pass


def _postgresql_message(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack(">I", len(content) + 4) + content


def _mysql_session(stream: Stream) -> None:
    """Say OK to the login and to whatever is asked then."""
    while True:
        head = stream.readexactly(4)
        (size,) = struct.unpack("<I", head[:3] + b"\0")
        stream.readexactly(size)
        stream.write(_mysql_packet(head[3] + 1, b"\0\0\0\x02\0\0\0"))


def _nats_session(stream: Stream) -> None:
    while True:
        if stream.readuntil(b"\r\n") == b"PING\r\n":
            stream.write(b"PONG\r\n")


# What is said before TLS, and after it.
_PLAIN: dict[str, tuple[Callable[[Stream], None], Callable[[Stream], None]]] = {
    "smtp": (_smtp, _lines),
    "imap": (_imap, _lines),
    "pop3": (_pop3, _lines),
    "ftp": (_ftp, _lines),
    "postgresql": (_postgresql, _postgresql_session),
    "mysql": (_mysql, _mysql_session),
    "nats": (_nats, _nats_session),
}


# ---- all of them ----------------------------------------------------------------------------------------------------

TRUSTED, UNKNOWN_CA, WRONG_NAME, EXPIRED, CERTIFI_ONLY = SITUATIONS = (
    "trusted",
    "unknown CA",
    "wrong name",
    "expired",
    "root only in certifi",
)


@contextlib.contextmanager
def sites(directory: pathlib.Path, company: Authority, certifi_only: Authority) -> Iterator[dict[str, Site]]:
    """A site for each of `SITUATIONS`. The system store must know `company`, and must not know `certifi_only`."""
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    stranger = Authority(directory, "stranger")
    new_contexts: dict[str, Callable[[], ssl.SSLContext]] = {
        TRUSTED: company.server_context,
        UNKNOWN_CA: stranger.server_context,
        WRONG_NAME: lambda: company.server_context("other.example"),
        EXPIRED: lambda: company.server_context(not_after=past),
        CERTIFI_ONLY: certifi_only.server_context,
    }
    authorities = {UNKNOWN_CA: stranger, CERTIFI_ONLY: certifi_only}
    made = {
        situation: Site(new_context, authorities.get(situation, company).file)
        for situation, new_context in new_contexts.items()
    }
    try:
        yield made
    finally:
        for site in made.values():
            site.close()
