"""Tables in Parquet, read by row groups."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from portanet.data.dataset import Dataset, HostArray
from portanet.data.lazy.readable import Samples
from portanet.data.readers.labels import Labels, Task, encode
from portanet.data.readers.table import TARGETS, looks_like_pixels
from portanet.errors import DataError, need, unknown

__all__ = ["ParquetSamples", "read_parquet"]

_TEXT = ("string", "large_string", "string_view")


class ParquetSamples(Samples):
    """Columns of a Parquet file on disk, as samples ``(n, columns)``; a block is a row group.

    Parameters
    ----------
    path : Path
    columns : list of str, optional
        Which are the features; all without it.

    Raises
    ------
    DataError
        If pyarrow is missing, the file is damaged, or a column holds no numbers, now; or a value is missing, when it is
        read.
    """

    def __init__(self, path: Path, columns: list[str] | None = None) -> None:
        self.path, self.name = Path(path), str(path)
        with _reworded(self.path):
            self._file = _parquet().ParquetFile(self.path)
            about, schema = self._file.metadata, self._file.schema_arrow
            sizes = [about.row_group(i).num_rows for i in range(about.num_row_groups)]
        self.columns = list(schema.names) if columns is None else columns
        if not sum(sizes) or not self.columns:
            message = f"{path}: expected rows of features, got {sum(sizes)} rows of {len(self.columns)} columns"
            raise DataError(message)
        for column in self.columns:
            if (count := schema.names.count(column)) != 1:
                message = f"{path}: expected one column {column!r}, got {count}; give each a name of its own"
                raise DataError(message)
            kind = schema.field(column).type
            if not _is_number(kind):
                message = f"{path}, column {column!r}: expected numbers, got {kind}; turn it into numbers or drop it"
                raise DataError(message)
        dtypes = [schema.field(column).type.to_pandas_dtype() for column in self.columns]
        common = np.result_type(*(np.uint8 if d == np.bool_ else d for d in dtypes))
        small = common == np.uint8 or common == np.float32
        self.dtype = np.dtype(common if small else np.float64)
        self.shape = (sum(sizes), len(self.columns))
        self._groups = np.cumsum([0, *sizes])
        self.blocks = np.unique(self._groups)  # an empty group is no block
        self._last: tuple[int, HostArray] | None = None

    @staticmethod
    def size(path: Path) -> int:
        """Return the bytes that all columns of a file take as numbers."""
        with _reworded(path):
            about = _parquet().ParquetFile(path).metadata
        return int(about.num_rows * about.num_columns * 8)

    def _read(self, start: int, stop: int) -> HostArray:
        first = int(np.searchsorted(self._groups, start, side="right")) - 1
        last = int(np.searchsorted(self._groups, stop, side="left"))
        parts = [
            self._group(i)[max(start - int(self._groups[i]), 0) : stop - int(self._groups[i])]
            for i in range(first, last)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _group(self, i: int) -> HostArray:
        """Return the rows of a row group; the one that was read last is kept, for who reads a part of it at a time."""
        if self._last is None or self._last[0] != i:
            self._last = None  # before the next one is there
            with _reworded(f"{self.path}, row group {i}"):
                table = self._file.read_row_group(i, columns=self.columns, use_threads=False)
            found = np.empty((table.num_rows, len(self.columns)), self.dtype)
            for j, column in enumerate(self.columns):
                found[:, j] = _values(table.column(column), f"{self.path}, row group {i}, column {column!r}")
            self._last = i, found
        return self._last[1]

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "columns": self.columns, "shape": self.shape}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"], state["columns"])  # type: ignore[misc]  # an open file goes into no other process
        self.shape = state["shape"]


def read_parquet(path: Path, target: str | int | None = None, task: Task | None = None, *, stream: bool) -> Dataset:
    """Read a table in Parquet; with `stream` the features stay on disk.

    Parameters
    ----------
    target : str or int, optional
        The target's column, by name or index (negative from the end), "first" or "last". Without it: one that is called
        label, target, class, y, species, …; else the only column of text; else the last one.
    task : {"classification", "regression"}, optional

    Raises
    ------
    DataError
        As :class:`ParquetSamples`; or if there is no such target.
    """
    with _reworded(path):
        schema = _parquet().ParquetFile(path).schema_arrow
    name = _target(list(schema.names), [str(kind) for kind in schema.types], target, path)
    features = [column for column in schema.names if column != name]
    x = ParquetSamples(path, features)
    with _reworded(path):
        # Not read_table, whose threads end the process where memory is short: here that is an error like any other.
        column = _parquet().ParquetFile(path).read(columns=[name], use_threads=False).column(name)
    y, _, classes = encode(_labels(column, path, name), None, task=task, where=lambda i: f"{path}, row {i}, {name!r}")
    few = np.concatenate(x.some()) if x.dtype == np.uint8 else None
    scale = 255.0 if few is not None and looks_like_pixels(few) else None
    return Dataset(str(path), x if stream else x.read(0, len(x)), y, None, None, classes, tuple(features), scale)


def _target(names: list[str], kinds: list[str], target: str | int | None, path: Path) -> str:
    if len(names) < 2:
        message = (
            f"{path}: expected at least two columns, features and a target, got {len(names)}; "
            "write features and target into one file"
        )
        raise DataError(message)
    if target is None:
        known = {name.lower(): name for name in names}
        text = [name for name, kind in zip(names, kinds, strict=True) if kind in _TEXT or kind.startswith("dictionary")]
        return next((known[t] for t in TARGETS if t in known), text[0] if len(text) == 1 else names[-1])
    if target in names:
        return str(target)
    if target in ("first", "last"):
        return names[0 if target == "first" else -1]
    try:
        return names[int(target)]
    except (ValueError, IndexError):
        message = f"{path}: {unknown('column', target, names)}; name the target by its column, 'first' or 'last'"
        raise DataError(message) from None


def _labels(column: Any, path: Path, name: str) -> Labels:
    kind = str(column.type)
    if kind in _TEXT or kind.startswith("dictionary"):
        if column.null_count:
            _refuse_missing(f"{path}, column {name!r}")
        return [str(value) for value in column.to_pylist()]
    if not _is_number(column.type):
        message = f"{path}, column {name!r}: expected numbers or text as targets, got {kind}; convert it"
        raise DataError(message)
    return _values(column, f"{path}, column {name!r}")


def _values(column: Any, place: str) -> HostArray:
    if column.null_count:
        _refuse_missing(place)
    return np.asarray(column.to_numpy())


def _refuse_missing(place: str) -> None:
    message = f"{place}: a value is missing; fill it in or drop the row: no mean is filled in for you"
    raise DataError(message)


def _is_number(kind: Any) -> bool:
    types = need("pyarrow.types", "data", "reading Parquet", exit_code=3)
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def _parquet() -> Any:
    return need("pyarrow.parquet", "data", "reading Parquet", exit_code=3)


@contextlib.contextmanager
def _reworded(place: object) -> Iterator[None]:
    """Turn what pyarrow raises on a damaged file into a `DataError` with its place."""
    try:
        yield
    except (OSError, ValueError, KeyError) as error:  # pyarrow's own are subclasses of these
        if isinstance(error, DataError):
            raise
        why = " ".join(str(error).split())[:150]
        message = f"{place}: expected a Parquet file that can be read, got: {why}; copy or write it again"
        raise DataError(message) from error
