"""Images moved, turned and mirrored at random while a network trains."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from array_api_compat import device

from portanet.backends.namespace import namespace
from portanet.checks import NotNegative, Number
from portanet.errors import ConfigError, ShapeError
from portanet.layers.base import Layer
from portanet.random import Key, uniform
from portanet.typing import Array, Params, Shape

__all__ = ["Augment"]


@dataclass(frozen=True)
class Augment(Layer):
    """Each image, while training, shifted, rotated and mirrored by an amount of its own; untouched otherwise.

    Forward   y[p] = x at the place A p + t, between the four pixels around it (bilinear); y = x when not training
    Backward  dx   = each dy[p] given back to those four pixels, in the same shares
    Shapes    x, y: (n, h, w) or (n, h, w, channels)
    Source    Simard, Steinkraus & Platt 2003, ICDAR (affine distortions)

    Places outside the image take the nearest pixel of its edge. Put it first, after the preprocessing.

    Parameters
    ----------
    shift : float
        Largest shift in pixels, each way along each axis, 0 or more.
    rotate : float
        Largest angle in degrees, each way, from 0 to 180.
    flip : bool
        Whether half of the images are mirrored left to right. Not for digits and letters.
    """

    shift: NotNegative = 0.0
    rotate: Annotated[float, Number(0, 180)] = 0.0
    flip: bool = False
    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        if len(in_shape) not in (2, 3):
            message = (
                f"expected images (height, width) or (height, width, channels), got samples of shape "
                f"{tuple(in_shape)}; put a Reshape before it"
            )
            raise ShapeError(message)
        return {}, in_shape

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        if not train or not (self.shift or self.rotate or self.flip):
            return x, None
        if key is None:
            message = "Augment: training needs a key that names its random numbers; give key=portanet.random.Key(0, 0)"
            raise ConfigError(message)
        xp = namespace(x)
        n, h, w = x.shape[:3]
        rows, columns = self._places(x, key, xp)
        top, left = xp.floor(rows), xp.floor(columns)
        down, right = (rows - top)[..., None], (columns - left)[..., None]  # shares of the lower and the right pixels
        image = xp.arange(n, dtype=xp.int32, device=device(x))[:, None] * (h * w)
        top, left = xp.astype(top, xp.int32), xp.astype(left, xp.int32)
        upper, lower = image + top * w, image + xp.minimum(top + 1, h - 1) * w
        beside = xp.minimum(left + 1, w - 1)
        pixels = xp.reshape(x, (n * h * w, -1))

        def at(index: Array) -> Array:
            return xp.reshape(xp.take(pixels, xp.reshape(index, (-1,)), axis=0), (n, h * w, pixels.shape[1]))

        above = at(upper + left)
        above += (at(upper + beside) - above) * right
        below = at(lower + left)
        below += (at(lower + beside) - below) * right
        above += (below - above) * down
        return xp.reshape(above, tuple(x.shape)), (rows, columns)

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        if cache is None or not need_dx:
            return (dy if need_dx else None), {}
        # The shares as a matrix per axis instead of a scatter, which the standard lacks: slower than the forward pass,
        # but hardly ever asked for, since a layer in front has nothing before it that learns.
        xp = namespace(dy)
        rows, columns = cache
        n, h, w = dy.shape[:3]
        spread = xp.matrix_transpose(_shares(columns, w, xp))[:, :, :, None] * xp.reshape(
            dy, (n, 1, h * w, -1)
        )  # (n, w, h · w, channels)
        dx = xp.matrix_transpose(_shares(rows, h, xp))[:, None, :, :] @ spread  # (n, w, h, channels)
        return xp.reshape(xp.permute_dims(dx, (0, 2, 1, 3)), tuple(dy.shape)), {}

    def _places(self, x: Array, key: Key, xp: Any) -> tuple[Array, Array]:
        """Return the row and the column in x of each pixel of y, held within the image: both (n, h · w)."""
        n, h, w = x.shape[:3]
        draws = 2.0 * uniform(x, (4, n, 1), key, rows=1) - 1.0
        down, along = draws[0, ...] * self.shift, draws[1, ...] * self.shift
        angle = draws[2, ...] * math.radians(self.rotate)
        cos, sin = xp.cos(angle), xp.sin(angle)
        mid_row, mid_column = 0.5 * (h - 1), 0.5 * (w - 1)
        pixel = xp.arange(h * w, dtype=xp.int32, device=device(x))
        row = xp.astype(pixel // w, x.dtype)[None, :] - mid_row
        column = xp.astype(pixel % w, x.dtype)[None, :] - mid_column
        if self.flip:
            column = column * xp.where(draws[3, ...] < 0, -xp.ones_like(angle), xp.ones_like(angle))
        rows = cos * row - sin * column + (down + mid_row)
        columns = sin * row + cos * column + (along + mid_column)
        return xp.minimum(xp.maximum(rows, 0.0), h - 1.0), xp.minimum(xp.maximum(columns, 0.0), w - 1.0)


def _shares(places: Array, size: int, xp: Any) -> Array:
    """Return (n, places, size): which share of each place is whose pixel's, 1 less the distance, or nothing."""
    pixel = xp.arange(size, dtype=places.dtype, device=device(places))
    return xp.maximum(1.0 - xp.abs(places[..., None] - pixel), 0.0)
