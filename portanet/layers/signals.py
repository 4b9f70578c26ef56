"""Convolution and pooling of signals (n, length, channels): those of images of one row."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from portanet.backends.namespace import namespace
from portanet.backends.primitives.axes import Axis
from portanet.checks import COUNT, Count, Either, Number, Several, one_of
from portanet.errors import ConfigError, ShapeError
from portanet.layers.base import Layer
from portanet.layers.conv import Conv2D
from portanet.layers.convolution import Convolution
from portanet.layers.pool import AvgPool2D, GlobalAvgPool2D, GlobalMaxPool2D, MaxPool2D
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["AvgPool1D", "Conv1D", "GlobalAvgPool1D", "GlobalMaxPool1D", "MaxPool1D"]

_PIXELS = Number(0, COUNT.most, whole=True)
Padding1D = Annotated[int | str | tuple[int, int], Either((one_of("valid", "same"), _PIXELS, Several(_PIXELS, 2)))]


class _Signal(Layer):
    """Base of the layers of signals, which are those of images (:attr:`image`) of one row."""

    by_sample: ClassVar[bool] = True

    @property
    def image(self) -> Layer:
        """The layer of images."""
        raise NotImplementedError

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        if len(in_shape) != 2:
            message = f"expected signals (length, channels), got samples of shape {tuple(in_shape)}"
            raise ShapeError(message)
        params, out_shape = self.image.init(rng, (1, *in_shape))
        params = {name: value[0, ...] if name == "weight" else value for name, value in params.items()}
        return params, tuple(out_shape[-2:] if len(out_shape) == 3 else out_shape)

    def scratch(self, in_shape: Shape) -> int:
        return self.image.scratch((1, *in_shape))

    def held(self, in_shape: Shape) -> int:
        return self.image.held((1, *in_shape))

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        wide = {name: value[None, ...] if name == "weight" else value for name, value in params.items()}
        y, cache = self.image.forward(wide, xp.reshape(x, (x.shape[0], 1, *x.shape[1:])), train=train, key=key)
        return _without_row(y, xp), (cache, y.ndim)

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        xp = namespace(dy)
        inner, axes = cache
        rows = xp.reshape(dy, (dy.shape[0], 1, *dy.shape[1:])) if axes == 4 else dy
        dx, grads = self.image.backward(params, rows, inner, need_dx=need_dx)
        grads = {name: value[0, ...] if name == "weight" else value for name, value in grads.items()}
        return (None if dx is None else _without_row(dx, xp)), grads


class _Windows(_Signal):
    """Base of those with a window."""

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            _ = self.image  # which checks that the fields go together, and is kept
        except ConfigError as error:
            raise ConfigError(str(error).replace("2D", "1D")) from None

    def axis(self, length: int) -> Axis:
        """Return the window's arithmetic for signals of that length."""
        image: Any = self.image
        axis: Axis = image.axes(1, length)[1]
        return axis


def _without_row(x: Array, xp: Any) -> Array:
    return xp.reshape(x, (x.shape[0], *x.shape[2:])) if x.ndim == 4 else x


def _flat(padding: Any) -> Any:
    """Return the padding of a signal as that of an image of one row."""
    return padding if isinstance(padding, str) else (0, padding)


@dataclass(frozen=True)
class Conv1D(_Windows, Convolution):
    """Convolution (cross-correlation) of signals.

    Forward   y[p]  = Σ_k x[s p + d k - pad] W[k] + b
    Backward  dx[q] = Σ_k dy[p] W[k]ᵀ  over the places p that have q under tap k
              dW[k] = Σ_p x[s p + d k - pad]ᵀ dy[p],   db = Σ dy
    Shapes    x (n, t, in), W (k, in / groups, units), b (units,), y (n, t', units)
    Source    Waibel, Hanazawa, Hinton, Shikano & Lang 1989, IEEE TASSP 37 (time-delay networks)

    Parameters
    ----------
    units : int
        Number of output channels, 1 or more; a multiple of `groups`.
    kernel, stride, dilation : int
        All 1 or more.
    padding : "valid", "same", int, or (int, int)
        Numbers of places on both sides, or before the first and after the last.
    groups : int
        Number of groups of channels, 1 or more, each convolved by itself.
    bias : bool
    weight_init, bias_init : str or function
        See :mod:`portanet.initializers`.
    rate : float
        Factor on the learning rate of W and b; 0 freezes them.
    """

    kernel: Count = 3
    stride: Count = 1
    padding: Padding1D = "valid"
    dilation: Count = 1

    @functools.cached_property
    def image(self) -> Conv2D:
        sizes = (1, self.kernel), (1, self.stride), _flat(self.padding), (1, self.dilation)
        return Conv2D(self.units, *sizes, self.groups, self.bias, self.weight_init, self.bias_init)


@dataclass(frozen=True)
class _Pool1D(_Windows):
    """What both kinds share: a window of `kernel`, moved by `stride` (by its own size if None)."""

    kernel: Count = 2
    stride: Count | None = None
    padding: Padding1D = "valid"
    ceil_mode: bool = False

    @property
    def sizes(self) -> tuple[Any, Any, Any, bool]:
        """The arguments of the layer of images."""
        stride = None if self.stride is None else (1, self.stride)
        return (1, self.kernel), stride, _flat(self.padding), self.ceil_mode


@dataclass(frozen=True)
class MaxPool1D(_Pool1D):
    """The largest value of each window, channel by channel.

    Forward   y[p]  = max_k x[s p + k - pad]      (padding is below every value)
    Backward  dx[q] = Σ dy[p] over the places p whose largest value is at q; of equal ones the first counts
    Shapes    x (n, t, c), y (n, t', c)
    Source    Collobert & Weston 2008, ICML
    """

    @functools.cached_property
    def image(self) -> MaxPool2D:
        return MaxPool2D(*self.sizes)


@dataclass(frozen=True)
class AvgPool1D(_Pool1D):
    """The mean of each window, channel by channel; padding counts as 0, unless `count_padding` is False.

    Forward   y[p]  = Σ_k x[s p + k - pad] / K      K = number of taps, or of those within the signal
    Backward  dx[q] = Σ dy[p] / K over the places p whose window holds q
    Shapes    x (n, t, c), y (n, t', c)
    Source    LeCun et al. 1998, Proceedings of the IEEE 86
    """

    count_padding: bool = True

    @functools.cached_property
    def image(self) -> AvgPool2D:
        return AvgPool2D(*self.sizes, self.count_padding)


@dataclass(frozen=True)
class GlobalAvgPool1D(_Signal):
    """The mean of each channel over the whole signal.

    Forward   y  = Σ x / t
    Backward  dx = dy / t, the same at every place
    Shapes    x (n, t, c), y (n, c)
    Source    Lin, Chen & Yan 2014, arXiv:1312.4400
    """

    image = GlobalAvgPool2D()


@dataclass(frozen=True)
class GlobalMaxPool1D(_Signal):
    """The largest value of each channel over the whole signal.

    Forward   y  = max_q x[q]
    Backward  dx = dy at the largest value, the first of equal ones, else 0
    Shapes    x (n, t, c), y (n, c)
    Source    Collobert & Weston 2008, ICML
    """

    image = GlobalMaxPool2D()
