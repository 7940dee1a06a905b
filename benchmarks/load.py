"""Many bytes, many threads, many tasks, many connections: nothing may grow, and nobody may wait for somebody else."""

from __future__ import annotations

import pathlib
import statistics
from collections.abc import Mapping

from benchmarks.environments import OURS, PUBLIC, STOCK, Environment
from benchmarks.figures import Budget, Row, ratio_budget
from benchmarks.layouts import Layout
from benchmarks.processes import Worker, in_turn, workers
from benchmarks.sizes import Sizes


def measure(
    environments: Mapping[str, Environment],
    layout: Layout,
    ports: tuple[int, int],
    sizes: Sizes,
    group: str,
) -> tuple[list[Row], list[Budget]]:
    """Over TCP, with the server of `ports` in another process."""
    rows: list[Row] = []
    budgets: list[Budget] = []
    rounds = max(sizes.rounds // 2, 1)
    with workers(environments, layout) as asked:
        row = _throughput(asked, ports[0], rounds, group, sizes.download)
        rows.append(row)
        budgets.append(_throughput_budget(row))
        for count in sizes.threads:
            rows.append(_threads(asked, ports[0], None, count, rounds, group, sizes.patience))
        for count in [count for count in sizes.threads if count >= 16]:
            beside = _threads(asked, ports[0], ports[1], count, max(rounds // 3, 1), group, sizes.patience)
            rows.append(beside)
            budgets.append(_stalled_budget(beside, rows, count))
        tasks_row = _tasks(asked, ports, sizes.tasks, rounds, group)
        rows.append(tasks_row)
        budgets.append(ratio_budget(tasks_row, tasks_row.what, at_most=1.05))
    return rows, budgets


def _throughput(asked: Mapping[str, Worker], port: int, rounds: int, group: str, size: int) -> Row:
    samples: dict[str, list[float]] = {variant: [] for variant in asked}
    failures: dict[str, str] = {}
    for names in in_turn(asked, rounds):
        for variant in names:
            answer = asked[variant].ask("throughput", port=port, size=size)
            if "error" in answer:
                failures[variant] = answer["error"]
            else:
                samples[variant].append(size / answer["wall"][0] * 1e9)
    return Row(group, f"{size / 1e6:.0f} MB over one connection", "bytes/s", samples, failures)


def _throughput_budget(row: Row) -> Budget:
    ratio = row.ratio()
    measured = "not measured" if ratio is None else f"{ratio:.3g}x"
    return Budget(row.what, f">= 0.95x of {STOCK}", measured, None if ratio is None else ratio >= 0.95)


def _threads(
    asked: Mapping[str, Worker],
    port: int,
    stalled: int | None,
    count: int,
    rounds: int,
    group: str,
    patience: float,
) -> Row:
    """With no stalled server: the time of a connection, all over all. With one: the slowest healthy connection."""
    samples: dict[str, list[float]] = {variant: [] for variant in asked}
    failures: dict[str, str] = {}
    connections = max(64 // count, 2)
    for names in in_turn(asked, rounds):
        for variant in names:
            answer = asked[variant].ask(
                "threads", port=port, stalled_port=stalled, count=count, connections=connections, patience=patience
            )
            if "error" in answer:
                failures[variant] = answer["error"]
            elif stalled is None:
                samples[variant].append(answer["total"] / (count * connections))
            else:
                samples[variant].append(max(answer["wall"]))
    what = f"{count} thread{'s' * (count > 1)} on one context"
    what += ", time for each connection" if stalled is None else " and a stalled server, slowest healthy connection"
    return Row(group, what, "ns", samples, failures)


def _stalled_budget(beside: Row, rows: list[Row], count: int) -> Budget:
    """Unaffected: no slower than stock Python beside the same stalled server, give or take a half."""
    what = f"{count} threads on one context, one stalled server"
    must = f"healthy connections unaffected: <= 1.5x of {STOCK}"
    ratio = beside.ratio()
    if ratio is None:
        return Budget(what, must, "not measured", None)
    measured = f"slowest healthy {beside.format(beside.median(OURS))}, {ratio:.3g}x"
    if PUBLIC in beside.samples:
        measured += f" ({PUBLIC}: {beside.format(beside.median(PUBLIC))})"
    return Budget(what, must, measured, ratio <= 1.5)


def _tasks(asked: Mapping[str, Worker], ports: tuple[int, int], count: int, rounds: int, group: str) -> Row:
    samples: dict[str, list[float]] = {variant: [] for variant in asked}
    failures: dict[str, str] = {}
    for names in in_turn(asked, rounds):
        for variant in names:
            answer = asked[variant].ask("many_tasks", port=ports[0], stalled_port=ports[1], count=count)
            if "error" in answer:
                failures[variant] = answer["error"]
            else:
                samples[variant].append(answer["total"] / count)
    what = f"asyncio, {count} connections at once beside a stalled server, time for each"
    return Row(group, what, "ns", samples, failures)


# ---- growth ---------------------------------------------------------------------------------------------------------


def measure_growth(
    environments: Mapping[str, Environment],
    layout: Layout,
    pem: pathlib.Path,
    sizes: Sizes,
    group: str,
) -> tuple[list[Row], list[Budget]]:
    """Whether time and memory stay as they are, over as many connections as there is time for."""
    rows: list[Row] = []
    budgets: list[Budget] = []
    for what, task, count in (
        ("connections on one context", "long_series", sizes.connections),
        ("connections, each with a new context", "long_series_of_contexts", sizes.contexts),
    ):
        growth = _Growth(environments, layout, pem, task, count, sizes.growth_seconds)
        rows += growth.rows(group, what)
        budgets += growth.budgets(what)
    return rows, budgets


class _Growth:
    def __init__(
        self,
        environments: Mapping[str, Environment],
        layout: Layout,
        pem: pathlib.Path,
        task: str,
        count: int,
        seconds: float,
    ) -> None:
        self._answers = {}
        for variant in environments:
            with workers({variant: environments[variant]}, layout) as asked:
                self._answers[variant] = asked[variant].ask(
                    task, pem=str(pem), version="TLS 1.3", count=count, seconds=seconds
                )
        self._failures = {variant: it["error"] for variant, it in self._answers.items() if "error" in it}
        self._good = {variant: it for variant, it in self._answers.items() if "error" not in it}

    def rows(self, group: str, what: str) -> list[Row]:
        made = ", ".join(f"{variant} {len(it['cpu'])}" for variant, it in self._good.items())
        early, late = ({variant: [self._tenth(variant, last)] for variant in self._good} for last in (False, True))
        memory = {variant: [self._growth(variant)] for variant in self._good}
        per_thousand = {variant: [self._growth(variant, each=1000)] for variant in self._good}
        return [
            Row(group, f"{what}: second tenth (made: {made})", "ns", early, self._failures),
            Row(group, f"{what}: last tenth", "ns", late, self._failures),
            Row(group, f"{what}: growth of memory from the second tenth on", "bytes", memory, self._failures),
            Row(group, f"{what}: the same for each 1000 of them", "bytes", per_thousand, self._failures),
        ]

    def budgets(self, what: str) -> list[Budget]:
        if OURS not in self._good:
            return [Budget(what, "flat", self._failures[OURS], None)]
        ratio = self._tenth(OURS, True) / self._tenth(OURS, False)
        growth, made = self._growth(OURS), len(self._good[OURS]["cpu"])
        return [
            Budget(f"{made} {what}: time", "last tenth <= 1.05x of the second", f"{ratio:.3g}x", ratio <= 1.05),
            Budget(f"{made} {what}: memory", "grows <= 1 MiB", f"{growth / 1024:.0f} KiB", growth <= 1 << 20),
        ]

    def _tenth(self, variant: str, last: bool) -> float:
        times: list[int] = self._good[variant]["cpu"]
        tenth = max(len(times) // 10, 1)
        return statistics.median(times[-tenth:] if last else times[tenth : 2 * tenth] or times)

    def _growth(self, variant: str, each: int | None = None) -> float:
        """Bytes that came after the first tenth of what was made; in all, or for `each` so many connections."""
        readings: list[tuple[int, int]] = self._good[variant]["resident"]
        made, last = readings[-1]
        since, first = next((number, size) for number, size in readings if number * 10 >= made)
        return (last - first) * (each / max(made - since, 1) if each else 1.0)
