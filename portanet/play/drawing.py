"""A drawing in the form of the images that a network was trained on: cut out, scaled, centred."""

from __future__ import annotations

from typing import Any

import numpy as np

from portanet.data.dataset import HostArray
from portanet.errors import DataError

__all__ = ["MOST_PIXELS", "centred", "image"]

MOST_PIXELS = 512  # along a side of a drawing
_LINE = 0.05  # what is fainter is paper


def image(pixels: Any) -> HostArray:
    """Return a drawing as numbers from 0 (paper) to 1 (ink), float64, (height, width).

    Raises
    ------
    DataError
        If it is no rectangle of finite numbers, or larger than 512×512.
    """
    expected = f"rows of numbers from 0 to 1, at most {MOST_PIXELS}×{MOST_PIXELS}"
    try:
        found = np.asarray(pixels, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        message = f"image: expected {expected}, got rows of different lengths, or values that are not numbers"
        raise DataError(message) from None
    if found.ndim != 2 or found.size == 0 or max(found.shape) > MOST_PIXELS:
        message = f"image: expected {expected}, got an array of shape {found.shape}"
        raise DataError(message)
    if not (np.isfinite(found).all() and found.min() >= 0 and found.max() <= 1):
        message = f"image: expected {expected}, got other values"
        raise DataError(message)
    return found


def centred(drawn: HostArray, side: int = 28) -> HostArray:
    """Return a drawing as MNIST's images are: its ink in a box of 20 of 28 pixels, its centre of mass in the middle.

    Parameters
    ----------
    drawn : array, shape (height, width)
        From 0 (paper) to 1 (ink).
    side : int
        Pixels along a side of the image that is returned.

    Notes
    -----
    LeCun, Cortes & Burges: the digits were scaled into a box of 20×20 pixels, keeping their proportions, with grey
    levels at their edges, and moved into 28×28 pixels so that their centre of mass is in the middle.
    """
    rows, columns = (np.flatnonzero((drawn > _LINE).any(axis=axis)) for axis in (1, 0))
    found = np.zeros((side, side))
    if not len(rows):
        return found
    part = drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    box = side * 20 / 28
    scale = box / max(part.shape)
    height, width = (part.shape[0] * scale, part.shape[1] * scale)
    down, across = np.arange(part.shape[0]) + 0.5, np.arange(part.shape[1]) + 0.5
    top = side / 2 - scale * float((part.sum(axis=1) * down).sum() / part.sum())
    left = side / 2 - scale * float((part.sum(axis=0) * across).sum() / part.sum())
    top = min(max(top, 0.0), side - height)  # never beyond the edge
    left = min(max(left, 0.0), side - width)
    down, across = _shares(side, part.shape[0], top, scale), _shares(side, part.shape[1], left, scale)
    scaled: HostArray = np.clip(down @ part @ across.T, 0, 1)
    return scaled


def _shares(side: int, n: int, start: float, scale: float) -> HostArray:
    """Return how much of each of `side` pixels is covered by each of `n` source pixels, moved and scaled: (side, n)."""
    edges = start + scale * np.arange(n + 1)
    pixels = np.arange(side)[:, None]
    covered: HostArray = np.clip(np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels), 0, None)
    return covered
