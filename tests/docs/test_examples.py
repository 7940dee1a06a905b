"""Every example of the documentation runs as it is printed, and prints what the page says.

The examples of a page run one after the other in `harness.example_world`, in one shell:

* `console`: after `$ ` a command, below it what it prints; lines that begin with `> ` continue a command. A line `...`
  in the output stands for any lines. A command without output must succeed.
* `python`: a program that must succeed. With a caption it is a file of that name instead, for commands that follow.
* `dockerfile`: `RUN`, `COPY` and `ENV` are done here; the other instructions say nothing that could go wrong here.
* a comment `% $ COMMAND` prepares the next example without being shown.
* `text`, `json` and directives in braces are not run.

`TRUSTSTORE_DOCS_REGENERATE=1 python -m pytest -m documentation tests/docs` writes what commands print into the pages.
"""

from __future__ import annotations

import os
import pathlib
import re
import shlex
import sys
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from harness import pages
from harness.environments import Environment, download
from harness.example_world import PACKAGES, World, example_world
from harness.pages import Block

pytestmark = [pytest.mark.documentation, pytest.mark.timeout(300)]

REGENERATE = "TRUSTSTORE_DOCS_REGENERATE"
NOT_RUN = ("text", "json", "")
SYSTEM_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"  # some machines have a link to it in OpenSSL's own directory

# Pages whose examples other tests run.
ELSEWHERE = {
    "docs/how-to/recipes.md": "tests/matrix/test_recipes.py",
    "docs/how-to/diagnose.md": "tests/cli",
    "docs/reference/command-line.md": "tests/cli",
    "docs/reference/compatibility.md": "tests of the matrix",
    "docs/explanation/performance.md": "benchmarks",
    "docs/platforms/macos.md": "tests/macos",
    "docs/platforms/windows.md": "tests/windows",
}


class Step(NamedTuple):
    """A command, what the page says that it prints, and the page's lines (from `start` to `end`) that say so."""

    command: str
    expected: str
    start: int
    end: int
    prints: bool  # the page shows output, or none where there is none
    indent: int = 0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, installer: Environment, wheel: pathlib.Path) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("world")
    wheels = directory / "wheels"
    download(installer, wheels, *PACKAGES)
    (wheels / wheel.name).write_bytes(wheel.read_bytes())
    with example_world(directory, wheels) as made:
        yield made


def with_examples() -> list[pathlib.Path]:
    return [page for page in pages.pages() if pages.name_of(page) not in ELSEWHERE and steps_of(page)]


def steps_of(page: pathlib.Path) -> list[Step]:
    steps: list[Step] = []
    for number, block in enumerate(pages.blocks(page)):
        if block.language == "console":
            steps += console_steps(block)
        elif block.language == "hidden":
            steps.append(Step(block.text, "", block.start, block.end, False))
        elif block.caption:
            steps.append(write_file(block.caption, block))
        elif block.language == "python":
            program = f"/tmp/example-{number}.py"
            steps += [write_file(program, block), Step(f"python {program}", "", block.start, block.end, False)]
        elif block.language == "dockerfile":
            steps += dockerfile_steps(block)
        else:
            known = block.language in NOT_RUN or block.language.startswith("{")
            assert known, f"{pages.name_of(page)}:{block.start}: nobody runs {block.language!r}"
    return steps


def write_file(name: str, block: Block) -> Step:
    return Step(f"cat > {name} <<'END-OF-FILE'\n{block.text}END-OF-FILE", "", block.start, block.end, False)


def console_steps(block: Block) -> list[Step]:
    lines = block.text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    steps = []
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        after = start + 1
        while after < end and lines[after].startswith("> "):
            after += 1
        command = "\n".join(line[2:] for line in lines[start:after])
        expected = "".join(line + "\n" for line in lines[after:end])
        steps.append(Step(command, expected, block.start + after, block.start + end, True, block.indent))
    return steps


