"""A column of a table: what it is, and how its cells become numbers that a network takes."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from portanet.data.cells import Cells, Text, categories, spread
from portanet.data.dataset import HostArray
from portanet.data.kinds import as_seconds
from portanet.data.numbers import as_numbers

logger = logging.getLogger("portanet")

NUMBER, BOOLEAN, CATEGORY, DATE, OUT = "number", "boolean", "category", "date", "left out"
KINDS = (NUMBER, BOOLEAN, CATEGORY, DATE, OUT)
PARTS = {"day": 86400.0, "week": 7 * 86400.0, "year": 365.2425 * 86400.0}
"""Periods of a date in seconds: each becomes a sine and a cosine."""

ONE_HOT = 8
"""Most values of a category that become zeros and a one; more become vectors that are learned."""


@dataclass(frozen=True)
class Column:
    """What is known about a column, from the training rows.

    Attributes
    ----------
    name : str
    kind : str
        ``"number"``, ``"boolean"``, ``"category"``, ``"date"``, or ``"left out"``.
    why : str
        Why a column is left out, or what else was decided.
    categories : tuple of str
        The known categories; of a boolean what is no and what is yes.
    form : str
        How numbers or dates are written in text (`portanet.data.numbers`, `portanet.data.kinds`).
    fill : float
        What stands in the place of a missing value: a number, 0 or 1, or seconds from 1970.
    flag : bool
        Whether there were missing values: they get an input, or a category, of their own.
    parts : tuple of str
        Of a date: its periods that matter (`PARTS`).
    mean, std : float
        Of numbers that are there.
    """

    name: str
    kind: str
    why: str = ""
    categories: tuple[str, ...] = ()
    form: str = ""
    fill: float = 0.0
    flag: bool = False
    parts: tuple[str, ...] = ()
    mean: float = 0.0
    std: float = 0.0

    @property
    def slots(self) -> int:
        """Number of categories that the network knows, the missing one included."""
        return len(self.categories) + self.flag

    def as_dict(self) -> dict[str, Any]:
        """Return the column as plain values, without those that are as they are by default."""
        fields = {f.name: (getattr(self, f.name), f.default) for f in dataclasses.fields(self)}
        return {
            key: list(own) if isinstance(own, tuple) else own for key, (own, usual) in fields.items() if own != usual
        }

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Column:
        """Return the column of :meth:`as_dict`; raise ValueError, TypeError or KeyError if it is none."""
        tuples = {key: tuple(found.get(key, ())) for key in ("categories", "parts")}
        own = cls(**{**found, **tuples})
        texts = (own.name, own.kind, own.why, own.form, *own.categories, *own.parts)
        numbers = all(
            isinstance(value, int | float) and math.isfinite(value) for value in (own.fill, own.mean, own.std)
        )
        sound = all(type(value) is str for value in texts) and own.kind in KINDS and set(own.parts) <= set(PARTS)
        if not sound or not numbers or type(own.flag) is not bool or (own.kind == CATEGORY and not own.slots):
            message = "expected the description of a column"
            raise ValueError(message)
        return own


def inputs(column: Column, cells: Cells, gaps: HostArray) -> list[HostArray]:
    """Return the inputs that are made of a column. Raises ValueError with a text that is not what it should be."""
    if column.kind == CATEGORY:
        found = categories(cells)
        place = {name: i for i, name in enumerate(column.categories)}
        absent = len(column.categories) if column.flag else -1
        return [np.asarray([*(place.get(name, -1) for name in found.values), absent], np.float64)[found.codes]]
    values = read(column, cells)
    values = np.where(gaps, column.fill, values)
    flag = [gaps.astype(np.float64)] if column.flag else []
    if column.kind != DATE:
        return [values, *flag]
    turns = [2 * math.pi / PARTS[part] * values for part in column.parts]
    return [values / PARTS["day"], *(wave(turn) for turn in turns for wave in (np.sin, np.cos)), *flag]


def read(column: Column, cells: Cells) -> HostArray:
    """Return the cells of a number, boolean or date column in float64, NaN where one is missing.

    Raises ValueError, with one of them, if there are others.
    """
    if not isinstance(cells, Text):
        if column.kind == BOOLEAN:
            return read(column, categories(cells))
        if column.kind == DATE and not np.isnan(cells).all():
            message = f"the number {cells[~np.isnan(cells)][0]:g}"
            raise ValueError(message)
        return cells
    used = [value for value, count in zip(cells.values, cells.counts(), strict=True) if count]
    found = _read(column, cells.values)
    if found is None:
        bad = [value for value in used if _read(column, [value]) is None]
        if bad:
            row = int((cells.codes == cells.values.index(bad[0])).argmax())
            message = f"{bad[0][:40]!r} (row {row})"
            raise ValueError(message)
        found = [_read(column, [value])[0] if value in set(used) else math.nan for value in cells.values]  # type: ignore[index]
    return spread(cells, found)


def _read(column: Column, values: Sequence[str]) -> list[float] | None:
    if column.kind == DATE:
        return as_seconds(values, column.form)
    if column.kind == NUMBER:
        return as_numbers(values, column.form)
    known = {value.lower(): float(i) for i, value in enumerate(column.categories)}
    return [known[value.lower()] for value in values] if all(value.lower() in known for value in values) else None
