"""Tables of text: CSV, TSV and semicolons, plain or gzip, with a header or without, the target in any column."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from portanet.data.cells import Table, split_names
from portanet.data.dataset import Dataset, HostArray
from portanet.data.files import read
from portanet.data.lazy.readable import Samples
from portanet.data.numbers import as_numbers, number_form, resembles_number
from portanet.data.readers.labels import Part, Task, dataset
from portanet.data.readers.reading import Reading
from portanet.data.readers.table_form import Form, sniff
from portanet.data.readers.table_parse import CellError, parse
from portanet.data.readers.table_text import parse_text
from portanet.data.readers.targets import named_targets, several, with_targets
from portanet.errors import DataError, unknown
from portanet.names import listed

logger = logging.getLogger("portanet")

PIXELS = 16
"""Columns that a row of pixels has at least: an image of 4×4."""

TARGETS = ("label", "labels", "target", "class", "classes", "y", "species", "category", "digit")
"""Names of columns that are the target if the user names none; the first that occurs."""

_SUFFIX = re.compile(r"\.(csv|tsv)(\.gz)?$", re.I)
_TRAIN = re.compile(r"(?<![a-z])train(?![a-z])", re.I)


def _training_files(folder: Path) -> list[Path]:
    named = (path for path in sorted(folder.iterdir()) if _SUFFIX.search(path.name) and _TRAIN.search(path.name))
    return [path for path in named if not path.is_dir()]


def recognises_folder(folder: Path) -> bool:
    """Whether a folder holds a table whose name says that it is the training part: train.csv, mnist_train.csv."""
    return bool(_training_files(folder))


def read_table(
    path: Path, target: str | int | None = None, task: Task | None = None, reading: Reading | None = None
) -> Dataset:
    """Read a table, with the test part that is next to it: ``name_test.csv`` for ``name_train.csv``.

    Parameters
    ----------
    path : Path
        A file, or a folder that holds one named train and perhaps one named test.
    target : str or int, optional
        The target's column: a name of the header, an index from 0 (negative from the end), "first" or "last". Without
        it: a header's label, target, class, y, species, ...; else the only column of text; else the first one, if it
        holds few whole numbers and the rest look like pixels (MNIST as CSV); else the last one. Which one it is, is
        logged.
    task : {"classification", "regression"}, optional
        What is to be learned, if the labels do not show it (`portanet.data.readers.labels.encode`).
    reading : Reading, optional
        What is known about the file.

    Returns
    -------
    Dataset
        Rows ``(n, features)`` in float64, or in uint8 if all values are whole numbers from 0 to 255; a
        :class:`~portanet.data.cells.Table` if there are gaps, or columns of something else.

    Notes
    -----
    Source: RFC 4180, with the liberties that files take in practice.
    """
    reading = reading or Reading()
    name, path, path_test = path, *_parts(path)
    data = read(path)
    form, sample = sniff(data, path, reading)
    if names := named_targets(target, form.header, path):
        return _of_several(name, [path] if path_test is None else [path, path_test], names, task, reading)
    column = target_column(form, sample, target, path)
    train = parsed(data, form, column, path, reading)
    if not len(train.x):
        message = f"{path}: expected rows of data, got blank ones alone"
        raise DataError(message)
    del data  # the text of a large table: it is not needed together with the next one's
    test = None if path_test is None else _test_part(path_test, form, column, reading)
    train, test = _compact(train, test, form.names_or_places(column), bool(form.header))
    about = {"target": form.header[column] if form.header else "", "place": column - form.numbered}
    return dataset(name, train, test, task, features=form.names(column), scale=pixel_scale(train.x), **about)


def _of_several(name: Path, paths: Sequence[Path], names: tuple[str, ...], task: Task | None, own: Reading) -> Dataset:
    """Return the data set of a table with several targets, and of its test part if there is a second path."""
    parts = []
    for path in paths:
        data = read(path)
        form, _ = sniff(data, path, own)
        if lost := [target for target in names if target not in form.header]:
            message = f"{path}: expected the targets of the training part, got none called {', '.join(lost)}"
            raise DataError(message)
        x = parse_text(data, form, None, path, own).x
        table = x if isinstance(x, Table) else Table.of_array(x, form.names(-1))
        parts.append(several(table, names, task, path, own.decimal or table.decimal))
        place = form.header.index(names[0]) - form.numbered
    return with_targets(name, parts, names, place)


def read_features(
    path: Path, target: str, reading: Reading | None = None, *, alone: bool = False
) -> tuple[Any, tuple[str, ...]]:
    """Return the columns of a table and their names, but for that of the target if it is there; no label is read.

    They are a Table, or an array with the names of the header, if there is one. There may be a single column, if that
    may stand `alone`.
    """
    reading = reading or Reading()
    _, path = path, _parts(path)[0]
    data = read(path)
    form, _ = sniff(data, path, reading, alone=alone)
    column = form.header.index(target) if target in form.header else None
    if column is None and any(name in form.header for name in split_names(target)):
        x = parse_text(data, form, None, path, reading).x
        table = x if isinstance(x, Table) else Table.of_array(x, form.names(-1))
        for name in split_names(target):
            table = table.without(name)
        return table, table.names
    names = form.names(-1 if column is None else column)
    if reading.decimal != ",":
        try:
            return parse(data, form, column, path).x, names
        except CellError:
            pass  # in a feature or in the label, which nobody wants to know
    x = parse_text(data, form, None, path, reading).x
    if column is not None:
        x = x.without(target) if isinstance(x, Table) else np.delete(x, form.features(-1).index(column), axis=1)
    return x, names


def parsed(data: bytearray, form: Form, target: int | None, path: Path, reading: Reading) -> Part:
    """Return the features and labels of a table, numbers by the quick way."""
    if reading.decimal != ",":
        try:
            part = None if form.padded else parse(data, form, target, path)
        except CellError as error:
            logger.debug("%s; reading it as a table of text", error)
        else:
            if part is not None and not (isinstance(part.labels, list) and _written_otherwise(part.labels)):
                return part
    return parse_text(data, form, target, path, reading)


def _written_otherwise(labels: list[str]) -> bool:
    """Whether labels are numbers that Python does not read: with commas, or in dollars."""
    distinct = list(dict.fromkeys(labels))
    if as_numbers(distinct, "") is not None:
        return False
    try:
        return number_form(distinct, None) is not None
    except ValueError:
        return True


def _parts(path: Path) -> tuple[Path, Path | None]:
    """Return the training file and the test file that lies beside it."""
    if path.is_dir():
        files = _training_files(path)
        if len(files) > 1:
            message = f"{path}: expected one training table, got {listed([p.name for p in files])}; "
            raise DataError(message + "give the file itself")
        path = files[0]
    sibling = path.with_name(_TRAIN.sub("test", path.name))
    return path, sibling if sibling != path and sibling.is_file() else None


def _test_part(path: Path, train: Form, column: int, reading: Reading) -> Part | None:
    """Read the test part, whose columns must be those of the training part; None where it has no target."""
    data = read(path)
    form, _ = sniff(data, path, reading)
    unlabelled = tuple(name for i, name in enumerate(train.header) if i != column)
    if form.columns == train.columns - 1 and form.header == unlabelled:
        logger.warning("%s: it has no target column, and is not used as the test part", path)
        return None
    if form.columns != train.columns:
        message = f"{path}: expected {train.columns} columns as in the training part, got {form.columns}; "
        raise DataError(message + "give both the same columns")
    for i, (expected, came) in enumerate(zip(train.header, form.header, strict=False)):
        if expected != came:
            message = f"{path}, column {i + 1}: expected {expected!r} as in the training part, got {came!r}; "
            raise DataError(message + "give both the same columns")
    return parsed(data, form, column, path, reading)


def target_column(form: Form, sample: list[list[str]], target: str | int | None, path: Path) -> int:
    """Return the index of the target's column."""
    if target is None:
        column, reason = _default_target(form, sample)
        logger.info("%s: the target is %s: %s", path, form.column(column), reason)
        return column
    return chosen_target(target, form.header, form.columns, path)


