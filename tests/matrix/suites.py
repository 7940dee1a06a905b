"""Runs other projects' own tests of TLS with the hook and without, and writes docs/reference/suites.md of it.

    python tests/matrix/suites.py [--python PYTHON] [--record FILE] [--page FILE] [--work DIRECTORY] [NAME ...]

Each suite of `SUITES`, or those that are named, comes from the project's source distribution, or from the installed
package where that ships its tests. It runs three times, one after the other, in environments that differ in nothing
else: without truststore-auto, with it, and with it and TRUSTSTORE_DISABLE=1. The same tests must pass each time; the
exit status is 1 where they do not. Many of these tests have time limits of their own; so those that differ, and no
others, are run once more by themselves on all sides, and counted as they go then. The page names them.

Not a part of CI, nor of `run_full`: all of it takes about an hour on two cores. It needs the package registry and this
Python with what the `test` extra names, and no root. The record keeps suites that are not run again.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness.environments import PROJECT, Environment, bare_environment, build, create

_MACHINE = dict(os.environ)  # configures the way to the registry
_TIMEOUT = 3600  # seconds for one run of one suite


class Suite(NamedTuple):
    """One project's tests. `tests` are paths in its source distribution, or modules of what is installed."""

    requirement: str  # name and version
    tests: tuple[str, ...]
    needs: str = ""  # what the tests import besides, separated by spaces
    options: tuple[str, ...] = ()  # of pytest
    left_out: tuple[tuple[str, str], ...] = ()  # (a test as pytest's --deselect takes it, the reason)
    installed: bool = False  # the tests come with the installed package
    binary: bool = True  # what it needs is installed from wheels only

    @property
    def name(self) -> str:
        return self.requirement.partition("==")[0]


