"""The table that a person reads, and the JSON that a program does."""

from __future__ import annotations

import json
import os
import pathlib
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence

from benchmarks.environments import VARIANTS, Environment
from benchmarks.figures import Budget, Row


def machine() -> dict[str, object]:
    """What it was measured on, and how busy that was."""
    processor = platform.machine()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].partition(":")[2].strip() if names else processor
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "system": _system(),
        "load average": [round(load, 2) for load in os.getloadavg()],
    }


def _system() -> str:
    release = pathlib.Path("/etc/os-release")
    names = release.read_text().splitlines() if release.exists() else []
    pretty = [line.partition("=")[2].strip('"') for line in names if line.startswith("PRETTY_NAME=")]
    return f"{pretty[0] if pretty else platform.system()}, {platform.system()} {platform.release().partition('-')[0]}"


def interpreter(python: str) -> str:
    """`python` in words: its version and its OpenSSL's."""
    code = (
        "import platform, ssl; "
        "print(platform.python_implementation(), platform.python_version(), 'with', *ssl.OPENSSL_VERSION.split()[:2])"
    )
    return subprocess.run([python, "-I", "-S", "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def tables(rows: Sequence[Row]) -> str:
    """A Markdown table for each group of rows."""
    parts = []
    for group in dict.fromkeys(row.group for row in rows):
        of_group = [row for row in rows if row.group == group]
        parts.append(f"### {group}\n\n{_table(of_group)}")
    return "\n\n".join(parts)


def _table(rows: Sequence[Row]) -> str:
    present = dict.fromkeys(variant for row in rows for variant in (*row.samples, *row.failures))
    columns = [variant for variant in VARIANTS if variant in present]
    columns += [variant for variant in present if variant not in columns]
    lines = [["", *columns]]
    lines += [[row.what, *(row.shown(variant) for variant in columns)] for row in rows]
    return _aligned(lines)


def budgets(found: Iterable[Budget]) -> str:
    """A Markdown table of the budgets."""
    words = {True: "yes", False: "NO", None: "?"}
    return _aligned(
        [["budget", "must", "measured", "holds"], *([it.what, it.must, it.measured, words[it.holds]] for it in found)]
    )


def _aligned(lines: list[list[str]]) -> str:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    shown = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    return "\n".join([shown[0], "| " + " | ".join("-" * width for width in widths) + " |", *shown[1:]])


def versions(environments: Mapping[str, Environment]) -> dict[str, dict[str, str]]:
    """What is installed in each environment, of what matters."""
    names = ("truststore-auto", "truststore", "pip-system-certs", "pip", "requests", "httpx", "aiohttp", "certifi")
    return {variant: environment.versions(*names) for variant, environment in environments.items()}


def write_json(path: pathlib.Path, about: Mapping[str, object], rows: Iterable[Row], found: Iterable[Budget]) -> None:
    result = {**about, "rows": [row.as_json() for row in rows], "budgets": [budget.as_json() for budget in found]}
    path.write_text(json.dumps(result, indent=1) + "\n")
