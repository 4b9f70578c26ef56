"""What a table of text looks like: its separator, its header, its columns, found from its first rows."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from portanet.data.cells import MISSING
from portanet.data.files import reworded
from portanet.data.numbers import is_number, resembles_number
from portanet.data.readers.reading import Reading
from portanet.errors import DataError
from portanet.names import listed

logger = logging.getLogger("portanet")

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
    padded: bool = False  # whether numbers have zeros in front, which labels keep
    above: int = 0  # number of lines above the text at hand, if that is a piece of the file

    def features(self, target: int) -> list[int]:
        """Return the indices of the columns that are neither the target nor row numbers."""
        return [i for i in range(int(self.numbered), self.columns) if i != target]

    def names(self, target: int) -> tuple[str, ...]:
        """Return the names of these columns; none if there is no header."""
        return tuple(self.header[i] for i in self.features(target)) if self.header else ()

    def names_or_places(self, target: int) -> tuple[str, ...]:
        """Return the names of these columns, or their numbers from 1 for those that have none."""
        named = dict(enumerate(self.header))
        return tuple(named.get(i) or f"column {i + 1}" for i in self.features(target))

    def column(self, index: int) -> str:
        """Return how a message calls a column: by its number from 1, and its name."""
        return f"column {index + 1} ({self.header[index]})" if self.header else f"column {index + 1}"


def decode(data: bytearray, path: Path, above: int = 0) -> str:
    """Return text in UTF-8, or say on which line it is none."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = above + data.count(b"\n", 0, error.start) + 1
        message = f"{path}, line {line}: expected text in UTF-8, got the byte 0x{data[error.start]:02x}; "
        message += "say what it is in by --encoding (cp1252 for most of Windows), or save it as UTF-8"
        raise DataError(message) from error


def refuse_line(path: Path, line: int) -> NoReturn:
    """Tell a line that is longer than `LINE`."""
    message = f"{path}, line {line}: expected lines of at most {LINE} characters, got a longer one; is it a table?"
    raise DataError(message)


def bad_quotes(path: Path, line: int, error: csv.Error) -> DataError:
    """Return the error that a row which begins on this line has no end."""
    message = f"{path}, line {line}: expected cells in quotes to be closed and of a sensible length, got: {error}; "
    return DataError(message + "correct the row")


def sniff(
    data: bytearray, path: Path, reading: Reading | None = None, *, alone: bool = False
) -> tuple[Form, list[list[str]]]:
    """Return the form of a table and its first rows of data; it may have a single column if that may stand `alone`.

    `data` is changed in place: byte order marks are taken off, other encodings (UTF-16 is a spreadsheet's "Unicode
    text") become UTF-8, and comments empty lines.

    Raises
    ------
    DataError
        If the table is empty, has a header alone or a single column, or is no text.
    """
    reading = reading or Reading()
    with reworded(path):
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            data[:] = data.decode("utf-16").encode()
        elif data.startswith(codecs.BOM_UTF8):
            del data[:3]
        elif reading.encoding is not None:
            data[:] = data.decode(reading.encoding).encode()
    return _sniffed(data, path, reading, _tidied(data, reading), 0, alone)


