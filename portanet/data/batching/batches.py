"""Batches on the device: gathered there where the data are resident, else gathered on the host and uploaded."""

from __future__ import annotations

import copy
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Self, TypeAlias

import numpy as np

from portanet.backends import Backend
from portanet.backends.namespace import namespace
from portanet.data.batching.sparse import SparseRows
from portanet.errors import ConfigError
from portanet.random import generator
from portanet.typing import Array

SMALL = 1 << 20  # bytes that always fit

Order: TypeAlias = Callable[[int], Any]  # from the number of samples to the order of their rows in the next epoch


class Batch(NamedTuple):
    """Rows of samples and targets on the device; `size` is the sum of their weights (their number without weights).

    The weight of a sample whose places have one each is their mean: :func:`of_samples`.
    """

    x: Array
    y: Array
    weight: Array | None
    size: float


class IndexBlock(NamedTuple):
    """The rows of several batches of resident samples, (batches, batch_size) on the host, and the batches' sizes."""

    index: Array
    sizes: list[float]


class Batches:
    """The samples of a training or an evaluation, batch by batch.

    Data that fit into half of the device's free memory are uploaded once and each batch is gathered there; larger data
    stay on the host, and each batch is uploaded when it is needed. Arrays that are on the device already stay there.

    Parameters
    ----------
    backend : Backend
    x, y : array, n rows each
        Host arrays, or arrays of the backend's library; x also sparse rows, which become dense a batch at a time.
    weight : host array, shape (n,) or (n, *places), optional
        In the dtype of the arithmetic.
    batch_size : int
        The last batch of an epoch may be smaller.
    """

    least = 1  # number of rows below which a last batch is joined to the one before it

    def __init__(self, backend: Backend, x: Array, y: Array, weight: Array | None, batch_size: int) -> None:
        self.backend, self.batch_size = backend, batch_size
        self.n = int(x.shape[0])
        self.host_weight = weight
        size = sum(a.nbytes for a in (x, y) if isinstance(a, np.ndarray))
        memory = backend.memory() if size > SMALL else None  # to ask takes longer than a small step
        fits = memory is None or size <= memory.free // 2 or not isinstance(x, np.ndarray)
        self.resident = fits and not isinstance(x, SparseRows)
        self.x, self.y = (backend.asarray(x), backend.asarray(y)) if self.resident else (x, y)
        self.weight = None if weight is None else backend.asarray(weight)
        self.rows: np.ndarray[Any, Any] | None = None

    def only(self, rows: np.ndarray[Any, Any], batch_size: int) -> Self:
        """Return the batches of some rows of the same samples, which are not copied."""
        found = copy.copy(self)
        found.rows, found.n, found.batch_size = rows, len(rows), batch_size
        return found

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def starts(self) -> range:
        """Where the batches begin; a last one of fewer than `least` rows belongs to the one before it."""
        last = self.n - self.least if self.least > 1 and self.n > self.batch_size else self.n - 1
        return range(0, last + 1, self.batch_size)

    def epoch(
        self, seed: int, epoch: int, *, shuffle: bool | Order = True, together: int = 1, skip: int = 0
    ) -> Iterator[Batch | IndexBlock]:
        """Yield the batches of an epoch but the first `skip`.

        Their order depends on `seed` and `epoch` alone, unless `shuffle` draws it. If `together` is more than 1,
        samples that are resident come as an :class:`IndexBlock` for each `together` batches of one size, or fewer at
        the end; a full batch always comes as it lies.
        """
        one_by_one = together == 1 or not self.resident
        if self.batch_size >= self.n:  # the order of a full batch changes nothing
            shuffle = False
        if not shuffle and (one_by_one or self.batch_size >= self.n) and self.rows is None:
            yield from self.in_order(skip)
            return
        order = self.order(seed, epoch, shuffle)
        spans = list(self._spans(order))
        if not one_by_one:
            yield from _blocks(order, spans, together, skip)
            return
        rows, gather = self.backend.asarray(order), self.backend.compile(_gathered)
        there = (self.x, self.y) if self.resident else (None, None)
        for start, stop, size in spans[skip:]:
            x, y, weight = gather(there[0], there[1], self.weight, rows[start:stop])
            if not self.resident:
                x, y = (self.backend.asarray(a[order[start:stop]]) for a in (self.x, self.y))
            yield Batch(x, y, weight, size)

    def order(self, seed: int, epoch: int, shuffle: bool | Order) -> np.ndarray[Any, Any]:
        """Return the rows' numbers in the order of this epoch, (n,), as int32: the widest that all libraries have."""
        if callable(shuffle):
            drawn = _checked_order(np.asarray(shuffle(self.n)), self.n)
        else:
            drawn = generator(seed, "shuffle", epoch).permutation(self.n) if shuffle else np.arange(self.n)
        return (drawn if self.rows is None else self.rows[drawn]).astype(np.int32)

    def in_order(self, skip: int = 0) -> Iterator[Batch]:
        """Yield the batches in the order of the rows, but the first `skip`."""
        if self.resident and self.batch_size >= self.n and not skip:
            weight = self.host_weight
            size = self.n if weight is None else of_samples(weight).sum(dtype="float64")
            yield Batch(self.x, self.y, self.weight, float(size))
            return
        for start, stop, size in list(self._spans(None))[skip:]:
            x, y = self.x[start:stop, ...], self.y[start:stop, ...]
            weight = None if self.weight is None else self.weight[start:stop, ...]
            yield Batch(self.backend.asarray(x), self.backend.asarray(y), weight, size)

    def fingerprint(self) -> str:
        """Return the SHA-256 of samples, targets and weights: their shapes, dtypes and numbers."""
        x, rows = self.x, ... if self.rows is None else self.rows
        if isinstance(x, SparseRows):
            matrix = (x if self.rows is None else x.take(rows)).matrix
            samples = [matrix.data, matrix.indices, matrix.indptr]
        else:
            samples = [self.backend.to_numpy(x)[rows]]
        return hashed([*samples, *(self.backend.to_numpy(a)[rows] for a in (self.y, self.weight) if a is not None)])

    def _spans(self, order: np.ndarray[Any, Any] | None) -> Iterator[tuple[int, int, float]]:
        starts = self.starts
        stops = [*starts[1:], self.n]
        sizes = [float(stop - start) for start, stop in zip(starts, stops, strict=True)]
        if self.host_weight is not None:
            weight = of_samples(self.host_weight)
            weight = weight if order is None else weight[order]
            sizes = np.add.reduceat(weight, list(starts), dtype="float64").tolist()
        yield from zip(starts, stops, sizes, strict=True)


