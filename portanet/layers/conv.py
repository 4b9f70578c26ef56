"""Convolutions, as products of gathered windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from portanet.backends.host import cache_budget
from portanet.backends.namespace import namespace
from portanet.errors import ConfigError, ShapeError
from portanet.initializers import Initializer, check_initializers, initializer
from portanet.layers.base import Layer
from portanet.layers.windows import (
    Axis,
    axis,
    check_padding,
    gather_table,
    pair,
    scatter_table,
    whole,
    with_blank,
)
from portanet.random import Key
from portanet.typing import Array, Params, Shape


@dataclass(frozen=True)
class Conv2D(Layer):
    """Convolution (cross-correlation, as everywhere in the field) of images.

    Forward   y[p]  = Σ_k x[s p + d k - pad] W[k] + b
    Backward  dx[q] = Σ_k dy[p] W[k]ᵀ  over the places p that have pixel q under tap k
              dW[k] = Σ_p x[s p + d k - pad]ᵀ dy[p],   db = Σ dy
    Shapes    x (n, h, w, in), W (kh, kw, in / groups, units), b (units,), y (n, h', w', units)
    Source    LeCun et al. 1989, Neural Computation 1; as matrix products: Chellapilla, Puri & Simard 2006

    Parameters
    ----------
    units : int
        Number of output channels.
    kernel : int or (int, int)
    stride, dilation : int or (int, int)
    padding : "valid", "same", or int
        See :func:`portanet.layers.windows.axis`.
    groups : int
        Into how many groups the channels are parted, each convolved by itself; as many as channels is depthwise.
    bias : bool
    weight_init, bias_init : str or function
        See :mod:`portanet.initializers`.
    """

    units: int
    kernel: int | tuple[int, int] = 3
    stride: int | tuple[int, int] = 1
    padding: int | str = "valid"
    dilation: int | tuple[int, int] = 1
    groups: int = 1
    bias: bool = True
    weight_init: Initializer = "he_normal"
    bias_init: Initializer = "zeros"
    by_sample: ClassVar[bool] = True

    def __post_init__(self) -> None:
        whole(self.units, "Conv2D: units", 1), whole(self.groups, "Conv2D: groups", 1)
        for name in ("kernel", "stride", "dilation"):
            value = getattr(self, name)
            pair(value, f"Conv2D: {name}", 1)
            object.__setattr__(self, name, tuple(value) if isinstance(value, list) else value)
        check_padding(self.padding, "Conv2D: padding")
        if self.units % self.groups:
            message = f"Conv2D: units must be a multiple of groups, got {self.units} and {self.groups}"
            raise ConfigError(message)
        check_initializers(self, "weight_init", "bias_init")
        super().__post_init__()

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        if len(in_shape) != 3:
            message = (
                f"expected images (height, width, channels), got samples of shape {tuple(in_shape)}; "
                f"grey images need a last axis of 1: Reshape((height, width, 1)) before it"
            )
            raise ShapeError(message)
        channels = in_shape[2]
        if channels % self.groups:
            message = f"expected a multiple of {self.groups} channels (groups), got {channels}; change groups"
            raise ShapeError(message)
        rows, columns = self.axes(in_shape[0], in_shape[1])
        shape = (rows.kernel, columns.kernel, channels // self.groups, self.units)
        params = {"weight": initializer(self.weight_init)(rng, shape)}
        if self.bias:
            params["bias"] = initializer(self.bias_init)(rng, (self.units,))
        return params, (rows.out, columns.out, self.units)

    def axes(self, height: int, width: int) -> tuple[Axis, Axis]:
        """Return the window's arithmetic for images of that size."""
        kernel, stride = pair(self.kernel, "kernel", 1), pair(self.stride, "stride", 1)
        dilation = pair(self.dilation, "dilation", 1)
        sizes = zip((height, width), kernel, stride, dilation, strict=True)
        rows, columns = (axis(size, k, s, self.padding, d) for size, k, s, d in sizes)
        return rows, columns

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        weight = params["weight"]
        if x.ndim != 4 or x.shape[3] != weight.shape[2] * self.groups:
            message = (
                f"expected images (n, height, width, {weight.shape[2] * self.groups}), got an array of shape "
                f"{tuple(x.shape)}; put the channels last"
            )
            raise ShapeError(message)
        rows, columns = self.axes(x.shape[1], x.shape[2])
        taps, own, out = rows.kernel * columns.kernel, weight.shape[2], self.units // self.groups
        kernel = xp.reshape(weight, (taps, own, self.groups, out))
        kernel = xp.reshape(xp.permute_dims(kernel, (2, 0, 1, 3)), (self.groups, taps * own, out))
        table = gather_table(rows, columns, xp, x)
        parts = [
            _joined(self._windows(part, table, taps, xp) @ kernel, xp)
            for (part,) in _chunks(table.shape[0] * x.shape[3], x)
        ]
        y = parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)
        if self.bias:
            y += params["bias"]
        # The windows are as many times x as there are taps: they are gathered again in backward, and never kept.
        return xp.reshape(y, (x.shape[0], rows.out, columns.out, self.units)), (x, weight)

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        xp = namespace(dy)
        x, weight = cache
        grads = {"bias": xp.sum(dy, axis=(0, 1, 2))} if self.bias else {}
        if not need_dx:
            return None, {"weight": self._weight_gradient(x, dy, weight.shape, xp), **grads}
        # One gather of dy serves both: its windows times Wᵀ are dx, and xᵀ times its windows is dW.
        rows, columns = self.axes(x.shape[1], x.shape[2])
        taps, own, out = rows.kernel * columns.kernel, weight.shape[2], self.units // self.groups
        kernel = xp.reshape(weight, (taps, own, self.groups, out))
        kernel = xp.reshape(xp.permute_dims(kernel, (2, 0, 3, 1)), (self.groups, taps * out, own))
        table = scatter_table(rows, columns, xp, dy)
        total, parts = None, []
        for x_part, dy_part in _chunks(table.shape[0] * self.units, x, dy):
            windows = self._windows(dy_part, table, taps, xp)  # (groups, n · h · w, taps · out)
            parts.append(_joined(windows @ kernel, xp))
            dw = self._pixels(x_part, xp).mT @ windows  # (groups, in, taps · out)
            total = dw if total is None else total + dw
        dw = xp.permute_dims(xp.reshape(total, (self.groups, own, taps, out)), (2, 1, 0, 3))
        dx = xp.reshape(parts[0] if len(parts) == 1 else xp.concat(parts, axis=0), tuple(x.shape))
        return dx, {"weight": xp.reshape(dw, tuple(weight.shape)), **grads}

    def _weight_gradient(self, x: Array, dy: Array, shape: Shape, xp: Any) -> Array:
        """Return dW from windows of x: a first layer has few channels in, and nobody asks for its dx."""
        rows, columns = self.axes(x.shape[1], x.shape[2])
        taps, own, out = rows.kernel * columns.kernel, shape[2], self.units // self.groups
        table = gather_table(rows, columns, xp, x)
        total = None
        for x_part, dy_part in _chunks(table.shape[0] * x.shape[3], x, dy):
            dw = self._windows(x_part, table, taps, xp).mT @ self._pixels(dy_part, xp)  # (groups, taps · in, out)
            total = dw if total is None else total + dw
        dw = xp.permute_dims(xp.reshape(total, (self.groups, taps, own, out)), (1, 2, 0, 3))
        return xp.reshape(dw, tuple(shape))

    def _windows(self, x: Array, table: Array, taps: int, xp: Any) -> Array:
        """Return images (n, h, w, channels) gathered by a table: (groups, n · places, taps · channels / groups)."""
        n, height, width, channels = x.shape
        pixels = with_blank(xp.reshape(x, (n, height * width, channels)), xp)
        own, places = channels // self.groups, table.shape[0] // taps
        found = xp.reshape(xp.take(pixels, table, axis=1), (n * places, taps, self.groups, own))
        return xp.reshape(xp.permute_dims(found, (2, 0, 1, 3)), (self.groups, n * places, taps * own))

    def _pixels(self, x: Array, xp: Any) -> Array:
        """Return images (n, h, w, channels) as (groups, n · h · w, channels / groups)."""
        n, height, width, channels = x.shape
        pixels = xp.reshape(x, (n * height * width, self.groups, channels // self.groups))
        return xp.permute_dims(pixels, (1, 0, 2))


def _joined(y: Array, xp: Any) -> Array:
    """Return (groups, rows, channels) as (rows, groups · channels)."""
    return xp.reshape(xp.permute_dims(y, (1, 0, 2)), (y.shape[1], y.shape[0] * y.shape[2]))


def _chunks(numbers: int, *images: Array) -> Iterator[tuple[Array, ...]]:
    """Yield the images in parts whose windows (so many `numbers` an image) stay in cache; whole on other devices."""
    n = images[0].shape[0]
    budget = cache_budget(images[0])
    step = n if budget is None else max(1, budget // (4 * numbers))
    for i in range(0, n, step):
        yield images if step >= n else tuple(a[i : min(i + step, n), ...] for a in images)
