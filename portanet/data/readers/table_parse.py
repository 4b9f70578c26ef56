"""The values of a table of text: a quick pass for whole numbers of up to three digits, an exact one for all else."""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np

from portanet.data.cells import MISSING, MISSING_LABELS
from portanet.data.dataset import HostArray
from portanet.data.files import shown
from portanet.data.numbers import is_number, resembles_number
from portanet.data.readers.labels import Part, Where
from portanet.data.readers.table_form import LINE, Form, bad_quotes, decode, refuse_line
from portanet.errors import DataError

_COMMON = 1000  # distinct labels that are kept once each: there are few, unless they are measured

_BLOCK = 1 << 20  # bytes that the quick pass takes at once: its arrays stay in the processor's cache


class CellError(DataError):
    """A cell of a table is no finite number."""


def parse(data: bytearray, form: Form, target: int | None, path: Path) -> Part:
    """Return the features ``(n, features)`` and the labels of a table of numbers; no labels without a target.

    Raises
    ------
    CellError
        At the first feature that is missing, no number or not finite, and the first missing label.
    DataError
        At the first row with a cell too few or too many.
    """
    values = None if form.padded else _quick(data, form)
    if values is not None and target is None:
        return Part(values[:, form.features(-1)], [], lambda i: f"{path}, row {i}")
    if values is not None and target is not None:
        place = _places(path, form, target, range(form.first_line, form.first_line + len(values)))
        return Part(values[:, form.features(target)], values[:, target], place)
    return _exact(data, form, target, path)


def _quick(data: bytearray, form: Form) -> HostArray | None:
    """Return the table ``(n, columns)`` in int16 where all cells are whole numbers of up to three digits, else None."""
    if not data.endswith(b"\n"):
        data += b"\n"
    blocks, start = [], form.start
    while start < len(data):
        end = data.find(b"\n", min(start + _BLOCK, len(data) - 1)) + 1
        block = _digits(bytes(memoryview(data)[start:end]).replace(b"\r\n", b"\n"), form)
        if block is None:
            return None
        blocks.append(block)
        start = end
    return np.concatenate(blocks) if blocks else None


def _digits(text: bytes, form: Form) -> HostArray | None:
    """Parse lines of short whole numbers without a loop: each byte adds its digit to the number that ends there."""
    chars = np.frombuffer(text, dtype=np.uint8)
    digits = chars - np.uint8(ord("0"))  # wraps: what is no digit is more than 9
    stop = digits > 9
    part = ~stop
    empty = stop[0] or np.any(stop[1:] & stop[:-1])
    if empty or np.any(part[3:] & part[2:-1] & part[1:-2] & part[:-3]):  # ... or four digits in a row
        return None
    marks = chars[stop]
    if len(marks) % form.columns:
        return None
    marks = marks.reshape(-1, form.columns)  # what ends the cells: the newline must end the last one of each row
    if np.any(marks[:, :-1] != ord(form.delimiter)) or np.any(marks[:, -1] != ord("\n")):
        return None
    digits[stop] = 0
    value = digits.astype(np.int16)
    value[1:] += 10 * digits[:-1].astype(np.int16)
    value[2:] += 100 * (digits[:-2] * part[1:-1]).astype(np.int16)  # a mark in between: the digit is the last cell's
    return value[:-1][stop[1:]].reshape(-1, form.columns)


def _exact(data: bytearray, form: Form, target: int | None, path: Path) -> Part:
    """Read row by row with the csv module; slower by ten, takes all that a table may be, and knows where it is."""
    features = form.features(-1 if target is None else target)
    convert = _strict if b"_" in data else float  # float would read 1_000
    labels, lines, values = [], array("q"), array("d")
    common: dict[str, str] = {}  # equal labels are one object: a text takes 50 bytes
    for line, row in rows(data, form, path):
        lines.append(line)
        if target is not None:
            label = row.pop(target).strip()
            labels.append(common.setdefault(label, label) if len(common) < _COMMON else common.get(label, label))
            if label.lower() in MISSING_LABELS:
                _refuse_cell(label, f"{path}, line {line}, {form.column(target)}")
        if form.numbered:
            del row[0]
        try:
            values.extend(map(convert, row))
        except ValueError:
            bad = next(i for i, cell in enumerate(row) if not is_number(cell))
            _refuse_cell(row[bad].strip(), f"{path}, line {line}, {form.column(features[bad])}")
    x = np.frombuffer(values, dtype=np.float64).reshape(len(lines), len(features))
    finite = np.isfinite(x)
    if not finite.all():
        row_index, column_index = np.argwhere(~finite)[0]
        came = f"{x[row_index, column_index]:g}"
        _refuse_cell(came, f"{path}, line {lines[row_index]}, {form.column(features[column_index])}")
    return Part(x, labels, _places(path, form, -1 if target is None else target, lines))


def rows(data: bytearray, form: Form, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the line on which each row of a table begins, and its cells.

    Raises
    ------
    DataError
        At a row with a cell too few or too many, or a quote that is not closed.
    """
    reader = csv.reader(_lines(data, path, form.above), delimiter=form.delimiter, skipinitialspace=True, strict=True)
    line = form.above + 1
    try:
        for row in reader:
            if row and line >= form.first_line and (len(row) == form.columns or any(map(str.strip, row))):
                if len(row) != form.columns:
                    reference = "as the header has" if form.header else "as the first row has"
                    message = f"{path}, line {line}: expected {form.columns} cells, {reference}, got {len(row)}; "
                    raise DataError(message + f"complete the row, or quote a text that holds {form.delimiter!r}")
                yield line, row
            line = form.above + reader.line_num + 1
    except csv.Error as error:
        raise bad_quotes(path, line, error) from error


def _lines(data: bytearray, path: Path, above: int) -> Iterator[str]:
    """Yield the lines of text, decoded as they are needed: as a whole they would take four bytes a character."""
    try:
        for number, line in enumerate(io.TextIOWrapper(io.BytesIO(data), "utf-8", newline=""), above + 1):
            if len(line) > LINE:
                refuse_line(path, number)
            yield line
    except UnicodeDecodeError:
        decode(data, path, above)  # says on which line
        raise


def _strict(cell: str) -> float:
    if "_" in cell:
        raise ValueError
    return float(cell)


def _places(path: Path, form: Form, target: int, lines: range | array[int]) -> Where:
    return lambda i: f"{path}, line {lines[i]}, {form.column(target)}"


def _refuse_cell(cell: str, place: str) -> NoReturn:
    if cell.lower() in MISSING:
        why = f"the value is missing ({shown(cell)}); fill it in or drop the row: no mean is filled in for you"
    elif is_number(cell):
        why = f"expected a finite number, got {cell:.40}; correct it or drop the row"
    elif resembles_number(cell):
        why = f"expected a number, got {shown(cell)}; say what a comma means by --decimal , or --decimal ."
    else:
        why = f"expected a number, got {shown(cell)}; correct it, or turn the column into numbers or drop it"
    message = f"{place}: {why}"
    raise CellError(message)
