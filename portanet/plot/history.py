"""Loss and metrics over the epochs, of one training or of several."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from portanet.errors import DataError
from portanet.plot.style import COLOURS, canvas, colours, dress, legend, percent, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows: TypeAlias = Iterable[Mapping[str, Any]]

_COLUMNS = 3  # panels beside each other


def curves(rows_or_runs: Rows | Mapping[str, Rows]) -> Figure:
    """Draw loss and metrics over the epochs: training solid, validation dashed, the best epoch marked by a star.

    The best epoch is that of the lowest validation loss, or training loss where there is no validation. A loss that
    spans more than two decades is drawn on a logarithmic scale; values that are not finite are left out.

    Parameters
    ----------
    rows_or_runs : History, list of dict, or {name: History or list of dict}
        The rows of one training (``epoch``, ``loss``, ``val_loss``, ...), or those of several to be compared.

    Raises
    ------
    DataError
        If a run has no epoch.
    """
    given = rows_or_runs if isinstance(rows_or_runs, Mapping) else {"": rows_or_runs}
    runs = {name: list(rows) for name, rows in given.items()}
    panels = list(dict.fromkeys(name for rows in runs.values() for row in rows for name in _measures(row)))
    empty = [name for name, rows in runs.items() if not rows]
    if empty or not panels:
        run = f" for {empty[0]!r}" if any(empty) else ""
        message = f"curves: expected at least one epoch with its loss, got none{run}; train it first"
        raise DataError(message)
    across = min(len(panels), _COLUMNS)
    down = -(-len(panels) // across)
    alone = len(runs) == 1
    figure = canvas(5.2 * across, 4.0 * down + (0 if alone else 0.3 + 0.1 * len(runs)))
    for i, panel in enumerate(panels):
        axes = figure.add_subplot(down, across, i + 1)
        seen: list[float] = []
        for rows, colour in zip(runs.values(), colours(len(runs)), strict=True):
            seen += _curve(axes, rows, panel, (colour, COLOURS[1] if alone else colour), with_legend=alone)
        _dress(axes, panel, seen)
        _set_epochs(axes, runs.values())
    if not alone:
        _shared_legends(figure, list(runs))
    return figure


def _measures(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a row measures, without the prefix of validation: some metrics are measured there alone."""
    for name, value in row.items():
        if name not in ("epoch", "lr", "seconds") and isinstance(value, int | float):
            yield name.removeprefix("val_")


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> np.ndarray[Any, Any]:
    """Return a column, not a number where a row has none or one that is not finite."""
    values = [row.get(name) for row in rows]
    column = np.array([v if isinstance(v, int | float) else math.nan for v in values], dtype=np.float64)
    return np.where(np.isfinite(column), column, np.nan)


def _curve(
    axes: Axes, rows: Sequence[Mapping[str, Any]], panel: str, two_colours: tuple[str, str], *, with_legend: bool
) -> list[float]:
    """Draw a measure of one run, training and validation; return the values that are seen."""
    epochs = np.array([row.get("epoch", i + 1) for i, row in enumerate(rows)], dtype=np.float64)
    columns = (_column(rows, panel), _column(rows, f"val_{panel}"))
    marker = "." if len(rows) <= 20 else ""  # a line alone would hide where few epochs are, and a single one altogether
    handles, names, seen = [], [], []
    for name, line, colour, y in zip(("training", "validation"), ("-", "--"), two_colours, columns, strict=True):
        if np.isnan(y).all():
            continue
        handles += axes.plot(epochs, y, line, color=colour, linewidth=1.8, marker=marker, markersize=7)
        names.append(name)
        seen += [float(v) for v in y if not math.isnan(v)]
    judge = _column(rows, "val_loss")
    judge = _column(rows, "loss") if np.isnan(judge).all() else judge
    if handles and not np.isnan(judge).all():
        best = int(np.nanargmin(judge))
        x, height = (float(np.asarray(values)[best]) for values in handles[-1].get_data())
        style: Any = {"markersize": 16, "markeredgecolor": "white", "zorder": 4}
        handles += axes.plot([x], [height], "*", color=handles[-1].get_color(), **style)
        names.append(f"best epoch {x:g}: {percent(height) if _is_share(panel) else f'{height:.4g}'}")
    if with_legend:
        legend(axes, handles, names, loc="best")
    return seen


def _is_share(panel: str) -> bool:
    return panel == "accuracy" or panel.startswith("top_")


def _dress(axes: Axes, panel: str, seen: Sequence[float]) -> None:
    from matplotlib.ticker import PercentFormatter

    title = panel.replace("_", " ")
    unit = " (% of samples)" if _is_share(panel) else " (mean per sample)" if panel == "loss" else ""
    dress(axes, title[:1].upper() + title[1:], "epoch", title + unit)
    if _is_share(panel):
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))
    elif panel == "loss" and seen and min(seen) > 0 and max(seen) > 100 * min(seen):
        axes.set_yscale("log")


def _set_epochs(axes: Axes, runs: Iterable[Sequence[Mapping[str, Any]]]) -> None:
    """Put ticks at whole epochs: at the only one, where there is but one, else at round numbers."""
    from matplotlib.ticker import MaxNLocator

    epochs = {row.get("epoch", i + 1) for rows in runs for i, row in enumerate(rows)}
    if len(epochs) > 1:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, steps=[1, 2, 5, 10]))
        return
    only = epochs.pop()
    axes.set_xlim(only - 1, only + 1)
    axes.set_xticks([only])


def _shared_legends(figure: Figure, names: Sequence[str]) -> None:
    """Tell the runs by their colours below all panels, and the parts of the data by their lines within the first."""
    from matplotlib.lines import Line2D

    styles: list[dict[str, Any]] = [{}, {"linestyle": "--"}, {"linestyle": "", "marker": "*", "markersize": 12}]
    lines = [Line2D([], [], color="0.35", **style) for style in styles]
    legend(figure.axes[0], lines, ["training", "validation", "epoch of the lowest loss"], loc="best")
    texts = [short(name, 48) for name in names]
    handles = [Line2D([], [], color=colour, linewidth=3) for colour in colours(len(names))]
    room = figure.get_figwidth() / (0.6 + 0.09 * max(map(len, texts)))  # inches: a letter of 10 points, and the line
    legend(figure, handles, texts, loc="outside lower center", ncols=max(1, min(len(texts), int(room))))
