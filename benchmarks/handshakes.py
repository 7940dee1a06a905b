"""Whole handshakes in memory, both sides in one process: a chain of three, RSA and ECDSA, TLS 1.2 and 1.3."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping

from benchmarks.environments import OURS, PUBLIC, STOCK, Environment
from benchmarks.figures import Budget, Row, ratio_budget
from benchmarks.layouts import DIRECTORY_ONLY, HASHED, Layout
from benchmarks.pki import KINDS
from benchmarks.processes import WORKER, compare, compare_ages, workers
from benchmarks.sizes import Sizes
from benchmarks.startup import instructions

VERSIONS = ("TLS 1.3", "TLS 1.2")
_MAIN = ("TLS 1.3", "ECDSA")  # the pair that budgets look at; the other three are in the table


def measure(
    environments: Mapping[str, Environment],
    layouts: Mapping[str, Layout],
    pki: pathlib.Path,
    sizes: Sizes,
    group: str,
) -> tuple[list[Row], list[Budget]]:
    rows: list[Row] = []
    budgets: list[Budget] = []
    for name, layout in layouts.items():
        title = f"{group}, {name}"
        with workers(environments, layout) as asked:
            for version in VERSIONS:
                for kind in KINDS:
                    fresh, reused = (
                        compare(
                            title,
                            f"{version}, {kind}, {word} context",
                            asked,
                            sizes.rounds,
                            f"{word}_handshakes",
                            pem=str(pki / f"{kind}.pem"),
                            version=version,
                            count=count,
                        )
                        for word, count in (("fresh", 3), ("reused", 15))
                    )
                    rows += [fresh, reused]
                    if (version, kind) == _MAIN:
                        budgets += _handshake_budgets(name, fresh, reused)
        if sizes.counted_handshakes and name == HASHED:
            rows += _instructions(environments, layout, pki, title, sizes)
        rows += _series(environments, layout, pki, title, sizes)
        budgets += _series_budgets(name, *rows[-2:])
    return rows, budgets


def _handshake_budgets(name: str, fresh: Row, reused: Row) -> list[Budget]:
    budgets = []
    if name != DIRECTORY_ONLY:  # there stock Python is as fast as we are: nothing to win
        budgets.append(ratio_budget(fresh, f"fresh context and handshake, {name}", at_most=1 / 4))
    budgets.append(ratio_budget(reused, f"handshake on a reused context, {name}", at_most=1.05))
    limit = 1.0 if name == DIRECTORY_ONLY else 1 / 4
    budgets.append(ratio_budget(reused, f"handshake on a reused context, {name}", PUBLIC, at_most=limit))
    return budgets


def _instructions(
    environments: Mapping[str, Environment], layout: Layout, pki: pathlib.Path, title: str, sizes: Sizes
) -> list[Row]:
    """Instructions of each handshake: the difference between more and fewer of them, so that starting cancels out."""
    few, more = sizes.counted_handshakes
    rows = []
    for word in ("fresh", "reused"):
        samples: dict[str, list[float]] = {}
        for variant in (STOCK, OURS, PUBLIC):  # what pip-system-certs injects is public truststore, too
            counts = []
            for count in (few, more):
                request = {
                    "task": f"{word}_handshakes",
                    "pem": str(pki / f"{_MAIN[1]}.pem"),
                    "version": _MAIN[0],
                    "count": count,
                }
                counts.append(instructions(environments[variant].python, WORKER, json.dumps(request), layout=layout))
            if None not in counts:
                samples[variant] = [(counts[1] - counts[0]) / (more - few)]  # type: ignore[operator]
        what = f"{_MAIN[0]}, {_MAIN[1]}, {word} context, instructions"
        rows.append(Row(title, what, "instructions", samples))
    return rows


def _series(
    environments: Mapping[str, Environment], layout: Layout, pki: pathlib.Path, title: str, sizes: Sizes
) -> list[Row]:
    """The first connection on one context; and the thousandth beside early ones, in another process."""
    how = {"pem": str(pki / f"{_MAIN[1]}.pem"), "version": _MAIN[0]}
    first: dict[str, list[float]] = {}
    failures: dict[str, str] = {}
    with workers(environments, layout) as old, workers(environments, layout) as young:
        for variant, worker in old.items():
            answer = worker.ask("long_series", count=sizes.series, seconds=sizes.series_seconds, **how)
            made = len(answer.get("cpu", []))
            first[variant] = answer["cpu"][:1] if made else []
            if made < sizes.series:
                failures[variant] = answer.get("error", f"{made} connections in {sizes.series_seconds:.0f} s")
        arrived = {variant: worker for variant, worker in old.items() if variant not in failures}
        words = (f"connection {sizes.series} on one context", "an early connection on one context")
        late, early = compare_ages(title, words, arrived, young, 2 * sizes.rounds, "reused_handshakes", count=5, **how)
    late.failures.update(failures)
    return [Row(title, "the first connection on one context", "ns", first), early, late]


def _series_budgets(name: str, early: Row, late: Row) -> list[Budget]:
    """Flat: as stock Python after as many, and as this variant's own early ones."""
    if OURS not in late.samples:
        return []
    flat = Row(late.group, late.what, "ns", {OURS: late.samples[OURS], "its own early ones": early.samples[OURS]})
    return [
        ratio_budget(late, f"{late.what}, {name}", STOCK, at_most=1.05),
        ratio_budget(flat, f"{late.what}, {name}", "its own early ones", at_most=1.05),
    ]
