"""Runs CPython's own tests, as they are installed with the interpreter, in several environments side by side."""

from __future__ import annotations

import json
import pathlib
import subprocess
from collections.abc import Iterable, Mapping

from harness.environment import missing
from harness.environments import Environment, bare_environment

# Runs the tests argv[2:] and writes {test: outcome} to the file argv[1]. Like CPython's regrtest without -u, so that
# nothing is asked from the network. A test is passed only if all of its subtests are.
_RUNNER = """
import json, ssl, sys, unittest
from test import support

class Outcomes(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.outcomes = {}
    def stopTest(self, test):
        self.outcomes.setdefault(test.id(), "passed")
        super().stopTest(test)
    def note(self, test, outcome):
        self.outcomes[test.id()] = outcome
    def addError(self, test, error):
        self.note(test, "error: " + self._exc_info_to_string(error, test))
    def addFailure(self, test, error):
        self.note(test, "failure: " + self._exc_info_to_string(error, test))
    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.note(test, "failure: " + self._exc_info_to_string(error, test))
    def addSkip(self, test, reason):
        self.note(test, "skipped: " + reason)
    def addExpectedFailure(self, test, error):
        self.note(test, "expected failure")
    def addUnexpectedSuccess(self, test):
        self.note(test, "unexpected success")

if __name__ == "__main__":
    support.use_resources = []
    support.verbose = 0
    outcomes = Outcomes()
    unittest.defaultTestLoader.loadTestsFromNames(sys.argv[2:]).run(outcomes)
    with open(sys.argv[1], "w") as file:
        json.dump({"class": ssl.SSLContext.__module__, "outcomes": outcomes.outcomes}, file)
"""


class Side:
    """One of the environments to compare; `variables` are added to its environment variables."""

    def __init__(self, name: str, environment: Environment, **variables: str) -> None:
        self.name = name
        self.environment = environment
        self.variables = variables
        self.context_class = ""  # the module of ssl.SSLContext at the end
        self.outcomes: dict[str, str] = {}

    @property
    def passed(self) -> set[str]:
        """The tests that passed."""
        return {test for test, outcome in self.outcomes.items() if outcome == "passed"}

    @property
    def failed(self) -> set[str]:
        """The tests that failed, or could not be run."""
        return {test for test, outcome in self.outcomes.items() if outcome.startswith(("error", "failure"))}


def run_side_by_side(sides: Iterable[Side], modules: Iterable[str], directory: pathlib.Path, timeout: float) -> None:
    """Run each of `modules` in each of `sides`, all at once: these tests mostly wait. Fills `Side.outcomes`."""
    running = []
    for side in sides:
        for module in modules:
            place = directory / side.name / module
            place.mkdir(parents=True)
            running.append((side, place / "outcomes.json", _start(side, place, [module])))
    for side, results, process in running:
        output, _ = process.communicate(timeout=timeout)
        _collect(side, results, output)


def run_again(side: Side, tests: Iterable[str], directory: pathlib.Path, timeout: float) -> None:
    """Run `tests` once more, by themselves, and take what they give now."""
    place = directory / side.name / "again"
    place.mkdir(parents=True)
    output, _ = _start(side, place, tests).communicate(timeout=timeout)
    _collect(side, place / "outcomes.json", output)


def _start(side: Side, place: pathlib.Path, tests: Iterable[str]) -> subprocess.Popen[str]:
    runner = place / "runner.py"
    runner.write_text(_RUNNER)
    return subprocess.Popen(
        [side.environment.python, "-W", "ignore", runner, place / "outcomes.json", *tests],
        cwd=place,
        env=bare_environment(**side.variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _collect(side: Side, results: pathlib.Path, output: str) -> None:
    if not results.exists() and "No module named 'test" in output:
        missing(f"{side.environment.python} was installed without CPython's tests")
    assert results.exists(), f"{side.name}: {output}"
    report: Mapping[str, object] = json.loads(results.read_text())
    assert isinstance(report["outcomes"], dict)
    unfound = [test for test in report["outcomes"] if "_FailedTest" in test]
    if unfound:
        missing(f"{side.environment.python} was installed without {unfound}")
    side.context_class = str(report["class"])
    side.outcomes.update(report["outcomes"])


def lost_tests(stock: Side, sides: Iterable[Side], directory: pathlib.Path, timeout: float) -> dict[str, list[str]]:
    """For each of `sides`, the tests that pass in `stock` and not there, with what they say.

    Tests that time out on a busy machine do so on either side. So the ones that differ, and no others, are run once
    more by themselves, on all sides; what is still different then counts. They are printed.
    """
    sides = list(sides)
    differing = sorted({test for side in sides for test in stock.passed - side.passed})
    if differing:
        print("run once more by themselves:", *differing)
        for side in (stock, *sides):
            run_again(side, differing, directory, timeout)
    return {
        side.name: [f"{test}: {side.outcomes.get(test, 'did not run')}" for test in sorted(stock.passed - side.passed)]
        for side in sides
        if stock.passed - side.passed
    }
