"""Arrays and blocks of a trace as plain values, short enough to be sent for each frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from portanet.data.dataset import HostArray
from portanet.inspection.step_numbers import TraceBlock

__all__ = ["block", "numbers"]


def numbers(array: HostArray, digits: int) -> Any:
    """Return an array as nested lists of numbers with so many decimals."""
    return np.round(np.asarray(array, dtype=np.float64), digits).tolist()


def block(one: TraceBlock) -> dict[str, Any]:
    """Return a block of a trace; of a large array the part around its largest entry."""
    arrays = []
    for name, part in one.excerpts():
        arrays.append({"name": name, "shape": list(part.shape), "index": part.index, "rows": part.rows})
    return {
        **{"title": one.title, "words": one.words, "formula": list(one.formula), "notes": list(one.notes)},
        "arrays": arrays,
    }