def chosen_target(target: str | int, names: Sequence[str], columns: int, path: Path) -> int:
    """Return the index of the column that the user chose, by its name or its place."""
    if target in names:
        return names.index(str(target))
    if target in ("first", "last"):
        return 0 if target == "first" else columns - 1
    try:
        index = int(target)
    except ValueError:
        known = unknown("column", target, names) if names else f"unknown column {target!r}: there is no header"
        message = f"{path}: {known}; name the target by its header, its index from 0, 'first' or 'last'"
        raise DataError(message) from None
    if not -columns <= index < columns:
        message = f"{path}: expected a target between 0 and {columns - 1}, got {index}; there are {columns} columns"
        raise DataError(message)
    return index % columns


def target_by_name(names: Sequence[str]) -> int | None:
    """Return the index of the column whose name is one of `TARGETS`."""
    lower = [name.lower() for name in names]
    return next((lower.index(name) for name in TARGETS if name in lower), None)


def _default_target(form: Form, sample: list[list[str]]) -> tuple[int, str]:
    """Return the target's column if the user names none, and why it is that one."""
    named = target_by_name(form.header)
    if named is not None:
        return named, "its name in the header says so"
    text = [i for i in range(form.columns) if not any(resembles_number(row[i]) for row in sample if i < len(row))]
    if len(text) == 1:
        return text[0], "it is the only column of text"
    try:
        values = np.asarray(sample, dtype=np.float64)
    except ValueError:  # ragged rows, and cells that are not numbers, are found by the parser
        return form.columns - 1, "it is the last one"
    labels = np.unique(values[:, 0])
    if looks_like_pixels(values[:, 1:]) and 2 <= len(labels) <= 100 and np.all(labels == np.floor(labels)):
        return 0, "it is the first one, and the others look like pixels"
    return form.columns - 1, "it is the last one"


