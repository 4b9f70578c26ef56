"""One flat array of numbers on the host that is added up over processes (all-reduce)."""

from __future__ import annotations

from typing import Any

import numpy as np

from portanet.backends.base import Backend
from portanet.typing import Array, Shape


class FlatSum:
    """A flat array on the host, and its sum over processes in place (by ``ranks.add_up``); of any backend's arrays."""

    def __init__(self, backend: Backend, ranks: Any, size: int, dtype: str) -> None:
        self.backend, self.ranks = backend, ranks
        self.host = self._allocate(size, dtype)

    def _allocate(self, size: int, dtype: str) -> Any:
        return np.zeros(size, dtype)

    def write(self, start: int, array: Array) -> None:
        """Put a device array's numbers from `start` on."""
        host = self.backend.to_numpy(array).reshape(-1)
        self.host[start : start + host.shape[0]] = host

    def write_host(self, start: int, numbers: list[float]) -> None:
        """Put a few host numbers from `start` on."""
        self.host[start : start + len(numbers)] = numbers

    def read(self, start: int, shape: Shape) -> Array:
        """Return the numbers from `start` on as a device array, valid until the next :meth:`write`."""
        stop = start + int(np.prod(shape, dtype=int))
        return self.backend.asarray(self.host[start:stop].reshape(shape))

    def read_host(self, start: int, stop: int) -> Any:
        """Return a copy of the numbers from `start` to `stop` on the host."""
        return self.host[start:stop].copy()

    def add_up(self) -> None:
        """Replace all numbers by their sums over the processes."""
        self.ranks.add_up(self.host)
