"""Draws the diagrams: `python docs/diagrams/draw.py` writes an SVG beside each `.dot` file, with Graphviz's `dot`.

`--check` needs no Graphviz: it fails if an SVG was not drawn from its source as it is now, or was changed by hand.
"""

from __future__ import annotations

import hashlib
import pathlib
import re
import subprocess
import sys

DIRECTORY = pathlib.Path(__file__).parent


def digest(text: str) -> str:
    """The SHA-256 of `text`, as the SVG's last line has it."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def signature(source: str, drawing: str) -> str:
    """The last line of a drawing."""
    return f"<!-- source {digest(source)} drawing {digest(drawing)} -->\n"


def draw(source: pathlib.Path) -> None:
    """Write the SVG of `source`."""
    done = subprocess.run(["dot", "-Tsvg", str(source)], capture_output=True, text=True, check=True)  # noqa: S603, S607
    # Without the XML prologue and the comments, which name the program's version.
    drawing = re.sub(r"<!--.*?-->\n?", "", done.stdout[done.stdout.index("<svg") :], flags=re.DOTALL)
    text = source.read_text(encoding="utf-8")
    source.with_suffix(".svg").write_text(drawing + signature(text, drawing), encoding="utf-8")


def is_current(source: pathlib.Path) -> bool:
    """Whether the SVG of `source` was drawn from it, and is as it was drawn."""
    drawn = source.with_suffix(".svg")
    if not drawn.exists():
        return False
    drawing, newline, last = drawn.read_text(encoding="utf-8").rstrip("\n").rpartition("\n")
    return last + "\n" == signature(source.read_text(encoding="utf-8"), drawing + newline)


def main() -> int:
    sources = sorted(DIRECTORY.glob("*.dot"))
    if sys.argv[1:] == ["--check"]:
        stale = [source.name for source in sources if not is_current(source)]
        print(f"diagrams: {len(sources) - len(stale)} current", *(f"stale: {name}" for name in stale))
        return 1 if stale or not sources else 0
    for source in sources:
        draw(source)
    return 0


if __name__ == "__main__":
    sys.exit(main())
