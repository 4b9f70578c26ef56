"""Tables in Parquet, read by row groups."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from portanet.data.cells import Table, Text
from portanet.data.dataset import Dataset, HostArray
from portanet.data.files import Capacity, regular, reworded
from portanet.data.frames import check_codes, table
from portanet.data.lazy.readable import Samples
from portanet.data.readers.labels import Labels, Part, Task, dataset
from portanet.data.readers.parquet_pages import unpacked
from portanet.data.readers.reader import Reader
from portanet.data.readers.reading import Reading
from portanet.data.readers.table import chosen_target, fits_bytes, pixel_scale, target_by_name
from portanet.data.readers.table_text import labelled, numbered
from portanet.data.readers.targets import named_targets, several, with_targets
from portanet.errors import ConfigError, DataError, need

_SHARED = frozenset(["PLAIN", "PLAIN_DICTIONARY", "RLE_DICTIONARY", "RLE", "BIT_PACKED"])
"""Encodings that pyarrow reads as dictionaries."""

_AT_ONCE = 64  # rows with texts of any length

_FOOTER = 8 << 20  # bytes: 1,000 row groups of 80 columns


class ParquetSamples(Samples):
    """Columns of a Parquet file on disk, as samples ``(n, columns)``; a block is a row group."""

    def __init__(self, path: Path, columns: list[str]) -> None:
        self.path, self.name, self.columns = path, str(path), columns
        with _opened(path) as file:
            self._file, about, schema = file, file.metadata, file.schema_arrow
            sizes = [about.row_group(i).num_rows for i in range(about.num_row_groups)]
            _check_groups(path, about, len(columns))
        if not sum(sizes) or not self.columns:
            message = f"{path}: expected rows of features, got {sum(sizes)} rows of {len(self.columns)} columns"
            raise DataError(message)
        for column in self.columns:
            if (count := schema.names.count(column)) != 1:
                message = f"{path}: expected one column {column!r}, got {count}; give each a name of its own"
                raise DataError(message)
            kind = schema.field(column).type
            if not _is_number(kind):
                message = (
                    f"{path}, column {column!r}: expected numbers, got {kind}; drop it, or read it all (--no-stream)"
                )
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
        """Return the bytes that all columns of a file take as numbers; 0 if that is implausible: it will be refused."""
        with _opened(path) as file:
            need = int(file.metadata.num_rows * file.metadata.num_columns * 8)
        return need if need <= Capacity.of_packed(path.stat().st_size).bytes else 0

    def _read(self, start: int, stop: int) -> HostArray:
        first = int(np.searchsorted(self._groups, start, side="right")) - 1
        last = int(np.searchsorted(self._groups, stop, side="left"))
        begins = self._groups.tolist()
        parts = [self._group(i)[max(start - begins[i], 0) : stop - begins[i]] for i in range(first, last)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _group(self, i: int) -> HostArray:
        """Return the rows of a row group; the last one is kept, since it may be read a part at a time."""
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

    Without a `target`, it is the column called label, target, class, y, species, …; else the only one of text; else the
    last one.
    """
    with _opened(path) as file:
        schema, about = file.schema_arrow, file.metadata
    if not stream:
        _check_room(path, path.stat().st_size, about.num_rows, about.num_columns)
    if names := named_targets(target, schema.names, path):
        if stream:
            message = f"{path}: several targets are for tables that are read into memory; add --no-stream"
            raise ConfigError(message)
        _check_groups(path, about, about.num_columns)
        whole = _table(path)
        return with_targets(path, [several(whole, names, task, path)], names, schema.names.index(names[0]))
    name = _target(list(schema.names), schema.types, target, path)
    if not stream and (found := _with_gaps(path, name, task)) is not None:
        return found
    features = [column for column in schema.names if column != name and not _is_index(column)]
    x = ParquetSamples(path, features)
    # Not read_table, whose threads end the process if memory is short: here that is an error like any other.
    column = _read(path, [name]).column(name)
    place = f"{path}, column {name!r}"
    if not _is_text(column.type) and not _is_number(column.type):
        message = f"{place}: expected numbers or text as targets, got {column.type}; convert it"
        raise DataError(message)
    with _reworded(place):
        labels: Labels = _texts(column, place) if _is_text(column.type) else _values(column, place)
    if str(column.type) == "bool":
        labels = [str(value) for value in labels]  # as a file of text has them
    train = Part(x, labels, lambda i: f"{path}, row {i}, {name!r}")
    about = {"target": name, "place": schema.names.index(name), "features": tuple(features)}
    found = dataset(path, train, None, task, scale=pixel_scale(x), **about)
    return found if stream else _in_memory(found, x.read(0, len(x)))


