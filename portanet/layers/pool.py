"""Pooling of images (n, height, width, channels)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from array_api_compat import device

from portanet.backends.namespace import namespace, sign
from portanet.backends.primitives.axes import Axis, padded
from portanet.checks import Number
from portanet.errors import ConfigError
from portanet.layers.base import Layer
from portanet.layers.resize import check_images
from portanet.layers.windows import (
    Padding,
    Sizes,
    axis,
    check_padding,
    holders_table,
    pair,
    places_counted,
    sides,
    with_blank,
)
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["AvgPool2D", "GlobalAvgPool2D", "GlobalMaxPool2D", "LpPool2D", "MaxPool2D"]

_TAPS = 1 << 14  # pixels of a window, which are gone through one by one: 128 × 128


@dataclass(frozen=True)
class _Pool(Layer):
    """What both kinds share: a window of `kernel` over padded images, moved by `stride` (by its own size if None).

    With `ceil_mode` a last window may reach beyond the padding: the number of places is rounded up, not down.
    """

    kernel: Sizes = 2
    stride: Sizes | None = None
    padding: Padding = "valid"
    ceil_mode: bool = False

    blank: ClassVar[float] = 0.0
    """What padding holds."""
    by_sample: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        name, (height, width) = type(self).__name__, pair(self.kernel)
        check_padding(name, self.padding, height, width)
        if height * width > _TAPS:
            message = f"{name}: kernel must have at most {_TAPS} pixels, got {height} × {width}; take GlobalAvgPool2D"
            raise ConfigError(message)

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        check_images(in_shape)
        rows, columns = self.axes(in_shape[0], in_shape[1])
        return {}, (rows.out, columns.out, in_shape[2])

    def axes(self, height: int, width: int) -> tuple[Axis, Axis]:
        """Return the window's arithmetic for images of that size."""
        kernel = pair(self.kernel)
        stride = kernel if self.stride is None else pair(self.stride)
        sizes = zip((height, width), kernel, stride, sides(self.padding), strict=True)
        rows, columns = (axis(*own, ceil=self.ceil_mode) for own in sizes)
        return rows, columns

    def scratch(self, in_shape: Shape) -> int:
        rows, columns = self.axes(in_shape[0], in_shape[1])
        # Each window's pixels are gone through, which bounds the time, too.
        taps = rows.kernel * columns.kernel * rows.out * columns.out
        return (rows.padded * columns.padded + taps) * in_shape[2]

    def held(self, in_shape: Shape) -> int:
        rows, columns = self.axes(in_shape[0], in_shape[1])
        pixels, most = rows.size * columns.size, rows.padded * columns.padded
        return ((most if most > pixels else 0) + rows.out * columns.out) * in_shape[2]  # padded, and one more output

    def taps(self, x: Array, rows: Axis, columns: Axis) -> Iterator[Array]:
        """Yield, tap by tap, the pixels under it at all places: arrays of the output's shape."""
        x = padded(padded(x, rows, 1, self.blank), columns, 2, self.blank)
        for i in range(rows.kernel):
            for j in range(columns.kernel):
                yield x[:, rows.under(i), columns.under(j), :]


@dataclass(frozen=True)
class MaxPool2D(_Pool):
    """The largest pixel of each window, channel by channel.

    Forward   y[p]  = max_k x[s p + k - pad]      (padding is below every pixel)
    Backward  dx[q] = Σ dy[p] over the places p whose largest pixel is q; of equal pixels the first one counts
    Shapes    x (n, h, w, c), y (n, h', w', c)
    Source    Ranzato et al. 2007, CVPR
    """

    blank: ClassVar[float] = -3.0e38

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        rows, columns = self.axes(x.shape[1], x.shape[2])
        y = None
        for pixels in self.taps(x, rows, columns):
            y = pixels if y is None else xp.maximum(y, pixels)
        return y, (x, y)  # which pixel it was is found again by comparison: cheaper than keeping an index

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        xp = namespace(dy)
        x, y = cache
        rows, columns = self.axes(x.shape[1], x.shape[2])
        # After a ReLU many windows hold several equal zeros: the first of them takes all of dy, and leaves 0.
        shares, rest = [], dy
        for pixels in self.taps(x, rows, columns):
            share = xp.astype(pixels == y, dy.dtype)
            share *= rest
            rest = rest - share
            shares.append(share)
        return _returned(shares, rows, columns, xp), {}


