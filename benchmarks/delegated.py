"""The delegated path of macOS and Windows, as far as it can be measured elsewhere: the gate itself; a verification on
the tests' double of Apple's frameworks; one by Wine's crypt32 in Windows' Python."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Mapping

from benchmarks.environments import OURS, PROJECT, PUBLIC, STOCK, Environment
from benchmarks.figures import Budget, Row, ratio_budget
from benchmarks.layouts import Layout
from benchmarks.processes import Worker, compare, in_turn, running, workers
from benchmarks.sizes import Sizes

TESTS = PROJECT / "tests"
_WORKER = pathlib.Path(__file__).resolve().parent / "system_worker.py"
_WINDOWS_PYTHON = "3.13"

# Three ways in which one interpreter, with our hook, connects on one context.
UNVERIFIED, GATED, NATIVE = "CERT_NONE", "behind the gate", "verified by OpenSSL"
_TASKS = {UNVERIFIED: "unverified_handshakes", GATED: "gated_handshakes", NATIVE: "reused_handshakes"}


def measure_gate(
    environments: Mapping[str, Environment], layout: Layout, pki: pathlib.Path, sizes: Sizes, group: str
) -> tuple[list[Row], list[Budget]]:
    """A handshake behind the gate whose verifier agrees at once, against one that nobody verifies."""
    rows = []
    with workers({OURS: environments[OURS]}, layout) as asked:
        for version in ("TLS 1.3", "TLS 1.2"):
            samples: dict[str, list[float]] = {way: [] for way in _TASKS}
            for ways in in_turn(_TASKS, sizes.rounds):
                for way in ways:
                    answer = asked[OURS].ask(_TASKS[way], pem=str(pki / "ECDSA.pem"), version=version, count=20)
                    if "error" in answer:
                        raise RuntimeError(f"{way}: {answer['error']}")
                    samples[way].append(sorted(answer["cpu"])[10])
            rows.append(Row(group, f"handshake, {version}, one context", "ns", samples))
    samples = rows[0].samples
    gated = Row(group, rows[0].what, "ns", {**samples, OURS: samples[GATED]})
    # Nobody is verified with CERT_NONE, so the first is what the gate adds to nothing at all. The second compares two
    # ways in which somebody is; the system's own time comes on top of ours.
    return rows, [
        ratio_budget(gated, "handshake behind the gate, verifier agrees at once", base, at_most=1.05)
        for base in (UNVERIFIED, NATIVE)
    ]


# ---- a double of macOS ----------------------------------------------------------------------------------------------


def build_double(directory: pathlib.Path) -> dict[str, str]:
    """The libraries of the double, by the paths of the frameworks that they stand in for. Raises `MissingSystem`."""
    sys.path.insert(0, str(TESTS))
    from macos.framework_double import COREFOUNDATION_PATH, SECURITY_PATH, MissingTool, build

    directory.mkdir(exist_ok=True)
    try:
        build(directory)
    except MissingTool as error:
        raise MissingSystem(f"the double of the macOS frameworks cannot be built: {error}") from error
    names = {COREFOUNDATION_PATH: "libcorefoundation_double.so", SECURITY_PATH: "libsecurity_double.so"}
    return {path: str(directory / name) for path, name in names.items()}


class MissingSystem(Exception):
    """What stands in for the other operating system is not here."""


def measure_macos(
    environments: Mapping[str, Environment], pki: pathlib.Path, bundle: pathlib.Path, sizes: Sizes, group: str
) -> tuple[list[Row], list[Budget]]:
    """Who verifies on the double of the frameworks; then with many extra anchors, too: `bundle`, which all load."""
    libraries = build_double(pki.parent / "double")
    used = {name: environments[name] for name in (STOCK, OURS, PUBLIC) if name in environments}
    root = str(pki / "ECDSA-root.pem")
    commands = {name: [environment.python, "-S", str(_WORKER)] for name, environment in used.items()}
    with running(commands) as asked:
        for worker in asked.values():
            worker.must("become_a_mac", libraries=libraries, root=root)
        _take(asked, {name: str(environment.site_packages) for name, environment in used.items()})
        # OpenSSL does not know the system's anchors there, and needs that one root from a file.
        own = {STOCK: {"root": root}}
        pem, count = str(pki / "ECDSA.pem"), sizes.rounds
        rows = _verifications(asked, pem, group, count, "cpu", own=own)
        more: list[Row] = []
        if sizes.many_anchors:
            title = f"{group}, with the bundle loaded besides"
            more = _verifications(asked, pem, title, count, "cpu", str(bundle), own)
    budgets = _one_context_budgets(rows, "the macOS double") + _one_context_budgets(more, "the same with the bundle")
    return rows + more, budgets


# ---- Windows' Python under Wine -------------------------------------------------------------------------------------


def measure_windows(
    environments: Mapping[str, Environment], pki: pathlib.Path, sizes: Sizes
) -> tuple[list[Row], list[Budget]]:
    """By the clock on the wall: a process's own share of it comes in steps of 10 ms there."""
    sys.path.insert(0, str(TESTS / "windows" / "wine"))
    import provision

    used = [name for name in (STOCK, OURS, PUBLIC) if name in environments]
    with provision.provision([_WINDOWS_PYTHON]) as wine:
        path = provision.windows_path
        python = str(provision.python_folder(_WINDOWS_PYTHON) / "python.exe")
        command = ["wine", python, "-S", path(_WORKER)]
        pem = path(pki / "ECDSA.pem")
        with running({"keeper": command}, wine.environment()) as keeper:
            # Before any other: the default engine keeps what the store held when it was first used.
            keeper["keeper"].must("trust_in_windows", tests=path(TESTS), root=path(pki / "ECDSA-root.pem"))
            with running(dict.fromkeys(used, command), wine.environment()) as asked:
                group = f"windows, {asked[OURS].must('interpreter')['name']}"
                _take(asked, {name: path(environments[name].site_packages) for name in used})
                own = {STOCK: {"load_default": True}}
                rows = _verifications(asked, pem, group, sizes.rounds, "wall", own=own)
    return rows, _one_context_budgets(rows, "Windows' Python under Wine")


# ---- the same on both -----------------------------------------------------------------------------------------------


def _take(asked: Mapping[str, Worker], folders: Mapping[str, str]) -> None:
    for name, whose in ((OURS, "ours"), (PUBLIC, "public")):
        if name in asked:
            asked[name].must("take", whose=whose, folder=folders[name])


def _verifications(
    asked: Mapping[str, Worker],
    pem: str,
    group: str,
    rounds: int,
    clock: str,
    load: str | None = None,
    own: Mapping[str, Mapping[str, object]] | None = None,
) -> list[Row]:
    """Handshakes on fresh contexts and on one, which load the file `load`, and verdicts without a handshake."""
    for worker in asked.values():
        worker.must("refuses_others", pem=pem, load=load)
    rows = [
        compare(group, what, asked, rounds, "system_handshakes", clock, own, pem=pem, fresh=fresh, count=10, load=load)
        for what, fresh in (("handshake, fresh context", True), ("handshake, one context", False))
    ]
    if load is None:
        judges = {name: worker for name, worker in asked.items() if name != STOCK}
        rows.append(
            compare(group, "a verdict without a handshake", judges, rounds, "verdicts", clock, pem=pem, count=10)
        )
    return rows


def _one_context_budgets(rows: list[Row], where: str) -> list[Budget]:
    return [
        ratio_budget(row, f"{row.what}, {where}", PUBLIC, at_most=1.0)
        for row in rows
        if row.what.endswith("one context")
    ]
