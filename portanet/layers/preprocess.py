"""Fixed maps of the input, part of the network so that they are saved with it and run where it runs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from portanet.backends.host import host_array
from portanet.checks import Number
from portanet.errors import ConfigError, DataError, ShapeError
from portanet.layers.base import Layer
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["Rescale", "RobustScale", "Standardize"]


def statistics(value: Any) -> Any:
    """Return a host array of finite numbers, or None: the validator of a field."""
    try:
        if value is None or (hasattr(value, "shape") and abs(host_array(value)).max(initial=0) < math.inf):
            return value
    except DataError:
        pass
    expected = "a host array of finite numbers"
    raise ConfigError(expected, "make it by Standardize.of(x)")


@dataclass(frozen=True)
class Rescale(Layer):
    """The same affine map of every input, y = scale x + offset: ``Rescale(1 / 255)`` for images of bytes.

    Forward   y  = scale x + offset,  scale ≠ 0
    Backward  dx = scale dy
    """

    scale: Annotated[float, Number(but=0)]
    offset: float = 0.0
    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True

    @classmethod
    def of(cls, x: Any) -> Rescale:
        """Return the map that gives all entries of the host array `x` together mean 0 and standard deviation 1.

        Images train faster so than between 0 and 1: inputs whose mean is not 0 push all weights of a unit the same way
        (LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, sec. 4.3).
        """
        mean, std = float(x.mean(dtype="float64")), float(x.std(dtype="float64")) or 1.0
        return cls(1 / std, -mean / std)

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        y = x * self.scale
        if self.offset:
            y += self.offset
        return y, None

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        return self.scale * dy, {}


class _Shifted(Layer):
    """Base of maps of each feature, y = (x - centre) factor, by two arrays that are made of training data.

    The two are fields; they are saved with the network's parameters, as buffers, not in its description.
    """

    arrays: ClassVar[tuple[str, str]]
    """The names of centre and factor."""
    stacks: ClassVar[bool] = True
    by_sample: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        shapes = [None if value is None else value.shape for value in self._values()]
        if shapes[0] != shapes[1]:
            names, got = " and ".join(self.arrays), " and ".join(map(str, shapes))
            message = f"{type(self).__name__}: {names} must have the same shape, got {got}"
            raise ConfigError(message)

    def _values(self) -> list[Any]:
        return [getattr(self, name) for name in self.arrays]

    def init_buffers(self, in_shape: Shape) -> Params:
        return fixed(dict(zip(self.arrays, self._values(), strict=True)), in_shape, f"{type(self).__name__}.of")

    def buffer_shapes(self, in_shape: Shape) -> dict[str, Shape]:
        return dict.fromkeys(self.arrays, tuple(in_shape))  # known without the arrays themselves

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        centre, factor = self.arrays
        y = x - params[centre]
        y *= params[factor]
        return y, params[factor]

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        return dy * cache, {}

    def config(self) -> dict[str, Any]:
        return {"type": type(self).__name__}


@dataclass(frozen=True)
class Standardize(_Shifted):
    """Each feature with mean 0 and standard deviation 1, by the training data's own mean and deviation.

    Forward   y  = (x - mean) inverse_std
    Backward  dx = dy inverse_std
    Shapes    x, y: (..., n, features); mean, inverse_std: (features,), buffers

    Make it by :meth:`of`; the two arrays are saved with the network's parameters, not in its description.
    """

    mean: Annotated[Any, statistics] = field(default=None, repr=False, compare=False)
    inverse_std: Annotated[Any, statistics] = field(default=None, repr=False, compare=False)
    arrays: ClassVar[tuple[str, str]] = ("mean", "inverse_std")

    @classmethod
    def of(cls, x: Any) -> Standardize:
        """Return the layer for the host array `x`, (n, features); a feature that never changes is only centred."""
        std = x.std(axis=0, dtype="float64")
        std[std == 0] = 1.0
        return cls(x.mean(axis=0, dtype="float64"), 1.0 / std)

    @classmethod
    def back_to(cls, y: Any) -> Standardize:
        """Return the layer that brings standardised numbers back to the scale of the host array `y`, (n, outputs).

        As the last layer of a regression it lets the network learn targets of any size: (z + mean / std) std.
        """
        std = y.std(axis=0, dtype="float64")
        std[std == 0] = 1.0
        return cls(-y.mean(axis=0, dtype="float64") / std, std)


@dataclass(frozen=True)
class RobustScale(_Shifted):
    """Each feature with median 0 and quartiles 1 apart, by the training data's own: outliers do not shrink the rest.

    Forward   y  = (x - median) factor,   factor = 1 / (third quartile - first quartile)
    Backward  dx = dy factor
    Shapes    x, y: (..., n, features); median, factor: (features,), buffers
    Source    Holzmüller, Grinsztajn & Steinwart 2024, arXiv:2407.04491

    Make it by :meth:`of`; the two arrays are saved with the network's parameters, not in its description. SmoothClip
    belongs after it.
    """

    median: Annotated[Any, statistics] = field(default=None, repr=False, compare=False)
    factor: Annotated[Any, statistics] = field(default=None, repr=False, compare=False)
    arrays: ClassVar[tuple[str, str]] = ("median", "factor")

    @classmethod
    def of(cls, x: Any) -> RobustScale:
        """Return the layer for the host array `x`, (n, features).

        Where the quartiles are equal, half of the range takes the place of their distance; a feature that never changes
        becomes 0.
        """
        ordered = x.astype("float64")
        ordered.sort(axis=0)
        low, median, high = (_quantile(ordered, q) for q in (0.25, 0.5, 0.75))
        spread = high - low
        spread = spread + (spread == 0) * 0.5 * (ordered[-1] - ordered[0])
        constant = spread == 0
        return cls(median, (1.0 - constant) / (spread + constant))


def _quantile(ordered: Any, q: float) -> Any:
    """Return the quantile q of each column of sorted rows, interpolated between the two rows beside it."""
    at = q * (len(ordered) - 1)
    first, last = math.floor(at), math.ceil(at)
    return ordered[first] + (at - first) * (ordered[last] - ordered[first])


def fixed(arrays: Params, in_shape: Shape, made_by: str) -> Params:
    """Return a layer's fixed arrays, one number a feature; raise ShapeError if there are none, or for other samples."""
    if any(value is None for value in arrays.values()):
        message = f"it has no {' and '.join(arrays)} yet; make it by {made_by}(x), with the training data"
        raise ShapeError(message)
    for value in arrays.values():
        if value.shape != in_shape:
            message = (
                f"was made of samples of shape {value.shape}, got {in_shape}; make it of this data by {made_by}(x)"
            )
            raise ShapeError(message)
    return arrays
