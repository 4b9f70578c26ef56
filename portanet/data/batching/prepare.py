"""What a trainer does with arrays before the first batch: checks them on the host, casts once, splits them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device

from portanet.backends.host import host_array
from portanet.data.batching.finite import check_device, finite_numbers, numbers, on_host
from portanet.data.batching.sparse import SparseRows
from portanet.data.lazy.readable import Samples, is_lazy
from portanet.data.lazy.stored import Stored
from portanet.errors import ConfigError, DataError, ShapeError
from portanet.layers import Softmax
from portanet.losses import Loss
from portanet.random import generator
from portanet.typing import Array, Shape

_ROUNDING = 1e-3  # of a row of shares that was meant to sum to 1
_SMALL = frozenset("?bBhH")  # NumPy's characters of integers of 8 and 16 bits: they stay small until the batch


def samples(x: Any, dtype: str, shape: Shape | None = None, *, what: str = "x") -> Array:
    """Return samples ready for the device: host arrays checked and cast, arrays of another library as they are.

    Small integers (images of bytes) keep their dtype until the batch; everything else is cast to `dtype`.

    Raises
    ------
    DataError, ShapeError
        If `x` is empty, has no sample axis, holds no numbers or numbers that are not finite, or if its samples do not
        have the given `shape`.
    """
    if isinstance(x, SparseRows):
        x = x.astype(dtype)
    elif isinstance(x, Stored) or is_lazy(x):  # each block is checked when it is read
        x = x if isinstance(x, Stored) else Stored(x, partial(samples, dtype=dtype))
    elif on_host(x):
        x = numbers(x, what)
        # In one piece, once: NumPy's take() would copy a strided array whole for every batch.
        x = np.asarray(x, order="C") if x.dtype.char in _SMALL else finite_numbers(x, dtype, what)
    else:
        check_device(x, what)
    came = f"got an array of shape {tuple(x.shape)}"
    single = shape is not None and tuple(x.shape) == tuple(shape)
    if x.ndim < 2 and not single:
        message = f"{what}: expected rows of samples, {came}; reshape one feature to (n, 1)"
        raise ShapeError(message)
    if 0 in x.shape:
        least, cut = ("sample", "rows") if x.shape[0] == 0 else ("feature", "columns")
        message = f"{what}: expected at least one {least}, {came}; look where its {cut} were chosen: none was left"
        raise DataError(message)
    if single and shape is not None:
        message = f"{what}: expected samples of shape {tuple(shape)} along a first axis, {came}, which is one sample; "
        raise ShapeError(message + f"add the axis: {what}[None]")
    if shape is not None and tuple(x.shape[1:]) != tuple(shape):
        sizes = f"{tuple(shape)}, got {tuple(x.shape[1:])}"
        message = f"{what}: expected samples of shape {sizes}; retrain for other data"
        raise ShapeError(message)
    return x


def targets(y: Any, n: int, outputs: int, loss: Loss, dtype: str, *, places: Shape = (), what: str = "y") -> Array:
    """Return targets ready for the device: class indices in int32, everything else in `dtype`.

    Targets without the axis of outputs, (n, *places), are class indices for a network of several outputs. They must be
    whole numbers from 0 to `outputs` - 1, which is checked on the host: a device would wrap round. `places` are the
    axes of the network's outputs but the last: the tokens of a text, the rows and columns of an image.

    Raises
    ------
    DataError, ShapeError
        If there are not `n` targets, they do not fit the outputs, or lie outside of what the loss can take.
    """
    if y is None:
        message = f"{what}: expected targets, got None; give them as the second argument"
        raise DataError(message)
    host = on_host(y)
    if host:
        y = numbers(y, what)
    shape, outputs = tuple(y.shape), loss.targets(outputs)
    if y.ndim == 0 or y.shape[0] != n:
        message = f"{what}: expected one target for each of the {n} samples, got an array of shape {shape}; "
        raise ShapeError(message + "give samples and targets of one set")
    rows = (n, *places)
    if loss.one_target and outputs > 1 and shape in (rows, (*rows, 1)):
        xp, shape = array_namespace(y), (*rows, outputs)
        y = xp.asarray(xp.broadcast_to(xp.reshape(y, (*rows, 1)), shape), copy=True)
    whole = y.ndim == len(rows)  # one target a place, without the axis of outputs
    if shape not in (rows, (*rows, outputs)):
        hint = "; y.reshape(-1) makes class indices of a column" if shape == (n, 1) else ""
        expected = f"{outputs} numbers a sample"
        if places:
            hint = "; for one target a sample add Flatten() before the first Dense"
            expected = f"targets of shape {rows} or {(*rows, outputs)}"
        message = f"{what}: expected {expected}, as the network has outputs, got shape {shape}{hint}"
        raise ShapeError(message)
    if not host:
        check_device(y, what)
        if whole:
            y = host_array(y)
    if whole and outputs > 1:
        return _indices(y, outputs, what)
    if host or whole:
        y = finite_numbers(y, dtype, what)  # rows of another library may be many numbers: they stay where they are
    xp = array_namespace(y)
    low, high = loss.target_range
    least, most = float(xp.min(y)), float(xp.max(y))
    if least < low or most > high:
        wanted, came = f"{low:g} to {high:g}", f"{least + 0.0:g} to {most + 0.0:g}"
        message = f"{what}: {type(loss).__name__} expects targets from {wanted}, got {came}; "
        raise DataError(message + "fix them, or use a loss that is made for such")
    if loss.output is Softmax and not whole:
        sums = xp.reshape(xp.sum(xp.astype(y, getattr(xp, dtype)), axis=-1), (-1,))
        if float(xp.max(xp.abs(sums - 1.0))) > _ROUNDING:
            worst = int(xp.argmax(xp.abs(sums - 1.0)))
            message = (
                f"{what}: {type(loss).__name__} expects rows of shares that sum to 1, got {float(sums[worst]):g} at "
                f"{_place(worst, rows)}; divide each row by its sum, or take BinaryCrossEntropy for labels that do not "
                "exclude each other"
            )
            raise DataError(message)
    return y


def split(y: Any, fraction: float, seed: int, *, stratify: bool) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the row numbers of a training and of a validation part, in increasing order.

    The validation part is the given fraction of the rows of y, (n, ...); with `stratify`, of each class in y.
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
        message = f"validation_fraction: {fraction} of {n} samples leaves a part empty; "
        raise DataError(message + "give validation_data, or more samples")
    return np.sort(order[~chosen]), np.sort(order[chosen])


def take_rows(a: Any, rows: np.ndarray[Any, Any]) -> Any:
    """Return these rows of a host array, of a device's array by its own library, or of what is read row by row."""
    if isinstance(a, Stored | Samples | SparseRows):
        return a.take(rows)
    if on_host(a):
        return np.asarray(a)[rows]
    xp = array_namespace(a)
    return xp.take(a, xp.asarray(rows, device=device(a)), axis=0)


def _place(index: int, shape: Shape) -> str:
    """Return in words where an entry is, counted in the order of the memory."""
    row, *place = (int(i) for i in np.unravel_index(index, shape))
    return f"row {row}, place {tuple(place)}" if place else f"row {row}"


def _indices(y: np.ndarray[Any, Any], outputs: int, what: str) -> np.ndarray[Any, Any]:
    if y.dtype.kind == "f" and (y % 1 != 0).any():  # NaN is no whole number either
        worst, which = int((y % 1 != 0).argmax()), "(whole numbers)"
        fix = "for a regression on one number give the network one output"
    elif y.min() < 0 or y.max() >= outputs:
        worst, which = int(y.argmin() if y.min() < 0 else y.argmax()), f"0 … {outputs - 1}"
        fix = "number the classes from 0, or give the network as many outputs as there are classes"
    else:
        return y.astype(np.int32)  # the widest integers that every library has
    came = f"{y.flat[worst]} at {_place(worst, y.shape)}"
    message = f"{what}: expected class indices {which} for {outputs} outputs, got {came}; {fix}"
    raise DataError(message)
