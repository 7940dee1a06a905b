"""How much is measured: in full, or just enough to see that everything runs."""

from __future__ import annotations

from benchmarks.environments import FLOOR, OURS, STOCK, VARIANTS
from benchmarks.layouts import BUNDLE_ONLY, DIRECTORY_ONLY, HASHED


class Sizes:
    """What one run does, and how often. `rounds` is how often all variants are asked in turn."""

    variants: tuple[str, ...] = (*VARIANTS, FLOOR)
    layouts: tuple[str, ...] = (HASHED, DIRECTORY_ONLY, BUNDLE_ONLY)
    programs: tuple[str, ...] = ("pass", "import ssl", "import requests", "import httpx")
    counted_programs: tuple[str, ...] = programs  # those whose instructions are counted
    rounds = 15
    startup_rounds = 25
    context_counts: tuple[int, ...] = (1, 10, 200)
    counted_handshakes: tuple[int, ...] = (1, 4)  # instructions of each handshake: the difference between these two
    counted_scripts = True  # whether the instructions of scripts that make one request are counted
    series = 1000  # connections on one context, before a late one is compared with early ones
    download = 200_000_000  # bytes
    threads: tuple[int, ...] = (1, 4, 16, 64)
    patience = 3.0  # seconds for which one connection waits for a server that does not answer
    tasks = 500
    connections = 36_000  # ten a second for an hour
    contexts = 3_600  # one a second for an hour
    many_anchors = True  # whether the macOS double also judges with a bundle of extra anchors
    series_seconds = 60.0  # for each variant; one that has not done it by then, stops
    growth_seconds = 90.0  # the same for the two lines above


class OfflineSizes(Sizes):
    """What can be measured without HTTP clients."""

    programs = ("pass", "import ssl")
    counted_programs = programs


class SmokeSizes(Sizes):
    variants = (STOCK, OURS)
    layouts = (HASHED,)
    programs = ("pass", "import ssl")
    counted_programs = ("pass",)
    rounds = 2
    startup_rounds = 3
    context_counts = (1, 10)
    counted_handshakes = ()
    counted_scripts = False
    series = 20
    download = 2_000_000
    threads = (4, 16)
    patience = 0.5
    tasks = 20
    connections = 100
    contexts = 20
    many_anchors = False
    series_seconds = 5.0
    growth_seconds = 3.0
