"""What the documentation says of the source is what the source says.

Parts between `<!-- generated: NAME -->` and `<!-- end -->` are written by this module if TRUSTSTORE_DOCS_REGENERATE is
set, and compared otherwise.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable
from unittest import mock

import pytest
from harness.pages import DOCS, PROJECT, blocks

from truststore import _errors, _explain, _image
from truststore._backends import macos, openssl, windows
from truststore._commands import status
from truststore._errors import Reason
from truststore._ffi import corefoundation, crypt32, security

REGENERATE = "TRUSTSTORE_DOCS_REGENERATE"
STARTUP_FILES = ("truststore_autoinject.pth", "truststore_autoinject.start", "truststore_autoinject.py")
OTHER_STARTS = ("truststore/_startup/truststore_startup.py", "truststore/_startup/sitedir/sitecustomize.py")
IMAGE_STDLIB = "/usr/local/lib/python3.13"  # of an image that the block is shown for


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
    return table(["file", "SHA-256"], [[f"`{name}`", f"`{sha256(name)}`"] for name in (*STARTUP_FILES, *OTHER_STARTS)])


def image_block(chain: bool = True) -> str:
    with mock.patch.object(_image, "package_directory", return_value=f"{IMAGE_STDLIB}/site-packages"):
        return _image.Image(IMAGE_STDLIB, "python3").block(chain=chain).decode("ascii")


def block() -> str:
    return f"```text\n{image_block()}```\n"


def block_hashes() -> str:
    rows = []
    for words, chain in (("was none before: as shown above", True), ("was one before: without `run_shadowed`", False)):
        digest = hashlib.sha256(image_block(chain).encode("ascii")).hexdigest()
        rows.append([f"below `{IMAGE_STDLIB}`, where there {words}", f"`{digest}`"])
    return table(["block, from its first to its last `#` line", "SHA-256"], rows)


def native_functions() -> str:
    """What each library is called for, by the tables that the bindings are made from."""
    libraries = {
        "CoreFoundation": [row.name for row in corefoundation.SIGNATURES],
        "Security": [row.name for row in security.SIGNATURES],
    }
    for library, name, _, _ in crypt32.PROTOTYPES:
        libraries.setdefault(library, []).append(name)
    return table(["library", "functions"], [[f"`{name}`", codes(sorted(it))] for name, it in libraries.items()])


def pth_hash() -> str:
    return "```text\n" + "".join(f"{sha256(name)}  {name}\n" for name in STARTUP_FILES[:2]) + "```\n"


GENERATED: dict[str, tuple[str, Callable[[], str]]] = {
    "reasons": ("reference/reasons.md", reasons),
    "places": ("reference/platforms.md", places),
    "hashes": ("security/startup-line.md", hashes),
    "block": ("security/startup-line.md", block),
    "block-hashes": ("security/startup-line.md", block_hashes),
    "native-functions": ("security/threat-model.md", native_functions),
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
    assert shown == [*((PROJECT / name).read_text() for name in STARTUP_FILES[:2]), image_block()]
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


def test_every_variable_that_is_read_is_told() -> None:
    """Also those of others, and those of the command line alone."""
    read = {name for name, _ in status._EFFECTS}
    for source in (PROJECT / "truststore").rglob("*.py"):
        for line in source.read_text(encoding="utf-8").splitlines():
            read |= set(re.findall(r"\"([A-Z][A-Z0-9_]{3,})\"", line)) if "environ" in line else set()
    assert {"HOMEBREW_PREFIX", "NO_COLOR", "PATH", "PYTHONPATH", "SSL_CERT_DIR"} <= read
    told = set(re.findall(r"`([A-Z0-9_]{4,})`", (DOCS / "reference" / "environment.md").read_text()))
    assert read - told == set()


def test_every_topic_has_its_section() -> None:
    page = (DOCS / "how-to" / "diagnose.md").read_text()
    labels = set(re.findall(r"^\(([a-z-]+)\)=$", page, flags=re.MULTILINE))
    assert set(_explain.TOPICS) <= labels


def test_what_is_listed_for_review_is_of_the_size_that_is_told() -> None:
    page = (DOCS / "security" / "scanners.md").read_text()
    found = re.findall(r"^\| ((?:`[\w./]+`(?:, )?)+) \| (?:about )?(\d+) \|", page, flags=re.MULTILINE)
    assert len(found) >= 9
    for names, told in found:
        first, *others = re.findall("`(.+?)`", names)
        named = [PROJECT / first, *((PROJECT / first).with_name(other) for other in others)]
        files = [file for path in named for file in (path.rglob("*.py") if path.is_dir() else [path])]
        lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)
        assert abs(lines - int(told)) <= max(1, int(told)) * 0.2, f"{files}: {lines} lines"
