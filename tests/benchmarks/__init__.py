"""Benchmarks, run by hand: ``python -m tests.benchmarks.NAME``. Compare ratios within one run."""
