"""Connecting as an unmodified program would, and looking at what the peer shows, within hard limits.

Everything that happens on the network shares one deadline and one limit of bytes, so that a peer that drips, is silent,
floods or talks nonsense costs no more than that. What the peer sends is only ever looked at: no address in it is
followed, and no application data is sent.
"""

from __future__ import annotations

import base64
import socket
import ssl
import time
import urllib.parse

from truststore import _explain
from truststore._commands import starttls
from truststore._commands.wire import ObstacleError, Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LARGEST_HEADER = 16_384  # bytes that a proxy may answer


class Target:
    """Where to connect and whom to expect there. `server_name` is what is sent as SNI and checked."""

    __slots__ = ("host", "port", "proxy", "server_name", "starttls")

    def __init__(
        self,
        host: str,
        port: int,
        server_name: str | None = None,
        starttls: str | None = None,
        proxy: str | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.server_name = server_name or host
        self.starttls = starttls
        self.proxy = proxy

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Sighting:
    """What was seen of a peer: its `chain` (DER, leaf first) and what the context said about it.

    Exactly one of `version` (the TLS version of an accepted connection), `refusal` (of the peer) and `failure` (of what
    should have judged it) is set.
    """

    def __init__(self) -> None:
        self.chain: list[bytes] = []
        self.version: str | None = None
        self.cipher: str | None = None
        self.address: str | None = None
        self.refusal: ssl.SSLCertVerificationError | None = None
        self.failure: ssl.SSLError | None = None


def look(target: Target, context: ssl.SSLContext, deadline: float, seconds: float) -> Sighting:
    """Connect to `target`, let `context` judge it, and return what was seen before `deadline` (of `time.monotonic()`).

    `seconds` is the time until then, for messages. Raises `ObstacleError` if there is no verdict.
    """
    sighting = _look_once(target, context, deadline, seconds)
    if not sighting.chain and sighting.version is None:
        # OpenSSL before 3.0 and PyPy do not show the chain of a peer that they refuse: look once more, at the
        # certificates only. Nothing is sent on that connection.
        unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        unverified.check_hostname = False
        unverified.verify_mode = ssl.CERT_NONE
        try:
            sighting.chain = _look_once(target, unverified, deadline, seconds).chain
        except ObstacleError:  # the verdict stands, with or without the chain
            return sighting
    return sighting


def _look_once(target: Target, context: ssl.SSLContext, deadline: float, seconds: float) -> Sighting:
    wire, address = _connect(target, deadline, seconds)
    try:
        if target.starttls is not None:
            wire.watch(f"asking for STARTTLS ({target.starttls})")
            starttls.begin(target.starttls, wire)
        wire.watch("shaking hands with TLS")
        sighting = _shake_hands(wire, context, target.server_name)
        sighting.address = address
        return sighting
    finally:
        wire.close()


# ---- TCP and proxies ------------------------------------------------------------------------------------------------


def _connect(target: Target, deadline: float, seconds: float) -> tuple[Wire, str]:
    if target.proxy is None:
        return _connect_to(target.host, target.port, deadline, seconds)
    proxy = urllib.parse.urlsplit(target.proxy if "://" in target.proxy else f"http://{target.proxy}")
    try:
        host, port = proxy.hostname, proxy.port or 80
    except ValueError as error:
        raise ObstacleError("proxy-unusable", f"{without_credentials(target.proxy)}: {error}") from None
    if proxy.scheme != "http" or not host:
        text = f"{without_credentials(target.proxy)}: only http:// proxies with CONNECT are supported here"
        raise ObstacleError("proxy-unusable", text)
    try:
        wire, address = _connect_to(host, port, deadline, seconds)
    except ObstacleError as error:
        topic = error.topic if error.topic == "timeout" else "proxy-unusable"
        raise ObstacleError(topic, f"the proxy {without_credentials(target.proxy)}: {error}") from None
    try:
        _open_tunnel(wire, target, proxy)
    except BaseException:
        wire.close()
        raise
    return wire, f"{address} (the proxy)"


def _connect_to(host: str, port: int, deadline: float, seconds: float) -> tuple[Wire, str]:
    try:
        # All addresses share the deadline: create_connection() would give each of them all of it.
        candidates = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ObstacleError("name-resolution", f"{host}: {getattr(error, 'strerror', None) or error}") from None
    last: OSError | None = None
    for number, (family, kind, protocol, _, address) in enumerate(candidates):
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            break
        connection = socket.socket(family, kind, protocol)
        connection.settimeout(remaining / (len(candidates) - number))
        try:
            connection.connect(address)
        except OSError as error:
            last = error
            connection.close()
            continue
        return Wire(connection, deadline, seconds), _in_words(address)
    if last is None or isinstance(last, TimeoutError):
        raise ObstacleError("timeout", f"{seconds:g} seconds passed before {host} port {port} answered")
    raise ObstacleError("unreachable", f"{host} port {port}: {last.strerror or last}")


def _in_words(address: Any) -> str:
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"


def _open_tunnel(wire: Wire, target: Target, proxy: urllib.parse.SplitResult) -> None:
    """HTTP CONNECT (RFC 9110, 9.3.6)."""
    wire.watch("asking the proxy to connect")
    host = target.host.encode("idna").decode("ascii") if not target.host.isascii() else target.host
    authority = f"[{host}]:{target.port}" if ":" in host else f"{host}:{target.port}"
    request = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n"
    if proxy.username is not None:
        user, password = urllib.parse.unquote(proxy.username), urllib.parse.unquote(proxy.password or "")
        token = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
        request += f"Proxy-Authorization: Basic {token}\r\n"
    wire.send(f"{request}\r\n".encode("ascii"))
    status = _status_of(wire)
    if status.partition(" ")[2][:3] == "407":
        raise ObstacleError("proxy-credentials", f"the proxy answers: {status}")
    if not status.partition(" ")[2].startswith("2"):
        raise ObstacleError("proxy-refused", f"the proxy answers: {status}")


def _status_of(wire: Wire) -> str:
    """The status line of the proxy, once its whole header is in. Nothing may follow it: the peer speaks after us."""
    header = b""
    while b"\r\n\r\n" not in header and b"\n\n" not in header:
        data = wire.receive(4096)
        if not data:
            raise ObstacleError("proxy-unusable", f"the proxy hung up after {header[:80]!r}")
        header += data
        if len(header) > _LARGEST_HEADER:
            raise ObstacleError("too-much", "the proxy answers with an endless header")
    status = header.partition(b"\n")[0].decode("latin-1").strip()
    if not status.startswith("HTTP/"):
        raise ObstacleError("proxy-unusable", f"what answers there is no HTTP proxy: {status[:80]!r}")
    if status.partition(" ")[2].startswith("2") and not header.endswith((b"\r\n\r\n", b"\n\n")):
        raise ObstacleError("proxy-unusable", "the proxy sent data of its own before TLS began")
    return status


def without_credentials(address: str) -> str:
    """The address of a proxy, fit to be shown."""
    scheme, separator, rest = address.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


# ---- TLS ------------------------------------------------------------------------------------------------------------


def _shake_hands(wire: Wire, context: ssl.SSLContext, server_name: str) -> Sighting:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        tls = context.wrap_bio(incoming, outgoing, server_hostname=server_name)
    except ValueError as error:  # a name that cannot be one: too long a label, or a dot in front
        raise ObstacleError("name-resolution", f"{server_name!r} is no host name: {error}") from None
    sighting = Sighting()
    try:
        _run_handshake(wire, tls, incoming, outgoing)
    except ssl.SSLCertVerificationError as error:
        sighting.refusal = error
    except ssl.SSLError as error:
        if hasattr(error, "native_code"):  # the system's verifier gave no verdict
            sighting.failure = error
        else:
            raise _obstacle(wire, error) from None
    else:
        sighting.version, cipher = tls.version(), tls.cipher()
        sighting.cipher = cipher[0] if cipher else None
    sighting.chain = _explain.chain_of(tls._sslobj)  # type: ignore[attr-defined]  # public only from 3.13 on
    return sighting


def _run_handshake(wire: Wire, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            wire.send(outgoing.read())
            data = wire.receive()
            if not data:
                raise _hung_up(wire) from None
            incoming.write(data)
            continue
        except ssl.SSLCertVerificationError:
            _say_goodbye(wire, outgoing)
            raise
        wire.send(outgoing.read())
        return


def _say_goodbye(wire: Wire, outgoing: ssl.MemoryBIO) -> None:
    """Send the alert that tells the server why, if it still listens."""
    try:
        wire.send(outgoing.read())
    except ObstacleError:
        return


# ---- what it was instead of TLS -------------------------------------------------------------------------------------

_PLAIN_HTTP = (b"HTTP/", b"<!DOCTYPE", b"<!doctype", b"<html", b"<HTML")
_GREETINGS = (
    (b"220", "SMTP or FTP (--starttls smtp, --starttls ftp)"),
    (b"* OK", "IMAP (--starttls imap)"),
    (b"+OK", "POP3 (--starttls pop3)"),
)
# What OpenSSL calls an alert from the server: SSLV3_ALERT_HANDSHAKE_FAILURE, TLSV1_ALERT_..., TLSV13_ALERT_...
_ALERT = "_ALERT_"
_NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "UNEXPECTED_MESSAGE")
_TOO_MUCH = ("EXCESSIVE_MESSAGE_SIZE",)


def _obstacle(wire: Wire, error: ssl.SSLError) -> ObstacleError:
    reason = error.reason or ""
    if wire.start and wire.start[0] not in (0x15, 0x16):  # neither an alert nor a handshake record
        return _not_tls(wire, f"OpenSSL: {reason or error}")
    if reason in _TOO_MUCH:
        return ObstacleError("too-much", f"the server's certificates are more than OpenSSL takes ({reason})")
    if _ALERT in reason or reason == "TLSV1_UNRECOGNIZED_NAME":
        return ObstacleError("tls-alert", f"the server answers with the alert {reason}")
    if reason in _NOT_TLS:
        return _not_tls(wire, f"OpenSSL: {reason}")
    return ObstacleError("tls-failure", f"OpenSSL: {reason or error}")


def _hung_up(wire: Wire) -> ObstacleError:
    if wire.start and wire.start[0] not in (0x15, 0x16):
        return _not_tls(wire, "then it hung up")
    heard = f"after {len(wire.start)} bytes" if wire.start else "without a byte"
    return ObstacleError("closed", f"the peer hung up {heard}, while {wire.doing}")


def _not_tls(wire: Wire, more: str) -> ObstacleError:
    if wire.start.startswith(_PLAIN_HTTP):
        line = wire.start.partition(b"\n")[0].decode("latin-1").strip()
        return ObstacleError("plain-http", f"the server answers a TLS greeting with {line[:60]!r}")
    for greeting, protocol in _GREETINGS:
        if wire.start.startswith(greeting):
            return ObstacleError("starttls-needed", f"the server greets with {wire.start[:60]!r}: {protocol}")
    return ObstacleError("not-tls", f"the peer sends {wire.start[:16]!r}...; {more}")
