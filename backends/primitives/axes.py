"""The arithmetic of a window that slides along an axis of images, and the padding and spreading that it needs."""

from __future__ import annotations

from typing import Any, NamedTuple

from array_api_compat import device

from portanet.backends.namespace import namespace
from portanet.typing import Array

__all__ = ["Axis", "padded", "spread", "way_back"]


class Axis(NamedTuple):
    """One axis of a sliding window: sizes in and out, kernel, stride, dilation, and the padding before and after."""

    size: int
    out: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def reach(self) -> int:
        """How many pixels a window spans."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def padded(self) -> int:
        """How many pixels the axis has with its padding, at most."""
        return max(max(self.before, 0) + self.size + max(self.after, 0), self.stride * (self.out - 1) + self.reach)

    @property
    def reached(self) -> int:
        """How many pixels after the axis the last window reaches: the padding, or more (`ceil_mode`)."""
        return max(self.after, self.stride * (self.out - 1) + self.reach - self.before - self.size)

    def under(self, tap: int) -> slice:
        """Return where the pixels under a tap of all places lie on the :func:`padded` axis."""
        first = tap * self.dilation
        return slice(first, first + self.stride * (self.out - 1) + 1, self.stride)


def way_back(a: Axis) -> Axis:
    """Return the axis along which dy, :func:`spread`, is convolved with the turned kernel to give dx."""
    size, before = a.out * a.stride, a.reach - 1 - a.before
    return Axis(size, a.size, a.kernel, 1, a.dilation, before, a.size + a.reach - 1 - before - size)


def spread(x: Array, a: Axis, where: int, xp: Any) -> Array:
    """Return `x` with its entries along axis `where`, the places of `a`, a stride apart: zeros lie between them."""
    if a.stride == 1:
        return x
    apart = xp.stack([x, *[xp.zeros_like(x)] * (a.stride - 1)], axis=where + 1)
    return xp.reshape(apart, (*x.shape[:where], -1, *x.shape[where + 1 :]))


def padded(x: Array, a: Axis, where: int, value: float = 0.0) -> Array:
    """Return `x` with the window's padding along axis `where`: as far as windows reach; less than none cuts off."""
    xp = namespace(x)
    if a.before < 0:
        x = x[(slice(None),) * where + (slice(-a.before, None), ...)]
    before = max(a.before, 0)
    after = max(a.stride * (a.out - 1) + a.reach - before - x.shape[where], 0)
    edges = [
        xp.full((*x.shape[:where], size, *x.shape[where + 1 :]), value, dtype=x.dtype, device=device(x))
        for size in (before, after)
    ]
    return xp.concat([edges[0], x, edges[1]], axis=where) if before or after else x