def _gathered(x: Array, y: Array, weight: Array | None, rows: Array) -> tuple[Array | None, ...]:
    """Return these rows of each array on the device; None for an array that is None."""
    return tuple(None if a is None else namespace(a).take(a, rows, axis=0) for a in (x, y, weight))


def _blocks(
    order: np.ndarray[Any, Any], spans: list[tuple[int, int, float]], together: int, skip: int
) -> Iterator[IndexBlock]:
    """Yield the batches after the first `skip` in blocks of one batch size.

    A compiler makes a program for each shape, so there are few shapes: blocks are counted from the begin of the epoch,
    also if it is entered later, and only a block's end differs.
    """
    while skip < len(spans):
        part = spans[skip : skip - skip % together + together]
        length = part[0][1] - part[0][0]
        part = list(itertools.takewhile(lambda span: span[1] - span[0] == length, part))  # noqa: B023  # called at once
        index = order[part[0][0] : part[-1][1]].reshape(len(part), length)
        yield IndexBlock(index, [size for _, _, size in part])
        skip += len(part)


def hashed(arrays: Iterable[np.ndarray[Any, Any]], start: str = "") -> str:
    """Return the SHA-256 of a text and of host arrays: their shapes, dtypes and numbers."""
    digest = hashlib.sha256(start.encode())
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype.name} ".encode())
        digest.update(array.data if array.flags.c_contiguous else array.tobytes())
    return digest.hexdigest()


def of_samples(weight: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the weight of each sample, (n,), from weights of samples or of their places, (n, *places)."""
    if weight.ndim == 1:
        return weight
    found: np.ndarray[Any, Any] = weight.mean(axis=tuple(range(1, weight.ndim)), dtype="float64")
    return found


def _checked_order(order: np.ndarray[Any, Any], n: int) -> np.ndarray[Any, Any]:
    """Return a custom order; refuse one that has another length, or names rows that do not exist."""
    what = ""
    if order.shape != (n,) or order.dtype.kind not in "iu":
        what = f"an array of shape {order.shape} and dtype {order.dtype}"
    elif order.min() < 0 or order.max() >= n:
        what = f"row {order.min() if order.min() < 0 else order.max()}"
    if what:
        message = f"fit: shuffle must give each of the {n} rows once, got {what}; return a permutation of range({n})"
        raise ConfigError(message)
    return order
