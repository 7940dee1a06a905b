"""Links lead somewhere: inside the project to files and headings that exist, outside only to hosts known here."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator

import pytest
from harness.pages import DOCS, PROJECT, name_of, pages

# Outside hosts that a page may link to. No package registry's: where packages come from is the reader's configuration.
KNOWN_HOSTS = {"semver.org", "peps.python.org", "docs.python.org"}

_FENCE = re.compile(r"^( *)(`{3,}).*?^\1\2 *$", flags=re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.*)$", flags=re.MULTILINE)
_LABEL = re.compile(r"^\(([\w-]+)\)=$", flags=re.MULTILINE)


def prose(page: pathlib.Path) -> str:
    """The text of `page` without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: pathlib.Path) -> Iterator[str]:
    """The targets of `page`'s links, without those that are shown as code."""
    for match in _LINK.finditer(_CODE.sub(lambda code: "x" * len(code[0]), prose(page))):
        yield match[1]


def anchors(page: pathlib.Path) -> set[str]:
    """What may follow `#` in a link to `page`: its headings as GitHub and MyST name them, and its labels."""
    text = prose(page)
    return {slug(title) for title in _HEADING.findall(text)} | set(_LABEL.findall(text))


def slug(title: str) -> str:
    """The anchor of a heading: lower case, without punctuation, spaces as hyphens."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def problem(page: pathlib.Path, target: str) -> str | None:
    """What is wrong with the link `target` on `page`."""
    parts = urllib.parse.urlsplit(target)
    if parts.scheme:
        known = parts.scheme == "https" and parts.hostname in KNOWN_HOSTS
        return None if known else f"{target}: not a known host"
    file = (page.parent / parts.path).resolve() if parts.path else page
    if not file.is_file() or not file.is_relative_to(PROJECT):
        return f"{target}: no such file"
    if page.is_relative_to(DOCS) and not file.is_relative_to(DOCS):
        return f"{target}: not in the site"
    if parts.fragment and parts.fragment not in anchors(file):
        return f"{target}: no such heading; there are {sorted(anchors(file))}"
    return None


@pytest.mark.parametrize("page", [*pages(), PROJECT / "CHANGELOG.md"], ids=name_of)
def test_every_link_leads_somewhere(page: pathlib.Path) -> None:
    assert [found for target in links(page) if (found := problem(page, target))] == []


def test_a_dead_link_is_noticed(tmp_path: pathlib.Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One two\n\n[a](page.md) [b](#one-two) [c](gone.md) `[d](code.md)`\n\n```text\n[e](e.md)\n```\n")
    assert list(links(page)) == ["page.md", "#one-two", "gone.md"]
    assert anchors(page) == {"one-two"}
    index = DOCS / "index.md"
    assert problem(index, "gone.md") == "gone.md: no such file"
    assert problem(index, "index.md#gone") is not None
    assert problem(index, "../README.md") is not None
    assert problem(index, "https://example.com/") is not None
    assert problem(index, "index.md") is None


@pytest.mark.parametrize("page", [*pages(), PROJECT / "CHANGELOG.md"], ids=name_of)
def test_no_page_names_other_hosts_or_places_of_a_machine(page: pathlib.Path) -> None:
    text = page.read_text(encoding="utf-8")
    hosts = {urllib.parse.urlsplit(url).hostname or "" for url in re.findall(r"https?://[^\s/)'\"`]+", text)}
    assert {host for host in hosts - KNOWN_HOSTS if not re.fullmatch(r"(.*\.)?example\.(com|net|org)", host)} <= {
        "localhost", "user", "proxy", "", "127.0.0.1"
    }  # fmt: skip
    assert not re.search(r"/root/|/tmp/(?!example)|\.pyenv", text)


def test_every_page_can_be_reached_from_the_first() -> None:
    reached, waiting = set(), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        for block in re.findall(r"^```\{toctree\}\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL):
            for entry in [line.strip() for line in block.splitlines() if line.strip() and not line.startswith(":")]:
                found = sorted(page.parent.glob(entry + ".md"))
                assert found, f"{name_of(page)}: nothing is {entry}"
                waiting += [path.resolve() for path in found]
    assert {page for page in pages() if page.is_relative_to(DOCS)} - reached == set()


def test_the_readme_stays_one_screen() -> None:
    assert len((PROJECT / "README.md").read_text().splitlines()) <= 80


def test_the_diagrams_are_those_of_their_sources() -> None:
    done = subprocess.run(
        [sys.executable, DOCS / "diagrams" / "draw.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
