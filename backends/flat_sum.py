"""A flat host array that is summed over processes (all-reduce)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portanet.backends.base import Backend
from portanet.typing import Array, Shape


class FlatSum:
    """A flat host array and its in-place sum over processes (``ranks.add_up``), for the arrays of any backend.

    Attributes
    ----------
    late : bool
        Whether the sums are on the device alone, so that :meth:`read_host` waits for it.
    """

    late = False

    def __init__(self, backend: Backend, ranks: Any, size: int, dtype: str) -> None:
        self.backend, self.ranks = backend, ranks
        self.host = self._allocate(size, dtype)

    def _allocate(self, size: int, dtype: str) -> Any:
        return np.zeros(size, dtype)

    def clear(self, start: int) -> None:
        """Write 0 from position `start` to the end."""
        self.host[start:] = 0.0

    def write(self, start: int, array: Array) -> None:
        """Write a device array at position `start`."""
        host = self.backend.to_numpy(array).reshape(-1)
        self.host[start : start + host.shape[0]] = host

    def write_host(self, start: int, numbers: Sequence[float]) -> None:
        """Write a few host numbers at position `start`; call it after :meth:`clear`."""
        self.host[start : start + len(numbers)] = numbers

    def read(self, start: int, shape: Shape) -> Array:
        """Return the numbers at position `start` as a device array, valid until the next :meth:`write`."""
        stop = start + int(np.prod(shape, dtype=int))
        return self.backend.asarray(self.host[start:stop].reshape(shape))

    def read_host(self, start: int, stop: int) -> Any:
        """Return a copy of the numbers from `start` to `stop` on the host."""
        return self.host[start:stop].copy()

    def add_up(self) -> None:
        """Replace all numbers with their sums over the processes."""
        self.ranks.add_up(self.host)
