"""What one context costs until it can verify: time, and memory for as long as it lives."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.environments import OURS, STOCK, Environment
from benchmarks.figures import Budget, Row, ratio_budget
from benchmarks.layouts import HASHED, Layout
from benchmarks.processes import compare, in_turn, workers
from benchmarks.sizes import Sizes

EMPTY = "empty"  # the floor: a genuine context that loads nothing


def measure(
    environments: Mapping[str, Environment], layouts: Mapping[str, Layout], sizes: Sizes, group: str
) -> tuple[list[Row], list[Budget]]:
    rows, budgets = [], []
    for name, layout in layouts.items():
        title = f"{group}, {name}"
        with workers(environments, layout) as asked:
            for worker in asked.values():
                worker.ask("contexts", count=2)  # what is done once per process
            ready = compare(title, "a context ready to verify", asked, sizes.rounds, "contexts", count=10)
            floor = compare(title, ready.what, {EMPTY: asked[STOCK]}, sizes.rounds, "empty_contexts", count=10)
            ready.samples.update(floor.samples)
        ready_for = [_total(environments, layout, title, count, sizes) for count in sizes.context_counts]
        memory = _memory(environments, layout, title)
        rows += [ready, *ready_for, memory]
        if name == HASHED:
            budgets.append(ratio_budget(ready, "context ready to verify, hashed directory", at_most=1 / 40))
            budgets.append(_memory_budget(memory))
    return rows, budgets


def _total(environments: Mapping[str, Environment], layout: Layout, title: str, count: int, sizes: Sizes) -> Row:
    """The first `count` contexts of a new process together, with all that is done once per process before them."""
    samples: dict[str, list[float]] = {variant: [] for variant in environments}
    rounds = max(sizes.rounds // 5, 1) if count <= 10 else 1
    for names in in_turn(environments, rounds):
        for variant in names:
            with workers({variant: environments[variant]}, layout) as asked:
                samples[variant].append(asked[variant].ask("first_contexts", count=count)["cpu"][0])
    return Row(title, f"the first {count} context{'s' * (count > 1)} of a process, together", "ns", samples)


def _memory(environments: Mapping[str, Environment], layout: Layout, title: str) -> Row:
    samples: dict[str, list[float]] = {}
    tasks = {**dict.fromkeys(environments, "contexts"), EMPTY: "empty_contexts"}
    for variant, task in tasks.items():
        environment = environments[STOCK if variant == EMPTY else variant]
        with workers({variant: environment}, layout) as asked:
            samples[variant] = [asked[variant].ask(task, count=200)["resident"]]
    return Row(title, "resident memory of each of 200 contexts", "bytes", samples)


def _memory_budget(row: Row) -> Budget:
    ours, floor, stock = row.median(OURS), row.median(EMPTY), row.median(STOCK)
    measured = f"{row.format(ours)}, of which an empty context is {row.format(floor)}; stock {row.format(stock)}"
    return Budget("memory of a context, hashed directory", "<= 8 KiB", measured, ours <= 8 * 1024)
