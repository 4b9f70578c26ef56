"""Arrays of finite real numbers, and the messages if something else was given."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj

from portanet.errors import DataError


def check_device(x: Any, what: str) -> None:
    """Refuse an array of another library that holds no real numbers, or some that are not finite; a single transfer."""
    xp = array_namespace(x)
    if not xp.isdtype(x.dtype, ("bool", "integral", "real floating")):
        message = f"{what}: expected real numbers, got an array of {x.dtype}; take their real parts or magnitudes"
        raise DataError(message)
    try:
        finite = xp.isdtype(x.dtype, "real floating") is False or bool(xp.all(xp.isfinite(x)))
    except (NotImplementedError, RuntimeError) as error:
        why = str(error).partition("\n")[0][:100]
        message = f"{what}: expected an array to compute with, got another ({why}); make it dense, and fill it"
        raise DataError(message) from None
    if not finite:
        message = f"{what}: expected finite numbers, got inf or nan in an array of {x.dtype}; fix or drop these rows"
        raise DataError(message)


def on_host(x: Any) -> bool:
    """Whether `x` is a NumPy array, or no array at all: lists and numbers are read on the host."""
    return isinstance(x, np.ndarray | np.generic) or not is_array_api_obj(x)


def numbers(x: Any, what: str) -> np.ndarray[Any, Any]:
    """Return `x` as a host array of real numbers."""
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        message = f"{what}: expected numbers only, got an array with masked entries; fill them or leave their rows out"
        raise DataError(message)
    try:
        array = np.asarray(x)
    except ValueError:
        message = f"{what}: expected rows of equal length, got a ragged list; make all rows of one length"
        raise DataError(message) from None
    if array.dtype.kind not in "biuf":
        message = f"{what}: expected real numbers, got {_seen(x, array, what)}"
        raise DataError(message)
    return array


def _seen(x: Any, array: np.ndarray[Any, Any], what: str) -> str:
    """Return what `x` is, in words, and what can be done about it."""
    if array.dtype.kind == "c":
        return f"complex numbers ({array.dtype}); take their real parts or magnitudes"
    first = array.flat[0] if array.size else None
    if isinstance(first, str) and array.ndim == 0 and what.endswith("x"):
        return f"the text {str(first)!r:.60}; load it first: portanet.data.load({str(first)!r:.60})"
    if isinstance(first, str):
        number = "number it first: names, numbers = np.unique(labels, return_inverse=True)"
        fix = number if what.endswith("y") else "read it as numbers first, x.astype('float32') say"
        return f"text such as {str(first)!r:.60}; {fix}"
    if hasattr(x, "toarray"):
        return f"a sparse {type(x).__name__}; make it dense first: x.toarray()"
    if array.dtype.kind == "O" and array.ndim == 0:
        return f"{x if x is None else type(x).__name__}; give an array, or what np.asarray makes one of"
    if array.dtype.kind == "O":
        odd = next((entry for entry in array.flat if not isinstance(entry, Real)), None)
        if odd is not None or any(entry is None for entry in array.flat):
            return f"an array of objects, among them {odd!r:.60}; leave these out, or make numbers of them"
        return f"an array of objects, the first a {type(first).__name__}; convert it first, x.astype('float32') say"
    return f"an array of {array.dtype}; convert it first, x.astype('float32') say"


def finite_numbers(x: np.ndarray[Any, Any], dtype: str, what: str) -> np.ndarray[Any, Any]:
    """Return `x` in `dtype`; raise at the first number that is not finite in it."""
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows here is reported below
        cast = np.asarray(x, dtype=dtype, order="C")
        total = float(cast.sum())
    if not math.isfinite(total) and not np.isfinite(cast).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(cast))[0])
        message = f"{what}: expected finite numbers in {dtype}, got {x[place]} at index {place}; "
        raise DataError(message + "fix or drop that row")
    return cast
