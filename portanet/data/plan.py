"""The plan of a table's columns: what a network's inputs are made of, and how later tables are matched."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from portanet.data.cells import Table, missing, split_names
from portanet.data.columns import CATEGORY, DATE, NUMBER, ONE_HOT, OUT, Column, inputs
from portanet.data.dataset import HostArray
from portanet.data.numbers import COMMA
from portanet.data.readers.reading import Reading
from portanet.errors import DataError
from portanet.names import listed

logger = logging.getLogger("portanet")

_ENOUGH, _FAR = 10, 50.0
"""Rows, and standard deviations, from which on another scale is warned of."""


@dataclass(frozen=True)
class Plan:
    """What a network's inputs are made of: the columns of a table in their order, and how later tables are matched.

    Attributes
    ----------
    columns : tuple of Column
    target : str
        Name of the target's column, of several with commas between them; it is no input.
    place : int
        Its index in the file, for files without a header.
    header : bool
        Whether columns are matched by name; else by position.
    missing : str
        ``"error"`` if later tables may have no gaps.
    pixels : bool
        Whether the columns are pixels, on one scale.
    reading : dict
        How the file is read, where the user said it.
    """

    columns: tuple[Column, ...]
    target: str = ""
    place: int = -1
    header: bool = True
    missing: str = "auto"
    pixels: bool = False
    reading: dict[str, Any] = field(default_factory=dict)

    @property
    def kept(self) -> list[Column]:
        """The columns that become inputs, in the order of the inputs."""
        order = {True: 0, False: 1}
        coded = [c for c in self.columns if c.kind == CATEGORY]
        coded.sort(key=lambda c: order[c.slots <= ONE_HOT])
        return [*coded, *(c for c in self.columns if c.kind not in (CATEGORY, OUT))]

    @property
    def plain(self) -> bool:
        """Whether the inputs are numbers as they stand in the table."""
        return all(c.kind == NUMBER and not c.flag for c in self.kept)

    def names(self) -> Iterator[tuple[str, bool]]:
        """Yield the name of each input, and whether it is a number to be standardised."""
        for c in self.kept:
            yield c.name, c.kind in (NUMBER, DATE)
            yield from ((f"{c.name} {wave} of the {part}", False) for part in c.parts for wave in ("sine", "cosine"))
            if c.flag and c.kind != CATEGORY:
                yield f"{c.name} is missing", False

    def as_read(self) -> Reading:
        """Return how later tables of text are read: as the first one, and its names are a header."""
        names = tuple(c.name for c in self.columns) if self.header else ()
        reading = self.reading
        if any(c.kind == NUMBER and COMMA in c.form for c in self.columns):
            reading = {"decimal": ",", **reading}  # 1.234 alone does not show it
        return Reading(**{**reading, "names": names})

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as plain values, for files."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {**fields, "columns": [c.as_dict() for c in self.columns]}

    @classmethod
    def from_dict(cls, found: Any) -> Plan:
        """Return the plan of :meth:`as_dict`; raise ValueError, TypeError or KeyError if it is none."""
        columns = tuple(Column.from_dict(own) for own in found["columns"])
        plan = cls(**{**found, "columns": columns, "reading": dict(found["reading"])})
        Reading(**plan.reading)  # raises where it is none
        texts, flags = (plan.target, plan.missing), (plan.header, plan.pixels)
        names = [c.name for c in columns]
        sound = all(type(own) is str for own in texts) and all(type(own) is bool for own in flags)
        if not sound or type(plan.place) is not int or len(set(names)) < len(names) or not plan.kept:
            message = "expected a plan of columns"
            raise ValueError(message)
        return plan

    def encode(self, x: Any, what: str, names: Sequence[str] = ()) -> HostArray:
        """Return the inputs of the network for a table: an array (n, inputs).

        Parameters
        ----------
        x : Table or ndarray
            Columns in any order if they have names; what is no input is ignored, with a note in the log.
        what : str
            The name of the data, for messages.
        names : sequence of str
            Of the columns of an array; without any they are matched by position.

        Raises
        ------
        DataError
            If columns are missing, or do not hold what the training rows held in them.
        """
        if not isinstance(x, Table) and self.plain:
            places = self._places(names, bool(names), x.shape[1], what)
            found = x if places == list(range(x.shape[1])) else np.ascontiguousarray(x[:, places])
            self._check_scale(found, what)
            return found
        table = x if isinstance(x, Table) else Table.of_array(x, names)
        places = self._places(table.names, table.header, len(table.names), what)
        parts, wrong = [], []
        for column, i in zip(self.kept, places, strict=True):
            cells = table.cells[i]
            gaps = missing(cells)
            if self.missing == "error" and gaps.any():
                wrong.append(f"{column.name!r} has {int(gaps.sum())} missing values")
            try:
                parts += inputs(column, cells, gaps)
            except ValueError as error:
                wrong.append(f"{column.name!r}: expected {column.kind}s as in the training rows, got {error}")
        if wrong:
            message = f"{what}: {'; '.join(wrong)}; correct or fill in these cells"
            raise DataError(message)
        found = np.empty((len(table), len(parts)))
        for j, part in enumerate(parts):
            found[:, j] = part
        self._check_scale(found, what)
        return found

    def _check_scale(self, x: HostArray, what: str) -> None:
        """Log a warning for columns of numbers on another scale than the training rows': metres for millimetres."""
        if len(x) < _ENOUGH:
            return
        if self.pixels:
            if float(x.max()) <= 1.0:
                logger.warning(
                    "%s: pixels were 0 to 255 in training, and are at most 1 here; bring them to one scale", what
                )
            return
        places = {name: i for i, (name, standardised) in enumerate(self.names()) if standardised}
        odd = []
        for c in self.kept:
            if c.kind == NUMBER and c.std > 0:
                own = x[:, places[c.name]]
                mean, std = float(own.mean()), float(own.std())
                if 0 < std < c.std / _FAR or std > _FAR * c.std or abs(mean - c.mean) > _FAR * c.std:
                    odd.append(f"{c.name} (mean {mean:.3g}, in training {c.mean:.3g})")
        if odd:
            logger.warning("%s: on another scale than in training: %s; is it another unit?", what, listed(odd))

    def _places(self, names: Sequence[str], header: bool, width: int, what: str) -> list[int]:
        """Return where each of the kept columns stands in a table."""
        known = [c.name for c in self.columns]
        if not header or not self.header:
            extra = width - len(known)
            if extra not in (0, 1):
                wanted = f"{len(known)} columns as in the training table, or {len(known) + 1} with the target"
                message = f"{what}: expected {wanted}, got {width}; give the columns that it was trained on"
                raise DataError(message)
            shift = self.place if extra else width
            return [i + (i >= shift) for i in (known.index(c.name) for c in self.kept)]
        own = {name: i for i, name in reversed(list(enumerate(names)))}
        lost = [c.name for c in self.kept if c.name not in own]
        strange = [name for name in names if name not in (*known, self.target, *split_names(self.target))]
        if lost:
            message = (
                f"{what}: the feature names should match those that were passed during fit; feature names seen at fit "
                f"time, yet now missing: {listed(lost)}"
            )
            message += f"; feature names unseen at fit time: {listed(strange)}" if strange else ""
            raise DataError(message + "; name the columns as in the training table")
        if strange:
            logger.warning("%s: columns that the network was not trained on are ignored: %s", what, listed(strange))
        return [own[c.name] for c in self.kept]
