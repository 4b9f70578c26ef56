"""What a trainer does with arrays before the first batch: checks them on the host, casts once, splits them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device, is_array_api_obj

from portanet.backends.host import host_array
from portanet.data.sparse import SparseRows
from portanet.errors import ConfigError, DataError, ShapeError
from portanet.losses import Loss, SoftmaxCrossEntropy
from portanet.random import generator
from portanet.typing import Array, Shape

_ROUNDING = 1e-3  # of a row of shares that was meant to sum to 1

_SMALL = ("bool", "uint8", "int8", "uint16", "int16")  # stay small until the batch


def samples(x: Any, dtype: str, shape: Shape | None = None, *, what: str = "x") -> Array:
    """Return samples ready for the device: host arrays checked and cast, arrays of another library as they are.

    Parameters
    ----------
    x : array, nested list or SparseRows, shape (n, *shape)
    dtype : str
        Of the arithmetic. Small integers (images of bytes) keep their dtype; all else is cast to it.
    shape : tuple of int, optional
        What a sample must be.

    Raises
    ------
    DataError, ShapeError
        If `x` is empty, has no sample axis, holds no numbers or numbers that are not finite, or does not fit `shape`.
    """
    if isinstance(x, SparseRows):
        x = x.astype(dtype)
    elif _on_host(x):
        x = _numbers(x, what)
        # In one piece, once: NumPy's take() would copy a strided array whole for every batch.
        x = np.asarray(x, order="C") if x.dtype.name in _SMALL else _finite(x, dtype, what)
    else:
        _check_device(x, what)
    if x.ndim < 2:
        message = (
            f"{what}: expected rows of samples, got an array of shape {tuple(x.shape)}; reshape one feature to (n, 1)"
        )
        raise ShapeError(message)
    if 0 in x.shape:
        least = "sample" if x.shape[0] == 0 else "feature"
        message = f"{what}: expected at least one {least}, got an array of shape {tuple(x.shape)}"
        raise DataError(message)
    if shape is not None and tuple(x.shape[1:]) != tuple(shape):
        message = (
            f"{what}: expected samples of shape {tuple(shape)}, got {tuple(x.shape[1:])}; train anew for other data"
        )
        raise ShapeError(message)
    return x


def targets(y: Any, n: int, outputs: int, loss: Loss, dtype: str, *, what: str = "y") -> Array:
    """Return targets ready for the device: class indices in int32, all else in `dtype`.

    Class indices are what one axis of targets means for a network of several outputs; they must be whole numbers from
    0 to `outputs` - 1, which only the host can tell in time: a device would wrap round.

    Raises
    ------
    DataError, ShapeError
        If there are not `n` targets, they do not fit the outputs, or lie outside of what the loss can take.
    """
    if y is None:
        message = f"{what}: expected targets, got None; give them as the second argument"
        raise DataError(message)
    host = _on_host(y)
    if host:
        y = _numbers(y, what)
    if y.ndim == 0 or y.shape[0] != n:
        message = (
            f"{what}: expected one target for each of the {n} samples, got an array of shape {tuple(y.shape)}; give "
            "samples and targets of one set"
        )
        raise ShapeError(message)
    if (y.ndim == 2 and y.shape[1] != outputs) or y.ndim > 2:
        mend = "; y.reshape(-1) makes class indices of a column" if tuple(y.shape) == (n, 1) else ""
        message = f"{what}: expected {outputs} numbers a sample, as the network has outputs, got shape {tuple(y.shape)}"
        raise ShapeError(message + mend)
    if not host:
        _check_device(y, what)
        if y.ndim == 1:
            y = host_array(y)
    if y.ndim == 1 and outputs > 1:
        return _indices(y, outputs, what)
    if host or y.ndim == 1:
        y = _finite(y, dtype, what)  # rows of another library may be many numbers: they stay where they are
    xp = array_namespace(y)
    low, high = loss.target_range
    least, most = float(xp.min(y)), float(xp.max(y))
    if least < low or most > high:
        message = (
            f"{what}: {type(loss).__name__} expects targets from {low:g} to {high:g}, got {least + 0.0:g} to "
            f"{most + 0.0:g}; mend them, or take a loss that is made for such"
        )
        raise DataError(message)
    if isinstance(loss, SoftmaxCrossEntropy) and y.ndim == 2:
        sums = xp.sum(xp.astype(y, getattr(xp, dtype)), axis=1)
        if float(xp.max(xp.abs(sums - 1.0))) > _ROUNDING:
            worst = int(xp.argmax(xp.abs(sums - 1.0)))
            message = (
                f"{what}: SoftmaxCrossEntropy expects rows of shares that sum to 1, got {float(sums[worst]):g} at row "
                f"{worst}; divide each row by its sum, or take BinaryCrossEntropy for labels that do not exclude "
                "each other"
            )
            raise DataError(message)
    return y


def weights(
    weight: Any, class_weight: Any, y: Any, n: int, outputs: int, dtype: str, *, what: str = "sample_weight"
) -> np.ndarray[Any, Any] | None:
    """Return each sample's weight (host array, shape (n,)) from its own and its class's; None where there is neither.

    Parameters
    ----------
    weight : array, shape (n,), optional
    class_weight : "balanced", dict {class index: weight}, or sequence of weights, optional
        "balanced" gives each class the same total weight: n / (classes · count).

    Raises
    ------
    DataError, ConfigError
        If a weight is negative or not finite, all are 0, there is not one a sample, or the targets are no classes.
    """
    found = np.ones(n, dtype)
    if weight is not None:
        given = _finite(_numbers(weight if _on_host(weight) else host_array(weight), what), dtype, what)
        if given.shape != (n,):
            message = f"{what}: expected a weight for each of the {n} samples, got an array of shape {given.shape}"
            raise ShapeError(message)
        if given.min() < 0:
            message = f"{what}: expected weights of 0 or more, got {given.min():g} at row {given.argmin()}"
            raise DataError(message)
        found *= given
    if class_weight is not None:
        labels = host_array(y)
        if labels.ndim == 2 and labels.shape[1] > 1:
            if not np.allclose(labels.sum(axis=1), 1.0):
                message = "class_weight: expected one class a sample, got rows of several labels; use sample_weight"
                raise ConfigError(message)
            labels = labels.argmax(axis=1)
        labels = labels.reshape(-1)
        classes = max(outputs, 2)
        if not np.array_equal(labels, labels.round()) or labels.min() < 0 or labels.max() >= classes:
            message = f"class_weight: expected class indices 0 … {classes - 1} as targets, got {labels.dtype} numbers"
            raise ConfigError(message)
        found *= class_weights(class_weight, labels.astype(np.int64), classes)[labels.astype(np.int64)].astype(dtype)
    with np.errstate(over="ignore"):
        total = found.sum()
    if not np.isfinite(total):
        message = f"{what}: expected weights whose sum {dtype} can hold, got up to {found.max():g}; divide all by that"
        raise DataError(message)
    if not found.any():
        message = f"{what}: expected a weight above 0 for at least one sample, got 0 for all {n}"
        raise DataError(message)
    return found if weight is not None or class_weight is not None else None


def class_weights(
    spec: str | Mapping[int, float] | Sequence[float], labels: np.ndarray[Any, Any], classes: int
) -> np.ndarray[Any, Any]:
    """Return a weight for each class; classes that a dict leaves out weigh 1, those without samples too."""
    if isinstance(spec, str):
        if spec != "balanced":
            message = f"class_weight: expected 'balanced', a dict or a list, got {spec!r}"
            raise ConfigError(message)
        counts = np.bincount(labels, minlength=classes)
        return np.where(counts > 0, len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1)), 1.0)
    if not isinstance(spec, Mapping):
        if np.shape(spec) != (classes,):
            message = f"class_weight: expected a weight for each of the {classes} classes, got {spec!r}; or give a dict"
            raise ConfigError(message)
        spec = dict(enumerate(spec))
    by_class = spec
    if any(not (isinstance(c, int | np.integer) and 0 <= c < classes) for c in by_class):
        message = f"class_weight: expected classes 0 … {classes - 1}, got {sorted(by_class, key=str)}"
        raise ConfigError(message)
    found = [by_class.get(c, 1.0) for c in range(classes)]
    try:
        array = np.array(found, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.array([np.nan])
    if array.ndim != 1 or not (np.isfinite(array).all() and array.min() >= 0):
        message = f"class_weight: expected finite weights of 0 or more, got {found}"
        raise ConfigError(message)
    return array


def split(y: Any, fraction: float, seed: int, *, stratify: bool) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the row numbers of a training and of a validation part, in increasing order.

    Parameters
    ----------
    y : host array, shape (n, ...)
    fraction : float
        Share of the validation part, 0 < fraction < 1.
    stratify : bool
        Whether each class (y holds their indices) gives its share.
    """
    n = len(y)
    if not 0 < fraction < 1:
        message = f"validation_fraction: expected a number above 0 and below 1, got {fraction!r}"
        raise ConfigError(message)
    order = generator(seed, "split").permutation(n)
    if stratify:
        order = order[np.argsort(y[order], kind="stable")]
    # Every 1/fraction-th sample, whatever the fraction: where the running count of it passes a whole number.
    count = np.floor(np.arange(1, n + 1) * fraction)
    chosen = np.diff(count, prepend=0.0) > 0
    if not chosen.any() or chosen.all():
        message = (
            f"validation_fraction: {fraction} of {n} samples leaves a part empty; give validation_data, or more samples"
        )
        raise DataError(message)
    return np.sort(order[~chosen]), np.sort(order[chosen])


