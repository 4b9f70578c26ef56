"""The rows of every batch, and of evaluation data, that each process computes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from portanet.backends import Backend
from portanet.data.batching.batches import Batch, Batches, IndexBlock, Order, of_samples
from portanet.data.batching.stream import StreamedBatches
from portanet.distributed.ranks import Ranks
from portanet.random import Part
from portanet.typing import Array


class PartOfBatch(NamedTuple):
    """Some rows of a batch, like :class:`~portanet.data.batching.batches.Batch`; `size` is the sum of their weights."""

    x: Array
    y: Array
    weight: Array | None
    size: float
    part: Part


class _Parted(Batches):
    """Batches of which each process gets its part of the rows.

    The batches are those of a single process: they are drawn from the same shuffle and split in row order, the first
    rows for rank 0. A batch with fewer than two rows per process is computed by every process, and rank 0's result is
    used.
    """

    ranks: Ranks

    def _own(self, n: int) -> tuple[int, int]:
        return self.ranks.rows(n) if n >= 2 * self.ranks.size else (0, n)

    def _parts(self, batches: Iterator[Batch | IndexBlock], skip: int) -> Iterator[PartOfBatch]:
        add = self._added if self.ranks.batch_norm == "global" else None
        for i, batch in enumerate(batches, skip):
            assert isinstance(batch, Batch)
            total = ([*self.starts[1:], self.n][i]) - self.starts[i]
            first, last = self._own(total)
            whole = (first, last) == (0, total)
            own = float(last - first)
            if batch.weight is not None:
                own = float(of_samples(self.backend.to_numpy(batch.weight)).sum(dtype="float64"))
            if whole:
                own = batch.size if self.ranks.rank == 0 else 0.0
            sample = 1.0 / batch.size if batch.size > 0 else 0.0  # a batch whose weights are all 0 has no effect
            part = Part(first, total, own * sample, sample, None if whole else add)
            yield PartOfBatch(batch.x, batch.y, batch.weight, own, part)

    def _added(self, array: Array) -> Array:
        """Return the sum of a device array over the processes, computed on the host."""
        host = self.backend.to_numpy(array).copy()
        self.ranks.add_up(host)
        return self.backend.asarray(host)


class Shards(_Parted):
    """Training samples in memory, of which each process gets its part of every batch."""

    def __init__(
        self, ranks: Ranks, backend: Backend, x: Array, y: Array, weight: Array | None, batch_size: int
    ) -> None:
        super().__init__(backend, x, y, weight, batch_size)
        self.ranks = ranks

    def epoch(
        self, seed: int, epoch: int, *, shuffle: bool | Order = True, together: int = 1, skip: int = 0
    ) -> Iterator[Any]:
        """Yield this process's parts of the batches of an epoch, except the first `skip`."""
        if callable(shuffle):
            drawn = self.ranks.on_first(lambda: np.asarray(shuffle(self.n)))
            order = lambda n: drawn  # noqa: E731  # rank 0 draws the order for all
            yield from self._parts(super().epoch(seed, epoch, shuffle=order, skip=skip), skip)
        else:
            yield from self._parts(super().epoch(seed, epoch, shuffle=shuffle, skip=skip), skip)

    def in_order(self, skip: int = 0) -> Iterator[Any]:
        """Yield this process's parts of the batches in row order, except the first `skip`."""
        for start, stop, size in list(self._spans(None))[skip:]:
            x, y = self.x[start:stop, ...], self.y[start:stop, ...]
            weight = None if self.weight is None else self.weight[start:stop, ...]
            yield Batch(self.backend.asarray(x), self.backend.asarray(y), weight, size)

    def _spans(self, order: np.ndarray[Any, Any] | None) -> Iterator[tuple[int, int, float]]:
        for start, stop, size in super()._spans(order):
            first, last = self._own(stop - start)
            yield start + first, start + last, size


class StreamedShards(_Parted, StreamedBatches):
    """Streamed training samples, of which each process gets its part of every batch.

    Each process reads all samples, because the rows of a batch are spread over every block of a window. After `ranks`,
    the arguments are those of :class:`~portanet.data.batching.stream.StreamedBatches`.
    """

    def __init__(self, ranks: Ranks, *args: Any) -> None:
        StreamedBatches.__init__(self, *args)
        self.ranks = ranks

    def epoch(
        self, seed: int, epoch: int, *, shuffle: bool | Order = True, together: int = 1, skip: int = 0
    ) -> Iterator[Any]:
        """Yield this process's parts of the batches of an epoch, except the first `skip`."""
        batches = StreamedBatches.epoch(self, seed, epoch, shuffle=shuffle, skip=skip)
        yield from self._parts((self._cut(batch) for batch in batches), skip)

    def _cut(self, batch: Any) -> Batch:
        first, last = self._own(int(batch.x.shape[0]))
        weight = None if batch.weight is None else batch.weight[first:last, ...]
        return Batch(batch.x[first:last, ...], batch.y[first:last, ...], weight, batch.size)
