"""What a table of text looks like: its separator, its header, its columns, told from its first rows."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from portanet.data.files import reworded
from portanet.errors import DataError

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-"})
"""What stands, in small letters, in a cell whose value is not known."""

LINE = 4 << 20
"""Characters of the longest line: a row of a million numbers. Each cell becomes an object of 50 bytes."""

_SAMPLE = 1 << 20  # bytes that tell the form: some 400 rows of MNIST


@dataclass(frozen=True)
class Form:
    """The form of a table."""

    delimiter: str
    header: tuple[str, ...]  # names of all columns; empty if the first row holds data
    columns: int  # the target and row numbers included
    start: int  # offset of the first byte after the header
    first_line: int  # number of the line at that offset, from 1
    numbered: bool = False  # whether the first column, without a name, counts the rows: it is no feature
    above: int = 0  # number of lines above the text at hand, if that is a piece of the file

    def features(self, target: int) -> list[int]:
        """Return the indices of the columns that are neither the target nor row numbers."""
        return [i for i in range(int(self.numbered), self.columns) if i != target]

    def names(self, target: int) -> tuple[str, ...]:
        """Return the names of these columns; none if there is no header."""
        return tuple(self.header[i] for i in self.features(target)) if self.header else ()

    def column(self, index: int) -> str:
        """Return how a message calls a column: by its number from 1, and its name."""
        return f"column {index + 1} ({self.header[index]})" if self.header else f"column {index + 1}"


def is_number(cell: str) -> bool:
    """Whether a cell holds a number as data files write them; Python's 1_000 is none."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def resembles_number(cell: str) -> bool:
    """Whether a cell holds a number, perhaps with a decimal comma: that is an error, but neither a name nor a label."""
    return is_number(cell.replace(",", "."))


def decode(data: bytearray, path: Path, above: int = 0) -> str:
    """Return text in UTF-8, or say on which line it is none."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = above + data.count(b"\n", 0, error.start) + 1
        message = f"{path}, line {line}: expected text in UTF-8, got the byte 0x{data[error.start]:02x}; "
        raise DataError(message + "save it as UTF-8") from error


def refuse_line(path: Path, line: int) -> NoReturn:
    """Tell a line that is longer than `LINE`."""
    message = f"{path}, line {line}: expected lines of at most {LINE} characters, got a longer one; is it a table?"
    raise DataError(message)


def sniff(data: bytearray, path: Path) -> tuple[Form, list[list[str]]]:
    """Return the form of a table and its first rows of data.

    Byte order marks are taken off `data`, and UTF-16 (a spreadsheet's "Unicode text") becomes UTF-8, in place.

    Raises
    ------
    DataError
        If the table is empty, has a header alone or a single column, or is no text.
    """
    with reworded(path):
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            data[:] = data.decode("utf-16").encode()
        elif data.startswith(codecs.BOM_UTF8):
            del data[:3]
    return _sniffed(data, path, 0)


def _sniffed(data: bytearray, path: Path, known: int) -> tuple[Form, list[list[str]]]:
    """Return the same, told from some more than the `known` first bytes."""
    beginning = _beginning(data, known)
    if len(beginning) > known + _SAMPLE + LINE:
        refuse_line(path, 1 + beginning.count(b"\n", 0, known + _SAMPLE))
    text = decode(beginning, path)
    if not text.strip():
        message = f"{path}: expected a table, got an empty file"
        raise DataError(message)
    delimiter = _delimiter(text)
    if not delimiter:
        message = f"{path}: expected at least two columns, features and a target, got one; "
        raise DataError(message + "columns are separated by a comma, a semicolon or a tab")
    rows, lines = _rows(text, delimiter)
    if len(rows) < 2 and len(beginning) < len(data):  # a long header alone
        return _sniffed(data, path, len(beginning))
    columns = len(rows[0])
    header = tuple(cell.strip() for cell in rows[0]) if _is_header(rows) else ()
    if header:
        rows, lines = rows[1:], lines[1:]
        if not rows:
            message = f"{path}: expected rows of data, got a header alone ({', '.join(header[:5])})"
            raise DataError(message)
    # The header ends with the line before the first row of data; the offset is counted in bytes.
    first_line = lines[0]
    before = itertools.islice(io.StringIO(text, newline=""), first_line - 1) if header else ()
    start = sum(len(line.encode()) for line in before)
    numbered = columns > 2 and _is_numbered(header, rows)
    return Form(delimiter, header, columns, start, first_line if header else 1, numbered), rows


def _beginning(data: bytearray, known: int) -> bytearray:
    """Return the first lines, some `_SAMPLE` bytes more than are `known`, never a part of a line."""
    size = known + _SAMPLE
    if len(data) <= size:
        return data
    return data[: (data.rfind(b"\n", known, size) + 1) or (data.find(b"\n", size) + 1) or len(data)]


def _rows(text: str, delimiter: str) -> tuple[list[list[str]], list[int]]:
    """Return the rows that are not blank, and the number of the line on which each begins."""
    rows, lines, line = [], [], 1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        for row in reader:
            if row:
                rows.append(row)
                lines.append(line)
            line = reader.line_num + 1
    except csv.Error:
        pass  # the parser meets it too, and says where
    return rows, lines


def _delimiter(text: str) -> str:
    """Return the first of tab, semicolon and comma that splits the first two rows alike, else any that splits.

    The order matters: where a semicolon separates, commas may be decimal points.
    """
    counts = {d: [len(row) for row in _rows(text[: 1 << 16], d)[0][:2]] for d in "\t;,"}
    splits = [d for d, count in counts.items() if count and count[0] > 1]
    return next((d for d in splits if len(set(counts[d])) == 1), splits[0] if splits else "")


def _is_header(rows: list[list[str]]) -> bool:
    """Whether the first row names the columns: no number stands in it, or text does above a column of numbers.

    A row with a fraction in it is data, whatever else it holds: a bad cell in it is to be found, not taken for a name.
    """
    first = [cell.strip() for cell in rows[0]]
    if not any(resembles_number(cell) for cell in first):
        return True
    if any(resembles_number(cell) and not cell.lstrip("+-").isdigit() for cell in first):
        return False
    return any(
        cell.lower() not in MISSING and not is_number(cell) and is_number(below)
        for cell, below in zip(first, rows[1] if len(rows) > 1 else [], strict=False)
    )


def _is_numbered(header: tuple[str, ...], rows: list[list[str]]) -> bool:
    """Whether the first column has no name and counts the rows from 0 or 1, as data frames write it."""
    if not header or header[0] not in ("", "Unnamed: 0"):
        return False
    first = [row[0] for row in rows]
    return any(first == [str(i) for i in range(start, start + len(first))] for start in (0, 1))