def pixel_scale(x: Any) -> float | None:
    """Return 255, the largest value of a pixel, for samples in bytes that look like pixels; else None."""
    if x.dtype != np.uint8:
        return None
    few = np.concatenate(x.some()) if isinstance(x, Samples) else x
    return 255.0 if looks_like_pixels(few.reshape(len(few), -1)) else None


def looks_like_pixels(x: HostArray) -> bool:
    """Whether rows hold at least `PIXELS` whole numbers from 0 to 255 that need the byte's upper half."""
    return x.shape[1] >= PIXELS and bool(np.max(x) > 127) and fits_bytes(x)


def fits_bytes(x: HostArray) -> bool:
    """Whether all values are whole numbers from 0 to 255."""
    within = bool(np.min(x) >= 0 and np.max(x) <= 255)
    return within and (x.dtype.kind in "iu" or bool(np.all(x == np.floor(x))))


def _compact(train: Part, test: Part | None, names: tuple[str, ...], header: bool) -> tuple[Part, Part | None]:
    """Return both parts as tables if one is; else in uint8 if all values fit, an eighth of the memory, or float64."""
    parts = [train] if test is None else [train, test]
    if any(isinstance(part.x, Table) for part in parts):
        found = [part.x if isinstance(part.x, Table) else Table.of_array(part.x, names) for part in parts]
        parts = [
            part._replace(x=Table(names, x.cells, header=header, decimal=x.decimal))
            for part, x in zip(parts, found, strict=True)
        ]
    else:
        # In rows: chosen columns lie in memory column by column, and every fit would bring them into order again.
        dtype = np.uint8 if all(fits_bytes(part.x) for part in parts) else np.float64
        parts = [part._replace(x=part.x.astype(dtype, order="C", copy=False)) for part in parts]
    return parts[0], None if test is None else parts[1]
