"""Where windows lie: the arithmetic that convolution and pooling share.

Images are (n, height, width, channels). Along each of its two axes a window's pixels are slices of the padded images,
one for each tap. Pooling's way back, if windows overlap, gathers by a table, which is worked out on the device from
shapes alone: nothing is cached, uploaded or assigned, so that all compiles.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from array_api_compat import device

from portanet.backends.namespace import namespace
from portanet.backends.primitives.axes import Axis
from portanet.checks import COUNT, Either, Number, Several, Validator, one_of
from portanet.errors import ConfigError, ShapeError
from portanet.typing import Array

Pair = tuple[int, int]
SIZES = Either((COUNT, Several(COUNT, 2)))
Sizes: TypeAlias = Annotated[int | tuple[int, int], SIZES]

_PIXELS = Number(0, COUNT.most, whole=True)
_NAMES = one_of("valid", "same")


def padding_field(value: Any, pixels: Number = _PIXELS, *, named: bool = True) -> Any:
    """Return a padding of images, numbers that `pixels` takes or, if `named`, a word: the validator of a field."""
    each: tuple[Validator, ...] = (_NAMES, pixels) if named else (pixels,)
    try:
        if isinstance(value, tuple | list):
            return Several(Either((pixels, Several(pixels, 2))), 2)(value)
        return Either(each)(value)
    except ConfigError:
        words = ", or ".join(map(str, each))
        expected = f"{words}, or two of them (rows, columns), or ((top, bottom), (left, right))"
        raise ConfigError(expected) from None


Padding: TypeAlias = Annotated[int | str | tuple[int | Pair, int | Pair], padding_field]


def pair(value: int | Pair) -> Pair:
    """Return a number, or two of them, as two."""
    return value if isinstance(value, tuple) else (value, value)


def sides(padding: Any) -> tuple[Any, Any]:
    """Return the padding of the rows and that of the columns, each as :func:`axis` takes it."""
    return padding if isinstance(padding, tuple) else (padding, padding)


def axis(
    size: int, kernel: int, stride: int, padding: int | str | Pair, dilation: int = 1, *, ceil: bool = False
) -> Axis:
    """Return the arithmetic of one axis.

    Padding is ``"valid"`` (none), ``"same"`` (as much as makes ⌈size / stride⌉ places, the odd pixel at the end), the
    number of pixels on both sides, or one number for each side (Dumoulin & Visin 2016, arXiv:1603.07285). With `ceil` a
    last window may reach beyond the padding, if it begins before the padding at the end.

    Raises
    ------
    ShapeError
        If the window is larger than the padded axis, or so dilated that it holds one pixel at most; with the arithmetic
        and the fix.
    """
    if kernel > 1 and dilation > 1 and 1 <= size <= dilation:
        fix = f"a dilation below {size}, or a kernel of 1" if size > 1 else "a kernel of 1"
        message = f"a dilation of {dilation} lets no window hold two of {size} pixels; take {fix}"
        raise ShapeError(message)
    reach = dilation * (kernel - 1) + 1
    if padding == "same":
        out = -(-size // stride)
        total = max((out - 1) * stride + reach - size, 0)
        before, after = total // 2, total - total // 2
    else:
        before, after = pair(0 if isinstance(padding, str) else padding)
        rest = size + before + after - reach
        out = rest // stride + 1
        if ceil and rest >= 0 and rest % stride and out * stride < size + before:
            out += 1
    if size < 1 or out < 1:
        message = (
            f"a window of {reach} pixels (kernel {kernel}, dilation {dilation}) does not fit into {size} + {before} + "
            f"{after} pixels of image and padding; take a smaller kernel, or padding='same'"
        )
        raise ShapeError(message)
    return Axis(size, out, kernel, stride, dilation, before, after)


def check_padding(layer: str, padding: Any, rows: int, columns: int) -> None:
    """Raise ConfigError if windows of so many pixels would hold nothing but padding at the edges."""
    if isinstance(padding, str):
        return
    least = (rows, columns) if isinstance(padding, tuple) else (min(rows, columns),) * 2
    for own, reach in zip(sides(padding), least, strict=True):
        if max(pair(own)) >= reach:
            message = f"{layer}: padding must be below {reach}, or windows hold padding alone; got {padding}"
            raise ConfigError(message)


def holders_table(rows: Axis, columns: Axis, xp: Any, like: Array) -> tuple[Array, int]:
    """Return the table of a pooling's backward pass, in int32, and how many windows can hold a pixel.

    For each pixel the entries (place · taps + tap) of the windows that hold it: only as many as strides fit into a
    kernel, one where windows do not overlap; after the last entry where there is none. Undilated windows alone.
    """
    y, y_tap, y_inside = _holders(rows, xp, like)
    x, x_tap, x_inside = _holders(columns, xp, like)
    taps = rows.kernel * columns.kernel
    place = y[:, None, :, None] * columns.out + x[None, :, None, :]
    tap = y_tap[:, None, :, None] * columns.kernel + x_tap[None, :, None, :]
    inside = y_inside[:, None, :, None] & x_inside[None, :, None, :]
    table = xp.where(inside, place * taps + tap, rows.out * columns.out * taps)
    return xp.reshape(table, (-1,)), y.shape[1] * x.shape[1]


def places_counted(a: Axis, like: Array, *, padding: bool) -> Array:
    """Return how many pixels each window holds along an undilated axis, (out,), with the `padding` or without."""
    xp = namespace(like)
    first = xp.arange(a.out, dtype=like.dtype, device=device(like)) * float(a.stride) - float(a.before)
    low, high = (-a.before, a.size + a.after) if padding else (0, a.size)
    return xp.minimum(first + float(a.kernel), float(high)) - xp.maximum(first, float(low))


def with_blank(pixels: Array, xp: Any, value: float = 0.0) -> Array:
    """Return pixels (n, size, channels) with one more after the last, of `value`: what tables point to for padding."""
    blank = xp.full((pixels.shape[0], 1, pixels.shape[2]), value, dtype=pixels.dtype, device=device(pixels))
    return xp.concat([pixels, blank], axis=1)


def _holders(a: Axis, xp: Any, like: Array) -> tuple[Array, Array, Array]:
    """Return the places that can hold each pixel, under which tap each does, (size, ⌈kernel / stride⌉), and if so."""
    pixel = xp.arange(a.size, dtype=xp.int32, device=device(like))[:, None] + a.before
    earlier = xp.arange(-(-a.kernel // a.stride), dtype=xp.int32, device=device(like))[None, :]
    place = pixel // a.stride - earlier
    tap = pixel - place * a.stride
    return place, tap, (tap < a.kernel) & (place >= 0) & (place < a.out)
