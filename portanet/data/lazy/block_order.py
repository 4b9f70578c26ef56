"""The order in which blocks of rows are read and shuffled."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from portanet.data.dataset import HostArray
from portanet.errors import DataError
from portanet.random import generator

BLOCK = 2 << 20  # bytes of a block, unless the data say which rows belong together: enough for a disk's full speed
WINDOW = 64 << 20  # bytes of the blocks whose rows are mixed; three such windows are in memory at a time
IN_ORDER = 8 << 20  # bytes of a window if nothing is shuffled


class Window(NamedTuple):
    """Blocks that are in memory at the same time."""

    spans: list[tuple[int, int]]  # the rows
    size: int  # their number
    order: tuple[int, str, int, int] | None  # what the generator of the order is made of; None leaves the rows in place

    def destinations(self) -> HostArray | None:
        """Return for each row of the spans, one after the other, its place in the window."""
        if self.order is None:
            return None
        places = np.empty(self.size, np.int64)
        places[generator(*self.order).permutation(self.size)] = np.arange(self.size)
        return places


def block_offsets(n: int, row_bytes: int, blocks: Any = None, name: str = "the data") -> HostArray:
    """Return at which rows the blocks begin, from 0, and `n` at the end.

    Raise DataError if `blocks`, as a :class:`~portanet.data.Readable` gives it, is neither a number of 1 or more, nor
    row numbers from 0 to `n` that increase.
    """
    if blocks is None:
        blocks = max(BLOCK // max(row_bytes, 1), 1)
    if isinstance(blocks, int | np.integer) and blocks > 0:
        return np.append(np.arange(0, n, int(blocks)), n)
    offsets = np.asarray(blocks)
    whole = offsets.ndim == 1 and offsets.dtype.kind in "iu" and len(offsets) > 1
    if not whole or offsets[0] != 0 or offsets[-1] != n or (np.diff(offsets) <= 0).any():
        message = f"{name}: expected blocks to be a number of rows, or row numbers that increase from 0 to {n}, got "
        raise DataError(message + f"{blocks!r:.80}; correct the attribute blocks, or leave it out")
    return offsets.astype(np.int64)


def windows(offsets: HostArray, row_bytes: int, seed: int, epoch: int, *, shuffle: bool) -> list[Window]:
    """Return the windows of an epoch in their order, which depends on nothing but the arguments.

    The blocks are drawn in a random order; as many as fit into `WINDOW` bytes are a window, whose rows are drawn in a
    random order in turn.
    """
    sizes = np.diff(offsets)
    limit = max((WINDOW if shuffle else IN_ORDER) // max(row_bytes, 1), 1)
    order = generator(seed, "blocks", epoch).permutation(len(sizes)) if shuffle else np.arange(len(sizes))
    found: list[Window] = []
    spans: list[tuple[int, int]] = []
    rows = 0

    def close() -> None:
        found.append(Window(spans, rows, (seed, "rows", epoch, len(found)) if shuffle else None))

    for block in order.tolist():
        size = int(sizes[block])
        if spans and rows + size > limit:
            close()
            spans, rows = [], 0
        spans.append((int(offsets[block]), int(offsets[block + 1])))
        rows += size
    close()
    return found