def parquet_features(path: Path, targets: Sequence[str]) -> Table | None:
    """Return all columns of a file that has none of the targets; None if it has one."""
    with _opened(path) as file:
        names, about = file.schema_arrow.names, file.metadata
        if not set(names).isdisjoint(targets) or len(set(names)) < len(names):
            return None
        _check_groups(path, about, about.num_columns)
    _check_room(path, path.stat().st_size, about.num_rows, about.num_columns)
    return _table(path)


def _with_gaps(path: Path, target: str, task: Task | None) -> Dataset | None:
    """Return the data of a file that holds gaps or other columns than numbers; None if it does not."""
    with _opened(path) as file:
        groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
        columns = [group.column(i) for group in groups for i in range(group.num_columns)]
        whole = all(c.statistics is not None and c.statistics.null_count == 0 for c in columns)
        if whole and all(_is_number(f.type) for f in file.schema_arrow if f.name != target):
            return None
        if len(set(file.schema_arrow.names)) < len(file.schema_arrow.names):
            return None  # refused with all of them
        _check_groups(path, file.metadata, file.metadata.num_columns)
    found = _table(path)
    place, names = f"{path}, column {target!r}", list(found.names)
    labels, features = found.column(target), found.without(target)

    def where(i: int) -> str:
        return f"{path}, row {i}, {target!r}"

    if isinstance(labels, Text):
        part = labelled(features, labels, place, where, Reading())
    else:
        part = numbered(features, labels, place, where)
    about = {"target": target, "place": names.index(target), "features": features.names}
    made = dataset(path, part, None, task, **about)
    return made if isinstance(made.x, Table) else _in_memory(made, made.x)


def _table(path: Path) -> Table:
    """Return all columns; those of text by their distinct texts, as one of these may stand in any number of rows."""
    with _opened(path) as file:
        texts = [field.name for field in file.schema_arrow if str(field.type) in _TEXTS]
    with _reworded(path):
        found = table(_read(path), str(path))
    found.kinds = {name: kind for name, kind in found.kinds.items() if name not in texts}
    return found


def _read(path: Path, columns: Sequence[str] | None = None) -> Any:
    """Return columns, all by default, those of text as dictionaries, which many rows may share.

    A text of its own for each row could take any amount of memory. What pyarrow does not read as a dictionary is made
    one some rows at a time.
    """
    import pyarrow as arrow

    with _opened(path) as file:
        names = list(columns or file.schema_arrow.names)
        texts = {field.name for field in file.schema_arrow if _is_text(field.type)}
        groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
        chunks = [group.column(i) for group in groups for i in range(group.num_columns)]
        apart = texts.intersection(c.path_in_schema for c in chunks if not _SHARED.issuperset(c.encodings))
    with _opened(path, sorted(texts - apart)) as file:
        together = [name for name in names if name not in apart]
        found = file.read(together, use_threads=False)
        if len(together) == len(names):
            return found
        return arrow.table({name: _encoded(file, name) if name in apart else found.column(name) for name in names})


def _encoded(file: Any, name: str) -> Any:
    """Return a column of text as a dictionary, made some rows at a time."""
    import pyarrow as arrow

    batches = file.iter_batches(_AT_ONCE, columns=[name], use_threads=False)
    parts = [batch.column(0).dictionary_encode() for batch in batches]
    return arrow.chunked_array(parts, None if parts else arrow.string())


def _in_memory(found: Dataset, x: HostArray) -> Dataset:
    """Return the data with these samples, in bytes if all of them are, as those of a table of text."""
    x = x.astype(np.uint8) if fits_bytes(x) else x
    return replace(found, x=x, scale=pixel_scale(x))


