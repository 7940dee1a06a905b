"""Many bytes, many threads, many tasks, many connections: nothing may grow, and nobody may wait for somebody else."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

from benchmarks.environments import OURS, PUBLIC, STOCK, Environment
from benchmarks.figures import Budget, Row, ratio_budget
from benchmarks.layouts import Layout
from benchmarks.processes import Worker, compare_ages, in_turn, workers
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
    for what, task, afterwards, count in (
        ("connections on one context", "long_series", "reused_handshakes", sizes.connections),
        ("connections, each with a new context", "long_series_of_contexts", "fresh_handshakes", sizes.contexts),
    ):
        growth = _Growth(what, group)
        for variant, environment in environments.items():
            growth.measure(variant, environment, layout, task, afterwards, count, str(pem), sizes)
        rows += growth.rows()
        budgets += growth.budgets()
    return rows, budgets


class _Growth:
    """What many connections have left behind in a process of each variant."""

    def __init__(self, what: str, group: str) -> None:
        self._what = what
        self._group = group
        self._failures: dict[str, str] = {}
        self._made: dict[str, int] = {}
        self._since: dict[str, int] = {}
        self._grown: dict[str, list[float]] = {}
        self._late: dict[str, list[float]] = {}
        self._early: dict[str, list[float]] = {}

    def measure(
        self,
        variant: str,
        environment: Environment,
        layout: Layout,
        task: str,
        afterwards: str,
        count: int,
        pem: str,
        sizes: Sizes,
    ) -> None:
        how = {"pem": pem, "version": "TLS 1.3"}
        one = {variant: environment}
        with workers(one, layout) as old, workers(one, layout) as young:
            answer = old[variant].ask(task, count=count, seconds=sizes.growth_seconds, **how)
            if "error" in answer:
                self._failures[variant] = answer["error"]
                return
            self._made[variant], last = answer["resident"][-1]
            # From the end of the first tenth on: until then, what is kept for ever is made.
            self._since[variant], first = next(it for it in answer["resident"] if it[0] * 10 >= self._made[variant])
            self._grown[variant] = [float(last - first)]
            words = ("late", "early")
            rows = compare_ages(self._group, words, old, young, 2 * sizes.rounds, afterwards, count=5, **how)
            self._late[variant], self._early[variant] = (row.samples[variant] for row in rows)

    def rows(self) -> list[Row]:
        made = ", ".join(f"{variant} {number}" for variant, number in self._made.items())
        each = {
            variant: [grown[0] * 1000 / max(self._made[variant] - self._since[variant], 1)]
            for variant, grown in self._grown.items()
        }
        what = self._what
        return [
            Row(self._group, f"{what}: after many (made: {made})", "ns", self._late, self._failures),
            Row(self._group, f"{what}: in a new process beside it", "ns", self._early, self._failures),
            Row(self._group, f"{what}: growth of memory after the first tenth", "bytes", self._grown, self._failures),
            Row(self._group, f"{what}: the same for each 1000 of them", "bytes", each, self._failures),
        ]

    def budgets(self) -> list[Budget]:
        if OURS in self._failures:
            return [Budget(self._what, "flat", self._failures[OURS], None)]
        base = "a new process"
        flat = Row(self._group, self._what, "ns", {OURS: self._late[OURS], base: self._early[OURS]})
        what, grown = f"after {self._made[OURS]} {self._what}", self._grown[OURS][0]
        return [
            ratio_budget(flat, f"{what}: time", base, at_most=1.05),
            Budget(f"{what}: memory", "grows <= 1 MiB", f"{grown / 1024:.0f} KiB", grown <= 1 << 20),
        ]
