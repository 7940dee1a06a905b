"""`image`: equip a base interpreter, and with it every environment made from it. See `_image`."""

from __future__ import annotations

import sys

from truststore._cli import NO, UNKNOWN, YES
from truststore._commands import terminal
from truststore._image import Image, ImageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

HAS_JSON = False
EXAMPLES = """\
  python3 -m truststore image                   is the hook in every environment made from this Python?
  python3 -m truststore image --install         put it there (a Dockerfile's RUN)
  python3 -m truststore image --print           what would be written, and where
  python3 -m truststore image --remove
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    for name, purpose in (
        ("status", "say whether the block is there and works (the default)"),
        ("install", "put the block into the base interpreter's sitecustomize.py, or renew it"),
        ("remove", "take it out"),
        ("print", "write it to stdout, and change nothing"),
    ):
        what.add_argument(f"--{name}", dest="what", action="store_const", const=name, help=purpose)


def run(arguments: argparse.Namespace) -> int:
    image = Image()
    try:
        return {"install": _install, "remove": _remove, "print": _print}.get(arguments.what, _status)(image)
    except ImageError as error:
        terminal.diagnose(str(error))
        return UNKNOWN


def _install(image: Image) -> int:
    image.install()
    return _status(image)


def _remove(image: Image) -> int:
    image.remove()
    terminal.write(sys.stdout, f"removed from {image.file}\n")
    return YES


def _print(image: Image) -> int:
    terminal.write(sys.stdout, f"# for {image.file}\n" + image.wanted_block().decode("ascii"))
    return YES


def _status(image: Image) -> int:
    paper = terminal.Paper(sys.stdout)
    installed = image.installed()
    works = installed and image.works()
    paper.field("file", image.file)
    if works:
        paper.field("hook", "installed; it works with the standard library alone", "good")
    elif installed:
        paper.field("hook", "installed, but a Python that starts does not come up with it", "bad")
    elif image.outdated():
        paper.field("hook", "installed for another place; --install renews it", "bad")
    else:
        paper.field("hook", "not installed", "bad")
    paper.field("covers", f"{image.executable} and every environment made from it, also under -I and -E")
    paper.note("not: -S, pip's build isolation, frozen programs, other interpreters")
    for other in image.others():
        paper.field("not covered", other)
    return YES if works else NO
