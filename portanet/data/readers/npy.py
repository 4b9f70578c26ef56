"""A .npy file whose rows are read when they are wanted."""

from __future__ import annotations

import logging
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from portanet.data.dataset import HostArray
from portanet.data.files import opened, reworded
from portanet.data.lazy.readable import Samples
from portanet.data.readers.npy_header import is_channels_first, npy_header, refuse_objects
from portanet.errors import DataError

__all__ = ["NpySamples"]

logger = logging.getLogger("portanet")


class NpySamples(Samples):
    """The rows of a .npy file on disk, as samples.

    They are read by plain reads at their place, and not through a map of the file: what is read leaves the process's
    memory with the block, and is the system's to keep in its cache.

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
        refuse_objects(dtype, self.name)
        if dtype.kind not in "biuf" or not dtype.itemsize:
            message = f"{path}: expected real numbers, got the type {dtype}; convert them"
            raise DataError(message)
        if len(shape) < 2 or 0 in shape:
            message = f"{path}: expected samples of the shape (n, features) or (n, h, w), got {shape}; reshape them"
            raise DataError(message)
        if fortran:
            message = (
                f"{path}: its rows do not lie one behind the other (Fortran's order); save it again: "
                "np.save(path, np.ascontiguousarray(x))"
            )
            raise DataError(message)
        expected = math.prod(shape) * dtype.itemsize
        if room.bytes - self._start != expected:
            message = (
                f"{path}: expected {expected} bytes of data, as its header says, got {room.bytes - self._start}; "
                "copy or download it again"
            )
            raise DataError(message)
        self._stored, self._sample = dtype, shape[1:]
        self._row = math.prod(shape[1:]) * dtype.itemsize
        self.dtype = np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")
        self._channels_first = is_channels_first(shape)
        self.shape = (shape[0], *shape[2:], shape[1]) if self._channels_first else shape
        if self._channels_first:
            logger.info("%s: the shape %s has the channels first; they are moved to the end", path, shape)

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
