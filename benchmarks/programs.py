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
_SCRIPTS = {"urllib": _URLLIB, "requests": _REQUESTS, "httpx": _HTTPX, "aiohttp": _AIOHTTP}
_PROMISED = ("requests", "httpx")  # of which the budgets say that they are faster with us


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
    base = f"https://localhost:{port}"
    rows: list[Row] = []
    promised: list[Row] = []
    for client, code in _SCRIPTS.items():
        what = f"a script that makes one {client} request"
        found = [*compare_programs(environments, layout, sizes.rounds, group, what, ["-c", code, f"{base}/hello"])]
        if sizes.counted_scripts:
            working = {variant: it for variant, it in environments.items() if variant in found[0].samples}
            found.append(_counted(working, layout, group, what, code, base))
        rows += found
        promised += found if client in _PROMISED else []
    pip = ["-m", "pip", "--isolated", "--disable-pip-version-check", "download", "--no-cache-dir", "--no-deps", "-q"]
    pip += ["--dest", str(scratch), "--find-links", f"{base}/files/", "--no-index", PACKAGE]
    rows += compare_programs(environments, layout, max(sizes.rounds // 2, 1), group, "`pip download` of one wheel", pip)
    shutil.rmtree(scratch, ignore_errors=True)
    with workers(environments, layout) as asked:
        for client in _PROMISED:
            for clock in ("wall", "cpu"):
                what = f"`{client}.get` in a running program" + ", processor time" * (clock == "cpu")
                task, url = f"{client}_get", f"{base}/hello"
                found = [compare(group, what, asked, sizes.rounds, task, clock, url=url, count=3)]
                rows += found
                promised += found
    return rows, [ratio_budget(row, row.what, at_most=1.0) for row in promised]


def _counted(
    environments: Mapping[str, Environment], layout: Layout, group: str, what: str, code: str, base: str
) -> Row:
    samples = {}
    for variant, environment in environments.items():
        count = instructions(environment.python, "-c", code, f"{base}/hello", layout=layout)
        samples[variant] = [] if count is None else [count]
    return Row(group, f"{what}, instructions", "instructions", samples)
