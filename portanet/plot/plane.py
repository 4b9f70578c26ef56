"""Which class a network of two inputs gives to each point of the plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from portanet.errors import DataError
from portanet.plot.mistakes import by_class
from portanet.plot.style import canvas, class_names, colours, dress, legend, percent, short
from portanet.training.single_class import single_class

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from portanet.training.model import Model

GRID = 240  # points along a side: at 150 dpi two to three pixels each
_MARKERS = "osD^vP*"  # classes differ in shape too, and not by colour alone


def decision_boundary(
    model: Model, x: Any, y: Any, classes: Sequence[str] = (), *, features: Sequence[str] = (), of: str = "points"
) -> Figure:
    """Draw the regions of the classes, deeper in colour where the network is surer, and the points on top.

    Parameters
    ----------
    model : Model or Trainer
        Of two inputs.
    x : host array, shape (n, 2)
    y : host array of integers, shape (n,)
    classes : sequence of str
        Names in the order of the indices; the indices themselves where there are none.
    features : sequence of str
        Names of the two inputs.
    of : str
        What `x` is, for the title.

    Raises
    ------
    DataError
        If `x` are no points of a plane.
    """
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim != 2 or x.shape[1] != 2 or len(x) == 0:
        message = f"decision_boundary: expected points of shape (n, 2), got {x.shape}; a plane has two inputs"
        raise DataError(message)
    low, high = x.min(axis=0).astype(float), x.max(axis=0).astype(float)
    margin = np.where(high > low, 0.08 * (high - low), 1.0)
    (left, bottom), (right, top) = low - margin, high + margin
    across, up = np.linspace(left, right, GRID), np.linspace(bottom, top, GRID)
    grid = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    p = by_class(model.predict(grid)).reshape(GRID, GRID, -1)
    k = p.shape[2]
    names, palette = class_names(classes, k, 20, "decision_boundary"), colours(k)
    ratio = (top - bottom) / (right - left)
    alike = 1 / 3 < ratio < 3  # then one scale serves both axes
    figure = canvas(7.2 + 0.09 * max(map(len, names)), 0.8 + (min(max(6.0 * ratio, 3.0), 8.0) if alike else 4.8))
    axes = figure.add_subplot()
    shading, edges = _shading(p, palette), (left, right, bottom, top)
    axes.imshow(shading, extent=edges, origin="lower", aspect="equal" if alike else "auto", interpolation="nearest")
    for c in range(k):
        lead = p[..., c] - np.delete(p, c, axis=2).max(axis=2)
        if lead.min() < 0 < lead.max():
            axes.contour(across, up, lead, levels=[0.0], colors="0.2", linewidths=0.9)
    edge: dict[str, Any] = {"markersize": 5.5, "markeredgecolor": "white", "markeredgewidth": 0.6}
    handles = []
    for c, colour in enumerate(palette):
        handles += axes.plot(*x[y == c].T, _MARKERS[c % len(_MARKERS)], color=colour, **edge)
    right_ones = float(np.mean(single_class(model, x) == y))
    inputs = features if len(features) == 2 else ("input 1", "input 2")
    dress(axes, f"Accuracy {percent(right_ones)} of {len(x):,} {of}", *(short(name, 40) for name in inputs))
    axes.grid(visible=False)
    place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0}
    legend(axes, handles, names, **place, title="true class", handletextpad=0.3)
    return figure


def _shading(p: np.ndarray[Any, Any], palette: Sequence[str]) -> np.ndarray[Any, Any]:
    """Return the colour of each point, (h, w, 3), from its probabilities (h, w, classes).

    From mere chance, p = 1/k, to certainty: never white, so that the winner is visible even if it barely wins.
    """
    from matplotlib.colors import to_rgb

    chance = 1 / p.shape[2]
    sure = np.clip((p.max(axis=2, keepdims=True) - chance) / (1 - chance), 0, 1)
    winner = np.array([to_rgb(colour) for colour in palette])[p.argmax(axis=2)]
    shade: np.ndarray[Any, Any] = 1 - (0.12 + 0.43 * sure) * (1 - winner)
    return shade
