"""`check HOST`: connect as an unmodified program would, and say what came of it and why."""

from __future__ import annotations

import base64
import json
import ssl
import sys
import threading
import time
import urllib.parse
import urllib.request

from truststore._cli import NO, UNKNOWN, USAGE, YES
from truststore._commands import deciders, probe, starttls, terminal
from truststore._commands.report import Report
from truststore._commands.wire import ObstacleError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from truststore._commands.probe import Target

HAS_JSON = True
EXAMPLES = """\
  python -m truststore check example.com
  python -m truststore check example.com:8443 --json
  python -m truststore check mail.example.com --starttls smtp
  python -m truststore check 192.0.2.7 --servername internal.example.com
  python -m truststore check example.com --proxy http://proxy.example.com:3128
"""

_SECONDS = 10.0
_SECONDS_FOR_JUDGING = 2.0  # of the time limit, are kept for what follows the handshake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("host", metavar="HOST[:PORT]", help="the host; a URL will do. The default port is 443")
    parser.add_argument(
        "--starttls", choices=sorted(starttls.DEFAULT_PORTS), help="begin in plain text, as PROTOCOL does"
    )
    parser.add_argument("--proxy", metavar="URL", help="go through this HTTP proxy; by default as HTTPS_PROXY says")
    parser.add_argument("--no-proxy", action="store_true", help="go through no proxy, whatever HTTPS_PROXY says")
    parser.add_argument("--servername", metavar="NAME", help="the name to send and to check, instead of HOST")
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=float, default=_SECONDS, help="for everything; 10 by default"
    )
    parser.add_argument(
        "--crl", metavar="FILE", help="the server's certificate must not be in this revocation list (PEM)"
    )
    parser.add_argument("--save", metavar="FILE", help="write the certificates that the server sent to FILE (PEM)")


def run(arguments: argparse.Namespace) -> int:
    try:
        target = target_of(arguments)
    except ValueError as error:
        terminal.diagnose(str(error))
        return USAGE
    report = check(target, arguments.timeout, arguments.crl)
    if arguments.save and report.chain is not None:
        try:
            _save(arguments.save, report.chain.sent)
        except OSError as error:
            terminal.diagnose(f"{arguments.save}: {error.strerror}")
    return show(report, arguments.json)


def show(report: Report, as_json: bool) -> int:
    """Print `report` and return the exit code that says the same."""
    if as_json:
        terminal.write(sys.stdout, json.dumps(report.as_json(), indent=2) + "\n")
    else:
        report.print_on(terminal.Paper(sys.stdout))
    return {True: YES, False: NO, None: UNKNOWN}[report.trusted]


def check(target: Target, seconds: float, crl: str | None = None) -> Report:
    """What becomes of a connection to `target`, found out within `seconds`.

    It runs in a thread of its own, because the system's resolver and its verifier know no time limit; where they exceed
    it, the thread is left to its fate, and the report says that there was no verdict.
    """
    report = Report(str(target), target.server_name)
    done = threading.Event()
    results: list[Report | BaseException] = []

    def work() -> None:
        try:
            results.append(_check(Report(str(target), target.server_name), target, seconds, crl))
        except BaseException as error:  # raised again below, in the thread of the caller
            results.append(error)
        done.set()

    threading.Thread(target=work, name="truststore check", daemon=True).start()
    if not done.wait(seconds):
        return report.fail("timeout", f"the time limit ({seconds:g} s) came while the system was at work")
    if isinstance(results[0], BaseException):
        raise results[0]
    return results[0]


def _check(report: Report, target: Target, seconds: float, crl: str | None) -> Report:
    for_the_network = max(seconds - _SECONDS_FOR_JUDGING, 0.8 * seconds)
    deadline = time.monotonic() + for_the_network
    try:
        sighting = probe.look(target, ssl.create_default_context(), deadline, for_the_network)
    except ObstacleError as error:
        return report.fail(error.topic, str(error))
    report.saw(sighting, target)
    decider = deciders.this_python()
    if sighting.refusal is not None:
        answer = deciders.Answer.from_refusal(sighting.refusal)
    elif sighting.failure is not None:
        answer = deciders.Answer(None, str(sighting.failure))
    else:
        answer = deciders.Answer(True, "ok")
    return report.judge(sighting.chain, answer, decider, crl)


# ---- the command line -----------------------------------------------------------------------------------------------


def target_of(arguments: argparse.Namespace) -> Target:
    """Where to connect, by the command line and the environment. Raises `ValueError` with what is wrong."""
    host, port = host_and_port(arguments.host)
    if arguments.timeout <= 0:
        raise ValueError("--timeout must be more than 0")
    if port is None:
        port = starttls.DEFAULT_PORTS[arguments.starttls] if arguments.starttls else 443
    proxy = arguments.proxy
    if proxy is None and not arguments.no_proxy and not arguments.starttls:
        proxy = proxy_for(host)
    return probe.Target(host, port, arguments.servername, arguments.starttls, proxy)


def host_and_port(text: str) -> tuple[str, int | None]:
    """`HOST`, `HOST:PORT`, `[IPv6]:PORT`, a bare IPv6 address, or the address of a web page."""
    bare_ipv6 = text.count(":") > 1 and "[" not in text and "/" not in text
    parts = urllib.parse.urlsplit(text if "://" in text else f"//[{text}]" if bare_ipv6 else f"//{text}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{text}: {error}") from None
    if not host or port == 0 or any(character.isspace() for character in host):
        raise ValueError(f"{text}: expected HOST, HOST:PORT or a URL")
    if parts.scheme == "http" and port is None:
        raise ValueError(f"{text}: http:// is not encrypted, there is nothing to verify")
    return host, port


def proxy_for(host: str) -> str | None:
    """The proxy that urllib and its like would use: HTTPS_PROXY, ALL_PROXY and NO_PROXY, or the system's settings."""
    proxies = urllib.request.getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if not proxy or urllib.request.proxy_bypass(host):
        return None
    return proxy


def _save(path: str, chain: Sequence[bytes]) -> None:
    with open(path, "w", encoding="ascii") as file:
        for certificate in chain:
            file.write(pem(certificate))


def pem(certificate: bytes) -> str:
    """`certificate` (DER) as a PEM block (RFC 7468)."""
    text = base64.b64encode(certificate).decode("ascii")
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])
