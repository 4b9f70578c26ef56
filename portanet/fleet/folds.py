"""Which rows each member of a fleet is trained on, and which it is evaluated on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from portanet.data.batching import prepare
from portanet.data.batching.batches import Batches
from portanet.errors import ConfigError, DataError
from portanet.random import generator
from portanet.training.trainer import Trainer

HostRows = np.ndarray[Any, Any]


def split(y: Any, k: int, seed: int, *, names: Sequence[str] = (), what: str = "y") -> list[tuple[HostRows, HostRows]]:
    """Return k pairs of training and validation rows; every row is validated once.

    Parameters
    ----------
    y : host array, shape (n, ...)
    k : int
        2 ≤ k ≤ n.
    seed : int
        Names the order in which rows are dealt out.
    names : sequence of str
        Of the classes, where y holds their indices: each is then dealt out by itself, so that its counts in the folds
        differ by 1 at most.
    what : str
        What the data is called in errors.

    Raises
    ------
    DataError
        If there are fewer rows than folds, or a class has fewer.
    """
    n = len(y)
    if n < k:
        message = f"{what}: expected at least one sample for each of the {k} folds, got {n}; take fewer folds"
        raise DataError(message)
    order = generator(seed, "folds").permutation(n)
    if names:
        classes, counts = np.unique(y, return_counts=True)
        if counts.min() < k:
            message = (
                f"{what}: expected at least {k} samples of each class, one a fold, got {counts.min()} of "
                f"{names[classes[counts.argmin()]]!r}; take fewer folds, or leave that class out"
            )
            raise DataError(message)
        order = order[np.argsort(y[order], kind="stable")]
    dealt = [np.sort(order[i::k]) for i in range(k)]  # in turns, class after class: as even as can be
    return [(np.setdiff1d(np.arange(n), own, assume_unique=True), own) for own in dealt]


def checked_folds(folds: Iterable[Any], k: int, n: int) -> list[tuple[HostRows, HostRows | None]]:
    """Return the pairs as arrays of row numbers; tell the first that is none, or names a row that is not there.

    Raises
    ------
    ConfigError
        With the member, what was expected, and what came.
    """
    pairs = list(folds)
    if len(pairs) != k:
        message = f"fit: folds must hold a pair of rows for each of the {k} members, got {len(pairs)}"
        raise ConfigError(message)
    found: list[tuple[HostRows, HostRows | None]] = []
    for i, pair in enumerate(pairs):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            message = f"fit: folds must hold pairs (training rows, validation rows), got {type(pair).__name__} {i}"
            raise ConfigError(message)
        train, held = (None if rows is None else np.asarray(rows) for rows in pair)
        if train is None or not len(train):
            message = f"fit: folds: member {i} has no rows to train on"
            raise ConfigError(message)
        for rows in (train, held):
            if rows is not None and len(rows) and (rows.dtype.kind not in "iu" or rows.ndim != 1):
                message = (
                    f"fit: folds: expected the rows' numbers, shape (rows,), got an array of shape {rows.shape} and "
                    f"dtype {rows.dtype} for member {i}; np.flatnonzero makes numbers of a mask"
                )
                raise ConfigError(message)
            if rows is not None and len(rows) and (rows.min() < 0 or rows.max() >= n):
                worst = rows.min() if rows.min() < 0 else rows.max()
                message = f"fit: folds: expected rows 0 … {n - 1}, got {worst} for member {i}"
                raise ConfigError(message)
        found.append((train.astype(np.int64), None if held is None or not len(held) else held.astype(np.int64)))
    return found


def held_out(member: Trainer, x: Any, y: Any, weight: Any, each: list[HostRows | None]) -> list[Batches | None]:
    """Return the samples that each member is validated on; members with one fold share them."""
    made: dict[bytes, Batches] = {}
    found: list[Batches | None] = []
    for rows in each:
        if rows is None:
            found.append(None)
            continue
        if rows.tobytes() not in made:
            xv, yv, wv = (None if a is None else prepare.take_rows(a, rows) for a in (x, y, weight))
            made[rows.tobytes()] = member._batches(xv, yv, wv, None, what="validation ")
        found.append(made[rows.tobytes()])
    return found
