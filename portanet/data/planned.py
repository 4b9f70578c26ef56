"""Data sets from tables: their plan, and the same data as the inputs of a network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from portanet.data.cells import Table, missing
from portanet.data.columns import OUT
from portanet.data.dataset import Dataset
from portanet.data.plan import Plan
from portanet.data.planning import Wishes, find
from portanet.data.readers.reading import Reading
from portanet.errors import DataError


def plan_of(
    dataset: Dataset, rows: Any = None, wishes: Wishes | None = None, reading: Reading | None = None
) -> Plan | None:
    """Return the plan of a table's columns, found from these of its rows (all of them by default).

    None if the data is no table, or its columns are numbers that have no names: these are taken by position.
    """
    x = dataset.x
    if dataset.place < 0 or (not isinstance(x, Table) and not dataset.features):
        return None
    if not isinstance(x, Table | np.ndarray):
        return None  # on disk
    x = x if rows is None else x[rows]
    about = {"target": dataset.target, "place": dataset.place, "reading": {} if reading is None else reading.said()}
    try:
        return find(x, dataset.features, wishes, pixels=dataset.scale is not None, **about)
    except DataError as error:
        message = f"{dataset.name}: {error}"
        raise DataError(message) from None


def encoded(dataset: Dataset, plan: Plan | None) -> Dataset:
    """Return the data with the inputs of a network as its samples."""
    if plan is None:
        return dataset
    x, x_test = (
        None if x is None else plan.encode(x, dataset.name, dataset.features) for x in (dataset.x, dataset.x_test)
    )
    return replace(dataset, x=x, x_test=x_test, features=tuple(name for name, _ in plan.names()))


def without_gaps(dataset: Dataset, wishes: Wishes) -> Dataset:
    """Return the data without the training rows that have a gap in a column that is not left out."""
    plan = plan_of(dataset, None, wishes) if isinstance(dataset.x, Table) else None
    if plan is None:
        return dataset
    names = [c.name for c in plan.columns if c.kind != OUT]
    whole = ~np.any([missing(dataset.x.column(name)) for name in names], axis=0)
    if not whole.any():
        message = f"{dataset.name}: --missing drop: each row has a gap; allow gaps by --missing auto, or --drop columns"
        raise DataError(message)
    return replace(dataset, x=dataset.x[whole], y=dataset.y[whole])
