"""The validation loss of the trials of a search, over each setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from portanet.errors import DataError
from portanet.fleet.search import Trial, spread_of
from portanet.plot.style import COLOURS, canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def trials(found: Sequence[Trial]) -> Figure:
    """Draw the validation loss over each setting, a point a trial; the larger, the longer it was trained.

    The best trial, the first, is a star. Those that diverged are left out.

    Raises
    ------
    DataError
        If all diverged.
    """
    seen = [trial for trial in found if trial.result]
    if not seen:
        message = "trials: expected at least one trial that did not diverge, got none; search smaller rates"
        raise DataError(message)
    keys = list(seen[0].settings)
    longest = max(trial.epochs for trial in seen)
    figure = canvas(4.2 * len(keys), 3.8)
    for i, key in enumerate(keys):
        axes = figure.add_subplot(1, len(keys), i + 1)
        names, x = spread_of(seen, key)
        y = [trial.loss for trial in seen]
        sizes = [15 + 45 * trial.epochs / longest for trial in seen]
        axes.scatter(x[1:], y[1:], s=sizes[1:], color=COLOURS[0], alpha=0.6, linewidths=0)
        axes.scatter(x[:1], y[:1], s=160, color=COLOURS[1], marker="*", label="best", zorder=3)
        if names:
            axes.set_xticks(range(len(names)), names)
            axes.set_xlim(-0.5, len(names) - 0.5)
        elif min(x) > 0 and max(x) > 30 * min(x):
            axes.set_xscale("log")
        if min(y) > 0 and max(y) > 100 * min(y):
            axes.set_yscale("log")
        axes.set_xlabel(key)
        axes.set_ylabel("validation loss" if i == 0 else "")
        axes.grid(alpha=0.3)
    figure.axes[0].legend(frameon=False)
    return figure