SUITES = (
    Suite(
        "truststore==0.10.5",
        ("tests/test_api.py", "tests/test_inject.py", "tests/test_threading.py"),
        "aiohttp flaky httpx pyopenssl pytest-asyncio pytest-httpserver requests trustme urllib3",
        ("-m", "not internet"),
        (
            (
                "tests/test_inject.py::test_inject_and_extract",
                "asserts that nothing is injected before it injects, and looks at `_ctx`, an inner context",
            ),
            (
                "tests/test_threading.py::test_wrap_bio_configures_context_under_lock",
                "looks at `_ctx_lock` and a function of the private module `_api`",
            ),
            (
                "tests/test_threading.py::test_threading_wrap_bio",
                "takes minutes with the public package, which loads the store 1,600 times there",
            ),
            (
                "tests/test_api.py::test_wrap_socket_server_hostname_validation",
                "gives a mock for a socket, of which the standard library says first that it is no stream socket",
            ),
        ),
    ),
    Suite(
        "urllib3==2.8.0",
        (
            "test/test_ssl.py",
            "test/test_ssltransport.py",
            "test/contrib/test_pyopenssl.py",
            "test/with_dummyserver/test_https.py",
            "test/with_dummyserver/test_socketlevel.py",
            "test/with_dummyserver/test_proxy_poolmanager.py",
        ),
        "anyio[trio] cryptography h2 httpx hypercorn idna pyopenssl pysocks pytest-socket quart quart-trio trustme",
        left_out=tuple(
            (
                f"test/with_dummyserver/test_proxy_poolmanager.py::TestHTTPProxyManager::{test}",
                "passes in one run and fails in the next, without us, too",
            )
            for test in (
                "test_forwarding_proxy_connect_timeout",
                "test_proxy_https_target_tls_error",
                "test_tunneling_proxy_connect_timeout",
            )
        ),
    ),
    Suite(
        "requests==2.34.2",
        ("tests/test_requests.py", "tests/test_lowlevel.py", "tests/test_adapters.py"),
        "httpbin~=0.10.0 pysocks pytest-httpbin==2.1.0 pytest-mock trustme",
        ("-k", "cert or https or pool or proxy or ssl or tls or verify"),
    ),
    Suite(
        "httpx==0.28.1",
        ("tests/test_config.py", "tests/test_api.py", "tests/test_timeouts.py", "tests/client"),
        "brotli chardet click cryptography h2 pygments rich<14 socksio trio trio-typing trustme uvicorn zstandard",
    ),
    Suite(
        "httpcore==1.0.9",
        tuple(f"tests/_{kind}/test_{name}.py" for kind in ("async", "sync") for name in ("integration", "http_proxy")),
        "anyio h2 httpbin pytest-httpbin pytest-trio socksio trio trustme",
    ),
    Suite(
        "aiohttp==3.14.5",
        ("tests/test_connector.py", "tests/test_client_functional.py", "tests/test_proxy_functional.py"),
        "aiodns backports.zstd blockbuster brotli coverage freezegun gunicorn isal mypy proxy.py pytest-cov pytest-mock"
        " pytest-xdist pytest_codspeed python-on-whales re-assert setuptools-git trustme uvloop zlib_ng",
        ("-k", "cert or https or secure or ssl or tls"),
        binary=False,
    ),
    Suite(
        "trio==0.35.0",
        ("trio._tests.test_ssl", "trio._tests.test_highlevel_ssl_helpers"),
        "pyopenssl trustme",
        ("-p", "trio._tests.pytest_plugin"),
        installed=True,
    ),
    Suite(
        "anyio==4.16.0",
        ("tests/streams/test_tls.py",),
        "blockbuster hypothesis psutil pytest-mock trio trustme truststore uvloop",
        ("-p", "no:asyncio"),
        binary=False,
    ),
    Suite(
        "uvloop==0.23.0",
        ("tests/test_tcp.py",),
        "aiohttp psutil pyopenssl",
        ("--import-mode", "importlib", "-k", "SSL or ssl or tls"),
    ),
    Suite(
        "tornado==6.6.1",
        tuple(
            f"tornado.test.{name}_test"
            for name in ("httpserver", "iostream", "netutil", "simple_httpclient", "tcpclient")
        ),
        "",
        ("--log-disable", "tornado.access"),
        installed=True,
    ),
    Suite(
        "gevent==26.9.0", ("gevent.tests.test__ssl", "gevent.tests.test__socket_ssl"), "objgraph psutil", installed=True
    ),
    Suite("eventlet==0.41.3", ("tests/ssl_test.py", "tests/openssl_test.py"), "pyopenssl trustme"),
    Suite(
        "aiosmtplib==5.1.3",
        ("tests/test_tls.py", "tests/test_connect.py"),
        "aiosmtpd hypothesis pytest-asyncio pytest-xdist trustme",
    ),
    Suite("hypercorn==0.18.0", ("tests",), "httpx hypothesis mock pytest-asyncio pytest-trio trio"),
    Suite("botocore==1.44.5", ("tests/unit/test_http_session.py",), "behave jsonschema"),
)


# ---- the three sides ------------------------------------------------------------------------------------------------


class Side(NamedTuple):
    """One of the environments to compare; `variables` are added to its environment variables."""

    name: str
    environment: Environment
    context_class: str  # the module of ssl.SSLContext
    variables: Mapping[str, str] = {}


def sides_of(suite: Suite, installer: Environment, wheel: pathlib.Path, work: pathlib.Path, python: str) -> list[Side]:
    """Without truststore-auto, with it, and with it switched off."""
    stock = create(work / "stock", installer, "--no-seed", python=python)
    from_source = [] if suite.binary else ["--no-binary", "forbiddenfruit"]  # which has no wheel; blockbuster needs it
    needs = ["pytest", "pytest-timeout", *suite.needs.split(), *from_source]
    stock.install_from_registry(suite.requirement, *needs, timeout=900)
    hooked = stock.twin(work / "hooked")
    hooked.install(wheel)
    sides = [
        Side("stock", stock, "ssl"),
        Side("hooked", hooked, "truststore._context"),
        Side("disabled", hooked, "ssl", {"TRUSTSTORE_DISABLE": "1"}),
    ]
    for side in sides:
        shown = side.environment.run("-c", "import ssl; print(ssl.SSLContext.__module__)", **side.variables)
        assert shown.stdout.strip() == side.context_class
    return sides


