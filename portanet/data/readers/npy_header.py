"""What a .npy file says of its array before the numbers."""

from __future__ import annotations

import io
from typing import IO, Any

import numpy as np

from portanet.data.files import take
from portanet.errors import DataError

__all__ = ["is_channels_first", "npy_header", "refuse_objects"]

_HEADER = 10_000  # bytes: more than NumPy itself reads
_AXES = 32
_LONGEST = 2**48  # of an axis: NumPy cannot multiply what is longer


def npy_header(stream: IO[bytes], place: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return the shape, whether it is in Fortran's order, and the dtype that an array is announced with.

    Raises
    ------
    DataError
        If the header is damaged.
    """
    form = np.lib.format
    try:
        version = form.read_magic(stream)
        read_header = {(1, 0): form.read_array_header_1_0, (2, 0): form.read_array_header_2_0}[version]
        size = take(stream, 2 * version[0], place)
        length = int.from_bytes(size, "little")
        if length > _HEADER:
            message = f"it announces {length} bytes"
            raise ValueError(message)
        shape, fortran, dtype = read_header(io.BytesIO(size + take(stream, length, place)))
    except Exception as error:  # NumPy reads the header as Python, and raises whatever a damaged one leads to
        why = " ".join(str(error).split())[:100]
        message = f"{place}: expected an array as numpy.save writes it, got another or a damaged header ({why}); "
        message += "save it again"
        raise DataError(message) from error
    if len(shape) > _AXES or any(not 0 <= n <= _LONGEST for n in shape):
        message = f"{place}: expected sizes from 0 to 2^48 on at most {_AXES} axes, got {shape!s:.60}; save it again"
        raise DataError(message)
    return shape, fortran, dtype


def refuse_objects(dtype: np.dtype[Any], place: str) -> None:
    """Tell an array of Python objects."""
    if dtype.hasobject:
        message = (
            f"{place}: refused: it holds Python objects (pickle), which can run code; "
            "save it as numbers: x.astype(float)"
        )
        raise DataError(message)


def is_channels_first(shape: tuple[int, ...]) -> bool:
    """Whether samples of that shape are images whose channels come before their rows."""
    return len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3, 4)
