"""The delegated path of macOS and Windows, as far as it can be measured elsewhere: the price of the gate itself."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

from benchmarks.environments import OURS, Environment
from benchmarks.figures import Budget, Row, ratio_budget
from benchmarks.layouts import Layout
from benchmarks.processes import in_turn, workers
from benchmarks.sizes import Sizes

# Three ways in which one interpreter, with our hook, connects on one context.
UNVERIFIED, GATED, NATIVE = "CERT_NONE", "behind the gate", "verified by OpenSSL"
_TASKS = {UNVERIFIED: "unverified_handshakes", GATED: "gated_handshakes", NATIVE: "reused_handshakes"}


def measure_gate(
    environments: Mapping[str, Environment], layout: Layout, pki: pathlib.Path, sizes: Sizes, group: str
) -> tuple[list[Row], list[Budget]]:
    """A handshake behind the gate whose verifier agrees at once, against one that nobody verifies."""
    rows = []
    with workers({OURS: environments[OURS]}, layout) as asked:
        for version in ("TLS 1.3", "TLS 1.2"):
            samples: dict[str, list[float]] = {way: [] for way in _TASKS}
            for ways in in_turn(_TASKS, sizes.rounds):
                for way in ways:
                    answer = asked[OURS].ask(_TASKS[way], pem=str(pki / "ECDSA.pem"), version=version, count=20)
                    if "error" in answer:
                        raise RuntimeError(f"{way}: {answer['error']}")
                    samples[way].append(sorted(answer["cpu"])[10])
            rows.append(Row(group, f"handshake, {version}, one context", "ns", samples))
    row = rows[0]
    against = Row(group, row.what, "ns", {OURS: row.samples[GATED], UNVERIFIED: row.samples[UNVERIFIED]})
    return rows, [ratio_budget(against, "handshake behind the gate", UNVERIFIED, at_most=1.05)]
