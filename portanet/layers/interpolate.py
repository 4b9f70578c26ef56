"""Layers that bring images (n, height, width, channels) to another size by interpolation, or by their own pixels."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from array_api_compat import device

from portanet.backends.namespace import namespace
from portanet.checks import Either, Number, Several
from portanet.errors import ConfigError, ShapeError
from portanet.layers.base import Layer
from portanet.layers.resize import check_images, resized
from portanet.layers.windows import Pair, Sizes, padding_field, pair, sides
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["Pad2D", "Resize2D"]

_PADDING = functools.partial(padding_field, pixels=Number(0, 4096, whole=True), named=False)
_FACTOR = Number(0.001, 64)
_Scale: TypeAlias = Annotated[float | tuple[float, float], Either((_FACTOR, Several(_FACTOR, 2)))]


@dataclass(frozen=True)
class Resize2D(Layer):
    """Images of another size, by interpolation between the nearest pixels.

    Forward   y[i, j] = Σ a[i, k] x[k, l] b[j, l]
              a[i, k] = w(u - k), the place of pixel i being, with h' = s h rows,
              u = (i + ½) / s - ½ "half_pixel", i / s "asymmetric", i (h - 1) / (s h - 1) "align_corners"
              w = 1 for the nearest k, max(0, 1 - |v|) "bilinear", Keys' cubic convolution "bicubic"; b likewise.
              What lies outside of the image counts as its pixel at the edge
    Backward  dx[k, l] = Σ a[i, k] dy[i, j] b[j, l]
    Shapes    x (n, h, w, c), y (n, h', w', c)
    Source    Keys 1981, IEEE Transactions on Acoustics, Speech, and Signal Processing 29

    Parameters
    ----------
    size : int or (int, int), optional
        h' and w', 1 or more.
    scale : float or (float, float), optional
        s in place of `size`, 0.001 to 64: h' = ⌊s h⌋.
    mode : "nearest", "bilinear" or "bicubic"
    coordinates : "half_pixel", "align_corners" or "asymmetric"
    rounding : "down", "up", "floor" or "ceil"
        Which pixel is the nearest one: that of two equally near ones, or always the one before or after it.
    cubic : float
        A of the cubic convolution, -1 to 0; torch's and OpenCV's is -0.75, Pillow's -0.5.
    antialias : bool
        Whether w is widened to 1 / s where images become smaller, so that all pixels count ("bilinear", "bicubic").
    edges : bool
        Whether what lies outside of the image counts as the pixel at its edge; else it is left out, and the other
        weights are scaled to sum to 1.
    """

    size: Sizes | None = None
    scale: _Scale | None = None
    mode: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    coordinates: Literal["half_pixel", "align_corners", "asymmetric"] = "half_pixel"
    rounding: Literal["down", "up", "floor", "ceil"] = "down"
    cubic: Annotated[float, Number(-1, 0)] = -0.75
    antialias: bool = False
    edges: bool = True
    by_sample: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.size is None) == (self.scale is None):
            message = f"Resize2D: expected a size or a scale, got {self.size} and {self.scale}"
            raise ConfigError(message)

    def out(self, sizes: tuple[int, int]) -> tuple[Pair, tuple[float, float]]:
        """Return h' and w', and the factors that lead to them, for images of these sizes."""
        if self.scale is not None:
            factors = pair(self.scale)  # type: ignore[arg-type]
            rows, columns = (math.floor(n * s + 1e-9) for n, s in zip(sizes, factors, strict=True))
            return (rows, columns), factors
        rows, columns = pair(self.size or 1)
        return (rows, columns), (rows / sizes[0], columns / sizes[1])

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        check_images(in_shape)
        (rows, columns), _ = self.out((in_shape[0], in_shape[1]))
        if min(rows, columns) < 1:
            came = f"{in_shape[0]} × {in_shape[1]} pixels"
            message = f"a scale of {self.scale} leaves nothing of {came}; take a larger one"
            raise ShapeError(message)
        return {}, (rows, columns, in_shape[2])

    def scratch(self, in_shape: Shape) -> int:
        (rows, columns), _ = self.out((in_shape[0], in_shape[1]))
        return rows * in_shape[1] * in_shape[2] + rows * in_shape[0] + columns * in_shape[1]

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        both = self.weights((x.shape[1], x.shape[2]), x)
        return resized(x, *both, namespace(x)), both

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        xp = namespace(dy)
        a, b = (xp.permute_dims(own, (1, 0)) for own in cache)
        return resized(dy, a, b, xp), {}

    def weights(self, sizes: tuple[int, int], like: Array) -> tuple[Array, Array]:
        """Return a (h', h) and b (w', w) for images of these sizes."""
        outs, factors = self.out(sizes)
        a, b = (self._along(*own, like) for own in zip(sizes, outs, factors, strict=True))
        return a, b

    def _along(self, size: int, out: int, factor: float, like: Array) -> Array:
        xp = namespace(like)
        i = xp.arange(out, dtype=like.dtype, device=device(like))[:, None]
        if self.coordinates == "align_corners":
            length = float(out) if self.scale is None else size * factor  # as ONNX: not rounded
            u = i * float(size - 1) / (length - 1.0) if out > 1 else i
        else:  # divided, not multiplied by an inverse: what is whole comes out whole
            shift = 0.5 if self.coordinates == "half_pixel" else 0.0
            i = i + shift
            u = (i / factor if self.scale is not None else i * float(size) / float(out)) - shift
        k = xp.arange(size, dtype=like.dtype, device=device(like))[None, :]
        if self.mode == "nearest":
            nearest = {
                "down": lambda: xp.ceil(u - 0.5),
                "up": lambda: xp.floor(u + 0.5),
                "floor": lambda: xp.floor(u),
                "ceil": lambda: xp.ceil(u),
            }[self.rounding]()
            return xp.astype(xp.minimum(xp.maximum(nearest, 0.0), size - 1.0) == k, like.dtype)
        narrow = min(factor, 1.0) if self.antialias else 1.0
        reach = math.ceil((1 if self.mode == "bilinear" else 2) / narrow)
        whole = xp.floor(u)
        total: Any = 0.0
        a: Any = 0.0
        for step in range(1 - reach, reach + 1):
            place = whole + float(step)
            w = self._kernel(xp.abs(u - place) * narrow, xp)
            held = xp.minimum(xp.maximum(place, 0.0), size - 1.0)
            if not self.edges:
                w = w * xp.astype(held == place, w.dtype)
            total = total + w
            a = a + w * xp.astype(held == k, w.dtype)
        return a / total

    def _kernel(self, v: Array, xp: Any) -> Array:
        """Return w at distances v ≥ 0."""
        if self.mode == "bilinear":
            return xp.maximum(1.0 - v, 0.0)
        c = self.cubic
        near = ((c + 2.0) * v - (c + 3.0)) * v * v + 1.0
        far = ((c * v - 5.0 * c) * v + 8.0 * c) * v - 4.0 * c
        zero = xp.zeros_like(v)
        return xp.where(v <= 1.0, near, xp.where(v < 2.0, far, zero))


@dataclass(frozen=True)
class Pad2D(Layer):
    """More pixels around each image: a constant, its reflection, its edge, or the image again.

    Forward   y[i, j] = x[k(i - top), l(j - left)]; k(i) of h rows is |(h - 1) - |(h - 1) - i|| "reflect",
              i held within the image "replicate", i mod h "circular"; outside of the image y is `value` in "constant"
    Backward  dx = the sum of dy over the pixels that came from x[k, l]
    Shapes    x (n, h, w, c), y (n, top + h + bottom, left + w + right, c)
    Source    Dumoulin & Visin 2016, arXiv:1603.07285

    Parameters
    ----------
    padding : int, (int, int), or ((int, int), (int, int))
        As of ZeroPad2D; below the image's size in "reflect", at most that in "circular".
    mode : "constant", "reflect", "replicate" or "circular"
    value : float
        Of "constant".
    """

    padding: Annotated[int | tuple[int | Pair, int | Pair], _PADDING] = 1
    mode: Literal["constant", "reflect", "replicate", "circular"] = "reflect"
    value: float = 0.0
    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        check_images(in_shape)
        most = {"reflect": 1, "circular": 0}.get(self.mode)
        for size, own in zip(in_shape, self.sides(), strict=False):
            if most is not None and max(own) > size - most:
                message = f"padding {self.mode} takes at most {size - most} of {size} pixels, got {max(own)}"
                raise ShapeError(message)
        (top, bottom), (left, right) = self.sides()
        return {}, (top + in_shape[0] + bottom, left + in_shape[1] + right, in_shape[2])

    def sides(self) -> tuple[Pair, Pair]:
        """Return ((top, bottom), (left, right))."""
        rows, columns = map(pair, sides(self.padding))
        return rows, columns

    def places(self, size: int, edges: Pair, like: Array) -> Array:
        """Return which pixel of `size` comes to each place along an axis, in int32; below 0 or beyond for `value`."""
        xp = namespace(like)
        i = xp.arange(-edges[0], size + edges[1], dtype=xp.int32, device=device(like))
        if self.mode == "reflect":
            return (size - 1) - xp.abs((size - 1) - xp.abs(i))
        if self.mode == "replicate":
            return xp.minimum(xp.maximum(i, xp.zeros_like(i)), xp.full_like(i, size - 1))
        return (i + size) % size if self.mode == "circular" else i

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp, y = namespace(x), x
        for axis, edges in enumerate(self.sides(), 1):
            shape = tuple(y.shape)
            if self.mode != "constant":
                y = xp.take(y, self.places(shape[axis], edges, x), axis=axis)
                continue
            blank = [
                xp.full((*shape[:axis], size, *shape[axis + 1 :]), self.value, dtype=x.dtype, device=device(x))
                for size in edges
            ]
            y = xp.concat([blank[0], y, blank[1]], axis=axis)
        return y, tuple(x.shape)

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        xp = namespace(dy)
        rows, columns = (self._taken(*own, dy) for own in zip(cache[1:3], self.sides(), strict=True))
        return resized(dy, rows, columns, xp), {}

    def _taken(self, size: int, edges: Pair, like: Array) -> Array:
        """Return (size, size + edges), 1 where a pixel came to a place."""
        xp = namespace(like)
        k = xp.arange(size, dtype=xp.int32, device=device(like))[:, None]
        return xp.astype(self.places(size, edges, like)[None, :] == k, like.dtype)
