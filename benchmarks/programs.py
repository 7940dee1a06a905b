"""End to end: what a person waits for. Whole programs, and requests inside a running one."""

from __future__ import annotations

import pathlib
import shutil
import zipfile
from collections.abc import Mapping

from benchmarks.environments import Environment
from benchmarks.figures import Budget, Row, ratio_budget
from benchmarks.layouts import Layout
from benchmarks.processes import compare, compare_programs, workers
from benchmarks.sizes import Sizes
from benchmarks.startup import instructions

PACKAGE = "benchmark-package"
_URLLIB = "import urllib.request, sys; urllib.request.urlopen(sys.argv[1]).read()"
_REQUESTS = "import requests, sys; requests.get(sys.argv[1]).raise_for_status()"
_HTTPX = "import httpx, sys; httpx.get(sys.argv[1]).raise_for_status()"
_AIOHTTP = """
import aiohttp, asyncio, sys
async def main():
    async with aiohttp.ClientSession() as session, session.get(sys.argv[1]) as response:
        response.raise_for_status()
        await response.read()
asyncio.run(main())
"""


def make_wheel(folder: pathlib.Path) -> None:
    """A wheel for `pip download`, in `folder`, which the server publishes."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = PACKAGE.replace("-", "_")
    with zipfile.ZipFile(folder / f"{stem}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{stem}.py", "")
        info = f"{stem}-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def let_certifi_trust(environment: Environment, roots: list[pathlib.Path]) -> None:
    """Add `roots` to certifi in `environment`: without a hook, requests and httpx trust nothing else."""
    bundle = environment.site_packages / "certifi" / "cacert.pem"
    pristine = bundle.with_name("cacert.pem.pristine")
    if not pristine.exists():
        shutil.copy(bundle, pristine)
    bundle.write_text(pristine.read_text() + "".join(root.read_text() for root in roots))


def measure(
    environments: Mapping[str, Environment], layout: Layout, port: int, scratch: pathlib.Path, sizes: Sizes, group: str
) -> tuple[list[Row], list[Budget]]:
    rounds = sizes.rounds
    base = f"https://localhost:{port}"
    scripts = {
        "a script that makes one urllib request": _URLLIB,
        "a script that makes one `requests.get`": _REQUESTS,
        "a script that makes one `httpx.get`": _HTTPX,
        "a script that makes one aiohttp request": _AIOHTTP,
    }
    rows = [
        compare_programs(environments, layout, rounds, group, name, ["-c", code, f"{base}/hello"])
        for name, code in scripts.items()
    ]
    counted = []
    if sizes.counted_scripts:
        working = {
            name: [it for it in environments if it in row.samples] for name, row in zip(scripts, rows, strict=True)
        }
        counted = [
            Row(
                group,
                f"{name}, instructions",
                "instructions",
                {it: _count(environments[it], layout, code, base) for it in working[name]},
            )
            for name, code in scripts.items()
        ]
    pip = ["-m", "pip", "--isolated", "--disable-pip-version-check", "download", "--no-cache-dir", "--no-deps", "-q"]
    pip += ["--dest", str(scratch), "--find-links", f"{base}/files/", "--no-index", PACKAGE]
    rows.append(compare_programs(environments, layout, max(rounds // 2, 1), group, "`pip download` of one wheel", pip))
    shutil.rmtree(scratch, ignore_errors=True)
    with workers(environments, layout) as asked:
        inside = [
            compare(group, f"`{client}.get` in a running program", asked, rounds, f"{client}_get", "wall", **parameters)
            for client, parameters in (
                ("requests", {"url": f"{base}/hello", "count": 3}),
                ("httpx", {"url": f"{base}/hello", "count": 3}),
            )
        ]
    promised = [*inside, rows[1], rows[2], *counted[1:3]]
    return [*rows, *counted, *inside], [ratio_budget(row, row.what, at_most=1.0) for row in promised]


def _count(environment: Environment, layout: Layout, code: str, base: str) -> list[float]:
    found = instructions(environment.python, "-c", code, f"{base}/hello", layout=layout)
    return [] if found is None else [found]
