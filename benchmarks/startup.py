"""What every start of the interpreter pays, and every first `import ssl`, `import requests`, `import httpx`."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping

from benchmarks.clean import clean_environment
from benchmarks.environments import FLOOR, OURS, STOCK, Environment
from benchmarks.figures import Budget, Row, difference_budget, ratio_budget
from benchmarks.layouts import Layout
from benchmarks.processes import compare_programs
from benchmarks.sizes import Sizes

_LOOK = (
    "\nimport sys; print(len(sys.modules), next(line.split()[1] for line in open('/proc/self/status') "
    "if line.startswith('VmHWM')), *sorted(sys.modules))"
)


def measure(environments: Mapping[str, Environment], sizes: Sizes, group: str) -> tuple[list[Row], list[Budget]]:
    """Rows for every program, and the budgets that they answer to."""
    rows: dict[tuple[str, str], Row] = {}
    for program in sizes.programs:
        command = ["-c", program]
        rows[program, "wall"], rows[program, "cpu"] = compare_programs(
            environments, None, sizes.startup_rounds, group, f"`{program}`", command
        )
        counted = environments if program in sizes.counted_programs else {}
        rows[program, "instructions"] = _instructions(counted, group, program)
    added = [_modules_and_memory(environments, group, program) for program in ("pass", "import ssl")]
    measured = [row for row in rows.values() if row.samples]
    return [*measured, *(row for pair in added for row in pair)], _budgets(environments, rows)


def _instructions(environments: Mapping[str, Environment], group: str, program: str) -> Row:
    counted = {variant: instructions(it.python, "-c", program) for variant, it in environments.items()}
    samples = {variant: [count] for variant, count in counted.items() if count is not None}
    return Row(group, f"`{program}`, instructions", "instructions", samples)


def instructions(*command: str, layout: Layout | None = None) -> int | None:
    """How many instructions `command` executes, by callgrind, which no load on the machine changes. None without it."""
    if shutil.which("valgrind") is None:
        return None
    counted = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command]
    done = subprocess.run(
        layout.command(*counted) if layout is not None else counted,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or found is None:
        raise RuntimeError(f"{command} under callgrind: {done.stderr[-500:]}")
    return int(found[1])


def _modules_and_memory(environments: Mapping[str, Environment], group: str, program: str) -> tuple[Row, Row]:
    modules: dict[str, list[float]] = {}
    memory: dict[str, list[float]] = {}
    for variant, environment in environments.items():
        number, peak, _ = look(environment, program)
        modules[variant], memory[variant] = [number], [peak]
    return (
        Row(group, f"`{program}`, modules loaded", "modules", modules),
        Row(group, f"`{program}`, peak memory", "bytes", memory),
    )


def look(environment: Environment, program: str) -> tuple[int, int, set[str]]:
    """How many modules are loaded after `program`, the process's peak memory in bytes, and which modules."""
    done = subprocess.run(
        [environment.python, "-c", program + _LOOK],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    number, peak, *names = done.stdout.split()
    return int(number), int(peak) * 1024, set(names)


def _budgets(environments: Mapping[str, Environment], rows: Mapping[tuple[str, str], Row]) -> list[Budget]:
    start, hook = rows["pass", "instructions"], rows["import ssl", "instructions"]
    floor = FLOOR if FLOOR in environments else STOCK
    of_any_pth = look(environments[floor], "pass")[2] - {"empty_startup_module"}
    added = sorted(look(environments[OURS], "pass")[2] - of_any_pth)
    return [
        difference_budget(start, "`pass`, instructions", floor, at_most=1e6),
        ratio_budget(rows["pass", "wall"], "`pass`, wall time", floor, at_most=1.02),
        ratio_budget(rows["pass", "cpu"], "`pass`, processor time", floor, at_most=1.02),
        Budget(
            "`pass`, modules added, those of any .pth apart",
            "truststore_autoinject alone",
            ", ".join(added),
            added == ["truststore_autoinject"],
        ),
        difference_budget(hook, "`import ssl`, instructions", at_most=8e6),
        ratio_budget(rows["import ssl", "wall"], "`import ssl`, wall time", at_most=1.10),
        ratio_budget(rows["import ssl", "cpu"], "`import ssl`, processor time", at_most=1.10),
    ]