def _target(names: list[str], kinds: list[Any], target: str | int | None, path: Path) -> str:
    if len(names) < 2:
        message = f"{path}: expected at least two columns, features and a target, got {len(names)}; "
        raise DataError(message + "write features and target into one file")
    if target is not None:
        return names[chosen_target(target, names, len(names), path)]
    text = [i for i, kind in enumerate(kinds) if _is_text(kind)]
    named = target_by_name(names)
    return names[named if named is not None else text[0] if len(text) == 1 else -1]


def _values(column: Any, place: str) -> HostArray:
    _refuse_gaps(column, place)
    return np.asarray(column.to_numpy())


def _texts(column: Any, place: str) -> list[str]:
    """Return the texts of a column; equal ones are one object."""
    _refuse_gaps(column, place)
    found: list[str] = []
    for chunk in column.chunks:
        if not str(chunk.type).startswith("dictionary"):
            chunk = chunk.dictionary_encode()
        names = [str(name) for name in chunk.dictionary.to_pylist()]
        codes = chunk.indices.to_numpy()
        check_codes(codes, len(names))
        found += [names[i] for i in codes.tolist()]
    return found


def _refuse_gaps(column: Any, place: str) -> None:
    if column.null_count:
        message = (
            f"{place}: a value is missing; fill it in, or read the table into memory (--no-stream): gaps are filled"
        )
        raise DataError(message)


def _check_groups(path: Path, about: Any, columns: int) -> None:
    """Refuse a row group that takes far more memory than its part of the file: as it unpacks, or as numbers."""
    with path.open("rb") as file:
        for i in range(about.num_row_groups):
            group, place = about.row_group(i), f"{path}, row group {i}"
            chunks = [group.column(j) for j in range(group.num_columns)]
            packed = min(sum(chunk.total_compressed_size for chunk in chunks), path.stat().st_size)
            room, size = Capacity.of_packed(packed), sum(chunk.total_uncompressed_size for chunk in chunks)
            _check_room(place, packed, group.num_rows, columns)
            if size <= room.bytes:
                with _reworded(place):
                    size = sum(unpacked(file, chunk) for chunk in chunks)
            if size > room.bytes:
                room.refuse(place, f"it announces {size} bytes of data")


def _check_room(place: object, packed: int, rows: int, columns: int) -> None:
    """Refuse more numbers than a file, or a part of it, can be expected to hold: equal ones may be packed any times."""
    room, need = Capacity.of_packed(packed), 8 * rows * columns
    if need > room.bytes:
        room.refuse(place, f"{rows} rows of {columns} columns take {need} bytes")


def _is_index(name: str) -> bool:
    """Whether a column is the index of a pandas frame, which says which rows were taken."""
    return name.startswith("__index_level_")


_TEXTS = ("string", "large_string", "string_view")


def _is_text(kind: Any) -> bool:
    return str(kind) in _TEXTS or str(kind).startswith("dictionary")


def _is_number(kind: Any) -> bool:
    types = need("pyarrow.types", "data", "reading Parquet", exit_code=3)
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


@contextlib.contextmanager
def _opened(path: Path, shared: list[str] | None = None) -> Iterator[Any]:
    """Open a Parquet file, with these columns to be read as dictionaries.

    What pyarrow raises on a damaged one becomes a `DataError`.
    """
    parquet = need("pyarrow.parquet", "data", "reading Parquet", exit_code=3)
    _check_footer(path)
    with _reworded(path):
        yield parquet.ParquetFile(path, read_dictionary=shared)


def _check_footer(path: Path) -> None:
    """Refuse a description of row groups and columns that is too long: each of them becomes an object."""
    regular(path)
    with reworded(path), path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 8, 0))
        length, end = int.from_bytes(file.read(4), "little"), file.read(4)
    if length > _FOOTER and end == b"PAR1":
        message = f"{path}: refused: its description of columns takes {length} bytes, where at most {_FOOTER}; "
        raise DataError(message + "write it again, with fewer row groups")


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


READERS = (
    Reader(
        *(4, "Parquet", lambda path, target, task, stream, reading: read_parquet(path, target, task, stream=stream)),
        is_file=lambda path, start: start.startswith(b"PAR1"),
        in_memory=ParquetSamples.size,
        takes=("target", "task"),
    ),
)
