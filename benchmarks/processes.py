"""Processes that are measured, and the way to ask several of them in turn."""

from __future__ import annotations

import json
import pathlib
import random
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from benchmarks.clean import clean_environment
from benchmarks.environments import STOCK, Environment
from benchmarks.figures import Row
from benchmarks.layouts import Layout

_HERE = pathlib.Path(__file__).resolve().parent
WORKER = str(_HERE / "worker.py")
_SERVER = str(_HERE / "server.py")

# Which order the variants come in changes from round to round, the same way in every run.
_shuffled = random.Random(7)


class Worker:
    """A process that runs `worker.py`, or one like it."""

    def __init__(self, command: list[str], variables: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=clean_environment() if variables is None else variables,
        )

    def ask(self, task: str, **parameters: object) -> dict[str, Any]:
        """What the worker answers; `{"error": ...}` if it fails."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the worker has no pipes")
        try:
            self._process.stdin.write(json.dumps({"task": task, **parameters}) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        found: dict[str, Any] = json.loads(answer) if answer else {"error": self._end()}
        return found

    def must(self, task: str, **parameters: object) -> dict[str, Any]:
        """The same for what nothing can be measured without. Raises `RuntimeError` if the worker fails."""
        answer = self.ask(task, **parameters)
        if "error" in answer:
            raise RuntimeError(f"{task}: {answer['error']}")
        return answer

    def _end(self) -> str:
        return f"the worker has ended with status {self._process.wait()}"

    def close(self) -> None:
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait()


@contextmanager
def workers(environments: Mapping[str, Environment], layout: Layout | None) -> Iterator[dict[str, Worker]]:
    """A worker for each variant in `environments`, which sees the trust store of `layout`, or the machine's."""
    commands = {variant: [environment.python, WORKER] for variant, environment in environments.items()}
    if layout is not None:
        commands = {variant: layout.command(*command) for variant, command in commands.items()}
    with running(commands) as made:
        yield made


@contextmanager
def running(
    commands: Mapping[str, list[str]], variables: Mapping[str, str] | None = None
) -> Iterator[dict[str, Worker]]:
    """A worker for each of `commands`."""
    with ExitStack() as stack:
        made = {}
        for variant, command in commands.items():
            made[variant] = Worker(command, variables)
            stack.callback(made[variant].close)
        yield made


def in_turn(variants: Mapping[str, Any], rounds: int) -> Iterator[list[str]]:
    """The names of the variants in another order in each of `rounds`."""
    names = list(variants)
    for _ in range(rounds):
        _shuffled.shuffle(names)
        yield list(names)


def compare(
    group: str,
    what: str,
    asked: Mapping[str, Worker],
    rounds: int,
    task: str,
    clock: str = "cpu",
    own: Mapping[str, Mapping[str, object]] | None = None,
    **parameters: object,
) -> Row:
    """Ask all workers for the same task in each of `rounds`. A sample is the median of what one answer holds.

    `own` are parameters of one variant alone.
    """
    samples: dict[str, list[float]] = {variant: [] for variant in asked}
    failures: dict[str, str] = {}
    for names in in_turn(asked, rounds):
        for variant in names:
            if variant in failures:
                continue
            answer = asked[variant].ask(task, **parameters, **(own or {}).get(variant, {}))
            if "error" in answer:
                failures[variant] = answer["error"]
                samples[variant] = []
            else:
                times = sorted(answer[clock])
                samples[variant].append(times[len(times) // 2])
    return Row(group, what, "ns", samples, failures)


def compare_ages(
    group: str,
    what: tuple[str, str],
    old: Mapping[str, Worker],
    young: Mapping[str, Worker],
    rounds: int,
    task: str,
    **parameters: object,
) -> tuple[Row, Row]:
    """The same for workers that have done much already beside others that have not, all asked in turn.

    What an old one needs now and needed minutes ago would differ by the weather on the machine.
    """
    workers_by_key = {
        f"{age}{variant}": it for age, asked in (("o", old), ("y", young)) for variant, it in asked.items()
    }
    both = compare(group, "", workers_by_key, rounds, task, **parameters)
    rows = []
    for age, words in zip("oy", what, strict=True):
        samples, failures = (
            {key[1:]: value for key, value in found.items() if key[0] == age} for found in (both.samples, both.failures)
        )
        rows.append(Row(group, words, "ns", samples, failures))
    return rows[0], rows[1]


def compare_programs(
    environments: Mapping[str, Environment],
    layout: Layout | None,
    rounds: int,
    group: str,
    what: str,
    arguments: list[str],
) -> tuple[Row, Row]:
    """Run the Python of every variant with `arguments` in each of `rounds`: the time on the wall, and the processor's.

    On a machine that does other things at the same time, only the second one tells something.
    """
    wall: dict[str, list[float]] = {variant: [] for variant in environments}
    cpu: dict[str, list[float]] = {variant: [] for variant in environments}
    failures: dict[str, str] = {}
    with workers({STOCK: environments[STOCK]}, layout) as asked:
        for number, names in enumerate(in_turn(environments, rounds + 1)):
            for variant in names:
                if variant in failures:
                    continue
                answer = asked[STOCK].ask("program", command=[environments[variant].python, *arguments])
                if "error" in answer:
                    failures[variant], wall[variant], cpu[variant] = answer["error"], [], []
                elif number > 0:  # the first round only warms the page cache
                    wall[variant].append(answer["wall"][0])
                    cpu[variant].append(answer["cpu"][0])
    return Row(group, what, "ns", wall, failures), Row(group, f"{what}, processor time", "ns", cpu, failures)


@contextmanager
def server(python: str, pem: pathlib.Path, folder: pathlib.Path) -> Iterator[tuple[int, int]]:
    """`server.py` under `python`; yields its port and that of its silent twin."""
    process = subprocess.Popen(
        [python, "-I", "-S", _SERVER, str(pem), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )
    try:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the server has no pipes")
        answering, silent = process.stdout.readline().split()
        yield int(answering), int(silent)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.wait()
