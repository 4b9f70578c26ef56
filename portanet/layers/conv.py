"""Convolutions, as products of gathered lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from portanet.backends.host import cache_budget
from portanet.backends.namespace import namespace
from portanet.checks import Count, NotNegative
from portanet.errors import ConfigError, ShapeError
from portanet.initializers import Initializer, initializer
from portanet.layers.base import RatedLayer, as_rows, sum_rows
from portanet.layers.windows import Axis, Padding, Sizes, axis, check_padding, padded, pair, sides, spread, way_back
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["Conv2D"]


_PADDING = 17  # pixels that any kernel may have fewer of: networks of others pad kernels of 1 × 1 by one


@dataclass(frozen=True)
class Conv2D(RatedLayer):
    """Convolution (cross-correlation, as everywhere in the field) of images.

    Forward   y[p]  = Σ_k x[s p + d k - pad] W[k] + b
    Backward  dx[q] = Σ_k dy[p] W[k]ᵀ  over the places p that have pixel q under tap k
              dW[k] = Σ_p x[s p + d k - pad]ᵀ dy[p],   db = Σ dy
    Shapes    x (n, h, w, in), W (kh, kw, in / groups, units), b (units,), y (n, h', w', units)
    Source    LeCun et al. 1989, Neural Computation 1; as matrix products: Chellapilla, Puri & Simard 2006

    Parameters
    ----------
    units : int
        Number of output channels, 1 or more; a multiple of `groups`.
    kernel : int or (int, int)
    stride, dilation : int or (int, int)
        All 1 or more.
    padding : "valid", "same", int, (int, int), or ((int, int), (int, int))
        Numbers of pixels: on all sides, of rows and columns, or ((top, bottom), (left, right)). Each is 0 or more, and
        below the larger of 17 and the kernel's size, dilation included; see :func:`portanet.layers.windows.axis`.
    groups : int
        Number of groups of channels, 1 or more, each convolved by itself; as many as channels is depthwise.
    bias : bool
    weight_init, bias_init : str or function
        See :mod:`portanet.initializers`.
    rate : float
        Factor on the learning rate of W and b; 0 freezes them.
    """

    units: Count
    kernel: Sizes = 3
    stride: Sizes = 1
    padding: Padding = "valid"
    dilation: Sizes = 1
    groups: Count = 1
    bias: bool = True
    weight_init: Initializer = "he_normal"
    bias_init: Initializer = "zeros"
    rate: NotNegative = field(default=1.0, kw_only=True)
    by_sample: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.units % self.groups:
            message = f"Conv2D: units must be a multiple of groups, got {self.units} and {self.groups}"
            raise ConfigError(message)
        reach = max(*(d * (k - 1) + 1 for k, d in zip(pair(self.kernel), pair(self.dilation), strict=True)), _PADDING)
        check_padding("Conv2D", self.padding, reach, reach)

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
        sizes = (height, width), pair(self.kernel), pair(self.stride), sides(self.padding), pair(self.dilation)
        rows, columns = (axis(*own) for own in zip(*sizes, strict=True))
        return rows, columns

    def scratch(self, in_shape: Shape) -> int:
        rows, columns = self.axes(in_shape[0], in_shape[1])
        lines = columns.padded + columns.out * columns.kernel  # of each row: the images, and their lines
        return rows.padded * lines * in_shape[2]

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        weight = params["weight"]
        if x.ndim != 4 or x.shape[3] != weight.shape[2] * self.groups:
            message = (
                f"expected images (n, height, width, {weight.shape[2] * self.groups}), got an array of shape "
                f"{tuple(x.shape)}; put the channels last"
            )
            raise ShapeError(message)
        rows, columns = self.axes(x.shape[1], x.shape[2])
        y = self.convolved(x, weight, rows, columns)
        if self.bias:
            y += params["bias"]
        # The lines are as many times x as the kernel is wide: they are gathered again in backward, and never kept.
        return y, (x, weight)

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        xp = namespace(dy)
        x, weight = cache
        rows, columns = self.axes(x.shape[1], x.shape[2])
        grads = {"bias": sum_rows(as_rows(dy, 2), xp)} if self.bias else {}
        grads["weight"] = self.weight_gradient(x, dy, rows, columns)
        return (self.way_back(dy, weight, rows, columns) if need_dx else None), grads

    def convolved(self, x: Array, weight: Array, rows: Axis, columns: Axis) -> Array:
        """Return y without the bias."""
        xp = namespace(x)
        kernel = xp.permute_dims(self._grouped(weight, xp), (0, 3, 1, 2, 4))  # (kh, groups, kw, in, out)
        return self._convolved(x, kernel, rows, columns, xp)

    def way_back(self, dy: Array, weight: Array, rows: Axis, columns: Axis) -> Array:
        """Return dx: dy, its places a stride apart, convolved with the kernel turned round."""
        xp = namespace(dy)
        kernel = xp.flip(xp.permute_dims(self._grouped(weight, xp), (0, 3, 1, 4, 2)), axis=(0, 2))
        dy = spread(spread(dy, rows, 1, xp), columns, 2, xp)
        return self._convolved(dy, kernel, way_back(rows), way_back(columns), xp)

    def _grouped(self, weight: Array, xp: Any) -> Array:
        """Return W as (kh, kw, in / groups, groups, units / groups)."""
        return xp.reshape(weight, (*weight.shape[:3], self.groups, self.units // self.groups))

    def _convolved(self, x: Array, kernel: Array, rows: Axis, columns: Axis, xp: Any) -> Array:
        """Return images (n, h, w, channels) convolved with a kernel (kh, groups, kw, channels / groups, out)."""
        kernel = xp.reshape(kernel, (rows.kernel, self.groups, -1, kernel.shape[4]))
        parts = []
        for (part,) in _chunks(columns, x):
            lines = self._lines(part, rows, columns, xp)
            y: Any = None
            for i in range(rows.kernel):
                product = _under(lines, rows, i, xp) @ kernel[i, ...]
                if y is None:
                    y = product
                else:
                    y += product
            y = xp.reshape(y, (self.groups, rows.out, part.shape[0], columns.out, -1))
            parts.append(xp.permute_dims(y, (2, 1, 3, 0, 4)))
        y = parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)
        return xp.reshape(y, (x.shape[0], rows.out, columns.out, -1))

    def weight_gradient(self, x: Array, dy: Array, rows: Axis, columns: Axis) -> Array:
        """Return dW."""
        xp = namespace(dy)
        total: Any = None
        for x_part, dy_part in _chunks(columns, x, dy):
            lines = self._lines(x_part, rows, columns, xp)
            places = xp.permute_dims(xp.reshape(dy_part, (*dy_part.shape[:3], self.groups, -1)), (3, 1, 0, 2, 4))
            places = xp.reshape(places, (self.groups, -1, places.shape[4]))
            dw = xp.stack([_under(lines, rows, i, xp).mT @ places for i in range(rows.kernel)])
            total = dw if total is None else total + dw
        shape = (rows.kernel, self.groups, columns.kernel, -1, total.shape[3])
        dw = xp.permute_dims(xp.reshape(total, shape), (0, 2, 3, 1, 4))  # (kh, kw, in / groups, groups, units / groups)
        return xp.reshape(dw, (*dw.shape[:3], self.units))

    def _lines(self, x: Array, rows: Axis, columns: Axis, xp: Any) -> Array:
        """Return images (n, h, w, channels) as (groups, h, n · places, kw · channels / groups), with their padding.

        Rows come first, and along them the pixels that lie under the kernel's width at each place side by side. So the
        pixels under one row of the kernel, at all places, are one slice, and no copy where the stride is 1.
        """
        x = padded(padded(xp.permute_dims(x, (1, 0, 2, 3)), rows, 0), columns, 2)
        x = xp.reshape(x, (*x.shape[:3], self.groups, -1))
        taps = [x[:, :, columns.under(j), :, :] for j in range(columns.kernel)]
        lines = xp.permute_dims(xp.stack(taps, axis=4), (3, 0, 1, 2, 4, 5))
        return xp.reshape(lines, (self.groups, x.shape[0], x.shape[1] * columns.out, -1))


def _under(lines: Array, rows: Axis, i: int, xp: Any) -> Array:
    """Return what lies under row i of the kernel at all places, (groups, h' · n · w', kw · channels / groups)."""
    return xp.reshape(lines[:, rows.under(i), :, :], (lines.shape[0], -1, lines.shape[3]))


def _chunks(columns: Axis, *images: Array) -> Iterator[tuple[Array, ...]]:
    """Yield the images in parts whose lines stay in cache; whole on other devices."""
    n, height, _, channels = images[0].shape
    budget = cache_budget(images[0])
    step = n if budget is None else max(1, budget // (4 * height * columns.out * columns.kernel * channels))
    for i in range(0, n, step):
        yield images if step >= n else tuple(a[i : min(i + step, n), ...] for a in images)