def source_of(suite: Suite, installer: Environment, work: pathlib.Path) -> pathlib.Path:
    """The source distribution, unpacked."""
    command = [installer.python, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", suite.name]
    subprocess.run([*command, "--dest", work / "source", suite.requirement], env=_MACHINE, check=True)
    (archive,) = (work / "source").glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(work / "source", filter="data")
    (directory,) = (path for path in (work / "source").iterdir() if path.is_dir())
    return directory


# ---- one run --------------------------------------------------------------------------------------------------------

Outcomes = dict[str, str]  # test: "passed", "failure", "error" or "skipped"

# A plugin that keeps the tests of a file alone, one a line, named as in JUnit's report.
_ONLY_THESE = """
import os
from _pytest.junitxml import mangle_test_address

def pytest_collection_modifyitems(items):
    with open(os.environ["ONLY_THESE"]) as file:
        chosen = set(file.read().split("\\n"))
    names = [mangle_test_address(item.nodeid) for item in items]
    items[:] = [item for item, name in zip(items, names) if ".".join(name[:-1]) + "::" + name[-1] in chosen]
"""


def run(
    suite: Suite, side: Side, source: pathlib.Path | None, work: pathlib.Path, only: Iterable[str] = ()
) -> Outcomes:
    """Run the suite, or `only` these tests of it, on one side, in a fresh copy of the source."""
    place = pathlib.Path(tempfile.mkdtemp(prefix=f"{side.name}-", dir=work))
    (place / "tests.txt").write_text("\n".join(only))
    (place / "only_these.py").write_text(_ONLY_THESE)
    command = [side.environment.python, "-P", "-m", "pytest", "-q", "-o", "addopts=", "-p", "no:cacheprovider"]
    command += ["--timeout=600", "-o", "junit_family=xunit1", f"--junitxml={place / 'report.xml'}", *suite.options]
    command += [f"--deselect={test}" for test, _ in suite.left_out]
    command += ["-p", "only_these"] * bool(only)
    command += ["--pyargs"] * suite.installed
    cwd = place if source is None else place / source.name
    if source is not None:
        shutil.copytree(source, cwd)
    variables = {"PYTHONPATH": str(place) if only else "", "ONLY_THESE": str(place / "tests.txt"), **side.variables}
    with (place / "output.txt").open("w") as output:
        subprocess.run(
            [*command, *suite.tests],
            cwd=cwd,
            env=bare_environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT,
            check=False,
        )
    if not (place / "report.xml").exists():
        raise RuntimeError(f"{suite.name}, {side.name}: no report\n{(place / 'output.txt').read_text()[-2000:]}")
    return outcomes(place / "report.xml")


def outcomes(report: pathlib.Path) -> Outcomes:
    """Each test of a JUnit report with its outcome. One that passed and whose teardown failed, did not pass."""
    found: Outcomes = {}
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        test = f"{case.get('classname')}::{case.get('name')}"
        ends = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        if found.get(test, "passed") == "passed":
            found[test] = ends[0] if ends else "passed"
    return found


# ---- the comparison -------------------------------------------------------------------------------------------------


def compare(
    suite: Suite, installer: Environment, wheel: pathlib.Path, work: pathlib.Path, python: str
) -> dict[str, Any]:
    """What the suite gives on the three sides, as a row of the record."""
    source = None if suite.installed else source_of(suite, installer, work)
    sides = sides_of(suite, installer, wheel, work, python)
    found = {side.name: run(suite, side, source, work) for side in sides}
    again = differing(found)
    if not passed(found["stock"]):
        raise RuntimeError(f"{suite.name}: no test passed, so that nothing can be lost")
    if again:
        for side in sides:
            found[side.name].update(run(suite, side, source, work, again))
    about = "import ssl, sys; print('%d.%d.%d' % sys.version_info[:3], ssl.OPENSSL_VERSION, sep=', ')"
    return {
        "suite": suite.requirement,
        "tests": suite.tests,
        "options": suite.options,
        "python": sides[0].environment.run("-c", about).stdout.strip(),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "passed": {name: len(passed(tests)) for name, tests in found.items()},
        "tests_in_all": len(found["stock"]),
        "again": again,
        "differing": {test: {name: found[name].get(test, "not run") for name in found} for test in differing(found)},
    }


def passed(tests: Outcomes) -> set[str]:
    return {test for test, outcome in tests.items() if outcome == "passed"}


def differing(found: Mapping[str, Outcomes]) -> list[str]:
    """The tests that pass on some sides only."""
    sets = [passed(tests) for tests in found.values()]
    return sorted(set.union(*sets) - set.intersection(*sets))


# ---- the page -------------------------------------------------------------------------------------------------------

HEAD = """\
# Other projects' test suites

Made by `python tests/matrix/suites.py --python PYTHON --record FILE --page docs/reference/suites.md`, a few suites at a
time; do not edit. Each row is a project's own tests of what it does with TLS, from its source distribution or its
installed package, unmodified, run by pytest three times in environments that differ in nothing else: without
truststore-auto, with it, and with it and `TRUSTSTORE_DISABLE=1`.

What to see: the same tests pass in all three columns. Tests that pass in none are skipped, or fail without us, too:
they need the internet, IPv6 or other versions. They say nothing about the hook.

"""

FOUND = """
## What these suites found

Mended since, each with a test of our own:

* anyio, aiohttp: the system store was looked for at a context's first connection, in the event loop, where their tests
  let blockbuster raise (`tests/test_event_loop.py`).
* truststore: `wrap_bio` without a server name checked none, where the public package refuses (`tests/test_context.py`).
"""


def page(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    rows = list(rows)
    yield HEAD
    yield "| project | tests | without | with the hook | switched off | pass in none | Python, OpenSSL, date |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for row in rows:
        counts = row["passed"]
        none = row["tests_in_all"] - max(counts.values())
        yield (
            f"| {_project(row)} | {_selection(row)} | {counts['stock']} | {counts['hooked']} | {counts['disabled']} |"
            f" {none} | {row['python']}, {row['date']} |"
        )
    yield FOUND
    yield "## Left out\n"
    for suite in SUITES:
        if any(row["suite"] == suite.requirement for row in rows):
            yield from (f"* {suite.name}, `{test}`: {reason}." for test, reason in suite.left_out)
    steady = [f"* {_project(row)}: `{test}`" for row in rows for test in row["again"] if test not in row["differing"]]
    if steady:
        yield "\n## Run once more\n"
        yield "These differed at first, and no more when they were run by themselves on all sides:\n"
        yield from steady
    if any(row["differing"] for row in rows):
        yield "\n## Differing\n"
        for row in rows:
            for test, ends in row["differing"].items():
                yield f"* {_project(row)}: `{test}`: {', '.join(map(': '.join, ends.items()))}"


def _project(row: Mapping[str, Any]) -> str:
    return str(row["suite"]).replace("==", " ")


def _selection(row: Mapping[str, Any]) -> str:
    """The files, and pytest's options that choose among their tests."""
    options = dict(zip(row["options"][::2], row["options"][1::2], strict=True))
    chosen = [f'`{option} "{options[option]}"`' for option in ("-k", "-m") if option in options]
    return ", ".join([f"`{test}`" for test in row["tests"]] + chosen)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run other projects' tests of TLS with the hook and without.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a project of the table (default: all)")
    parser.add_argument("--python", default=sys.executable, help="the interpreter to run them with")
    parser.add_argument("--record", type=pathlib.Path, help="JSON file that keeps the results")
    parser.add_argument("--work", type=pathlib.Path, help="directory that keeps the environments and what pytest wrote")
    parser.add_argument("--page", type=pathlib.Path, help="Markdown file to write")
    chosen = parser.parse_args(arguments)
    record = json.loads(chosen.record.read_text()) if chosen.record and chosen.record.exists() else {}
    with tempfile.TemporaryDirectory(prefix="suites-") as directory:
        work = pathlib.Path(chosen.work or directory)
        installer = create(work / "installer", None)
        wheel = build(PROJECT, work / "dist")
        for suite in SUITES:
            if chosen.names and suite.name not in chosen.names:
                continue
            (work / suite.name).mkdir()
            row = compare(suite, installer, wheel, work / suite.name, chosen.python)
            print(suite.requirement, row["passed"], f"of {row['tests_in_all']}, run again: {row['again']}", flush=True)
            for test, ends in row["differing"].items():
                print("  differs:", test, ends, flush=True)
            record[suite.name] = row
            if chosen.record:
                chosen.record.write_text(json.dumps(record, indent=1) + "\n")
            if not chosen.work:
                shutil.rmtree(work / suite.name)
    rows = [record[suite.name] for suite in SUITES if suite.name in record]
    if chosen.page:
        chosen.page.write_text("\n".join(page(rows)).rstrip() + "\n", encoding="utf-8")
    return 1 if any(row["differing"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
