"""Points in the plane whose classes no line separates: made, not read, and the same for one seed everywhere."""

from __future__ import annotations

import numpy as np

from portanet.data.dataset import Dataset, HostArray
from portanet.data.split import hold_out
from portanet.errors import ConfigError
from portanet.random import generator


def moons(n: int = 1000, *, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Make two half circles that reach into each other.

    Parameters
    ----------
    n : int
        Number of points, of which a fifth is the test part.
    noise : float
        Standard deviation of what is added to each coordinate.
    seed : int
        Of the noise and of the split.

    Returns
    -------
    Dataset
        Points ``(n, 2)`` in float64, two classes.

    Raises
    ------
    ConfigError
        If there are fewer than ten points a class, or the noise is negative.

    Notes
    -----
    Source: scikit-learn's ``make_moons``.
    """
    t = [np.pi * s for s in _parameter(n, 2, noise)]
    upper = np.stack([np.cos(t[0]), np.sin(t[0])], axis=1)
    lower = np.stack([1 - np.cos(t[1]), 0.5 - np.sin(t[1])], axis=1)
    return _dataset("moons", [upper, lower], noise, seed)


def circles(n: int = 1000, *, noise: float = 0.05, factor: float = 0.5, seed: int = 0) -> Dataset:
    """Make a circle round a smaller one, whose radius is `factor`; otherwise as `moons`.

    Notes
    -----
    Source: scikit-learn's ``make_circles``.
    """
    t = [2 * np.pi * s for s in _parameter(n, 2, noise)]
    outer, inner = (np.stack([np.cos(angle), np.sin(angle)], axis=1) for angle in t)
    return _dataset("circles", [outer, factor * inner], noise, seed)


def spirals(n: int = 1000, *, noise: float = 0.02, classes: int = 3, turns: float = 0.75, seed: int = 0) -> Dataset:
    """Make arms of a spiral round the origin, one for each class, each of so many `turns`; otherwise as `moons`.

    Notes
    -----
    Source: Lang & Witbrock 1988, "Learning to tell two spirals apart", with any number of arms.
    """
    if classes < 2:
        message = f"spirals: expected at least 2 classes, got {classes}"
        raise ConfigError(message)
    radius = [0.1 + 0.9 * s for s in _parameter(n, classes, noise)]
    arms = []
    for i, r in enumerate(radius):
        angle = 2 * np.pi * (i / classes + turns * r)
        arms.append(np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1))
    return _dataset("spirals", arms, noise, seed)


def _parameter(n: int, classes: int, noise: float) -> list[HostArray]:
    """Return evenly spaced parameters of the curves from 0 to 1, an array a class; sizes differ by one at most."""
    if n < 10 * classes:
        message = f"expected at least {10 * classes} points for {classes} classes, got n={n}"
        raise ConfigError(message)
    if not noise >= 0:
        message = f"expected a noise of 0 or more, got {noise}"
        raise ConfigError(message)
    return [np.linspace(0.0, 1.0, (n + i) // classes) for i in range(classes)]


def _dataset(name: str, curves: list[HostArray], noise: float, seed: int) -> Dataset:
    x = np.concatenate(curves)
    x = x + generator(seed, "points", name).normal(scale=noise, size=x.shape)
    y = np.repeat(np.arange(len(curves)), [len(curve) for curve in curves])
    return hold_out(
        Dataset(name, x, y, classes=tuple(str(i) for i in range(len(curves))), features=("x", "y")), seed=seed
    )
