"""Where windows lie: the arithmetic that convolution and pooling share.

Images are (n, height, width, channels). Along each of its two axes a window's pixels are slices of the padded images,
one for each tap. Pooling's way back, if windows overlap, gathers by a table, which is worked out on the device from
shapes alone: nothing is cached, uploaded or assigned, so that all compiles.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from array_api_compat import device

from portanet.backends.primitives.axes import Axis
from portanet.checks import COUNT, Either, Number, Several, one_of
from portanet.errors import ConfigError, ShapeError
from portanet.typing import Array

Pair = tuple[int, int]
SIZES = Either((COUNT, Several(COUNT, 2)))
PADDING = Either((one_of("valid", "same"), Number(0, COUNT.most, whole=True)))
Sizes: TypeAlias = Annotated[int | tuple[int, int], SIZES]
Padding: TypeAlias = Annotated[int | str, PADDING]


def pair(value: int | Pair) -> Pair:
    """Return a number, or two of them, as two."""
    return value if isinstance(value, tuple) else (value, value)


def axis(size: int, kernel: int, stride: int, padding: int | str, dilation: int = 1) -> Axis:
    """Return the arithmetic of one axis.

    Padding is ``"valid"`` (none), ``"same"`` (as much as makes ⌈size / stride⌉ places, the odd pixel behind), or the
    number of pixels on both sides (Dumoulin & Visin 2016, arXiv:1603.07285).

    Raises
    ------
    ShapeError
        If the window is larger than the padded axis, or so dilated that it holds one pixel at most; with the arithmetic
        and the fix.
    """
    if kernel > 1 and dilation > 1 and 1 <= size <= dilation:
        message = (
            f"a dilation of {dilation} lets no window hold two of {size} pixels; take a dilation below {size}, or a "
            "kernel of 1"
        )
        raise ShapeError(message)
    reach = dilation * (kernel - 1) + 1
    if padding == "same":
        out = -(-size // stride)
        total = max((out - 1) * stride + reach - size, 0)
        before, after = total // 2, total - total // 2
    else:
        before = after = 0 if padding == "valid" else int(padding)
        out = (size + before + after - reach) // stride + 1
    if size < 1 or out < 1:
        message = (
            f"a window of {reach} pixels (kernel {kernel}, dilation {dilation}) does not fit into {size} + {before} + "
            f"{after} pixels of image and padding; take a smaller kernel, or padding='same'"
        )
        raise ShapeError(message)
    return Axis(size, out, kernel, stride, dilation, before, after)


def check_padding(layer: str, padding: int | str, reach: int) -> None:
    """Raise ConfigError if windows of `reach` pixels would hold nothing but padding at the edges."""
    if not isinstance(padding, str) and padding >= reach:
        message = f"{layer}: padding must be below {reach}, or windows hold padding alone; got {padding}"
        raise ConfigError(message)


def holders_table(rows: Axis, columns: Axis, xp: Any, like: Array) -> tuple[Array, int]:
    """Return the table of a pooling's backward pass, in int32, and how many windows can hold a pixel.

    For each pixel the entries (place · taps + tap) of the windows that hold it: only as many as strides fit into a
    kernel, one where windows do not overlap; behind the last entry where there is none. Undilated windows alone.
    """
    y, y_tap, y_inside = _holders(rows, xp, like)
    x, x_tap, x_inside = _holders(columns, xp, like)
    taps = rows.kernel * columns.kernel
    place = y[:, None, :, None] * columns.out + x[None, :, None, :]
    tap = y_tap[:, None, :, None] * columns.kernel + x_tap[None, :, None, :]
    inside = y_inside[:, None, :, None] & x_inside[None, :, None, :]
    table = xp.where(inside, place * taps + tap, rows.out * columns.out * taps)
    return xp.reshape(table, (-1,)), y.shape[1] * x.shape[1]


def with_blank(pixels: Array, xp: Any, value: float = 0.0) -> Array:
    """Return pixels (n, size, channels) with one more behind the last, of `value`: what tables point to for padding."""
    blank = xp.full((pixels.shape[0], 1, pixels.shape[2]), value, dtype=pixels.dtype, device=device(pixels))
    return xp.concat([pixels, blank], axis=1)


def _holders(a: Axis, xp: Any, like: Array) -> tuple[Array, Array, Array]:
    """Return the places that can hold each pixel, under which tap each does, (size, ⌈kernel / stride⌉), and if so."""
    pixel = xp.arange(a.size, dtype=xp.int32, device=device(like))[:, None] + a.before
    earlier = xp.arange(-(-a.kernel // a.stride), dtype=xp.int32, device=device(like))[None, :]
    place = pixel // a.stride - earlier
    tap = pixel - place * a.stride
    return place, tap, (tap < a.kernel) & (place >= 0) & (place < a.out)
