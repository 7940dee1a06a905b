"""`explain FILE`: what `check` says, for a chain in a file. Nothing is sent anywhere."""

from __future__ import annotations

import ssl

from truststore import _oracle
from truststore._cli import UNKNOWN
from truststore._commands import deciders, terminal
from truststore._commands.check import show
from truststore._commands.report import Report, chain_in
from truststore._x509 import BadEncodingError, Certificate

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from truststore._commands.deciders import Answer, Decider

HAS_JSON = True
EXAMPLES = """\
  python -m truststore explain chain.pem
  python -m truststore explain chain.pem --name example.com
  python -m truststore check example.com --save chain.pem
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="certificates, PEM or DER, the server's own first; - is stdin")
    parser.add_argument("--name", metavar="NAME", help="the host name or address to check; without it none is checked")
    parser.add_argument("--crl", metavar="FILE", help="the first certificate must not be in this revocation list (PEM)")


def run(arguments: argparse.Namespace) -> int:
    try:
        sent = chain_in(arguments.file)
    except OSError as error:
        terminal.diagnose(f"{arguments.file}: {error.strerror}")
        return UNKNOWN
    if not sent:
        terminal.diagnose(f"{arguments.file}: holds no certificate")
        return UNKNOWN
    report = Report(arguments.file, arguments.name)
    ordered = leaf_first(sent)
    if ordered != sent:
        report.remarks.append("the first certificate of the file is not the leaf: judged with the leaf first")
    decider = deciders.this_python()
    report.judge(ordered, _judge(decider, ordered, arguments.name), decider, arguments.crl)
    return show(report, arguments.json)


def _judge(decider: Decider, chain: Sequence[bytes], server_name: str | None) -> Answer:
    """What a program's own context says; where the system verifies, what the system says."""
    if decider.verifier is not None:
        return decider.judge(chain, server_name)
    context = ssl.create_default_context()
    context.check_hostname = server_name is not None
    return deciders.Answer.from_verdict(_oracle.judge_in(context, chain, server_name))


def leaf_first(sent: Sequence[bytes]) -> list[bytes]:
    """`sent`, beginning with the one certificate that issued none of the others, if the first one did."""
    try:
        certificates = [Certificate(der) for der in sent]
    except BadEncodingError:
        return list(sent)
    leaves = [
        one
        for one in certificates
        if not any(other.der != one.der and other.names_issuer(one) for other in certificates)
    ]
    if len(leaves) != 1 or leaves[0] is certificates[0]:
        return list(sent)
    return [leaves[0].der, *(one.der for one in certificates if one is not leaves[0])]