def dockerfile_steps(block: Block) -> list[Step]:
    steps = []
    for line in block.text.replace("\\\n", " ").splitlines():
        instruction, _, rest = line.strip().partition(" ")
        if instruction == "RUN":
            steps.append(Step(rest, "", block.start, block.end, False))
        elif instruction == "ENV":
            steps.append(Step(f"export {rest}", "", block.start, block.end, False))
        elif instruction == "COPY":
            source, target = shlex.split(rest)
            steps.append(Step(f"cp {source} {target}", "", block.start, block.end, False))
        else:
            assert instruction in ("", "#", "FROM", "CMD", "ENTRYPOINT", "WORKDIR", "USER"), line
    return steps


# What differs from machine to machine, from version to version or from run to run, and what stands for it.
VARYING = (
    (r"\b_ssl\.c:\d+", "_ssl.c:1000"),
    (r"\b3\.\d+\.\d+(rc\d)?\b", "3.13.0"),
    (r"python3\.\d+", "python3.13"),
    (r"/usr/lib/python3", "/usr/local/lib/python3"),
    (r"OpenSSL \d\S* \d+ \w+ \d{4}", "OpenSSL 3.0.19 27 Jan 2026"),
    (r"\b20\d\d-\d\d-\d\d([ T]\d\d:\d\d:\d\d( UTC|\+00:00)?)?", "2026-11-23"),
    (r"\b\d{2,} (roots|certificates)\b", r"145 \1"),
    (r"^(  roots +)\d+", r"\g<1>145"),
    (r"id=0x[0-9a-f]+|\b0x[0-9a-f]{6,}", "0x1"),
)


def without_machine(output: str) -> str:
    """`output` without the places of this machine's Python, which a page must not show."""
    if sys.base_prefix != "/usr":
        output = output.replace(sys.base_prefix, "/usr/local")
    return output.replace("/usr/lib/ssl/cert.pem and ", "").replace("/usr/lib/ssl/cert.pem", SYSTEM_BUNDLE)


def settled(output: str) -> str:
    output = without_machine(output)
    for pattern, stand_in in VARYING:
        output = re.sub(pattern, stand_in, output, flags=re.MULTILINE)
    return output


def matches(expected: str, output: str) -> bool:
    """Whether `output` is what the page shows; a line `...` stands for any lines."""
    pieces = [re.escape(piece) for piece in re.split(r"^\.\.\.\n", settled(expected), flags=re.MULTILINE)]
    return re.fullmatch("(?:.*\n)*".join(pieces), settled(output)) is not None


@pytest.mark.parametrize("page", with_examples(), ids=pages.name_of)
def test_the_examples_of_a_page_do_what_it_says(page: pathlib.Path, world: World) -> None:
    steps = steps_of(page)
    outcomes = world.run([step.command for step in steps])
    if os.environ.get(REGENERATE):
        regenerate(page, steps, [output for output, _ in outcomes])
        return
    for step, (output, status) in zip(steps, outcomes, strict=True):
        place = f"{pages.name_of(page)}:{step.start}: {step.command}"
        if not (step.prints and step.expected):
            assert status == 0, f"{place}\nexited with {status} and printed:\n{output}"
        if step.prints:
            assert matches(step.expected, output), f"{place}\nprinted:\n{output}\ninstead of:\n{step.expected}"


def regenerate(page: pathlib.Path, steps: list[Step], outputs: list[str]) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    for step, output in reversed(list(zip(steps, outputs, strict=True))):
        if step.prints and not matches(step.expected, output):
            lines[step.start : step.end] = [
                " " * step.indent + line if line else "" for line in without_machine(output).splitlines()
            ]
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_an_example_that_prints_something_else_is_noticed() -> None:
    assert matches("a\n...\nd\n", "a\nb\nc\nd\n")
    assert not matches("a\n", "b\n")
    assert not matches("", "Traceback\n")
    assert not matches("a\n...\nd\n", "a\nb\n")


def test_every_page_whose_examples_run_elsewhere_is_named_once() -> None:
    names = [pages.name_of(page) for page in pages.pages()]
    assert len(names) == len(set(names))
    assert not {pages.name_of(page) for page in with_examples()} & set(ELSEWHERE)
