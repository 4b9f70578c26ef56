"""Whether data on disk fit into memory, found before they are read."""

from __future__ import annotations

import logging
import math
import os
from pathlib import Path

from portanet.backends.host import host_memory
from portanet.data.files import Capacity, opened
from portanet.data.readers.arrays import KEYS, npy_files
from portanet.data.readers.images import SUFFIXES, first_shape
from portanet.data.readers.npy import npy_header
from portanet.data.readers.parquet import ParquetSamples
from portanet.errors import ConfigError

logger = logging.getLogger("portanet")

STREAMED = ("npy", "parquet", "images", "table")  # the forms whose samples can stay on disk

_OF_TEXT = 4  # bytes that a byte of a table takes while it is read: the text itself and the numbers


def streams(path: Path, form: str, wanted: bool | None) -> bool:
    """Return whether the samples at a path shall stay on disk: as `wanted`, or by their size; log which and why.

    Raise ConfigError if it is wanted, and they are of a form that is read whole.
    """
    if form not in STREAMED:
        if wanted:
            message = f"{path}: it is read whole; samples stay on disk for a pair of .npy, Parquet, images or a table"
            raise ConfigError(message)
        return False
    if wanted is not None:
        if wanted:
            logger.info("%s: read from disk while it is trained on, as asked for", path)
        return wanted
    memory = host_memory()
    if memory is None:
        return False
    free, need = memory[0], in_memory(path, form)
    fits, sizes = need <= free // 2, (need / 1e6, free / 1e6)
    if fits:
        logger.info("%s: read into memory, since %.1f MB are at most half of the %.1f MB that are free", path, *sizes)
    else:
        words = "%s: read from disk as it is needed, since %.1f MB are more than half of the %.1f MB that are free"
        logger.info(words, path, *sizes)
    return not fits


def in_memory(path: Path, form: str) -> int:
    """Return roughly how many bytes samples on disk take in memory, from the header of one file.

    What claims to be larger than its files can be counts as 0: the reader will refuse it.
    """
    if form == "npy":
        folder = path if path.is_dir() else path.parent
        return sum(_array(file) for key, file in npy_files(folder).items() if key in (*KEYS, "x_test"))
    if form == "parquet":
        return ParquetSamples.size(path)
    if form == "images":
        walk = ((Path(folder), name) for folder, _, names in os.walk(path) for name in names)
        sizes = [(folder / name).stat().st_size for folder, name in walk if Path(name).suffix.lower() in SUFFIXES]
        need = len(sizes) * math.prod(first_shape(path))
        return need if need <= Capacity.of_packed(sum(sizes)).bytes else 0
    tables = [path] if path.is_file() else list(path.iterdir())
    return _OF_TEXT * sum(file.stat().st_size for file in tables)


def _array(file: Path) -> int:
    with opened(file) as (stream, room):
        shape, _, dtype = npy_header(stream, str(file))
    need = math.prod(shape) * dtype.itemsize
    return 0 if room.packed or need > room.bytes else need
