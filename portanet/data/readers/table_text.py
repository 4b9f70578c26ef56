"""Tables of text that hold more than numbers: each column as its distinct texts, and where each of them stands."""

from __future__ import annotations

import itertools
import logging
import re
from array import array
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from portanet.data.cells import MISSING, MISSING_LABELS, Cells, Table, Text, merged, plain
from portanet.data.dataset import HostArray
from portanet.data.kinds import is_code
from portanet.data.numbers import as_numbers, decimal_of, has_unit, number_form, points_between
from portanet.data.readers.labels import Labels, Part, Where
from portanet.data.readers.reading import Reading
from portanet.data.readers.table_form import Form
from portanet.data.readers.table_parse import rows
from portanet.errors import DataError

logger = logging.getLogger("portanet")

_FEW = 20
_ROWS = 4096  # turned into columns at once
_WIDE = 2000  # columns: pyarrow takes 13 kB for each, however few rows there are


def parse_text(data: bytearray, form: Form, target: int | None, path: Path, reading: Reading) -> Part:
    """Return the features of a table, and its labels as they are written; none if there is no target.

    Rows without a label are left out, with their number in the log. The features are an array where all are numbers.

    Raises
    ------
    DataError
        At the first row with a cell too few or too many, or if no row has a label.
    """
    columns, lines = _by_arrow(data, form) or _by_csv(data, form, path)
    features = form.features(-1 if target is None else target)
    cells = [merged(*columns[i]) for i in features]
    names = form.names_or_places(-1 if target is None else target)
    own_target = [] if target is None else [merged(*columns[target])]
    shown = decimal_of(own.values for own in [*cells, *own_target])
    # A comma within the cells of a table that commas separate is hardly a decimal comma.
    reading = replace(reading, decimal=reading.decimal or shown or ("." if form.delimiter == "," else None))
    codes = [form.padded and is_code(own.values) for own in cells]
    codes = [False] * len(codes) if all(codes) else codes  # a table of fixed widths
    comma = reading.decimal == ","
    found: list[Cells] = [
        own if code or (comma and points_between(own.values)) else plain(own)
        for own, code in zip(cells, codes, strict=True)
    ]
    table = Table(names, found, header=bool(form.header), decimal=reading.decimal)
    if target is None:
        return _part(table, [], lambda i: f"{path}, line {lines(i)}")
    place = form.column(target)
    return labelled(table, columns[target], f"{path}, {place}", lambda i: f"{path}, line {lines(i)}, {place}", reading)


def _by_csv(data: bytearray, form: Form, path: Path) -> tuple[list[Text], Callable[[int], int]]:
    """Return the columns of a table, and what tells the line of a row, by the standard library."""
    known: list[dict[str, int]] = [{} for _ in range(form.columns)]
    codes, lines = [array("i") for _ in known], array("q")
    found = rows(data, form, path)
    while some := list(itertools.islice(found, _ROWS)):
        lines.extend(line for line, _ in some)
        for i, column in enumerate(zip(*(row for _, row in some), strict=True)):
            places = known[i]
            codes[i].extend([places.setdefault(cell, len(places)) for cell in column])
    columns = [Text(np.frombuffer(own, np.int32), list(places)) for own, places in zip(codes, known, strict=True)]
    return columns, lines.__getitem__


def _by_arrow(data: bytearray, form: Form) -> tuple[list[Text], Callable[[int], int]] | None:
    """Return the same by pyarrow, five times as fast; None where it is not installed, or something is unusual.

    The standard library then reads it, and says what is wrong and on which line.
    """
    try:
        import pyarrow as arrow
        from pyarrow import csv
    except ImportError:
        return None
    body = memoryview(data)[form.start :]
    if (
        form.above or form.columns > _WIDE or re.search(re.escape(form.delimiter.encode()) + rb" +\"", body)
    ):  # a quote after spaces is one of a cell
        return None
    names = [str(i) for i in range(form.columns)]
    kinds = dict.fromkeys(names, arrow.dictionary(arrow.int32(), arrow.string()))
    try:
        found = csv.read_csv(
            arrow.BufferReader(arrow.py_buffer(body)),
            csv.ReadOptions(use_threads=False, column_names=names),
            csv.ParseOptions(delimiter=form.delimiter, newlines_in_values=True),
            csv.ConvertOptions(column_types=kinds, strings_can_be_null=False),
        )
    except (arrow.ArrowInvalid, arrow.ArrowKeyError):
        return None
    columns = []
    for column in found.unify_dictionaries().columns:
        codes = [chunk.indices.to_numpy(zero_copy_only=False) for chunk in column.chunks]
        values = column.chunk(0).dictionary.to_pylist() if codes else []
        columns.append(Text(np.concatenate(codes).astype(np.int32) if codes else np.empty(0, np.int32), values))

    def line(i: int) -> int:  # only for messages: it is found by reading again
        return next(itertools.islice(rows(data, form, Path()), i, None))[0]

    return columns, line


def labelled(table: Table, target: Text, place: str, where: Where, reading: Reading) -> Part:
    """Return the rows of a table that have a label, with the label; raise DataError if none has one."""
    values = [value.strip() for value in target.values]
    numbers = as_numbers([value for value in values if value.lower() not in MISSING], "")
    absent = MISSING if numbers else MISSING_LABELS  # among numbers no class is called "-"
    missing = [value.lower() in absent for value in values]
    kept = np.flatnonzero(~np.asarray([*missing, True])[target.codes])
    if len(kept) == 0:
        message = f"{place}: expected labels, got missing ones alone; name another target"
        raise DataError(message)
    if len(kept) < len(table):
        logger.warning("%s: %d of %d rows have no label and are left out", place, len(table) - len(kept), len(table))
        table = table.take(kept)
    used = [values[i] for i in np.unique(target.codes[kept]).tolist()]
    try:
        form = number_form(used, reading.decimal)
    except ValueError as error:
        message = (
            f"{place}: {error.args[0]!r} may have a decimal comma or separate thousands; say which by --decimal , "
        )
        raise DataError(message + "or --decimal .") from None
    if form and not (has_unit(form) and len(used) <= _FEW):  # numbers, but for few prices: these are names of classes
        written = {value: repr(number) for value, number in zip(used, as_numbers(used, form) or [], strict=True)}
        values = [written.get(value, value) for value in values]
    labels = [values[code] for code in target.codes[kept].tolist()]
    return _part(table, labels, lambda i: where(int(kept[i])))


def numbered(table: Table, target: HostArray, place: str, where: Where) -> Part:
    """Return the same as :func:`labelled` for labels that are numbers, NaN where one is missing."""
    kept = np.flatnonzero(~np.isnan(target))
    texts = Text(np.where(np.isnan(target), -1, 0).astype(np.int32), ["0"])
    part = labelled(table, texts, place, where, Reading())  # leaves out the rows, and says so
    return part._replace(labels=target[kept])


def _part(table: Table, labels: Labels, where: Where) -> Part:
    numbers: HostArray | None = table.array()
    return Part(table if numbers is None else numbers, labels, where)
