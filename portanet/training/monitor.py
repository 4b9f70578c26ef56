"""A column of the history that something watches: which way it improves, and whether it has."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from portanet.checks import one_of
from portanet.errors import ConfigError, unknown

if TYPE_CHECKING:
    from portanet.metrics import Metric

__all__ = ["MODE", "direction", "improved", "monitored"]

MODE = one_of("auto", "min", "max")
"""What :func:`direction` takes: the validator of a field."""


def direction(monitor: str, mode: str, metrics: Iterable[Metric], owner: str) -> int:
    """Return +1 if a larger value in the column `monitor` of the history is better, -1 if a smaller one is.

    Raises
    ------
    ConfigError
        If `mode` is "auto", and the column is neither the loss nor of a metric that says its direction.
    """
    if mode != "auto":
        return 1 if mode == "max" else -1
    rises = {**{metric.name: metric.greater_is_better for metric in metrics}, "loss": False}
    name = monitor if monitor in rises else monitor.removeprefix("val_")
    if (found := rises.get(name)) is not None:
        return 1 if found else -1
    if name in rises:
        why = f"metric {name!r} does not say by greater_is_better whether a smaller or larger {monitor!r} is better;"
    else:
        known = [column for n in rises for column in (n, f"val_{n}")]
        why = unknown("column of the history to monitor", monitor, known) + "; for a column that a callback logs"
    message = f"{owner}: {why} give mode='min' or mode='max'"
    raise ConfigError(message)


def improved(value: float, best: float | None, sign: int, min_delta: float = 0.0) -> bool:
    """Whether `value` is better than `best` by more than `min_delta`; all is better than None or NaN.

    `sign` is that of :func:`direction`.
    """
    return best is None or math.isnan(best) or sign * (value - best) > min_delta


def monitored(row: dict[str, float], monitor: str, owner: str) -> float:
    """Return the value of `monitor` in a row of the history; raise ConfigError listing the columns if it is missing."""
    if monitor not in row:
        hint = "; give validation data to fit()" if monitor.startswith("val_") else ""
        raise ConfigError(f"{owner}: " + unknown("column of the history to monitor", monitor, row) + hint)
    return row[monitor]
