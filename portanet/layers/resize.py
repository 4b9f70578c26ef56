"""Layers that change the size of images (n, height, width, channels) without parameters."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from array_api_compat import device

from portanet.backends.namespace import namespace
from portanet.checks import Either, Number, Several
from portanet.errors import ShapeError
from portanet.layers.base import Layer
from portanet.layers.windows import Pair, Sizes, padding_field, pair, sides
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["AdaptiveAvgPool2D", "UpSample2D", "ZeroPad2D"]

_PADDING = functools.partial(padding_field, pixels=Number(0, 4096, whole=True), named=False)
_TIMES = Number(1, 64, whole=True)


def check_images(in_shape: Shape) -> None:
    """Raise ShapeError unless samples are images."""
    if len(in_shape) != 3:
        message = f"expected images (height, width, channels), got samples of shape {tuple(in_shape)}"
        raise ShapeError(message)


@dataclass(frozen=True)
class ZeroPad2D(Layer):
    """Zeros around each image.

    Forward   y  = x with zeros in front of and after its rows and columns
    Backward  dx = dy without them
    Shapes    x (n, h, w, c), y (n, top + h + bottom, left + w + right, c)

    Parameters
    ----------
    padding : int, (int, int), or ((int, int), (int, int))
        Numbers of pixels, 0 to 4096: on all sides, of rows and columns, or ((top, bottom), (left, right)).
    """

    padding: Annotated[int | tuple[int | Pair, int | Pair], _PADDING] = 1
    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        check_images(in_shape)
        (top, bottom), (left, right) = self.edges()
        return {}, (top + in_shape[0] + bottom, left + in_shape[1] + right, in_shape[2])

    def edges(self) -> tuple[Pair, Pair]:
        """Return ((top, bottom), (left, right))."""
        rows, columns = map(pair, sides(self.padding))
        return rows, columns

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        y = x
        for axis, edges in enumerate(self.edges(), 1):
            shape = tuple(y.shape)
            zeros = [
                xp.zeros((*shape[:axis], size, *shape[axis + 1 :]), dtype=x.dtype, device=device(x)) for size in edges
            ]
            y = xp.concat([zeros[0], y, zeros[1]], axis=axis)
        return y, tuple(x.shape)

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        (top, _), (left, _) = self.edges()
        return dy[:, top : top + cache[1], left : left + cache[2], :], {}


@dataclass(frozen=True)
class UpSample2D(Layer):
    """Images a whole number of times as large.

    Forward   y[i, j] = x[⌊i / s⌋, ⌊j / s⌋]                       "nearest"
              y[i, j] = Σ a[i, k] x[k, l] b[j, l],   a[i, k] = max(0, 1 - |u - k|),   u = (i + ½) / s - ½ held within
              the image, b likewise                                "bilinear" (corners are not aligned)
    Backward  dx = the sum of dy over the pixels that came from x[k, l], by their weights
    Shapes    x (n, h, w, c), y (n, s h, s w, c)
    Source    Odena, Dumoulin & Olah 2016, Distill, doi 10.23915/distill.00003

    Parameters
    ----------
    size : int or (int, int)
        s, 1 to 64, of rows and columns.
    mode : "nearest" or "bilinear"
    """

    size: Annotated[int | tuple[int, int], Either((_TIMES, Several(_TIMES, 2)))] = 2
    mode: Literal["nearest", "bilinear"] = "nearest"
    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        check_images(in_shape)
        rows, columns = pair(self.size)
        return {}, (in_shape[0] * rows, in_shape[1] * columns, in_shape[2])

    def scratch(self, in_shape: Shape) -> int:
        height, width = in_shape[0], in_shape[1]
        rows, columns = pair(self.size)
        return 0 if self.mode == "nearest" else height * rows * (width * in_shape[2] + height) + width * width * columns

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        n, height, width, channels = x.shape
        rows, columns = pair(self.size)
        if self.mode == "nearest":
            wide = xp.broadcast_to(x[:, :, None, :, None, :], (n, height, rows, width, columns, channels))
            return xp.reshape(wide, (n, height * rows, width * columns, channels)), (height, width)
        both = between(height, rows, x), between(width, columns, x)
        return resized(x, *both, xp), both

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        xp = namespace(dy)
        if self.mode == "bilinear":
            a, b = map(xp.matrix_transpose, cache)
            return resized(dy, a, b, xp), {}
        height, width = cache
        rows, columns = pair(self.size)
        apart = xp.reshape(dy, (dy.shape[0], height, rows, width, columns, dy.shape[3]))
        return xp.sum(apart, axis=(2, 4)), {}


@dataclass(frozen=True)
class AdaptiveAvgPool2D(Layer):
    """The mean of each of `size` parts of an image, channel by channel; parts overlap where they do not divide it.

    Forward   y[i, j] = Σ a[i, k] x[k, l] b[j, l],   a[i, k] = 1 / Kᵢ for the Kᵢ rows with
              ⌊i h / h'⌋ ≤ k < ⌈(i + 1) h / h'⌉, else 0; b likewise
    Backward  dx[k, l] = Σ a[i, k] dy[i, j] b[j, l]
    Shapes    x (n, h, w, c), y (n, h', w', c)
    Source    He, Zhang, Ren & Sun 2014, arXiv:1406.4729

    Parameters
    ----------
    size : int or (int, int)
        h' and w', 1 or more.
    """

    size: Sizes = 1
    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        check_images(in_shape)
        rows, columns = pair(self.size)
        if rows > in_shape[0] or columns > in_shape[1]:
            message = f"expected images of at least {rows} × {columns} pixels, got {in_shape[0]} × {in_shape[1]}"
            raise ShapeError(message)
        return {}, (rows, columns, in_shape[2])

    def scratch(self, in_shape: Shape) -> int:
        rows, columns = pair(self.size)
        return rows * in_shape[1] * in_shape[2] + rows * in_shape[0] + columns * in_shape[1]

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        rows, columns = pair(self.size)
        both = parts(x.shape[1], rows, x), parts(x.shape[2], columns, x)
        return resized(x, *both, namespace(x)), both

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        xp = namespace(dy)
        a, b = map(xp.matrix_transpose, cache)
        return resized(dy, a, b, xp), {}


def resized(x: Array, a: Array, b: Array, xp: Any) -> Array:
    """Return images x (n, h, w, c) as (n, h', w', c): a (h', h) takes their rows together, b (w', w) their columns."""
    n, height, width, channels = x.shape
    x = xp.reshape(a @ xp.reshape(x, (n, height, width * channels)), (n, a.shape[0], width, channels))
    return b @ x


def parts(size: int, out: int, like: Array) -> Array:
    """Return the weights, (out, size), by which the pixels of an axis are averaged in parts."""
    xp = namespace(like)
    i = xp.arange(out, dtype=xp.int32, device=device(like))[:, None]
    k = xp.arange(size, dtype=xp.int32, device=device(like))[None, :]
    inside = (k >= i * size // out) & (k * out < (i + 1) * size)
    a = xp.astype(inside, like.dtype)
    return a / xp.sum(a, axis=1, keepdims=True)


def between(size: int, times: int, like: Array) -> Array:
    """Return the weights, (times · size, size), of linear interpolation along an axis."""
    xp = namespace(like)
    u = (xp.arange(times * size, dtype=like.dtype, device=device(like)) + 0.5) * (1.0 / times) - 0.5
    u = xp.minimum(xp.maximum(u, 0.0), size - 1.0)[:, None]
    k = xp.arange(size, dtype=like.dtype, device=device(like))[None, :]
    return xp.maximum(1.0 - xp.abs(u - k), 0.0)
