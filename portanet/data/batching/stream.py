"""Batches of data that are not in memory: read in blocks ahead of the training, shuffled within windows of blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from portanet.backends import Backend
from portanet.data.batching.batches import Batch, Batches, IndexBlock, Order, hashed, of_samples
from portanet.data.dataset import HostArray
from portanet.data.lazy.block_order import Window, windows
from portanet.data.lazy.prefetch import ahead
from portanet.data.lazy.stored import Stored
from portanet.errors import ConfigError
from portanet.typing import Array


class StreamedBatches(Batches):
    """The samples of a training or an evaluation, read while they are used.

    Each epoch draws an order of the blocks, and of the rows within each window of blocks
    (:mod:`~portanet.data.lazy.block_order`): from `seed`, `epoch` and the blocks alone. So an epoch can be resumed in
    its middle by reading from the window on in which the next batch begins.

    Parameters
    ----------
    x : Stored
    y : host array, shape (n, ...), or None
        Checked targets; None where they are read with the samples.
    weight : host array, shape (n,) or (n, *places), optional
    check : callable
        ``check(y, n, what=...)`` returns targets ready for the device.
    """

    def __init__(
        self,
        backend: Backend,
        x: Stored,
        y: HostArray | None,
        weight: HostArray | None,
        batch_size: int,
        check: Callable[..., Any],
    ) -> None:
        self.backend, self.stored, self.batch_size, self.n = backend, x, batch_size, len(x)
        self.targets, self.host_weight, self._check = y, weight, check
        self.resident, self.weight = False, None
        self.x = x.like  # shapes and dtypes, from which the memory that a step needs is estimated
        self.y = check(x.first_y, 1, what=f"{x.name}, row 0: y") if y is None else y

    def epoch(
        self, seed: int, epoch: int, *, shuffle: bool | Order = True, together: int = 1, skip: int = 0
    ) -> Iterator[Batch | IndexBlock]:
        """Yield the batches of an epoch but the first `skip`; see :meth:`Batches.epoch`."""
        if callable(shuffle):
            message = "fit: shuffle is a function, but rows that are not in memory come in blocks; give True or False"
            raise ConfigError(message)
        yield from self._uploaded(seed, epoch, skip, shuffle=bool(shuffle) and self.batch_size < self.n)

    def in_order(self, skip: int = 0) -> Iterator[Batch]:
        """Yield the batches in the order of the rows, but the first `skip`."""
        yield from self._uploaded(0, 0, skip, shuffle=False)

    def fingerprint(self) -> str:
        """Return what distinguishes these samples (of which a few are read), targets and weights from others."""
        return hashed((a for a in (self.targets, self.host_weight) if a is not None), self.stored.fingerprint())

    def _uploaded(self, seed: int, epoch: int, skip: int, *, shuffle: bool) -> Iterator[Batch]:
        order = windows(self.stored.offsets, self.stored.row_bytes, seed, epoch, shuffle=shuffle)
        sizes: list[float] = []

        def noted() -> Iterator[tuple[HostArray | None, ...]]:
            for x, y, weight in self._on_host(order, skip * self.batch_size):
                sizes.append(float(len(x)) if weight is None else self._sum(weight))
                yield x, y, weight

        for x, y, weight in self.backend.upload(noted()):
            yield Batch(x, y, weight, sizes.pop(0))

    def _sum(self, weight: HostArray) -> float:
        """Return the sum of a batch's weights, added up in the same order as for data in memory."""
        weight = of_samples(weight)
        whole = self.batch_size >= self.n
        return float(weight.sum(dtype="float64") if whole else np.add.reduceat(weight, [0], dtype="float64")[0])

    def _on_host(self, order: list[Window], done: int) -> Iterator[tuple[HostArray, HostArray, HostArray | None]]:
        """Yield the batches after the first `done` rows; windows that lie before them are not read."""
        first, skip = 0, done
        while first < len(order) and skip >= order[first].size:
            skip -= order[first].size
            first += 1
        held: list[tuple[Any, ...]] = []
        count, i, sizes = 0, done // self.batch_size, np.diff([*self.starts, self.n]).tolist()
        for window in ahead(lambda stopped: self._windows(order[first:], stopped)):
            start, size = skip, len(window[0])
            skip = 0
            while start < size:
                stop = min(size, start + sizes[i] - count)
                held.append(tuple(None if part is None else part[start:stop] for part in window))
                count, start = count + stop - start, stop
                if count == sizes[i]:
                    yield _joined(held)
                    held, count, i = [], 0, i + 1
            del window  # else it would be kept while the next one is waited for

    def _windows(
        self, order: list[Window], stopped: Callable[[], bool]
    ) -> Iterator[tuple[HostArray, HostArray, HostArray | None]]:
        """Yield samples, targets and weights of the windows, their rows in their final order."""
        for window in order:
            places = window.destinations()
            x = np.empty((window.size, *self.stored.shape[1:]), self.stored.dtype)
            rows = np.empty(window.size, np.int64)
            y = np.empty((window.size, *self.y.shape[1:]), self.y.dtype) if self.targets is None else None
            at = 0
            for start, stop in window.spans:
                if stopped():
                    return
                here = slice(at, at + stop - start) if places is None else places[at : at + stop - start]
                found, target = self.stored.read(start, stop)
                x[here] = found
                rows[here] = np.arange(start, stop)
                if y is not None:
                    what = f"{self.stored.name}, rows {start} to {stop - 1}: y"
                    y[here] = self._check(target, stop - start, what=what)
                at += stop - start
            weight = None if self.host_weight is None else self.host_weight[rows]
            yield x, self.targets[rows] if y is None else y, weight  # type: ignore[index]  # one of both is there


def chunks(x: Array, rows: int) -> Iterator[Array]:
    """Yield checked samples, so many at a time; those on disk are read ahead."""
    spans = [(start, min(start + rows, x.shape[0])) for start in range(0, x.shape[0], rows)]
    if isinstance(x, Stored):
        yield from ahead(lambda stopped: (x.read(*span)[0] for span in spans))
    else:
        yield from (x[start:stop, ...] for start, stop in spans)


def _joined(parts: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Return the parts of a batch as one; most lie within a window, and nothing is copied."""
    if len(parts) == 1:
        return parts[0]
    return tuple(None if own[0] is None else np.concatenate(own) for own in zip(*parts, strict=True))
