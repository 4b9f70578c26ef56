"""The batches of many trainings, stacked: each member's rows, in its own order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from portanet.backends import Backend
from portanet.data.batching.batches import Batch, Batches, of_samples
from portanet.training.loop import Epoch
from portanet.typing import Array

HostRows = np.ndarray[Any, Any]


class StackedBatches(Batches):
    """The batches of all members, stacked: arrays (members, n, ...).

    Attributes
    ----------
    sizes : host array, shape (members, batches)
        The sum of the weights in each batch.
    """

    def __init__(self, backend: Backend, epochs: Sequence[Epoch]) -> None:
        data = [epoch.batches for epoch in epochs]
        self.backend, self.n, self.batch_size, self.least = backend, data[0].n, data[0].batch_size, data[0].least
        self.orders = np.stack([_order(epoch) for epoch in epochs])
        starts = [i for i, own in enumerate(data) if i == 0 or not _same(own, data[i - 1])]
        self.shared = [(data[i], slice(i, stop)) for i, stop in zip(starts, [*starts[1:], len(data)], strict=True)]
        self.sizes = np.concatenate([self._sizes(own, self.orders[members]) for own, members in self.shared])

    def epoch(self, seed: int, epoch: int, *, shuffle: Any = True, together: int = 1, skip: int = 0) -> Iterator[Any]:
        rows = self.backend.asarray(self.orders)
        for start, stop in list(zip(self.starts, [*self.starts[1:], self.n], strict=True))[skip:]:
            part = slice(start, stop)
            taken = [self._taken(data, rows[own, part], self.orders[own, part]) for data, own in self.shared]
            x, y, weight = (None if each[0] is None else self._joined(each) for each in zip(*taken, strict=True))
            yield Batch(x, y, weight, float(stop - start))

    def _taken(self, data: Batches, rows: Array, host_rows: HostRows) -> tuple[Array, Array, Array | None]:
        xp, shape = self.backend.xp, tuple(rows.shape)
        flat = xp.reshape(rows, (-1,))

        def of_each(a: Array) -> Array:
            if data.resident or a is data.weight:
                taken = xp.take(a, flat, axis=0)
            else:
                taken = self.backend.asarray(a[host_rows.reshape(-1)])
            return xp.reshape(taken, (*shape, *taken.shape[1:]))

        return of_each(data.x), of_each(data.y), None if data.weight is None else of_each(data.weight)

    def _joined(self, parts: Sequence[Array]) -> Array:
        return parts[0] if len(parts) == 1 else self.backend.xp.concat(list(parts))

    def _sizes(self, data: Batches, order: HostRows) -> HostRows:
        starts = self.starts
        if data.host_weight is None:
            return np.tile(np.subtract([*starts[1:], self.n], starts).astype(float), (len(order), 1))
        return np.add.reduceat(of_samples(data.host_weight)[order], list(starts), axis=1, dtype="float64")


def _order(epoch: Epoch) -> HostRows:
    """Return the row order of a member's epoch; a full batch is not shuffled, which has no effect."""
    data, shuffle = epoch.batches, epoch.shuffle
    if data.batch_size >= data.n:
        shuffle = False
    return data.order(epoch.engine.program.seed, epoch.state.epoch, shuffle)


def _same(a: Batches, b: Batches) -> bool:
    return a.x is b.x and a.y is b.y and a.weight is b.weight
