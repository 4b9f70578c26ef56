"""y - a x, with which most optimizers end: in NumPy by its BLAS, which has threads and needs no temporary."""

from __future__ import annotations

import ctypes
import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from portanet.typing import Array

__all__ = ["LARGE", "minus_scaled"]

LARGE = 1 << 15
"""Least numbers of a matrix that goes to the BLAS: below that the call costs more than it saves."""

_Axpy = Callable[..., None]


def minus_scaled(y: Array, a: Any, x: Array) -> Array:
    """Return y - a x, for `y` that is owned and may be written over.

    Shapes    x and y equal; a a number, or an array that is broadcast against them
    Source    Lawson, Hanson, Kincaid & Krogh 1979, ACM TOMS 5(3), routine SAXPY

    The BLAS rounds once where NumPy's product and difference round twice. Whether it is asked depends on the last two
    axes, so that the weights of a stack of networks move as each network's would by themselves.
    """
    if type(y) is np.ndarray and y.ndim > 1 and y.shape[-2] * y.shape[-1] >= LARGE:
        if np.ndim(a) and np.size(a) == len(y):  # a number for each network
            for own, number, step in zip(y, np.ravel(a).tolist(), x, strict=True):
                minus_scaled(own, number, step)
            return y
        if _by_blas(y, a, x):
            return y
    y -= a * x
    return y


def _by_blas(y: Any, a: Any, x: Any) -> bool:
    """Subtract a x from y in place with NumPy's BLAS if that is possible; return whether it was."""
    axpy = _axpy(y.dtype.char)
    same = type(x) is np.ndarray and x.dtype == y.dtype and x.shape == y.shape
    if axpy is None or np.ndim(a) or not a or not same or not (x.flags.c_contiguous and y.flags.carray):
        return False  # the BLAS takes 0 · nan for 0
    axpy(y.size, -a, x.ctypes.data, 1, y.ctypes.data, 1)
    return True


@functools.cache
def _axpy(dtype: str) -> _Axpy | None:
    """Return cblas_?axpy of the library that NumPy multiplies with, or None where it has another form or place."""
    number = {"f": ctypes.c_float, "d": ctypes.c_double}.get(dtype)
    if number is None:
        return None
    name = "cblas_saxpy" if dtype == "f" else "cblas_daxpy"
    try:
        products: Any = importlib.import_module("numpy._core._multiarray_umath")
        library = ctypes.CDLL(products.__file__)  # symbols are looked for in what it is linked to, too
    except (ImportError, OSError):
        return None
    for symbol in (f"scipy_{name}64_", f"{name}64_", f"scipy_{name}", name):  # NumPy's own wheels; systems' libraries
        found: Any = getattr(library, symbol, None)
        if found is not None:
            whole = ctypes.c_int64 if symbol.endswith("64_") else ctypes.c_int
            found.argtypes = (whole, number, ctypes.c_void_p, whole, ctypes.c_void_p, whole)
            found.restype = None
            return found  # type: ignore[no-any-return]
    return None
