"""Rows of the result: what was measured for each variant, how the variants compare, and what the budget asks."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence

from benchmarks.environments import OURS, STOCK

# How a number is shown, for each unit in which rows keep theirs.
_FORMATS: dict[str, Callable[[float], str]] = {
    "ns": lambda value: f"{value / 1e6:.2f} ms" if value >= 1e5 else f"{value / 1e3:.1f} us",
    "bytes": lambda value: f"{value / 1024:.1f} KiB" if abs(value) < 1 << 20 else f"{value / (1 << 20):.2f} MiB",
    "instructions": lambda value: f"{value / 1e6:.2f} M",
    "bytes/s": lambda value: f"{value / 1e6:.0f} MB/s",
    "modules": lambda value: f"{value:.0f}",
}


class Row:
    """One line of the table.

    `samples` has a list for each variant; the numbers at one place of these lists were taken side by side, so that
    ratios are built from pairs. A variant that failed is in `failures` instead, with what it said.
    """

    def __init__(
        self, group: str, what: str, unit: str, samples: Mapping[str, Sequence[float]], failures: Mapping[str, str] = {}
    ) -> None:
        self.group = group
        self.what = what
        self.unit = unit
        self.failures = dict(failures)
        self.samples = {
            variant: list(values) for variant, values in samples.items() if values and variant not in failures
        }

    def median(self, variant: str) -> float:
        return statistics.median(self.samples[variant])

    def spread(self, variant: str) -> tuple[float, float]:
        """The middle half of the samples: first and third quartile."""
        return _quartiles(self.samples[variant])

    def ratios(self, variant: str, base: str = STOCK) -> list[float]:
        """How `variant` compares with `base`, pair by pair."""
        if variant not in self.samples or base not in self.samples:
            return []
        return [one / other for one, other in self._pairs(variant, base) if other > 0]

    def ratio(self, variant: str = OURS, base: str = STOCK) -> float | None:
        ratios = self.ratios(variant, base)
        return statistics.median(ratios) if ratios else None

    def difference(self, variant: str = OURS, base: str = STOCK) -> float | None:
        if variant not in self.samples or base not in self.samples:
            return None
        return statistics.median(one - other for one, other in self._pairs(variant, base))

    def _pairs(self, variant: str, base: str) -> Iterable[tuple[float, float]]:
        return zip(self.samples[variant], self.samples[base], strict=True)

    def shown(self, variant: str) -> str:
        """The cell of `variant`: its median, and its ratio to stock Python with the spread of that."""
        if variant in self.failures:
            return f"fails: {self.failures[variant]}"
        if variant not in self.samples:
            return ""
        cell = self.format(self.median(variant))
        ratios = self.ratios(variant)
        if variant != STOCK and ratios:
            low, high = _quartiles(ratios)
            cell += f" ({statistics.median(ratios):.3g}x, {low:.3g}-{high:.3g})"
        return cell

    def format(self, value: float) -> str:
        return _FORMATS[self.unit](value)

    def as_json(self) -> dict[str, object]:
        return {
            "group": self.group,
            "what": self.what,
            "unit": self.unit,
            "samples": self.samples,
            "failures": self.failures,
            "medians": {variant: self.median(variant) for variant in self.samples},
            "ratios to stock": {variant: self.ratio(variant) for variant in self.samples if variant != STOCK},
        }


class Budget:
    """One promise of the design, and what was measured. `holds` is None where it could not be measured."""

    def __init__(self, what: str, must: str, measured: str, holds: bool | None) -> None:
        self.what = what
        self.must = must
        self.measured = measured
        self.holds = holds

    def as_json(self) -> dict[str, object]:
        return {"what": self.what, "must": self.must, "measured": self.measured, "holds": self.holds}


def ratio_budget(row: Row, what: str, base: str = STOCK, *, at_most: float) -> Budget:
    """That ours takes at most `at_most` times what `base` takes. Below one half, it is told as "times faster"."""
    faster = at_most < 0.5
    must = f">= {1 / at_most:.3g}x faster than {base}" if faster else f"<= {at_most:.3g}x of {base}"
    ratios = row.ratios(OURS, base)
    if not ratios:
        return Budget(what, must, "not measured: " + "; ".join(row.failures.values()), None)
    middle, (low, high) = statistics.median(ratios), _quartiles(ratios)
    if faster:
        measured = f"{1 / middle:.3g}x faster ({1 / high:.3g}-{1 / low:.3g})"
    else:
        measured = f"{middle:.3g}x ({low:.3g}-{high:.3g})"
    return Budget(what, must, measured, middle <= at_most)


def difference_budget(row: Row, what: str, base: str = STOCK, *, at_most: float) -> Budget:
    """That ours takes at most `at_most` more than `base` does, in the unit of `row`."""
    must = f"<= +{row.format(at_most)} against {base}"
    difference = row.difference(OURS, base)
    if difference is None:
        return Budget(what, must, "not measured", None)
    return Budget(what, must, f"{'+' if difference >= 0 else ''}{row.format(difference)}", difference <= at_most)


def _quartiles(values: Sequence[float]) -> tuple[float, float]:
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high
