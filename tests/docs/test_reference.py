"""What the documentation says of the source is what the source says.

Parts between `<!-- generated: NAME -->` and `<!-- end -->` are written by this module if TRUSTSTORE_DOCS_REGENERATE is
set, and compared otherwise.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable

import pytest
from harness.pages import DOCS, PROJECT, blocks

from truststore import _errors, _explain
from truststore._backends import macos, openssl, windows
from truststore._errors import Reason

REGENERATE = "TRUSTSTORE_DOCS_REGENERATE"
STARTUP_FILES = ("truststore_autoinject.pth", "truststore_autoinject.start", "truststore_autoinject.py")


def table(heading: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heading = list(heading)
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def codes(values: Iterable[object]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def reasons() -> str:
    rows = []
    for reason in Reason:
        verify_codes = [code for code, known in _errors._REASON_BY_VERIFY_CODE.items() if known is reason]
        mac = [f"{name} {code}" for code, (name, known, _) in macos._VERDICTS.items() if known is reason]
        win = [f"{code:#010x}" for code, known in windows._REASON_BY_HRESULT.items() if known is reason]
        rows.append(
            [
                f"[`{reason.value}`](../how-to/diagnose.md#{reason.value})",
                _explain.TOPICS[reason.value].cause,
                codes(dict.fromkeys([reason.verify_code, *verify_codes])),
                codes(mac),
                codes(win),
            ]
        )
    return table(["word", "cause", "OpenSSL, `verify_code` first", "macOS", "Windows"], rows)


def places() -> str:
    rows = [[place.system, codes(place.bundles), codes(place.directories)] for place in openssl.PLACES]
    return table(["system", "bundles", "directories"], rows)


def sha256(name: str) -> str:
    return hashlib.sha256((PROJECT / name).read_bytes()).hexdigest()


def hashes() -> str:
    return table(["file", "SHA-256"], [[f"`{name}`", f"`{sha256(name)}`"] for name in STARTUP_FILES])


def pth_hash() -> str:
    return f"```text\n{sha256(STARTUP_FILES[0])}  {STARTUP_FILES[0]}\n```\n"


GENERATED: dict[str, tuple[str, Callable[[], str]]] = {
    "reasons": ("reference/reasons.md", reasons),
    "places": ("reference/platforms.md", places),
    "hashes": ("security/startup-line.md", hashes),
    "pth-hash": ("security/scanners.md", pth_hash),
}


@pytest.mark.parametrize("name", GENERATED)
def test_generated_parts_are_current(name: str) -> None:
    path, generate = GENERATED[name]
    page = DOCS / path
    before, begin, rest = page.read_text(encoding="utf-8").partition(f"<!-- generated: {name} -->\n")
    part, end, after = rest.partition("<!-- end -->\n")
    assert begin, f"{path} has no part {name}"
    assert end, f"{path}: the part {name} has no end"
    if os.environ.get(REGENERATE):
        page.write_text(f"{before}{begin}\n{generate()}\n{end}{after}", encoding="utf-8")
    else:
        assert part.strip("\n") == generate().strip("\n"), f"set {REGENERATE}=1 to write it anew"


def test_the_startup_files_are_printed_as_they_are() -> None:
    shown = [block.text for block in blocks(DOCS / "security" / "startup-line.md") if block.language == "text"]
    assert shown == [(PROJECT / name).read_text() for name in STARTUP_FILES[:2]]
    (line,) = [it.text for it in blocks(DOCS / "security" / "scanners.md") if it.text.startswith("import ")]
    assert line == shown[0]


def test_the_startup_line_is_explained_byte_by_byte() -> None:
    page = (DOCS / "security" / "startup-line.md").read_text()
    rows = re.findall(r"^\| (\d+)(?: to (\d+))? \| (`[^`]*`|newline) \|", page, flags=re.MULTILINE)
    explained, position = b"", 0
    for first, last, text in rows:
        piece = b"\n" if text == "newline" else text.strip("`").encode()
        assert (int(first), int(last or first)) == (position, position + len(piece) - 1)
        explained, position = explained + piece, position + len(piece)
    assert explained == (PROJECT / STARTUP_FILES[0]).read_bytes()
    scanners = (DOCS / "security" / "scanners.md").read_text()
    assert f"{len(explained)} bytes" in scanners


def test_every_variable_is_in_the_table_and_in_the_threat_model() -> None:
    read = set()
    for source in (*(PROJECT / "truststore").rglob("*.py"), *PROJECT.glob("*.py")):
        read |= set(re.findall(r"\"(TRUSTSTORE_[A-Z_]+)\"", source.read_text(encoding="utf-8")))
    assert {"TRUSTSTORE_DISABLE", "TRUSTSTORE_STRICT"} <= read
    told = set(re.findall(r"`(TRUSTSTORE_[A-Z_]+)`", (DOCS / "reference" / "environment.md").read_text()))
    assert told == read
    threats = set(re.findall(r"`(TRUSTSTORE_[A-Z_]+)`", (DOCS / "security" / "threat-model.md").read_text()))
    assert threats == read - {"TRUSTSTORE_AUTO_STARTUP_FILE"}


def test_every_topic_has_its_section() -> None:
    page = (DOCS / "how-to" / "diagnose.md").read_text()
    labels = set(re.findall(r"^\(([a-z-]+)\)=$", page, flags=re.MULTILINE))
    assert set(_explain.TOPICS) <= labels


def test_what_is_listed_for_review_is_of_the_size_that_is_told() -> None:
    page = (DOCS / "security" / "scanners.md").read_text()
    found = re.findall(r"^\| `([\w./]+)`(?:, `([\w.]+)`)? \| (?:about )?(\d+) \|", page, flags=re.MULTILINE)
    assert len(found) >= 4
    for first, second, told in found:
        named = [PROJECT / first, *([(PROJECT / first).with_name(second)] if second else [])]
        files = [file for path in named for file in (path.rglob("*.py") if path.is_dir() else [path])]
        lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)
        assert abs(lines - int(told)) <= max(1, int(told)) * 0.2, f"{files}: {lines} lines"