@dataclass(frozen=True)
class AvgPool2D(_Pool):
    """The mean of each window, channel by channel; padding counts as 0.

    Forward   y[p]  = Σ_k x[s p + k - pad] / K      K = number of taps
    Backward  dx[q] = Σ dy[p] / K over the places p whose window holds q
    Shapes    x (n, h, w, c), y (n, h', w', c)
    Source    LeCun et al. 1998, Proceedings of the IEEE 86

    Parameters
    ----------
    kernel, stride, padding, ceil_mode
        As of MaxPool2D.
    count_padding : bool
        Whether padding is counted; if not, K is the number of pixels of the image in the window at p. What a window of
        `ceil_mode` holds beyond the padding is never counted.
    """

    count_padding: bool = True

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        rows, columns = self.axes(x.shape[1], x.shape[2])
        total: Any = 0.0
        for pixels in self.taps(x, rows, columns):
            total = total + pixels
        share = self.share(rows, columns, x)
        return total * share, (rows, columns, share)

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        rows, columns, share = cache
        return _returned([dy * share] * (rows.kernel * columns.kernel), rows, columns, namespace(dy)), {}

    def counts_all(self, rows: Axis, columns: Axis) -> bool:
        """Return whether K is the same for all windows: no window holds anything that is not counted."""
        within = all(a.reached == a.after for a in (rows, columns))
        return within and (self.count_padding or not any(a.before or a.after for a in (rows, columns)))

    def share(self, rows: Axis, columns: Axis, like: Array) -> Any:
        """Return 1 / K: a number, or (h', w', 1) where windows differ."""
        if self.counts_all(rows, columns):
            return 1.0 / (rows.kernel * columns.kernel)
        height, width = (places_counted(a, like, padding=self.count_padding) for a in (rows, columns))
        return 1.0 / (height[:, None, None] * width[None, :, None])


@dataclass(frozen=True)
class LpPool2D(_Pool):
    """The p-norm of each window, channel by channel.

    Forward   y[p]  = (Σ_k |x[s p + k - pad]|ᵖ)^(1/p)      (padding counts as 0)
    Backward  dx[q] = Σ dy[p] (|x[q]| / y[p])^(p - 1) sign x[q] over the places p whose window holds q; 0 where y is 0
    Shapes    x (n, h, w, c), y (n, h', w', c)
    Source    Sermanet, Chintala & LeCun 2012, arXiv:1204.3968

    Parameters
    ----------
    kernel, stride, padding, ceil_mode
        As of MaxPool2D.
    p : float
        1 to 64.
    """

    p: Annotated[float, Number(1, 64)] = 2.0

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        rows, columns = self.axes(x.shape[1], x.shape[2])
        total: Any = 0.0
        for pixels in self.taps(x, rows, columns):
            total = total + xp.abs(pixels) ** self.p
        y = total ** (1.0 / self.p)
        return y, (x, y)

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        xp = namespace(dy)
        x, y = cache
        rows, columns = self.axes(x.shape[1], x.shape[2])
        share = dy / xp.where(y > 0.0, y, xp.ones_like(y)) ** (self.p - 1.0)
        shares = [share * xp.abs(own) ** (self.p - 1.0) * sign(own) for own in self.taps(x, rows, columns)]
        return _returned(shares, rows, columns, xp), {}


@dataclass(frozen=True)
class GlobalAvgPool2D(Layer):
    """The mean of each channel over the whole image.

    Forward   y  = Σ x / (h w)
    Backward  dx = dy / (h w), the same for every pixel
    Shapes    x (n, h, w, c), y (n, c)
    Source    Lin, Chen & Yan 2014, arXiv:1312.4400
    """

    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        check_images(in_shape)
        return {}, (in_shape[2],)

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        return namespace(x).mean(x, axis=(1, 2)), tuple(x.shape)

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        xp = namespace(dy)
        share = dy * (1.0 / (cache[1] * cache[2]))
        return xp.broadcast_to(share[:, None, None, :], cache), {}


@dataclass(frozen=True)
class GlobalMaxPool2D(Layer):
    """The largest pixel of each channel over the whole image.

    Forward   y  = max_q x[q]
    Backward  dx = dy at the largest pixel, the first of equal ones, else 0
    Shapes    x (n, h, w, c), y (n, c)
    Source    Oquab, Bottou, Laptev & Sivic 2015, CVPR
    """

    by_sample: ClassVar[bool] = True

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        check_images(in_shape)
        return {}, (in_shape[2],)

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        pixels = xp.reshape(x, (x.shape[0], -1, x.shape[3]))
        return xp.max(pixels, axis=1), (pixels, tuple(x.shape))

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        xp = namespace(dy)
        pixels, shape = cache
        largest = xp.argmax(pixels, axis=1, keepdims=True)
        places = xp.arange(pixels.shape[1], dtype=largest.dtype, device=device(dy))[None, :, None]
        dx = xp.astype(places == largest, dy.dtype)
        dx *= dy[:, None, :]
        return xp.reshape(dx, shape), {}


def _returned(shares: list[Array], rows: Axis, columns: Axis, xp: Any) -> Array:
    """Return dx from what each place gives to each of its taps, tap by tap, each (n, h', w', c)."""
    n, _, _, channels = shares[0].shape
    if all(a.kernel == a.stride and a.out * a.kernel == a.size and not a.before for a in (rows, columns)):
        # Windows that tile the image, as most do: the taps lie side by side already.
        lines = [xp.stack(shares[i : i + columns.kernel], axis=3) for i in range(0, len(shares), columns.kernel)]
        return xp.reshape(xp.stack(lines, axis=2), (n, rows.size, columns.size, channels))
    table, held = holders_table(rows, columns, xp, shares[0])
    flat = with_blank(xp.reshape(xp.stack(shares, axis=3), (n, -1, channels)), xp)
    found = xp.reshape(xp.take(flat, table, axis=1), (n, rows.size * columns.size, held, channels))
    dx = found[:, :, 0, :] if held == 1 else xp.sum(found, axis=2)
    return xp.reshape(dx, (n, rows.size, columns.size, channels))
