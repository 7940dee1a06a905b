"""Getting from plain text to TLS, in the protocols that have a command for it.

The server may say nothing after its consent: what it sent before the handshake would be read as if it were protected
by it (the plaintext injection that CVE-2011-0411 is about).
"""

from __future__ import annotations

from truststore._commands.wire import ObstacleError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from truststore._commands.wire import Wire

DEFAULT_PORTS = {"smtp": 587, "imap": 143, "pop3": 110, "ftp": 21, "postgres": 5432, "ldap": 389}

_LONGEST_LINE = 4096  # bytes; RFC 5321 allows 512, IMAP capability lists are longer
_MOST_LINES = 100

# ExtendedRequest, message 1, with the object identifier of StartTLS 1.3.6.1.4.1.1466.20037 (RFC 4511, 4.14).
_LDAP_REQUEST = bytes.fromhex("301d02010177188016") + b"1.3.6.1.4.1.1466.20037"
# SSLRequest: length 8, code 80877103 (PostgreSQL, "Message Formats").
_POSTGRES_REQUEST = bytes.fromhex("0000000804d2162f")


def begin(protocol: str, wire: Wire) -> None:
    """Have the server on `wire` wait for a TLS handshake. Raises `ObstacleError` if it does not."""
    _DIALOGUES[protocol](wire)


def _refused(protocol: str, answer: bytes) -> ObstacleError:
    return ObstacleError("starttls-refused", f"the {protocol} server answers {answer[:80]!r}")


class _Lines:
    """Reads lines that end in LF from a wire, and sees that nothing is left over."""

    def __init__(self, wire: Wire, protocol: str) -> None:
        self._wire = wire
        self._protocol = protocol
        self._buffer = b""

    def read(self) -> bytes:
        while b"\n" not in self._buffer:
            data = self._wire.receive(4096)
            if not data or len(self._buffer) > _LONGEST_LINE:
                raise _refused(self._protocol, self._buffer)
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.rstrip(b"\r")

    def ask(self, command: bytes) -> None:
        self._wire.send(command + b"\r\n")

    def end(self) -> None:
        if self._buffer:
            raise _refused(self._protocol, b"too early: " + self._buffer)

    def reply(self) -> list[bytes]:
        """One reply of SMTP or FTP: lines `250-...` and the last one, `250 ...`."""
        lines: list[bytes] = []
        while len(lines) < _MOST_LINES:
            lines.append(self.read())
            if lines[-1][:3].isdigit() and lines[-1][3:4] != b"-":
                return lines
        raise _refused(self._protocol, lines[-1])

    def expect(self, code: bytes) -> list[bytes]:
        lines = self.reply()
        if not lines[-1].startswith(code):
            raise _refused(self._protocol, lines[-1])
        return lines


def _smtp(wire: Wire) -> None:
    """RFC 3207."""
    lines = _Lines(wire, "SMTP")
    lines.expect(b"220")
    lines.ask(b"EHLO [127.0.0.1]")
    offered = lines.expect(b"250")
    if not any(line[4:].strip().upper() == b"STARTTLS" for line in offered):
        raise _refused("SMTP", b", ".join(line[4:] for line in offered))
    lines.ask(b"STARTTLS")
    lines.expect(b"220")
    lines.end()


def _ftp(wire: Wire) -> None:
    """RFC 4217."""
    lines = _Lines(wire, "FTP")
    lines.expect(b"220")
    lines.ask(b"AUTH TLS")
    lines.expect(b"234")
    lines.end()


def _imap(wire: Wire) -> None:
    """RFC 9051, 6.2.1."""
    lines = _Lines(wire, "IMAP")
    greeting = lines.read()
    if not greeting.upper().startswith(b"* OK"):
        raise _refused("IMAP", greeting)
    lines.ask(b"a STARTTLS")
    for _ in range(_MOST_LINES):
        line = lines.read()
        if line.upper().startswith(b"A OK"):
            lines.end()
            return
        if not line.startswith(b"* "):
            break
    raise _refused("IMAP", line)


def _pop3(wire: Wire) -> None:
    """RFC 2595."""
    lines = _Lines(wire, "POP3")
    for command in (None, b"STLS"):
        if command is not None:
            lines.ask(command)
        line = lines.read()
        if not line.startswith(b"+OK"):
            raise _refused("POP3", line)
    lines.end()


def _postgres(wire: Wire) -> None:
    wire.send(_POSTGRES_REQUEST)
    answer = wire.receive(1)
    if answer != b"S":
        raise _refused("PostgreSQL", answer)


def _ldap(wire: Wire) -> None:
    """An ExtendedResponse with the result `success` (RFC 4511, 4.14.2), in BER: Active Directory writes every length in
    four bytes, which DER would not allow."""
    wire.send(_LDAP_REQUEST)
    header = _exactly(wire, 2)
    if header[1] > 0x84 or header[0] != 0x30:
        raise _refused("LDAP", header)
    octets = header[1] & 0x7F if header[1] & 0x80 else 0
    size = int.from_bytes(_exactly(wire, octets), "big") if octets else header[1]
    if size > _LONGEST_LINE:
        raise _refused("LDAP", header)
    message = _exactly(wire, size)
    _, identifier, rest = _element(message)
    tag, response, _ = _element(rest)
    _, result, _ = _element(response)
    if identifier != b"\x01" or tag != 0x78 or result != b"\x00":
        raise _refused("LDAP", message)


def _exactly(wire: Wire, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = wire.receive(size - len(data))
        if not more:
            raise _refused("LDAP", data)
        data += more
    return data


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """The tag and the content of the first BER element in `data`, and what follows it."""
    if len(data) < 2:
        raise _refused("LDAP", data)
    octets = data[1] & 0x7F if data[1] & 0x80 else 0
    start = 2 + octets
    size = int.from_bytes(data[2:start], "big") if octets else data[1]
    if start + size > len(data):
        raise _refused("LDAP", data)
    return data[0], data[start : start + size], data[start + size :]


_DIALOGUES: dict[str, Callable[[Wire], None]] = {
    "smtp": _smtp,
    "imap": _imap,
    "pop3": _pop3,
    "ftp": _ftp,
    "postgres": _postgres,
    "ldap": _ldap,
}
