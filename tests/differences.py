"""How far results are from torch's: asserted by the oracle's tests, and kept for docs/math/figures.md."""

from __future__ import annotations

from typing import Any

import numpy as np

FOUND: dict[str, float] = {}
"""By the name of a class: the largest difference so far, relative to the largest entry of its array."""


def same(thing: object, got: Any, expected: Any, *, rtol: float, atol: float = 0.0) -> None:
    """Assert that an array of a layer, loss or optimizer is torch's, and keep the largest difference."""
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol)
    got, expected = np.asarray(got), np.asarray(expected)
    largest = np.max(np.abs(expected), initial=0.0) or 1.0
    difference = float(np.max(np.abs(got - expected), initial=0.0) / largest)
    name = type(thing).__name__
    FOUND[name] = max(FOUND.get(name, 0.0), difference)
