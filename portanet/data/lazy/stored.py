"""Samples that are not in memory, as a trainer takes them: read in blocks, each of them checked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from portanet.backends.host import to_host
from portanet.data.dataset import HostArray
from portanet.data.lazy.block_order import block_offsets
from portanet.data.lazy.readable import Readable, Samples, chosen_offsets, read_chosen, spread
from portanet.errors import DataError, PortanetError, ShapeError
from portanet.typing import Shape

PLACES, ROWS = 16, 8  # of the fingerprint: how many places are read, and how many rows at each


class Stored:
    """Checked rows of :class:`~portanet.data.Samples` or of a :class:`~portanet.data.Readable`.

    Parameters
    ----------
    source : Samples or Readable
    check : callable
        ``check(x, what=...)`` returns samples ready for the device: see `batching.prepare.samples`.
    """

    def __init__(self, source: Samples | Readable, check: Callable[..., Any]) -> None:
        self.source, self._check = source, check
        self.name = str(getattr(source, "name", type(source).__name__))
        self.brings_targets = not isinstance(source, Samples)  # whether targets are read with the samples
        n = len(source)
        if n < 1:
            message = f"{self.name}: expected at least one row, got none; look where its rows were chosen"
            raise DataError(message)
        self.shape: Shape = (n,)
        x, self.first_y = self.read(0, 1)
        self.shape, self.dtype = (n, *x.shape[1:]), x.dtype
        self.row_bytes = x.nbytes
        self.offsets = block_offsets(n, x.nbytes, getattr(source, "blocks", None), self.name)
        self.like = np.broadcast_to(x, self.shape)  # an array of this shape that takes no memory

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, start: int, stop: int) -> tuple[HostArray, Any]:
        """Return the checked samples of these rows, and their targets as they came, or None.

        Raise DataError or ShapeError if they cannot be read or are invalid; the message says which rows.
        """
        place = f"{self.name}, rows {start} to {stop - 1}"
        try:
            found = self.source.read(start, stop)
        except (PortanetError, MemoryError):
            raise
        except Exception as error:
            message = f"{place}: reading them failed ({type(error).__name__}: {error})"
            raise DataError(message) from error
        if not self.brings_targets:
            found = (found, None)
        if not isinstance(found, tuple) or len(found) != 2:
            message = f"{place}: expected read(start, stop) to return (x, y), got {type(found).__name__}; return both"
            raise DataError(message)
        x = self._check(found[0] if isinstance(found[0], list | tuple) else to_host(found[0]), what=f"{place}: x")
        known = self.shape[1:] or x.shape[1:]
        if x.shape != (stop - start, *known):
            message = f"{place}: expected samples of shape {(stop - start, *known)}, got {x.shape}; "
            raise ShapeError(message + "bring all to one size")
        if len(self.shape) > 1 and x.dtype != self.dtype:
            message = f"{place}: expected numbers in {self.dtype}, as in the first row, got {x.dtype}; return one dtype"
            raise DataError(message)
        return x, found[1]

    def take(self, rows: HostArray) -> Stored:
        """Return these rows, by increasing numbers; only the first one is read yet."""
        source = self.source
        return Stored(source.take(rows) if isinstance(source, Samples) else _Part(source, rows, self), self._check)

    def fingerprint(self) -> str:
        """Return a SHA-256 that distinguishes these data cheaply from others, wherever they are.

        It is of the number, shape and dtype of the rows, of the blocks, and of a few rows at 16 places that are spread
        evenly. A change elsewhere is not seen.
        """
        digest = hashlib.sha256(f"{self.shape} {self.dtype.name} ".encode() + self.offsets.tobytes())
        for span in spread(len(self), PLACES, ROWS):
            x, y = self.read(*span)
            digest.update(x.tobytes())
            if y is not None:
                digest.update(np.asarray(to_host(y)).tobytes())
        return digest.hexdigest()


class _Part:
    """Some rows of a custom data set."""

    def __init__(self, whole: Readable, rows: HostArray, stored: Stored) -> None:
        self.whole, self.rows, self.name, self.row_bytes = whole, rows, stored.name, stored.row_bytes
        self.blocks = chosen_offsets(stored.offsets, len(stored), rows)

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, start: int, stop: int) -> tuple[Any, Any]:
        return read_chosen(self.whole.read, self.rows[start:stop], self.row_bytes)
