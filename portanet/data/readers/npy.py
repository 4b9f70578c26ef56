"""The .npy format: what its header announces, arrays read whole, and rows read as they are needed. Never a pickle."""

from __future__ import annotations

import io
import logging
import math
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

import numpy as np

from portanet.data.dataset import HostArray
from portanet.data.files import Capacity, exactly, opened, reworded, take
from portanet.data.lazy.readable import Samples
from portanet.errors import DataError
from portanet.typing import Shape

logger = logging.getLogger("portanet")

_HEADER = 10_000  # bytes: more than NumPy itself reads
_AXES = 32
_LONGEST = 2**48  # of an axis: NumPy cannot multiply what is longer


def npy_header(stream: IO[bytes], place: str) -> tuple[Shape, bool, np.dtype[Any]]:
    """Return the shape, whether it is in Fortran's order, and the dtype that an array is announced with."""
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
        raise DataError(message + "save it again") from error
    if len(shape) > _AXES or any(not 0 <= n <= _LONGEST for n in shape):
        message = f"{place}: expected sizes from 0 to 2^48 on at most {_AXES} axes, got {shape!s:.60}; save it again"
        raise DataError(message)
    return shape, fortran, dtype


def read_array(opener: Callable[[], AbstractContextManager[tuple[IO[bytes], Capacity]]], place: str) -> HostArray:
    """Read one array. NumPy's own reader takes memory by the header's word; here the sizes are compared first."""
    with opener() as (stream, room):
        shape, fortran, dtype = npy_header(stream, place)
        _refuse_objects(dtype, place)
        room.check_rows(shape, dtype.itemsize, place)
        data = exactly(stream, math.prod(shape) * dtype.itemsize, room, place)
    if not dtype.itemsize:
        message = f"{place}: expected real numbers, got the type {dtype}, which has no size; convert them"
        raise DataError(message)
    values = np.frombuffer(data, dtype=dtype) if data else np.empty(0, dtype=dtype)
    values = values.reshape(shape, order="F" if fortran else "C")
    return np.ascontiguousarray(values, dtype=dtype.newbyteorder("="))


def check_samples(shape: Shape, dtype: np.dtype[Any], place: str) -> bool:
    """Return whether samples are images with their channels first, which is logged; refuse what cannot be samples."""
    if len(shape) < 2 or 0 in shape:
        message = f"{place}: expected samples of the shape (n, features) or (n, h, w), got {shape}; "
        raise DataError(message + "reshape them: x.reshape(n, -1)")
    if dtype.kind not in "biuf":
        message = f"{place}: expected real numbers, got the type {dtype}; convert them"
        raise DataError(message)
    channels_first = len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3, 4)
    if channels_first:
        logger.info("%s: the shape %s has the channels first; they are moved to the end", place, shape)
    return channels_first


def _refuse_objects(dtype: np.dtype[Any], place: str) -> None:
    if dtype.hasobject:
        message = f"{place}: refused: it holds Python objects (pickle), which can run code; "
        raise DataError(message + "save it as numbers: x.astype(float)")


class NpySamples(Samples):
    """The rows of a .npy file on disk, as samples.

    They are read by plain reads at their place, and not through a map of the file: what is read leaves the process's
    memory with the block, and the system may keep it in its cache.

    Parameters
    ----------
    path : path-like
        A file as ``numpy.save`` writes it, of real numbers in C order, ``(n, ...)`` with two axes or more. Images with
        channels first are turned to channels last as they are read.

    Raises
    ------
    DataError
        If the file is missing, compressed, of another form, holds objects (pickle is never loaded), or is shorter than
        its header says, now or when it is read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path, self.name = Path(path), str(path)
        with opened(self.path) as (stream, room):
            if room.packed:
                message = f"{path}: rows cannot be read out of a compressed file; unpack it first: gunzip {path}"
                raise DataError(message)
            shape, fortran, dtype = npy_header(stream, self.name)
            self._start = stream.tell()
        _refuse_objects(dtype, self.name)
        self._channels_first = check_samples(shape, dtype, self.name)
        if fortran:
            message = f"{path}: its rows do not lie in C order (they are in Fortran order); "
            raise DataError(message + "save it again: np.save(path, np.ascontiguousarray(x))")
        expected, came = math.prod(shape) * dtype.itemsize, room.bytes - self._start
        if came != expected:
            message = f"{path}: expected {expected} bytes of data, as its header says, got {came}; "
            raise DataError(message + "copy or download it again")
        self._stored, self._sample, self._row = dtype, shape[1:], expected // shape[0]
        self.dtype = np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")
        self.shape = (shape[0], *shape[2:], shape[1]) if self._channels_first else shape

    def _read(self, start: int, stop: int) -> HostArray:
        found = np.empty((stop - start, *self._sample), self._stored)
        left: Any = memoryview(found.reshape(-1).view(np.uint8).data)
        with reworded(self.path), self.path.open("rb", buffering=0) as file:
            file.seek(self._start + start * self._row)
            while left:
                count = file.readinto(left)
                if not count:
                    message = (
                        f"{self.path}, rows {start} to {stop - 1}: the file ends before them; it has shrunk since it "
                        "was opened: leave it as it is while it is trained on"
                    )
                    raise DataError(message)
                left = left[count:]
        if self._channels_first:
            found = np.moveaxis(found, 1, -1)
        return found.astype(self.dtype, order="C", copy=False)
