"""Each sample's weight, from its own and its class's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from portanet.backends.host import host_array
from portanet.data.batching.finite import finite_numbers, numbers, on_host
from portanet.errors import ConfigError, DataError, ShapeError
from portanet.losses.places import per_place
from portanet.typing import Shape


def weights(
    weight: Any,
    class_weight: Any,
    y: Any,
    n: int,
    outputs: int,
    dtype: str,
    *,
    places: Shape = (),
    what: str = "sample_weight",
) -> np.ndarray[Any, Any] | None:
    """Return each sample's weight (host array, shape (n,)) from its own and its class's; None if there is neither.

    If the network has outputs at several places, weights of places and of their classes have the shape (n, *places).

    Parameters
    ----------
    weight : array, shape (n,) or (n, *places), optional
        Of each sample, or of each place; 0 for one that is to be ignored, such as the padding of a text.
    class_weight : "balanced", dict {class index: weight}, or sequence of weights, optional
        "balanced" gives each class the same total weight: n / (classes · count), or n Π places / (classes · count).

    Raises
    ------
    DataError, ConfigError
        If a weight is negative or not finite, all are 0, there is not one a sample, or the targets are no classes.
    """
    if weight is None and class_weight is None:
        return None
    found = np.ones(n, dtype)
    if weight is not None:
        given = finite_numbers(numbers(weight if on_host(weight) else host_array(weight), what), dtype, what)
        if given.shape not in ((n,), (n, *places)):
            or_place = f", or one a place, in an array of shape {(n, *places)}" if places else ""
            message = f"{what}: expected a weight for each of the {n} samples, got an array of shape {given.shape}; "
            raise ShapeError(message + f"give one number a sample, in an array of shape ({n},){or_place}")
        if given.min() < 0:
            came = f"{given.min():g} at row {given.argmin() // given[0].size}"
            message = f"{what}: expected weights of 0 or more, got {came}; give 0 to a sample that is not to count"
            raise DataError(message)
        found = given.copy()
    if class_weight is not None:
        labels = host_array(y)
        if labels.ndim == 2 + len(places) and labels.shape[-1] > 1:
            if not np.allclose(labels.sum(axis=-1), 1.0):
                message = "class_weight: expected one class a sample, got rows of several labels; give sample_weight"
                raise ConfigError(message)
            labels = labels.argmax(axis=-1)
        labels = labels.reshape((n, *places))
        classes = max(outputs, 2)
        if not np.array_equal(labels, labels.round()) or labels.min() < 0 or labels.max() >= classes:
            came = f"{labels.dtype} numbers from {labels.min():g} to {labels.max():g}"
            message = f"class_weight: expected class indices 0 … {classes - 1} as targets, got {came}; "
            raise ConfigError(message + "number the classes from 0, or give sample_weight")
        labels = labels.astype(np.int64)
        by_class = class_weights(class_weight, labels.reshape(-1), classes)[labels].astype(dtype)
        found = per_place(found, labels.shape, np) * by_class
    with np.errstate(over="ignore"):
        total = found.sum()
    if not np.isfinite(total):
        message = f"{what}: expected weights whose sum {dtype} can hold, got up to {found.max():g}; divide all by that"
        raise DataError(message)
    if not found.any():
        message = f"{what}: expected a weight above 0 for at least one sample, got 0 for all {n}; "
        raise DataError(message + "give the samples that are to count 1, or leave the weights out")
    return found


def class_weights(
    spec: str | Mapping[int, float] | Sequence[float], labels: np.ndarray[Any, Any], classes: int
) -> np.ndarray[Any, Any]:
    """Return a weight for each class; classes that a dict leaves out weigh 1, those without samples too."""
    if isinstance(spec, str):
        if spec != "balanced":
            message = f"class_weight: expected 'balanced', a dict or a list, got {spec!r}; give one of these"
            raise ConfigError(message)
        counts = np.bincount(labels, minlength=classes)
        return np.where(counts > 0, len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1)), 1.0)
    if not isinstance(spec, Mapping):
        if np.shape(spec) != (classes,):
            message = f"class_weight: expected a weight for each of the {classes} classes, got {spec!r}; or give a dict"
            raise ConfigError(message)
        spec = dict(enumerate(spec))
    if any(not (isinstance(c, int | np.integer) and 0 <= c < classes) for c in spec):
        message = f"class_weight: expected classes 0 … {classes - 1}, got {sorted(spec, key=str)}; "
        raise ConfigError(message + "name each class by its index, as the targets do")
    found = [spec.get(c, 1.0) for c in range(classes)]
    try:
        array = np.array(found, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.array([np.nan])
    if array.ndim != 1 or not (np.isfinite(array).all() and array.min() >= 0):
        message = f"class_weight: expected finite weights of 0 or more, got {found}; "
        raise ConfigError(message + "give 0 to a class that is not to count")
    return array
