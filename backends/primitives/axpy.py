"""y - a x, the last step of most optimizers; for NumPy by its BLAS, which is threaded and needs no temporary array."""

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
"""Minimum size of a matrix for the BLAS: for smaller ones the call costs more than it saves."""

_Axpy = Callable[..., None]


def minus_scaled(y: Array, a: Any, x: Array) -> Array:
    """Return y - a x, for `y` that is owned and may be overwritten.

    Shapes    x and y equal; a a number, or an array that is broadcast against them
    Source    Lawson, Hanson, Kincaid & Krogh 1979, ACM TOMS 5(3), routine SAXPY

    The BLAS rounds once; NumPy's product and difference round twice. Whether it is used depends on the last two axes,
    so that the weights of a stack of networks are updated exactly as those of each network alone.
    """
    if type(y) is np.ndarray and y.ndim > 1 and y.shape[-2] * y.shape[-1] >= LARGE:
        if np.ndim(a) and np.size(a) == len(y):  # one number for each network
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
        return False  # the BLAS computes 0 · nan as 0
    axpy(y.size, -a, x.ctypes.data, 1, y.ctypes.data, 1)
    return True


@functools.cache
def _axpy(dtype: str) -> _Axpy | None:
    """Return cblas_?axpy of NumPy's BLAS library, or None if it cannot be found."""
    number = {"f": ctypes.c_float, "d": ctypes.c_double}.get(dtype)
    if number is None:
        return None
    name = "cblas_saxpy" if dtype == "f" else "cblas_daxpy"
    try:
        products: Any = importlib.import_module("numpy._core._multiarray_umath")
        library = ctypes.CDLL(products.__file__)  # also finds symbols of the libraries that it is linked with
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