def _sniffed(
    data: bytearray, path: Path, reading: Reading, delimiter: str | None, known: int, alone: bool
) -> tuple[Form, list[list[str]]]:
    """Return the same, found from more than the `known` first bytes."""
    beginning = _beginning(data, known)
    if len(beginning) > known + _SAMPLE + LINE:
        refuse_line(path, 1 + beginning.count(b"\n", 0, known + _SAMPLE))
    text = decode(beginning, path)
    if not text.strip():
        message = f"{path}: expected a table, got an empty file"
        raise DataError(message)
    if reading.comment is None and (above := _notes_above(text)):
        logger.info("%s: %d lines that begin with # are skipped; --comment says which lines are no rows", path, above)
        end = sum(len(line.encode()) for line in itertools.islice(io.StringIO(text, newline=""), above))
        data[:end] = re.sub(rb"[^\r\n]", b"", data[:end])
        text = decode(_beginning(data, known), path)
    delimiter = delimiter or _delimiter(text) or ("," if alone else "")
    if delimiter == " ":
        data[:] = re.sub(rb"(?m)^ +| +$", b"", re.sub(rb"[ \t]+", b" ", data.replace(b"\r\n", b"\n")))
        text = decode(_beginning(data, known), path)
    if not delimiter:
        message = f"{path}: expected at least two columns, features and a target, got one; "
        message += "columns are separated by a comma, a semicolon, a tab, | or spaces: name another by --delimiter"
        first = text.lstrip()[:1]
        hint = f", and skip lines that begin with # by --comment {first}" if first == "#" else ""
        raise DataError(message + hint)
    rows, lines, wrong = _rows(text, delimiter)
    if len(rows) < 2 and wrong:
        raise bad_quotes(path, *wrong)
    if len(rows) < 2 and len(beginning) < len(data):  # a long header alone
        if len(beginning) > LINE + _SAMPLE:  # a row of many lines
            refuse_line(path, 1)
        del text
        return _sniffed(data, path, reading, delimiter, len(beginning), alone)
    columns = len(rows[0])
    short = _names_short(rows)
    known = len({cell.strip() for cell in rows[0]} & set(reading.names))
    header = 2 * known > max(len(reading.names), 1) or _is_header(rows, path)
    header = header if reading.header is None else reading.header
    names = _distinct(cell.strip() for cell in rows[0]) if header else ()
    if header and short:
        columns, names = columns + 1, (("", *names) if short == "first" else (*names, ""))
    if header:
        rows, lines = rows[1:], lines[1:]
        blank = all(len(row) != columns and not any(map(str.strip, row)) for row in rows)
        if not rows or (blank and len(beginning) == len(data)):
            message = f"{path}: expected rows of data, got a header alone ({listed(names, 5)})"
            raise DataError(message)
    # The header ends with the line before the first row of data; the offset is counted in bytes.
    first_line = lines[0]
    before = itertools.islice(io.StringIO(text, newline=""), first_line - 1) if header else ()
    start = sum(len(line.encode()) for line in before)
    numbered = columns > 2 and _is_numbered(names, rows)
    padded = re.search(rf"(?m)(^|{re.escape(delimiter)})[ \"]*0[0-9]", text) is not None
    return Form(delimiter, names, columns, start, first_line if header else 1, numbered, padded), rows


def _tidied(data: bytearray, reading: Reading) -> str | None:
    """Empty the lines that are no rows; return the delimiter that is known."""
    delimiter = reading.delimiter
    if found := re.match(rb"sep=(.)\r?\n", data):  # as spreadsheets write it
        delimiter = delimiter or found[1].decode("latin-1")
        del data[: found.start(1) + 1]
    if reading.comment is not None:
        mark = re.escape(reading.comment.encode())
        data[:] = re.sub(rb"(?m)^[ \t]*" + mark + rb"[^\r\n]*", b"", data)
    return delimiter


def _notes_above(text: str) -> int:
    """Return the number of lines with # above a table; a header that begins with # has as many cells as the rows."""
    lines = text.splitlines()
    above = next((i for i, line in enumerate(lines) if not line.startswith("#")), 0)
    if not above or above + 1 >= len(lines):
        return 0
    mark = _delimiter("\n".join(lines[above : above + 50]))
    if not mark:
        return 0
    rows, _, _ = _rows("\n".join(lines[above - 1 : above + 1]), mark)
    return above - (len(rows) == 2 and len(rows[0]) == len(rows[1]))


def _names_short(rows: list[list[str]]) -> str:
    """Return where the header lacks a name, "first" or "last"; "" where it does not.

    R writes the names of the rows without a name above them; and some programs end each row, but not the header, with
    a separator.
    """
    below = rows[1:]
    if not below or any(len(row) != len(rows[0]) + 1 for row in below):
        return ""
    if all(not row[-1].strip() for row in below):
        return "last"
    first = [row[0] for row in below]
    return "first" if len(set(first)) == len(first) else ""


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    """Return names of columns: ``x``, ``x.1`` for one that comes twice, as pandas calls them."""
    found: dict[str, int] = {}  # with the number that each of them had last
    own_names = []
    for name in names:
        own, i = name, found.get(name, 0)
        while own and own in found:
            i += 1
            own = f"{name}.{i}"
        found[name] = i
        found.setdefault(own, 0)
        own_names.append(own)
    return tuple(own_names)


def _beginning(data: bytearray, known: int) -> bytearray:
    """Return the first lines, some `_SAMPLE` bytes more than are `known`, never a part of a line."""
    size = known + _SAMPLE
    if len(data) <= size:
        return data
    return data[: (data.rfind(b"\n", known, size) + 1) or (data.find(b"\n", size) + 1) or len(data)]


