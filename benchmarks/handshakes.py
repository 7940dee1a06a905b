"""Whole handshakes in memory, both sides in one process: a chain of three, RSA and ECDSA, TLS 1.2 and 1.3."""

from __future__ import annotations

import json
import pathlib
import statistics
from collections.abc import Mapping

from benchmarks.environments import OURS, PUBLIC, STOCK, Environment
from benchmarks.figures import Budget, Row, ratio_budget
from benchmarks.layouts import DIRECTORY_ONLY, HASHED, Layout
from benchmarks.pki import KINDS
from benchmarks.processes import WORKER, compare, workers
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
    """The 1st, 100th and 1000th connection on one context: the median of those that lead up to it."""
    times: dict[str, list[float]] = {}
    failures: dict[str, str] = {}
    for variant, environment in environments.items():
        with workers({variant: environment}, layout) as asked:
            pem = str(pki / f"{_MAIN[1]}.pem")
            answer = asked[variant].ask(
                "long_series", pem=pem, version=_MAIN[0], count=sizes.series[-1], seconds=sizes.series_seconds
            )
        if "error" in answer:
            failures[variant] = answer["error"]
        times[variant] = answer.get("cpu", [])
    rows = []
    for place in sizes.series:
        # Not the very first in what stands for the early ones: it does what is done once.
        near = slice(0, 1) if place == 1 else slice(max(place - 90, 1), place)
        samples = {
            variant: [statistics.median(values[near])] for variant, values in times.items() if len(values) >= place
        }
        rows.append(Row(title, f"connection {place} on one context", "ns", samples, failures))
    return rows


def _series_budgets(name: str, early: Row, last: Row) -> list[Budget]:
    """Flat: as in stock Python at the same place, and as this variant's own early ones."""
    if OURS not in last.samples:
        return []
    flat = Row(last.group, last.what, "ns", {OURS: last.samples[OURS], early.what: early.samples[OURS]})
    return [
        ratio_budget(last, f"{last.what}, {name}", STOCK, at_most=1.05),
        ratio_budget(flat, f"{last.what}, {name}", early.what, at_most=1.05),
    ]
