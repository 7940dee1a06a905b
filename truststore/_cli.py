"""`python -m truststore`: one module of `_commands` per command; this one parses, dispatches and ends.

The answer goes to stdout, everything else to stderr. The exit code is the answer, too: see `EXIT_CODES`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback

from truststore._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType
    from typing import Protocol

    class Command(Protocol):
        """What a module of `_commands` offers."""

        EXAMPLES: str
        HAS_JSON: bool

        def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

        def run(self, arguments: argparse.Namespace) -> int: ...


YES, NO, USAGE, UNKNOWN = 0, 1, 2, 3

EXIT_CODES = """\
exit codes:
  0  trusted, active, written
  1  not trusted, not active
  2  the command line is wrong
  3  could not find out"""

# (command, its module in `_commands`, what it is for)
_COMMANDS = (
    ("status", "status", "whether the hook is active, which store decides, and what changes that"),
    ("check", "check", "connect to a host and say whether it is trusted, and why not"),
    ("explain", "explain", "the same for a chain in a file"),
    ("export", "export", "write the roots that the system trusts for servers"),
    ("env", "environment", "variables that point other TLS libraries at the system store"),
    ("image", "image", "equip the base interpreter, and with it every environment made from it"),
    ("sitedir", "sitedir", "a directory for PYTHONPATH, for interpreters that come later"),
)

_EXAMPLES = """\
examples:
  python -m truststore                          is it active here?
  python -m truststore check example.com        would a program here trust this host?
  python -m truststore explain chain.pem        ... and this chain?
  python -m truststore export -o roots.pem      the system's roots, for tools that want a file
  eval "$(python -m truststore env)"            point curl, git, node, ... at the system's roots
"""


class _Parser(argparse.ArgumentParser):
    """An `ArgumentParser` whose help begins with examples."""

    examples = ""

    def format_help(self) -> str:
        return f"{self.examples}\n{super().format_help()}\n{EXIT_CODES}\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (without the program's name; `sys.argv` by default) and return the exit code."""
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as end:  # argparse's way to say: wrong (2), or help was given (0)
        return end.code if isinstance(end.code, int) else USAGE
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return UNKNOWN
    except BrokenPipeError:  # whoever read our answer has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNKNOWN
    except Exception:  # a fault of ours is no verdict: 1 would say "not trusted"
        traceback.print_exc()
        return UNKNOWN


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m truststore", description="TLS trust in this Python: show, check, explain, export.")
    parser.examples = _EXAMPLES
    parser.add_argument("--version", action="version", version=f"truststore-auto {__version__}")
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    parser.set_defaults(run=_status)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, module_name, purpose in _COMMANDS:
        command = importlib.import_module(f"truststore._commands.{module_name}")
        subparser = commands.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
        subparser.examples = f"examples:\n{command.EXAMPLES}"
        if command.HAS_JSON:  # SUPPRESS: the option may stand before the command, too
            subparser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="answer in JSON")
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def _status(arguments: argparse.Namespace) -> int:
    """The command that runs if none is named."""
    module: ModuleType = importlib.import_module("truststore._commands.status")
    code: int = module.run(arguments)
    return code
