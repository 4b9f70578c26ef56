"""Training and validation rows of each member of a fleet (cross-validation folds)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from portanet.data.batching import prepare, weighting
from portanet.data.batching.batches import Batches
from portanet.errors import ConfigError, DataError
from portanet.random import generator
from portanet.training.fit_inputs import split_rows, to_batches, triple
from portanet.training.trainer import Trainer

HostRows = np.ndarray[Any, Any]


def split(y: Any, k: int, seed: int, *, names: Sequence[str] = (), what: str = "y") -> list[tuple[HostRows, HostRows]]:
    """Return k pairs of training and validation rows; every row is in one validation set.

    Parameters
    ----------
    y : host array, shape (n, ...)
    k : int
        2 ≤ k ≤ n.
    seed : int
        Seed of the shuffle.
    names : sequence of str
        Class names, if y holds class indices: the folds are then stratified, and the counts of a class in the folds
        differ by at most 1.
    what : str
        Name of the data in error messages.

    Raises
    ------
    DataError
        If there are fewer rows than folds, or fewer rows of a class than folds.
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
    dealt = [np.sort(order[i::k]) for i in range(k)]  # round-robin over the rows sorted by class: as even as possible
    return [(np.setdiff1d(np.arange(n), own, assume_unique=True), own) for own in dealt]


def checked_folds(folds: Iterable[Any], k: int, n: int) -> list[tuple[HostRows, HostRows | None]]:
    """Return the pairs as arrays of row numbers, or raise for the first that is invalid.

    Raises
    ------
    ConfigError
        With the member, what was expected, and what was given.
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


def parted(
    members: Sequence[Trainer],
    x: Any,
    y: Any,
    weight: Any,
    batch_size: int | None,
    folds: Iterable[Any] | None,
    validation_data: Any,
    fraction: float,
) -> list[tuple[Batches, Batches | None]]:
    """Return the training and validation batches of each member; samples that members share are on the device once.

    The arguments are those of :meth:`portanet.Fleet.fit`, with checked samples.
    """
    first, n = members[0], int(x.shape[0])
    if sum([folds is not None, validation_data is not None, bool(fraction)]) > 1:
        message = (
            "fit: expected one of folds (folds bring their own validation rows), validation_data, validation_fraction"
        )
        raise ConfigError(message)
    pairs: list[tuple[HostRows | None, HostRows | None]] = [(None, None)] * len(members)
    if folds is not None:
        pairs = list(checked_folds(folds, len(members), n))
    elif fraction:
        by_seed = {member.seed: split_rows(member, x, y, fraction) for member in members}
        pairs = [by_seed[member.seed] for member in members]
    with first.backend.activate(first.dtype):
        by_rows = first.class_weight is not None and (folds is not None or bool(fraction))
        own_weight = None if by_rows else first.class_weight
        data = to_batches(first, x, y, weight, batch_size or n, class_weight=own_weight)
        shared = None
        if validation_data is not None:
            shared = to_batches(first, *triple(validation_data), None, what="validation ")
        made: dict[bytes, Batches] = {}

        def held_out(rows: HostRows | None) -> Batches | None:
            if rows is None:
                return shared
            if rows.tobytes() not in made:
                xv, yv, wv = (None if a is None else prepare.take_rows(a, rows) for a in (x, y, weight))
                made[rows.tobytes()] = to_batches(first, xv, yv, wv, None, what="validation ")
            return made[rows.tobytes()]

        def trained_on(rows: HostRows | None) -> Batches:
            if rows is None:
                return data
            own = data.only(rows, batch_size or len(rows))
            if by_rows:
                yt, wt = (None if a is None else prepare.take_rows(a, rows) for a in (data.y, weight))
                found = weighting.weights(
                    wt, first.class_weight, yt, len(rows), first.outputs, first.dtype, places=first.places
                )
                assert found is not None  # class weights were given
                own.host_weight = np.zeros((n, *found.shape[1:]), first.dtype)
                own.host_weight[rows] = found
                own.weight = first.backend.asarray(own.host_weight)
            return own

        return [(trained_on(train), held_out(validation)) for train, validation in pairs]
