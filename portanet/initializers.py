"""Initializers: the first weights, as host arrays in float64, which the trainer casts and uploads.

A layer names one by a string, with its numbers after a colon if it has any: ``"he_normal"``, ``"normal:0.05"``,
``"uniform:-0.1,0.1"``, ``"constant:0.5"``. A function ``(rng, shape) -> array`` works too.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

import numpy as np

from portanet.errors import ConfigError, unknown
from portanet.typing import Shape

__all__ = ["Initializer", "initializer"]

HostArray: TypeAlias = np.ndarray[Any, Any]


_UNUSED = np.random.Philox(0)


class ShapesOnly(np.random.Generator):
    """Stands for a generator if only the shapes of parameters are needed, which no machine may be able to hold."""

    def __init__(self) -> None:
        super().__init__(_UNUSED)


def fans(shape: Shape) -> tuple[int, int]:
    """Return how many inputs a unit has and how many units an input reaches: `shape` is ``(..., in, out)``."""
    receptive = math.prod(shape[:-2])
    return receptive * (shape[-2] if len(shape) > 1 else 1), receptive * shape[-1]


def zeros(rng: np.random.Generator, shape: Shape) -> HostArray:
    """Zero everywhere: for biases. With such weights all units stay alike."""
    return constant(rng, shape, 0.0)


def ones(rng: np.random.Generator, shape: Shape) -> HostArray:
    """One everywhere."""
    return constant(rng, shape, 1.0)


def constant(rng: np.random.Generator, shape: Shape, value: float = 0.0) -> HostArray:
    """`value` everywhere."""
    return _everywhere(value, tuple(shape)) if isinstance(rng, ShapesOnly) else np.full(shape, value)


@functools.lru_cache(maxsize=256)  # the memory that a prediction takes is estimated from the shapes of all layers
def _everywhere(value: float, shape: Shape) -> HostArray:
    return np.broadcast_to(value, shape)  # read-only, and takes no memory


def uniform(rng: np.random.Generator, shape: Shape, low: float = 0.0, high: float = 1.0) -> HostArray:
    """Uniform over [low, high)."""
    return rng.uniform(low, high, shape)


def normal(rng: np.random.Generator, shape: Shape, std: float = 1.0) -> HostArray:
    """Normal with mean 0 and standard deviation `std`; the standard normal if none is given."""
    return rng.normal(0.0, std, shape)


def glorot_uniform(rng: np.random.Generator, shape: Shape) -> HostArray:
    """Uniform with variance 2 / (fan_in + fan_out): keeps a linear unit's signal both ways (Glorot & Bengio 2010)."""
    limit = math.sqrt(6 / sum(fans(shape)))
    return rng.uniform(-limit, limit, shape)


def glorot_normal(rng: np.random.Generator, shape: Shape) -> HostArray:
    """Normal with variance 2 / (fan_in + fan_out) (Glorot & Bengio 2010)."""
    return rng.normal(0.0, math.sqrt(2 / sum(fans(shape))), shape)


def he_uniform(rng: np.random.Generator, shape: Shape) -> HostArray:
    """Uniform with variance 2 / fan_in: ReLU loses half of the signal, this restores it (He et al. 2015)."""
    limit = math.sqrt(6 / fans(shape)[0])
    return rng.uniform(-limit, limit, shape)


def he_normal(rng: np.random.Generator, shape: Shape) -> HostArray:
    """Normal with variance 2 / fan_in (He et al. 2015, arXiv:1502.01852)."""
    return rng.normal(0.0, math.sqrt(2 / fans(shape)[0]), shape)


def lecun_uniform(rng: np.random.Generator, shape: Shape) -> HostArray:
    """Uniform with variance 1 / fan_in (LeCun et al. 1998, Efficient BackProp)."""
    limit = math.sqrt(3 / fans(shape)[0])
    return rng.uniform(-limit, limit, shape)


def lecun_normal(rng: np.random.Generator, shape: Shape) -> HostArray:
    """Normal with variance 1 / fan_in (LeCun et al. 1998, Efficient BackProp)."""
    return rng.normal(0.0, math.sqrt(1 / fans(shape)[0]), shape)


def orthogonal(rng: np.random.Generator, shape: Shape, gain: float = 1.0) -> HostArray:
    """Columns (or rows) orthonormal, times `gain`, all but the last axis taken as one (Saxe et al. 2014)."""
    rows, columns = math.prod(shape[:-1]), shape[-1]
    q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diag(r))  # makes the decomposition, and so the distribution, unique
    return gain * (q if rows >= columns else q.T).reshape(shape)


_FIXED = (zeros, ones, constant, uniform, normal, orthogonal)
_SCALED = (glorot_uniform, glorot_normal, he_uniform, he_normal, lecun_uniform, lecun_normal)
INITIALIZERS: dict[str, Callable[..., HostArray]] = {one.__name__: one for one in (*_FIXED, *_SCALED)}


def known_initializer(value: Any) -> Any:
    """Return `value` if it is an initializer: the validator of a field."""
    try:
        initializer(value)
    except ConfigError as error:
        expected = "an initializer"
        raise ConfigError(expected, str(error)) from None
    return value


Initializer: TypeAlias = Annotated[str | Callable[[np.random.Generator, Shape], HostArray], known_initializer]


def initializer(spec: Initializer) -> Callable[[np.random.Generator, Shape], HostArray]:
    """Return the function ``(rng, shape) -> float64 array`` that `spec` names.

    Raises
    ------
    ConfigError
        If the name is unknown or its numbers do not fit.
    """
    if callable(spec):
        return lambda rng, shape: _of_shape(spec(rng, shape), shape)
    return _named(str(spec))


@functools.lru_cache(maxsize=256)  # the shapes of a network's layers are asked for again and again
def _named(spec: str) -> Callable[[np.random.Generator, Shape], HostArray]:
    name, _, rest = spec.partition(":")
    if name not in INITIALIZERS:
        raise ConfigError(unknown("initializer", name, INITIALIZERS))
    function, wrong = INITIALIZERS[name], ""
    takes = function.__code__.co_argcount - 2
    try:
        numbers = [float(word) for word in rest.split(",")] if rest else []
    except ValueError:
        message = f"initializer {spec!r}: expected numbers after the colon, such as 'normal:0.05', got {rest!r}"
        raise ConfigError(message) from None
    try:
        if len(numbers) > takes:
            wrong = f"{name} takes at most {takes} numbers, got {len(numbers)}"
        elif not np.isfinite(function(np.random.default_rng(0), (1, 1), *numbers)).all():
            wrong = f"expected finite numbers after the colon, got {rest!r}"
    except (ValueError, OverflowError) as error:
        wrong = f"{error}; see portanet.initializers.{name}"
    if wrong:
        message = f"initializer {spec!r}: {wrong}"
        raise ConfigError(message)
    return lambda rng, shape: zeros(rng, shape) if isinstance(rng, ShapesOnly) else function(rng, shape, *numbers)


def _of_shape(found: Any, shape: Shape) -> HostArray:
    """Return what a custom function gave, in float64."""
    array = np.asarray(found, dtype=np.float64)
    if array.shape != tuple(shape):
        message = f"initializer: expected an array of shape {tuple(shape)} from the function, got one of {array.shape}"
        raise ConfigError(message)
    return array
