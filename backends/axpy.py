"""y - a x, the last line of most update rules; on NumPy in blocks that stay in the processor's cache."""

from __future__ import annotations

from typing import Any

import numpy as np

from portanet.typing import Array

BLOCK = 1 << 15
"""Numbers of a block: 128 or 256 KiB, so that the product is read from the cache when it is subtracted."""


def minus_scaled(y: Array, a: Any, x: Array) -> Array:
    """Return y - a x, for `y` that is owned and may be written over.

    Shapes    x and y equal; a a number, or an array that is broadcast against them

    Blocks change no bit of the result.
    """
    if type(y) is type(x) is np.ndarray and y.size > BLOCK and y.shape == x.shape:
        if np.ndim(a) and np.size(a) == len(y):  # a number for each network of a stack
            for own, number, step in zip(y, np.ravel(a), x, strict=True):
                minus_scaled(own, number, step)
            return y
        if not np.ndim(a) and y.flags.c_contiguous and x.flags.c_contiguous:
            row, steps = y.reshape(-1), x.reshape(-1)
            for start in range(0, y.size, BLOCK):
                row[start : start + BLOCK] -= a * steps[start : start + BLOCK]
            return y
    y -= a * x
    return y