def take_rows(a: Any, rows: np.ndarray[Any, Any]) -> Any:
    """Return the rows of a host array, or of a device's array by its own library."""
    if _on_host(a):
        return np.asarray(a)[rows]
    xp = array_namespace(a)
    return xp.take(a, xp.asarray(rows, device=device(a)), axis=0)


def _check_device(x: Any, what: str) -> None:
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
        message = f"{what}: expected finite numbers, got inf or nan in an array of {x.dtype}; mend or leave out rows"
        raise DataError(message)


def _on_host(x: Any) -> bool:
    return isinstance(x, np.ndarray | np.generic) or not is_array_api_obj(x)


def _numbers(x: Any, what: str) -> np.ndarray[Any, Any]:
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
        mend = "read it as numbers first, x.astype('float32') say"
        if what.endswith("y"):
            mend = "number it first: names, numbers = np.unique(labels, return_inverse=True)"
        return f"text such as {str(first)!r:.60}; {mend}"
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


def _finite(x: np.ndarray[Any, Any], dtype: str, what: str) -> np.ndarray[Any, Any]:
    """Return `x` in `dtype`; tell the first number that is not finite in it."""
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows here is told below
        cast = np.asarray(x, dtype=dtype, order="C")
        total = float(cast.sum())
    if not math.isfinite(total) and not np.isfinite(cast).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(cast))[0])
        message = (
            f"{what}: expected finite numbers in {dtype}, got {x[place]} at index {place}; mend or leave out that row"
        )
        raise DataError(message)
    return cast


def _indices(y: np.ndarray[Any, Any], outputs: int, what: str) -> np.ndarray[Any, Any]:
    if y.dtype.kind == "f" and (y % 1 != 0).any():  # NaN is no whole number either
        worst = int((y % 1 != 0).argmax())
        message = (
            f"{what}: expected class indices (whole numbers) for {outputs} outputs, got {y[worst]} at row {worst}; "
            f"for a regression on one number give the network one output"
        )
        raise DataError(message)
    if y.min() < 0 or y.max() >= outputs:
        worst = int(y.argmin() if y.min() < 0 else y.argmax())
        message = (
            f"{what}: expected class indices 0 … {outputs - 1} for {outputs} outputs, got {y[worst]} at row {worst}; "
            f"number the classes from 0, or give the network as many outputs as there are classes"
        )
        raise DataError(message)
    return y.astype(np.int32)  # the widest integers that every library has
