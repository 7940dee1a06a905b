"""Writing for people: colours on terminals only, and nothing from a certificate that could steer one."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap

from truststore._explain import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

_WIDTH = 110  # columns, where there is no terminal
_CODES = {"good": "32", "bad": "31", "warn": "33", "strong": "1", "faint": "2"}


class Paper:
    """Lines of text for `stream`. Everything that is written is made printable first; styles are added after that."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._coloured = wants_colours(stream)
        self._width = shutil.get_terminal_size().columns if stream.isatty() else _WIDTH

    def styled(self, text: str, style: str) -> str:
        """`text` in a style: `good`, `bad`, `warn`, `strong` or `faint`."""
        text = printable(text)
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self._coloured else text

    def line(self, *parts: str) -> None:
        """A line of parts that are `styled` or plain; plain ones must come from us, not from a peer."""
        write(self._stream, " ".join(parts) + "\n")

    def heading(self, text: str) -> None:
        self.line()
        self.line(self.styled(text, "strong"))

    def field(self, label: str, text: str, style: str | None = None, indent: int = 2, width: int = 12) -> None:
        """`label` and `text` in two columns; a long text goes on below."""
        margin = f"{' ' * indent}{label:<{width}} "
        room = max(self._width - len(margin), 40)
        for line in textwrap.wrap(printable(text), room, break_long_words=False, break_on_hyphens=False) or [""]:
            self.line(f"{margin}{self.styled(line, style) if style else line}".rstrip())
            margin = " " * len(margin)

    def note(self, text: str) -> None:
        """More about the field above."""
        self.field("", text)


def wants_colours(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that shows colours, and nobody said NO_COLOR (no-color.org)."""
    if os.environ.get("NO_COLOR") or not stream.isatty():
        return False
    # A Windows console names no TERM; those that understand the codes set one of the others.
    return os.environ.get("TERM", "dumb") != "dumb" or any(name in os.environ for name in ("WT_SESSION", "ANSICON"))


def write(stream: TextIO, text: str) -> None:
    """Write `text`, with escapes for what the stream's encoding lacks (a C locale, a code page)."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def diagnose(text: str) -> None:
    """A line on stderr: never part of the answer."""
    if sys.stderr is not None:
        write(sys.stderr, f"truststore: {printable(text)}\n")
