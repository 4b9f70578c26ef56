"""Several targets of a table: numbers, or labels of which each is there or not."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from portanet.data.cells import Cells, Table, Text, joined_names, missing, split_names
from portanet.data.columns import BOOLEAN, NUMBER, Column, read
from portanet.data.dataset import Dataset, HostArray
from portanet.data.kinds import yes_or_no
from portanet.data.numbers import number_form
from portanet.data.readers.labels import Task
from portanet.errors import ConfigError, DataError, unknown
from portanet.names import listed

logger = logging.getLogger("portanet")

Found: TypeAlias = tuple[Table, HostArray, bool]


def named_targets(target: str | int | None, names: Sequence[str], place: object = "") -> tuple[str, ...]:
    """Return the columns that a target names if these are several, ``"A,B"``; none if it is a single one.

    A name that holds a comma stands in quotes. Raises DataError for one that is that of no column.
    """
    if not isinstance(target, str) or target in names or "," not in target:
        return ()
    found = split_names(target)
    for name in found:
        if name not in names:
            known = unknown("column", name, names) if names else f"unknown column {name!r}: there is no header"
            message = f"{place}: {known}; several targets are named as in the header"
            raise DataError(message)
    return tuple(dict.fromkeys(found))


def several(table: Table, names: Sequence[str], task: Task | None, place: object, decimal: str | None = None) -> Found:
    """Return features, targets (n, outputs) in float64, and whether the targets are labels, 0 or 1.

    Rows in which a target is missing are left out, with their number in the log.

    Raises
    ------
    DataError
        If a target holds something else than numbers, or yes and no.
    ConfigError
        If a classification is asked for and they are numbers.
    """
    cells = [table.column(name) for name in names]
    gaps = np.any([missing(own) for own in cells], axis=0)
    if gaps.all():
        message = f"{place}: expected a row with all of the targets {listed(names)}, got none; name other targets"
        raise DataError(message)
    y = np.stack([_numbers(own, name, place, decimal) for own, name in zip(cells, names, strict=True)], axis=1)
    features = table
    for name in names:
        features = features.without(name)
    if gaps.any():
        logger.warning("%s: %d of %d rows lack a target and are left out", place, int(gaps.sum()), len(gaps))
        features, y = features.take(~gaps), y[~gaps]
    labels = bool(np.all((y == 0) | (y == 1))) and task != "regression"
    if task == "classification" and not labels:
        message = f"{place}: several targets of a classification are labels, 0 or 1, yes or no each; take one target"
        raise ConfigError(message)
    return features, y, labels


def with_targets(name: object, parts: Sequence[Found], names: Sequence[str], place: int) -> Dataset:
    """Return the data set of a training part, and perhaps of a test part, of :func:`several`."""
    arrays: list[Any] = [table.array() for table, _, _ in parts]
    samples = [table for table, _, _ in parts] if any(own is None for own in arrays) else arrays
    targets: list[Any] = [y for _, y, _ in parts]
    about: dict[str, Any] = {"target": joined_names(names), "place": place, "outputs": tuple(names)}
    labels = all(own for _, _, own in parts)
    x_test, y_test = (None, None) if len(parts) == 1 else (samples[1], targets[1])
    return Dataset(
        str(name), samples[0], targets[0], x_test, y_test, features=parts[0][0].names, labels=labels, **about
    )


def _numbers(cells: Cells, name: str, place: object, decimal: str | None) -> HostArray:
    if not isinstance(cells, Text):
        return cells
    used = [value for value, count in zip(cells.values, cells.counts(), strict=True) if count]
    if (pair := yes_or_no(used)) is not None:
        return read(Column(name, BOOLEAN, categories=pair), cells)
    try:
        form = number_form(used, decimal)
    except ValueError as error:
        message = f"{place}, column {name!r}: {error.args[0]!r} may have a decimal comma; say which by --decimal"
        raise DataError(message) from None
    if form is None:
        message = f"{place}, column {name!r}: expected numbers, or yes and no, as one of several targets; "
        raise DataError(message + f"got {used[0][:40]!r}; take it as the only target, or leave it out")
    return read(Column(name, NUMBER, form=form), cells)
