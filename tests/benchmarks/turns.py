"""Runs that take turns (A B C A B C …) in one process: what is compared is the ratio within a round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any


class Turns:
    """Seconds of each run in each round, behind a round that warms up.

    Attributes
    ----------
    seconds : dict of list of float
    results : dict
        What each run returned in the last round.
    """

    def __init__(self, runs: Mapping[str, Callable[[], Any]], rounds: int) -> None:
        self.seconds: dict[str, list[float]] = {name: [] for name in runs}
        self.results: dict[str, Any] = {}
        for i in range(rounds + 1):
            for name, run in runs.items():
                began = time.perf_counter()
                self.results[name] = run()
                if i:
                    self.seconds[name].append(time.perf_counter() - began)

    def median(self, name: str) -> float:
        """Return the median of a run's seconds."""
        return statistics.median(self.seconds[name])

    def ratio(self, name: str, other: str) -> float:
        """Return the median over the rounds of a run's time divided by another's."""
        return statistics.median(a / b for a, b in zip(self.seconds[name], self.seconds[other], strict=True))
