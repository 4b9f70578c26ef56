"""The cells of a table in host memory, column by column: numbers with NaN where one is missing, or text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from portanet.data.dataset import HostArray
from portanet.data.numbers import as_numbers

MISSING = frozenset(
    [
        *("", "na", "n/a", "n.a.", "nan", "-nan", "null", "none", "unknown", "missing", "?", "-", ".", "<na>", "nat"),
        *("#n/a", "#na", "#value!", "#div/0!", "#ref!"),
    ]
)
"""What stands, in small letters, in a cell whose value is not known."""

MISSING_LABELS = MISSING - {"none", "unknown", "missing", "-", "."}
"""The same of a target: a class may well be called none."""


class Text(NamedTuple):
    """Text of a column: for each row the place of its text among the distinct ones, -1 where it is missing."""

    codes: HostArray
    values: list[str]

    def counts(self) -> HostArray:
        """Return how many rows hold each of the values."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.values))


Cells: TypeAlias = HostArray | Text


def text(cells: Iterable[str | None]) -> Text:
    """Return the text of a column; None, and what stands for a missing value, is missing."""
    known: dict[str | None, int] = {}
    codes = np.fromiter((known.setdefault(cell, len(known)) for cell in cells), np.int32)
    return merged(codes, list(known))


def merged(codes: HostArray, values: Sequence[str | None]) -> Text:
    """Return text from codes and distinct values as they were written: without spaces around, missing ones as -1."""
    known: dict[str, int] = {}
    place = [
        -1 if value is None or value.strip().lower() in MISSING else known.setdefault(value.strip(), len(known))
        for value in values
    ]
    return Text(np.asarray([*place, -1], np.int32)[codes], list(known))


def plain(cells: Text) -> Cells:
    """Return text as numbers if each of the values is one, else as it is."""
    found = as_numbers(cells.values, "")
    return cells if found is None or not cells.values else spread(cells, found)


def spread(cells: Text, values: Sequence[float]) -> HostArray:
    """Return the number of each row from those of the distinct values; NaN where it is missing."""
    return np.asarray([*values, np.nan], np.float64)[cells.codes]


def name_of(value: float) -> str:
    """Return a number as the name of a category or class: 3 and not 3.0."""
    return str(int(value)) if value == int(value) else repr(float(value))


def split_names(names: str) -> tuple[str, ...]:
    """Return the names of a list with commas; a name that holds one stands in quotes."""
    found = next(csv.reader([names], skipinitialspace=True), [])
    return tuple(name.strip() for name in found if name.strip())


def joined_names(names: Sequence[str]) -> str:
    """Return names as :func:`split_names` takes them."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(names)
    return text.getvalue()


class Table:
    """Columns of equal length, with their names. It is what a reader returns where an array of numbers does not do.

    Attributes
    ----------
    names : tuple of str
        Of the columns; ``column 1`` ... where the file has no header.
    cells : list of ndarray or Text
    header : bool
        Whether the names are the file's own; else later tables are matched by position.
    kinds : dict
        Kinds that are known from a frame's types, by name: ``"category"``.
    decimal : str or None
        The decimal separator of its text, where the file shows it.
    """

    ndim = 2
    dtype = np.dtype(object)

    def __init__(
        self,
        names: Sequence[str],
        cells: Sequence[Cells],
        *,
        header: bool = True,
        kinds: dict[str, str] | None = None,
        decimal: str | None = None,
    ) -> None:
        self.names, self.cells, self.header, self.kinds = tuple(names), list(cells), header, kinds or {}
        self.decimal = decimal
        rows = len(cells[0].codes if isinstance(cells[0], Text) else cells[0]) if cells else 0
        self.shape = (rows, len(self.names))

    @classmethod
    def of_array(cls, x: HostArray, names: Sequence[str] = ()) -> Table:
        """Return a table of the columns of an array, which are not copied."""
        own = tuple(names) or tuple(f"column {i + 1}" for i in range(x.shape[1]))
        return cls(own, [x[:, i] for i in range(x.shape[1])], header=bool(names))

    def __len__(self) -> int:
        return self.shape[0]

    def take(self, rows: Any) -> Table:
        """Return these rows, by numbers, a mask or a slice."""
        cells = [Text(c.codes[rows], c.values) if isinstance(c, Text) else c[rows] for c in self.cells]
        return Table(self.names, cells, header=self.header, kinds=self.kinds, decimal=self.decimal)

    def __getitem__(self, rows: Any) -> Table:
        return self.take(rows)

    def column(self, name: str) -> Cells:
        """Return the cells of the column of that name."""
        return self.cells[self.names.index(name)]

    def without(self, name: str) -> Table:
        """Return the other columns."""
        kept = [i for i, own in enumerate(self.names) if own != name]
        names, cells = [self.names[i] for i in kept], [self.cells[i] for i in kept]
        return Table(names, cells, header=self.header, kinds=self.kinds, decimal=self.decimal)

    def array(self) -> HostArray | None:
        """Return the table in float64 if all of its cells are finite numbers; else None."""
        numbers = [cells for cells in self.cells if not isinstance(cells, Text)]
        if len(numbers) < len(self.cells) or self.kinds or not all(np.isfinite(cells).all() for cells in numbers):
            return None
        return np.stack([np.asarray(cells, np.float64) for cells in numbers], axis=1)

    def some(self) -> list[HostArray]:
        """Return arrays that tell this table from others, for a fingerprint."""
        words = [np.frombuffer("\0".join(c.values).encode(), np.uint8) for c in self.cells if isinstance(c, Text)]
        return [*(c.codes if isinstance(c, Text) else np.ascontiguousarray(c) for c in self.cells), *words]


def missing(cells: Cells) -> HostArray:
    """Return which rows have no value."""
    return cells.codes < 0 if isinstance(cells, Text) else np.isnan(cells)


def categories(cells: Cells) -> Text:
    """Return cells as categories by their names: a number in text is the same category as the number."""
    if isinstance(cells, Text):
        numbers = [as_numbers([value], "") for value in cells.values]
        names = [value if n is None else name_of(n[0]) for value, n in zip(cells.values, numbers, strict=True)]
        return merged(cells.codes, names)
    values, codes = np.unique(cells, return_inverse=True, equal_nan=True)
    return merged(codes.astype(np.int32), [None if np.isnan(value) else name_of(value) for value in values.tolist()])
