"""`python -m benchmarks`: measure, print a table, write JSON. `--help` tells the rest."""

from __future__ import annotations

import argparse
import pathlib
import sys
import tempfile
import time

from benchmarks import contexts, delegated, environments, handshakes, layouts, load, pki, programs, report, startup
from benchmarks.environments import FLOOR, OURS, STOCK
from benchmarks.figures import Budget, Row
from benchmarks.processes import server
from benchmarks.sizes import OfflineSizes, Sizes, SmokeSizes

SUITES = ("startup", "contexts", "handshakes", "load", "growth", "programs", "gate", "macos")
# Not unless asked for: it installs Wine and fetches Windows' Python.
EXTRA_SUITES = ("windows",)
_LAYOUTS = {"hashed": layouts.HASHED, "directory": layouts.DIRECTORY_ONLY, "bundle": layouts.BUNDLE_ONLY}


def main() -> int:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="truststore-benchmarks-") as temporary:
        directory = pathlib.Path(arguments.directory or temporary).resolve()
        directory.mkdir(parents=True, exist_ok=True)
        sizes = SmokeSizes() if arguments.smoke else OfflineSizes() if arguments.offline else Sizes()
        sizes.rounds = arguments.rounds or sizes.rounds
        if arguments.no_instructions:
            sizes.counted_programs, sizes.counted_handshakes, sizes.counted_scripts = (), (), False
        sizes.layouts = arguments.layouts or sizes.layouts
        about: dict[str, object] = {"machine before": report.machine()}
        rows: list[Row] = []
        found: list[Budget] = []
        for python in arguments.python or [sys.executable]:
            measurement = _Measurement(python, directory, sizes, arguments.offline)
            about.setdefault("versions", report.versions(measurement.environments))
            for suite in arguments.only:
                _say(f"{suite}: {measurement.name}")
                try:
                    new_rows, new_budgets = measurement.perform(suite)
                except delegated.MissingSystem as missing:
                    _say(f"{suite} is left out: {missing}")
                    continue
                rows += new_rows
                found += [
                    Budget(f"{it.what} ({measurement.name})", it.must, it.measured, it.holds) for it in new_budgets
                ]
        about["machine after"] = report.machine()
        print(f"{about['machine before']}\n{about['versions']}\n\n{report.tables(rows)}\n\n{report.budgets(found)}")
        if arguments.json:
            report.write_json(pathlib.Path(arguments.json), about, rows, found)
    if arguments.smoke:
        return _smoke_verdict(arguments.only, rows)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the hook against stock Python, public truststore and pip-system-certs, side by side.",
    )
    parser.add_argument(
        "--python", action="append", metavar="PATH", help="an interpreter to measure with (repeatable; default: this)"
    )
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=list(SUITES),
        metavar="SUITE,...",
        help=f"some of {', '.join((*SUITES, *EXTRA_SUITES))} (default: all but the last)",
    )
    parser.add_argument(
        "--layouts",
        type=lambda text: tuple(_LAYOUTS[name] for name in text.split(",")),
        metavar="NAME,...",
        help=f"which trust stores: some of {', '.join(_LAYOUTS)}; what needs only one takes the first",
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="how often all variants are asked in turn")
    parser.add_argument("--no-instructions", action="store_true", help="count none, which takes most of the time")
    parser.add_argument("--json", metavar="FILE", help="write every sample to FILE")
    parser.add_argument("--directory", metavar="DIR", help="keep the environments in DIR and use them again next time")
    parser.add_argument(
        "--offline",
        type=pathlib.Path,
        metavar="WHEELS",
        help="fetch nothing: compare only the variants whose wheels lie in this folder, without HTTP clients",
    )
    parser.add_argument("--smoke", action="store_true", help="a minute's run that shows only that everything can run")
    arguments = parser.parse_args()
    if arguments.offline is not None and arguments.only == list(SUITES):
        arguments.only = [suite for suite in SUITES if suite != "programs"]
    unknown = set(arguments.only) - {*SUITES, *EXTRA_SUITES}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return arguments


class _Measurement:
    """One interpreter, and what its measurements share."""

    def __init__(self, python: str, directory: pathlib.Path, sizes: Sizes, wheels: pathlib.Path | None) -> None:
        self.name = report.interpreter(python)
        self._python = python
        self._directory = directory
        self._sizes = sizes
        _say(f"preparing environments for {self.name}")
        place = directory / self.name.replace(" ", "-").replace("/", "-")
        if wheels is None:
            self.environments = environments.prepare(place, python, sizes.variants)
        else:
            self.environments = environments.prepare_offline(place, python, wheels)
        self._without_floor = {name: it for name, it in self.environments.items() if name != FLOOR}
        self._pki = directory / "pki"
        self._roots = pki.prepare(self._pki)
        self._reason = layouts.available()
        self._layouts = layouts.prepare(directory / "layouts", self._roots) if self._reason is None else {}

    def perform(self, suite: str) -> tuple[list[Row], list[Budget]]:
        group = f"{suite}, {self.name}"
        if suite == "startup":
            return startup.measure(self.environments, self._sizes, group)
        if suite == "windows":
            return delegated.measure_windows(self.environments, self._pki, self._sizes)
        if self._reason is not None:
            _say(f"{suite} is left out: {self._reason}")
            return [], []
        several = {name: self._layouts[name] for name in self._sizes.layouts}
        first = self._layouts[self._sizes.layouts[0]]
        if suite == "contexts":
            return contexts.measure(self._without_floor, several, self._sizes, group)
        if suite == "handshakes":
            return handshakes.measure(self._without_floor, several, self._pki, self._sizes, group)
        if suite == "growth":
            return load.measure_growth(self._without_floor, first, self._pki / "ECDSA.pem", self._sizes, group)
        if suite == "gate":
            return delegated.measure_gate(self.environments, first, self._pki, self._sizes, group)
        if suite == "macos":
            return delegated.measure_macos(self.environments, self._pki, first.bundle, self._sizes, group)
        return self._over_tcp(suite, first, group)

    def _over_tcp(self, suite: str, layout: layouts.Layout, group: str) -> tuple[list[Row], list[Budget]]:
        folder = self._directory / "files"
        programs.make_wheel(folder)
        with server(self._python, self._pki / "ECDSA.pem", folder) as ports:
            if suite == "programs":
                programs.let_certifi_trust(self.environments[STOCK], self._roots)
                return programs.measure(
                    self._without_floor, layout, ports[0], self._directory / "downloads", self._sizes, group
                )
            return load.measure(self._without_floor, layout, ports, self._sizes, group)


def _smoke_verdict(suites: list[str], rows: list[Row]) -> int:
    """Whether every suite gave rows with figures of ours. What they say is nobody's business in a run so short."""
    bad = [suite for suite in suites if not any(row.group.startswith(suite) for row in rows)]
    bad += [f"{row.group}: {row.what}: {row.failures}" for row in rows if OURS in row.failures]
    for line in bad:
        _say(f"failed: {line}")
    print(f"{len(rows) - len(bad)} passed, {len(bad)} failed")
    return 1 if bad else 0


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
