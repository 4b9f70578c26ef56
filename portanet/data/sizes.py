"""Whether data on disk fit into memory, found before they are read."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from portanet.backends.host import host_memory
from portanet.errors import ConfigError

logger = logging.getLogger("portanet")

WORTH_A_LINE = 100_000_000
"""Bytes from which on it is logged that data are read into memory; whoever trains on less did not wonder."""


def streams(path: Path, in_memory: Callable[[Path], int] | None, wanted: bool | None) -> bool:
    """Return whether the samples at a path shall stay on disk: as `wanted`, or by their size; log which and why.

    `in_memory` returns roughly how many bytes they take, from the header of one file; None if they cannot stay on disk.
    What claims to be larger than its files can be counts as 0: the reader will refuse it.

    Raise ConfigError if it is wanted, and they are of a form that is read whole.
    """
    if in_memory is None:
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
    free, need = memory[0], in_memory(path)
    fits, sizes = need <= free // 2, (need / 1e6, free / 1e6)
    if fits and need >= WORTH_A_LINE:
        logger.info("%s: read into memory, since %.1f MB are at most half of the %.1f MB that are free", path, *sizes)
    if not fits:
        words = "%s: read from disk as it is needed, since %.1f MB are more than half of the %.1f MB that are free"
        logger.info(words, path, *sizes)
    return not fits
