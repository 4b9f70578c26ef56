"""NumPy's BLAS by its C names, for what NumPy itself does not offer: products and sums into an array that is there."""

from __future__ import annotations

import ctypes
import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from portanet.typing import Array

__all__ = ["add_product", "routine"]

_ROW_MAJOR, _PLAIN, _TURNED = 101, 111, 112  # CBLAS's names of the layouts
_NUMBERS = {"f": ("s", ctypes.c_float), "d": ("d", ctypes.c_double)}
_ARGUMENTS = {"axpy": "nxpnpn", "gemm": "eeennnxpnpnxpn"}  # e: an enum, n: a whole number, x: a number, p: a pointer


@functools.cache
def routine(name: str, dtype: str) -> Callable[..., None] | None:
    """Return cblas_sNAME or cblas_dNAME of the library that NumPy multiplies with; None if it cannot be reached.

    `dtype` is NumPy's character of it.
    """
    if dtype not in _NUMBERS:
        return None
    letter, number = _NUMBERS[dtype]
    name, arguments = f"cblas_{letter}{name}", _ARGUMENTS[name]
    try:
        products: Any = importlib.import_module("numpy._core._multiarray_umath")
        library = ctypes.CDLL(products.__file__)  # symbols are looked for in what it is linked to, too
    except (ImportError, OSError):
        return None
    for symbol in (f"scipy_{name}64_", f"{name}64_", f"scipy_{name}", name):  # NumPy's own wheels; systems' libraries
        found: Any = getattr(library, symbol, None)
        if found is not None:
            whole = ctypes.c_int64 if symbol.endswith("64_") else ctypes.c_int
            kinds = {"e": ctypes.c_int, "n": whole, "x": number, "p": ctypes.c_void_p}
            found.argtypes = tuple(kinds[letter] for letter in arguments)
            found.restype = None
            return found  # type: ignore[no-any-return]
    return None


def add_product(y: Array, a: Array, b: Array) -> Array:
    """Return y + a b, for `y` that is owned and may be written over.

    Shapes    y (m, n), a (m, k), b (k, n)
    Source    Dongarra, Du Croz, Hammarling & Duff 1990, ACM TOMS 16(1), routine SGEMM

    NumPy's BLAS adds in place; everything else makes the product first.
    """
    if type(y) is np.ndarray and y.ndim == 2:
        gemm = routine("gemm", y.dtype.char)
        inputs = [_laid_out(x, y.dtype) for x in (a, b)]
        if gemm is not None and None not in inputs and y.flags.carray and y.size and a.shape[1]:
            (turn_a, lead_a), (turn_b, lead_b) = inputs  # type: ignore[misc]
            (m, n), k = y.shape, a.shape[1]
            places = (a.ctypes.data, lead_a, b.ctypes.data, lead_b, 1.0, y.ctypes.data, n)
            gemm(_ROW_MAJOR, turn_a, turn_b, m, n, k, 1.0, *places)
            return y
    y += a @ b
    return y


def _laid_out(x: Any, dtype: Any) -> tuple[int, int] | None:
    """Return how a matrix lies in memory, in the BLAS's terms: whether turned, and the numbers from row to row."""
    if type(x) is not np.ndarray or x.ndim != 2 or x.dtype != dtype or not x.flags.aligned:
        return None
    size = x.itemsize
    down, across = x.strides
    if across == size and down % size == 0 and down >= x.shape[1] * size:
        return _PLAIN, down // size
    if down == size and across % size == 0 and across >= x.shape[0] * size:
        return _TURNED, across // size
    return None
