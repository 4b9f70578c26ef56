"""The sum of rows by their index, the way back of picking rows by index (scatter-add, segment sum)."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import device, is_cupy_array, is_jax_array, is_torch_array

from portanet.backends.namespace import namespace
from portanet.typing import Array

__all__ = ["index_add", "index_add_portable"]


def index_add(size: int, index: Array, values: Array) -> Array:
    """Return the sums of the rows of `values` that have the same index.

    Forward   y[i] = Σ_j values[j]  over the rows j with index[j] = i; 0 if there is none
    Shapes    index (rows,) in 0 … size - 1, values (rows, features), y (size, features)

    On a CPU the rows of an index are added up in a fixed order; on a GPU CuPy's and torch's atomic additions are not.
    """
    if isinstance(values, np.ndarray):
        return _numpy(size, index, values)
    if is_torch_array(values):
        zeros: Any = values.new_zeros((size, values.shape[1]))
        return zeros.index_add(0, index, values)
    if is_jax_array(values):
        return namespace(values).zeros((size, values.shape[1]), dtype=values.dtype).at[index].add(values)
    if is_cupy_array(values):
        import cupy

        sums = cupy.zeros((size, values.shape[1]), values.dtype)
        cupy.add.at(sums, index, values)
        return sums
    return index_add_portable(size, index, values)


def index_add_portable(size: int, index: Array, values: Array) -> Array:
    """Return the same by a product with one-hot rows, in operations of the standard: the reference."""
    xp = namespace(values)
    numbers = xp.arange(size, dtype=index.dtype, device=device(values))
    return xp.astype(numbers[:, None] == index[None, :], values.dtype) @ values


def _numpy(size: int, index: Any, values: Any) -> Any:
    """Return the same by sums over segments of the rows, sorted by index."""
    sums = np.zeros((size, values.shape[1]), values.dtype)
    if index.size:
        order = np.argsort(index, kind="stable")
        index = index[order]
        first = np.flatnonzero(np.concatenate(([True], index[1:] != index[:-1])))
        sums[index[first]] = np.add.reduceat(values[order], first, axis=0)
    return sums
