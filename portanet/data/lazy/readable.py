"""Rows that are read when they are wanted: the interface of data that need not fit into memory."""

from __future__ import annotations

import copy
import math
from typing import Any, Protocol, runtime_checkable

import numpy as np

from portanet.backends.host import to_host
from portanet.data.dataset import HostArray
from portanet.data.lazy.moments import moments
from portanet.typing import Shape

_SPAN = 8 << 20  # bytes read at once to take some of their rows


@runtime_checkable
class Readable(Protocol):
    """A data set that need not be in memory to be trained on: any class with these two methods is one.

    It is read in blocks by one thread, never from two at a time. Two attributes are optional: ``classes``, the names of
    the classes, and ``blocks``, the number of rows that are best read at once or, if that differs from block to block,
    the row numbers at which blocks begin, from 0, and the number of rows at the end.
    """

    def __len__(self) -> int:
        """Return the number of rows."""

    def read(self, start: int, stop: int) -> tuple[Any, Any]:
        """Return the samples ``(stop - start, ...)`` and the targets of these rows, host arrays, the same each time."""


class Samples:
    """Samples on disk, without targets, which are small: it takes the place of an array as ``Dataset.x``.

    Attributes
    ----------
    name : str
        Where they are, for messages.
    shape : tuple of int
        As an array's, ``(n, ...)``.
    dtype : dtype
        Of what :meth:`read` returns.
    blocks : int, array of int, or None
        As in :class:`Readable`.
    """

    name: str
    shape: Shape
    dtype: np.dtype[Any]
    blocks: Any = None

    def _read(self, start: int, stop: int) -> HostArray:
        """Return these rows, in whatever shape; each file format has its own."""
        raise NotImplementedError

    def read(self, start: int, stop: int) -> HostArray:
        """Return the samples of these rows as an array, ``(stop - start, ...)``."""
        return self._read(start, stop).reshape(stop - start, *self.shape[1:])

    def take(self, rows: HostArray) -> Samples:
        """Return the samples of these rows, increasing numbers; nothing is read yet."""
        return _Chosen(self, rows)

    def reshape(self, *shape: int) -> Samples:
        """Return the same samples in another shape; the number of rows must stay."""
        if shape[0] != len(self) or math.prod(shape) != math.prod(self.shape):
            message = f"cannot reshape samples of shape {self.shape} into {shape}"
            raise ValueError(message)
        other = copy.copy(self)
        other.shape = shape
        return other

    def some(self, places: int = 16, rows: int = 8) -> list[HostArray]:
        """Return a few rows from so many places, spread evenly, the first and the last rows among them."""
        return [self.read(start, stop) for start, stop in spread(len(self), places, rows)]

    def mean(self, axis: int | None = None, dtype: Any = None) -> Any:
        """Return the mean as an array does, in float64, over all entries or by feature; one pass finds :meth:`std` too.

        `dtype` is ignored.
        """
        return self._moments(axis)[0]

    def std(self, axis: int | None = None, dtype: Any = None) -> Any:
        """Return the standard deviation as an array does, in float64."""
        return self._moments(axis)[1]

    def _moments(self, axis: int | None) -> tuple[Any, Any]:
        known: dict[int | None, tuple[Any, Any]] = self.__dict__.setdefault("_known", {})
        if axis not in known:
            known[axis] = moments(self, axis)
        mean, std = known[axis]
        return mean, (std if axis is None else std.copy())  # the caller may write into it

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that they would take as an array."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]


class _Chosen(Samples):
    """Some rows of samples."""

    def __init__(self, whole: Samples, rows: HostArray) -> None:
        self.whole, self.rows, self.name, self.dtype = whole, rows, whole.name, whole.dtype
        self.shape = (len(rows), *whole.shape[1:])
        if whole.blocks is not None:
            self.blocks = chosen_offsets(whole.blocks, len(whole), rows)

    def _read(self, start: int, stop: int) -> HostArray:
        return read_chosen(self.whole.read, self.rows[start:stop], self.whole.nbytes // len(self.whole))[0]

    def take(self, rows: HostArray) -> Samples:
        return _Chosen(self.whole, self.rows[rows])


def is_lazy(x: object) -> bool:
    """Whether `x` is read row by row: :class:`Samples`, or a custom data set."""
    return isinstance(x, Samples) or (not isinstance(x, np.ndarray) and isinstance(x, Readable))


def read_chosen(read: Any, rows: HostArray, row_bytes: int) -> tuple[HostArray, HostArray | None]:
    """Return the chosen rows, and their targets, or None if `read` returns samples alone.

    What lies between them is read too, at most some megabytes at once.
    """
    span, parts, start = max(_SPAN // max(row_bytes, 1), 1), [], 0
    while start < len(rows):
        first = int(rows[start])
        stop = int(np.searchsorted(rows, first + span))
        found, own = read(first, int(rows[stop - 1]) + 1), rows[start:stop] - first
        arrays = [to_host(a) for a in (found if isinstance(found, tuple) else (found,)) if a is not None]
        parts.append([a if len(a) == len(own) else a[own] for a in arrays])
        start = stop
    x, *y = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
    return x, y[0] if y else None


def chosen_offsets(blocks: Any, n: int, rows: HostArray) -> HostArray:
    """Return where the blocks of `n` rows begin, counted in the chosen ones of these alone."""
    offsets = np.arange(0, n + blocks, blocks) if isinstance(blocks, int) else np.asarray(blocks)
    return np.unique(np.searchsorted(rows, offsets))


def spread(n: int, places: int, rows: int) -> list[tuple[int, int]]:
    """Return so many spans of rows out of `n`, none twice, with the first and the last rows in them."""
    starts = np.unique(np.linspace(0, max(n - rows, 0), places).astype(int)).tolist()
    return [(start, min(start + rows, after)) for start, after in zip(starts, [*starts[1:], n], strict=True)]
