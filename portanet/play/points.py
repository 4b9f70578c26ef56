"""Points in the plane for the page: made from settings, or set by hand; and a grid of places over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from portanet.data import synthetic
from portanet.data.dataset import Dataset, HostArray
from portanet.data.split import hold_out
from portanet.errors import ConfigError
from portanet.random import generator

__all__ = ["grid", "points", "view"]

MADE = {"moons": synthetic.moons, "circles": synthetic.circles, "spirals": synthetic.spirals}
_BLOBS = ((-1.0, -0.8), (1.0, -0.6), (0.0, 1.0))
_LEAST = 4  # points set by hand, fewer are not worth a split


def points(settings: Mapping[str, Any]) -> Dataset:
    """Return the points that the settings describe, a fifth of them as the test part; float64, (n, 2).

    Raises
    ------
    ConfigError
        If points set by hand are too few, or of one class only.
    """
    kind, seed = settings["data"], settings["seed"]
    if kind in MADE:
        return MADE[kind](settings["n"], noise=settings["noise"], seed=seed)
    if kind == "blobs":
        y = np.arange(settings["n"]) % len(_BLOBS)
        noise = generator(seed, "points", "blobs").normal(scale=max(settings["noise"], 0.05) * 2, size=(len(y), 2))
        return hold_out(_dataset("blobs", np.array(_BLOBS)[y] + noise, y), seed=seed)
    own = np.array(settings["points"], dtype=np.float64).reshape(-1, 3)
    if len(own) < _LEAST or len(set(own[:, 2])) < 2:
        message = f"points: expected at least {_LEAST} of two classes or more, got {len(own)}; set more points"
        raise ConfigError(message)
    y = np.unique(own[:, 2], return_inverse=True)[1]  # numbered from 0 without gaps
    return _dataset("custom", own[:, :2], y)


def _dataset(name: str, x: HostArray, y: HostArray) -> Dataset:
    classes = tuple(str(i) for i in range(int(y.max()) + 1))
    return Dataset(name, x, y.astype(np.int64), classes=classes, features=("x", "y"))


def view(data: Dataset) -> list[float]:
    """Return the square that is shown, ``[left, right, bottom, top]``: all points and a margin."""
    every = data.x if data.x_test is None else np.concatenate([data.x, data.x_test])
    low, high = every.min(axis=0), every.max(axis=0)
    middle, half = (low + high) / 2, max(float((high - low).max()) * 0.56, 1.0)
    return [float(middle[0] - half), float(middle[0] + half), float(middle[1] - half), float(middle[1] + half)]


def grid(square: list[float], side: int) -> HostArray:
    """Return the centres of side × side cells, row by row from the top: (side², 2)."""
    left, right, bottom, top = square
    across = left + (np.arange(side) + 0.5) * (right - left) / side
    down = top - (np.arange(side) + 0.5) * (top - bottom) / side
    return np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
