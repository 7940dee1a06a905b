"""`sitedir`: a directory for PYTHONPATH, for interpreters that come later. See `_startup/truststore_startup.py`."""

from __future__ import annotations

import os
import sys

from truststore import _image
from truststore._cli import NO, UNKNOWN, YES
from truststore._commands import terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

HAS_JSON = False
EXAMPLES = """\
  export PYTHONPATH="$(python3 -m truststore sitedir)${PYTHONPATH:+:$PYTHONPATH}"
  python3 -m truststore sitedir --install /etc/profile.d/truststore-auto.sh
  python3 -m truststore sitedir --status        does PYTHONPATH have it, first?
  python3 -m truststore sitedir --remove /etc/profile.d/truststore-auto.sh
"""

_MARK = "# Written by `python -m truststore sitedir --install`: TLS trust from the system in every Python.\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--install", metavar="PATH", help="write a shell profile that puts the directory on PYTHONPATH")
    what.add_argument("--remove", metavar="PATH", help="remove the profile that --install wrote")
    what.add_argument("--status", action="store_true", help="say whether this process was started with it")


def run(arguments: argparse.Namespace) -> int:
    try:
        if arguments.install:
            return _install(arguments.install)
        if arguments.remove:
            return _remove(arguments.remove)
    except OSError as error:
        terminal.diagnose(f"{error.filename}: {error.strerror}; nothing was changed")
        return UNKNOWN
    if arguments.status:
        return _status()
    terminal.write(sys.stdout, f"{_image.sitedir()}\n")
    return YES


def profile() -> str:
    """A script for `/etc/profile.d`."""
    quoted = "'" + _image.sitedir().replace("'", "'\\''") + "'"
    return f'{_MARK}PYTHONPATH={quoted}"${{PYTHONPATH:+:$PYTHONPATH}}"\nexport PYTHONPATH\n'


def _install(path: str) -> int:
    if os.path.exists(path) and not _is_ours(path):
        terminal.diagnose(f"{path} is not ours; choose another name")
        return UNKNOWN
    with open(path, "w", encoding="utf-8") as file:
        file.write(profile())
    terminal.write(sys.stdout, f"written: {path}\n")
    return YES


def _remove(path: str) -> int:
    if not _is_ours(path):
        terminal.diagnose(f"{path} was not written by --install; nothing was changed")
        return UNKNOWN
    os.unlink(path)
    terminal.write(sys.stdout, f"removed: {path}\n")
    return YES


def _is_ours(path: str) -> bool:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.readline() == _MARK


def _status() -> int:
    """First on PYTHONPATH, or else another `sitecustomize` there hides ours; and not ignored (-E, -I)."""
    ours = os.path.realpath(_image.sitedir())
    entries = [] if sys.flags.ignore_environment else os.environ.get("PYTHONPATH", "").split(os.pathsep)
    found = [entry for entry in entries if os.path.isfile(os.path.join(entry, "sitecustomize.py"))]
    active = bool(found) and os.path.realpath(found[0]) == ours
    paper = terminal.Paper(sys.stdout)
    paper.field("directory", ours)
    if active:
        paper.field("PYTHONPATH", "has it", "good")
    elif ours in map(os.path.realpath, found):
        paper.field("PYTHONPATH", f"has it behind {found[0]}, whose sitecustomize.py hides it", "bad")
    else:
        paper.field("PYTHONPATH", "does not have it", "bad")
    return YES if active else NO
