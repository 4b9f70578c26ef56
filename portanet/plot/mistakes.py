"""What a classifier takes for what: the confusion matrix, and its worst mistakes as pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from portanet.errors import DataError
from portanet.plot.style import canvas, class_names, dress, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_COUNTS = 30  # classes up to which the cells of a confusion matrix have room for their numbers
_MOST_NAMES = 60  # names along an axis that do not run into each other


def confusion(matrix: Any, classes: Sequence[str] = (), *, of: str = "samples") -> Figure:
    """Draw how many samples of each class (rows) were taken for which class (columns).

    Colour is the share of the row, on a square-root scale, so that rare confusions are seen beside a full diagonal. Of
    two classes the recall is written next to the rows, and the precision below the columns.

    Parameters
    ----------
    matrix : host array of integers, shape (classes, classes)
        See :func:`portanet.metrics.confusion_matrix`.
    classes : sequence of str
        Names in the order of the indices; the indices themselves where there are none.
    of : str
        What was counted, for the title.

    Raises
    ------
    DataError
        If the matrix is not square or has another number of classes.
    """
    counts = np.asarray(matrix)
    n = len(counts) if counts.ndim else 0
    if counts.shape != (n, n) or n == 0:
        message = f"confusion: expected counts of shape (classes, classes), got {counts.shape}; see confusion_matrix"
        raise DataError(message)
    every = -(-n // _MOST_NAMES)
    names = class_names(classes, n, 16, "confusion")[::every]
    across, down = names, names
    if n == 2:  # there recall and precision are what is asked for
        shares = ([percent(counts[i, i] / max(counts.sum(axis)[i], 1)) for i in (0, 1)] for axis in (0, 1))
        across, down = (
            [f"{name}\n{word} {share}" for name, share in zip(names, own, strict=True)]
            for word, own in zip(("precision", "recall"), shares, strict=True)
        )
    side = min(max(3.2, 0.45 * n), 13.0)
    cell = 72 * side / n  # in points, as letters are measured
    size = min(10.0, 0.8 * cell * every)
    room = max(map(len, names)) * 0.65 * size  # of the longest name
    turned = room > cell * every
    if n == 2:
        room = max(room, 60.0)  # of "recall 100.0%"
    total = int(counts.sum())
    title = f"Accuracy {percent(int(np.trace(counts)) / max(total, 1))} of {total:,} {of}"
    if 0.105 * len(title) > side + 0.6:  # inches: a bold letter of 12 points
        title = title.replace(" of ", "\nof ", 1)
    lines = title.count("\n") + across[0].count("\n")
    figure = canvas(side + 1.7 + room / 72, side + 0.9 + turned * room / 72 + 0.2 * lines)
    from matplotlib.colors import PowerNorm

    axes = figure.add_subplot()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    norm = PowerNorm(0.5, 0.0, 1.0)
    image = axes.imshow(share, cmap="Blues", norm=norm)
    dress(axes, title, "predicted class", "true class")
    axes.grid(visible=False)
    axes.set_xticks(range(0, n, every), across, fontsize=size, rotation=90 if turned else 0, parse_math=False)
    axes.set_yticks(range(0, n, every), down, fontsize=size, parse_math=False)
    if n <= _MOST_COUNTS:
        fit = min(11.0, cell / (0.7 * max(len(str(counts.max())), 2)))
        for (row, column), count in np.ndenumerate(counts):
            ink = "0.7" if count == 0 else "white" if norm(share[row, column]) > 0.55 else "black"
            cell_text = axes.text(column, row, str(count), ha="center", va="center", fontsize=fit, color=ink)
            cell_text.set_in_layout(False)  # it lies within: measuring hundreds of them would take seconds
    bar = figure.colorbar(image, ax=axes, shrink=0.8, aspect=5 * side, pad=0.02, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1])
    bar.ax.set_yticklabels(["0", "1", "5", "20", "50", "100"])
    bar.set_label("share of the true class (%)", fontsize=11)
    return figure


def worst(
    images: Any,
    target: Any,
    probabilities: Any,
    classes: Sequence[str] = (),
    count: int = 25,
    *,
    scale: float | None = None,
    of: str = "samples",
) -> Figure:
    """Draw the mistakes with the largest loss, -log p of the true class, each titled "true → guess, p of the guess".

    Parameters
    ----------
    images : host array, shape (n, h, w), (n, h, w, 1 or 3), or (n, h·h)
    target : host array of integers, shape (n,)
    probabilities : host array, shape (n, classes), or (n, 1) of class 1
    classes : sequence of str
        Names in the order of the indices; the indices themselves where there are none.
    count : int
        Pictures at most.
    scale : float, optional
        The value of white, where black is 0; without it the least and the largest value shown are black and white.
    of : str
        What the images are, for the title.

    Raises
    ------
    DataError
        If the images, targets, probabilities and names do not fit each other, or the images are none.
    """
    pictures, true, p = _as_pictures(np.asarray(images)), np.asarray(target), by_class(probabilities)
    if not len(pictures) == len(true) == len(p):
        came = f"{len(true)} targets and {len(p)} rows"
        message = f"worst: expected a target and a row of probabilities for each of {len(pictures)} images, got {came}"
        raise DataError(message)
    if len(true) and not 0 <= true.min() <= true.max() < p.shape[1]:
        message = f"worst: expected targets from 0 to {p.shape[1] - 1}, got {true.min()} to {true.max()}"
        raise DataError(message)
    guess = p.argmax(axis=1)
    wrong = np.flatnonzero(guess != true)
    # The least p is the largest loss. Several may have p = 0 in float32: then the surest guess is the worst.
    order = np.lexsort((-p[wrong, guess[wrong]], p[wrong, true[wrong]]))
    chosen = wrong[order[:count]]
    names = class_names(classes, p.shape[1], 14, "worst")
    across = max(1, math.ceil(math.sqrt(len(chosen))))
    down = max(1, -(-len(chosen) // across))
    pairs = [f"{names[true[i]]} → {names[guess[i]]}," for i in chosen]
    longest = max(map(len, pairs), default=0)
    figure = canvas(max(6.0, across * max(1.75, 0.3 + 0.08 * longest)), down * (2.0 if longest < 10 else 2.2) + 0.6)
    title = f"{len(wrong):,} mistake{'' if len(wrong) == 1 else 's'} among {len(true):,} {of}"
    figure.suptitle(f"The {len(chosen)} worst of {title}" if len(chosen) < len(wrong) else title, fontweight="bold")
    if not len(chosen):
        figure.text(0.5, 0.45, "nothing was mistaken", ha="center", va="center", fontsize=14, color="0.4")
        return figure
    seen = pictures[chosen].astype(np.float64)  # bytes would wrap around
    low, high = (0.0, scale) if scale else (float(seen.min()), float(seen.max()))
    for place, (i, pair) in enumerate(zip(chosen, pairs, strict=True)):
        axes = figure.add_subplot(down, across, place + 1)
        shown = (seen[place] - low) / max(high - low, 1e-12)
        axes.imshow(np.clip(shown, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        gap = " " if longest < 10 else "\n"
        axes.set_title(f"{pair}{gap}p = {p[i, guess[i]]:.2f}", fontsize=10, parse_math=False)
        axes.set_axis_off()
    return figure


def by_class(probabilities: Any) -> np.ndarray[Any, Any]:
    """Return a column for each class: a single one is the probability of class 1."""
    p = np.asarray(probabilities)
    return np.concatenate([1 - p, p], axis=1) if p.shape[1] == 1 else p


def square(pixels: int) -> int:
    """Return the side of a square image of so many pixels; 0 if there is none."""
    side = math.isqrt(pixels)
    return side if side * side == pixels else 0


def _as_pictures(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return (n, h, w) or (n, h, w, 3)."""
    if images.ndim == 2 and (side := square(images.shape[1])):
        return images.reshape(-1, side, side)
    if images.ndim == 4 and images.shape[3] == 1:
        return images[..., 0]
    if images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3):
        return images
    expected = "images (n, h, w), (n, h, w, 1 or 3) or rows of a square's pixels"
    message = f"worst: expected {expected}, got shape {images.shape}"
    raise DataError(message)
