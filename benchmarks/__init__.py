"""Measures what the hook costs and saves, side by side with what people use instead: `python -m benchmarks`.

How it works is told in `docs/explanation/performance.md`. No module here is a test, and no figure passes or fails one.
"""
