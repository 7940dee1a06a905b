"""The documentation's pages as text: where they are, and the fenced blocks in them."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import NamedTuple

PROJECT = pathlib.Path(__file__).resolve().parents[2]
DOCS = PROJECT / "docs"


class Block(NamedTuple):
    """A fenced block: its language, its text, the file that its caption names, and its lines (from `start` to `end`)
    and their indentation."""

    language: str
    text: str
    caption: str
    start: int
    end: int
    indent: int = 0


def pages() -> list[pathlib.Path]:
    """The README and every page of the documentation."""
    return [PROJECT / "README.md", *sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)]


def name_of(page: pathlib.Path) -> str:
    """`page` relative to the project."""
    return page.relative_to(PROJECT).as_posix()


def blocks(page: pathlib.Path) -> Iterator[Block]:
    """The fenced blocks of `page`. `{code-block} python` with a `:caption:` is a file that examples may use.

    A comment `% $ COMMAND` is a block, too, of the language `hidden`: what must be done before the next example.
    """
    lines = page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        line = lines[number].strip()
        fence = line[: len(line) - len(line.lstrip("`"))]
        if len(fence) < 3:
            if line.startswith("% $ "):
                yield Block("hidden", line[4:], "", number, number)
            number += 1
            continue
        start = number + 1
        end = next(after for after in range(start, len(lines)) if lines[after].strip() == fence)
        indent = len(lines[number]) - len(lines[number].lstrip())
        body = [text[indent:] for text in lines[start:end]]
        language, caption = line[len(fence) :].strip(), ""
        if language.startswith("{code-block}"):
            language = language.removeprefix("{code-block}").strip()
            while body and (body[0].startswith(":") or not body[0]):
                option = body.pop(0)
                start += 1
                caption = option.removeprefix(":caption:").strip() if option.startswith(":caption:") else caption
        yield Block(language, "\n".join(body) + "\n", caption, start, end, indent)
        number = end + 1