def _rows(text: str, delimiter: str) -> tuple[list[list[str]], list[int], tuple[int, csv.Error] | None]:
    """Return the rows that are not blank, the number of the line on which each begins, and where they break off."""
    rows, lines, line = [], [], 1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        for row in reader:
            if row:
                rows.append(row)
                lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:  # the parser meets it too
        return rows, lines, (line, error)
    return rows, lines, None


def _delimiter(text: str) -> str:
    """Return the first of tab, semicolon, comma and | that splits the first two rows alike, else any that splits.

    The order matters: where a semicolon separates, commas may be decimal points. Spaces separate where nothing else
    does, and all of the first rows have as many cells.
    """
    lines = text.splitlines()[:20]
    counts = {d: [len(row) for row in _rows(text[: 1 << 16], d)[0][:2]] for d in "\t;,|"}
    splits = [d for d, count in counts.items() if count and count[0] > 1]
    found = next((d for d in splits if len(set(counts[d])) == 1), splits[0] if splits else "")
    if found and not (found == "\t" and _padded_by_spaces(lines)):
        return found
    spaced = [re.sub(r"\s+", " ", line.strip()) for line in lines if line.strip()]
    cells = {len(row) for row in csv.reader(spaced, delimiter=" ")}
    return " " if len(cells) == 1 and cells != {1} and len(lines) > 1 else found


def _padded_by_spaces(lines: list[str]) -> bool:
    """Whether the numbers before the first tab are columns of their own, with several spaces between them."""
    before = [line.partition("\t")[0] for line in lines if line.strip()]
    numbers = [[cell for cell in text.split() if resembles_number(cell)] for text in before]
    return all("  " in text.strip() and len(own) > 2 for text, own in zip(before, numbers, strict=True))


def _is_header(rows: list[list[str]], path: Path) -> bool:
    """Whether the first row names the columns.

    It does if no number stands in it, unless its cells are found again below; if text stands above a column of numbers;
    or if its numbers count the columns, as ``pandas.DataFrame(X).to_csv`` writes it. A row with a fraction in it is
    data, whatever else it holds: a bad cell in it is to be found, not taken for a name.
    """
    first, below = [cell.strip() for cell in rows[0]], rows[1:200]
    if all(cell.lower() in MISSING for cell in first):
        return False
    columns = [[row[i].strip() for row in below if i < len(row)] for i in range(len(first))]
    numbers = {i: cell for i, cell in enumerate(first) if resembles_number(cell)}
    if not numbers:
        again = sum(cell in column for cell, column in zip(first, columns, strict=True) if cell)
        return 2 * again < len(first)
    if any(not cell.lstrip("+-").isdigit() for cell in numbers.values()):
        return False
    if any(
        cell.lower() not in MISSING and not is_number(cell) and column and is_number(column[0])
        for cell, column in zip(first, columns, strict=True)
    ):
        return True
    places = list(numbers)
    counted = [int(cell) for cell in numbers.values()] in (
        list(range(len(places))),
        [i + 1 for i in range(len(places))],
    )
    texts = len(places) < len(first) and not any(first[i] in columns[i] for i in range(len(first)) if i not in numbers)
    fractions = any(is_number(cell) and not cell.lstrip("+-").isdigit() for i in places for cell in columns[i])
    if counted and below and ((len(places) > 1 and (texts or fractions)) or len(places) > 5):
        logger.info(
            "%s: the first row counts the columns and is taken for a header; --no-header takes it for data", path
        )
        return True
    whole = [int(cell) for cell in numbers.values()]
    years = len(places) == len(first) > 2 and len({b - a for a, b in itertools.pairwise(whole)}) == 1
    measured = [any(is_number(cell) and not cell.lstrip("+-").isdigit() for cell in column) for column in columns]
    if years and whole[0] != whole[1] and 2 * sum(measured) > len(first):
        logger.info("%s: the first row is taken for a header; --no-header takes it for data", path)
        return True
    return False


def _is_numbered(header: tuple[str, ...], rows: list[list[str]]) -> bool:
    """Whether the first column has no name and counts the rows from 0 or 1, as data frames write it."""
    if not header or header[0] not in ("", "Unnamed: 0"):
        return False
    first = [row[0] for row in rows]
    return any(first == [str(i) for i in range(start, start + len(first))] for start in (0, 1))
