"""Benchmarks: run by hand, ``python -m tests.benchmarks.NAME``; compare ratios within one run, not seconds across machines."""
