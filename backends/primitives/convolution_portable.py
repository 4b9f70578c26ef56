"""Convolutions in operations of the standard, as products of gathered lines: the reference, and the fastest on NumPy.

As matrix products: Chellapilla, Puri & Simard 2006, Tenth International Workshop on Frontiers in Handwriting
Recognition.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from portanet.backends.host import cache_budget
from portanet.backends.namespace import namespace
from portanet.backends.primitives.axes import Axis, padded, spread, way_back
from portanet.typing import Array

__all__ = ["convolve", "convolve_dw", "convolve_dx"]


def convolve(x: Array, weight: Array, rows: Axis, columns: Axis, groups: int) -> Array:
    """See :func:`portanet.backends.primitives.convolution.convolve`."""
    xp = namespace(x)
    kernel = xp.permute_dims(_grouped(weight, groups, xp), (0, 3, 1, 2, 4))  # (kh, groups, kw, in, out)
    return _convolved(x, kernel, rows, columns, xp)


def convolve_dx(dy: Array, weight: Array, rows: Axis, columns: Axis, groups: int) -> Array:
    """See :func:`portanet.backends.primitives.convolution.convolve_dx`."""
    xp = namespace(dy)
    # dy, its places a stride apart, is convolved with the kernel turned round.
    kernel = xp.flip(xp.permute_dims(_grouped(weight, groups, xp), (0, 3, 1, 4, 2)), axis=(0, 2))
    dy = spread(spread(dy, rows, 1, xp), columns, 2, xp)
    return _convolved(dy, kernel, way_back(rows), way_back(columns), xp)


def convolve_dw(x: Array, dy: Array, rows: Axis, columns: Axis, groups: int) -> Array:
    """See :func:`portanet.backends.primitives.convolution.convolve_dw`."""
    xp = namespace(dy)
    total: Any = None
    for x_part, dy_part in chunks(columns, x, dy):
        lines = _lines(x_part, rows, columns, groups, xp)
        places = xp.permute_dims(xp.reshape(dy_part, (*dy_part.shape[:3], groups, -1)), (3, 1, 0, 2, 4))
        places = xp.reshape(places, (groups, -1, places.shape[4]))
        dw = xp.stack([xp.matrix_transpose(_under(lines, rows, i, xp)) @ places for i in range(rows.kernel)])
        total = dw if total is None else total + dw
    dw = xp.reshape(total, (rows.kernel, groups, columns.kernel, -1, total.shape[3]))
    dw = xp.permute_dims(dw, (0, 2, 3, 1, 4))  # (kh, kw, in / groups, groups, units / groups)
    return xp.reshape(dw, (*dw.shape[:3], -1))


def _grouped(weight: Array, groups: int, xp: Any) -> Array:
    """Return W as (kh, kw, in / groups, groups, units / groups)."""
    return xp.reshape(weight, (*weight.shape[:3], groups, weight.shape[3] // groups))


def _convolved(x: Array, kernel: Array, rows: Axis, columns: Axis, xp: Any) -> Array:
    """Return images (n, h, w, channels) convolved with a kernel (kh, groups, kw, channels / groups, out)."""
    groups = kernel.shape[1]
    kernel = xp.reshape(kernel, (rows.kernel, groups, -1, kernel.shape[4]))
    parts = []
    for (part,) in chunks(columns, x):
        lines = _lines(part, rows, columns, groups, xp)
        y: Any = None
        for i in range(rows.kernel):
            product = _under(lines, rows, i, xp) @ kernel[i, ...]
            if y is None:
                y = product
            else:
                y += product
        y = xp.reshape(y, (groups, rows.out, part.shape[0], columns.out, -1))
        parts.append(xp.permute_dims(y, (2, 1, 3, 0, 4)))
    y = parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)
    return xp.reshape(y, (x.shape[0], rows.out, columns.out, -1))


def _lines(x: Array, rows: Axis, columns: Axis, groups: int, xp: Any) -> Array:
    """Return images (n, h, w, channels) as (groups, h, n · places, kw · channels / groups), with their padding.

    Rows come first, and along them the pixels that lie under the kernel's width at each place side by side. So the
    pixels under one row of the kernel, at all places, are one slice, and no copy if the stride is 1.
    """
    x = padded(padded(xp.permute_dims(x, (1, 0, 2, 3)), rows, 0), columns, 2)
    x = xp.reshape(x, (*x.shape[:3], groups, -1))
    taps = [x[:, :, columns.under(j), :, :] for j in range(columns.kernel)]
    lines = xp.permute_dims(xp.stack(taps, axis=4), (3, 0, 1, 2, 4, 5))
    return xp.reshape(lines, (groups, x.shape[0], x.shape[1] * columns.out, -1))


def _under(lines: Array, rows: Axis, i: int, xp: Any) -> Array:
    """Return what lies under row i of the kernel at all places, (groups, h' · n · w', kw · channels / groups)."""
    return xp.reshape(lines[:, rows.under(i), :, :], (lines.shape[0], -1, lines.shape[3]))


def chunks(columns: Axis, *images: Array) -> Iterator[tuple[Array, ...]]:
    """Yield the images in parts whose lines stay in cache; whole on other devices."""
    n, height, _, channels = images[0].shape
    budget = cache_budget(images[0])
    step = n if budget is None else max(1, budget // (4 * height * columns.out * columns.kernel * channels))
    for i in range(0, n, step):
        yield images if step >= n else tuple(a[i : min(i + step, n), ...] for a in images)
