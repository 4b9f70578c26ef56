"""Taking a test part off a data set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from portanet.data.dataset import Dataset
from portanet.errors import ConfigError, DataError
from portanet.random import generator


def hold_out(dataset: Dataset, fraction: float = 0.2, *, seed: int = 0) -> Dataset:
    """Return the data with a part of its training samples as its test part, the same share of each class.

    Both parts are shuffled: files are often sorted by class.

    Raises
    ------
    ConfigError
        If the fraction is not between 0 and 1.
    DataError
        If there is a test part already, or too few samples for one.
    """
    if not 0 < fraction < 1:
        message = f"{dataset.name}: expected a test part between 0 and 1 of the samples, got {fraction}"
        raise ConfigError(message)
    if dataset.x_test is not None:
        message = f"{dataset.name}: expected data without a test part, got one of {len(dataset.x_test)} samples"
        raise DataError(message)
    order = generator(seed, "hold out").permutation(len(dataset.y))
    labels = dataset.y[order] if dataset.classes else np.zeros(len(order), dtype=np.int64)
    chosen = np.zeros(len(order), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        chosen[members[: round(fraction * len(members))]] = True
    train, test = order[~chosen], order[chosen]
    return replace(dataset, x=dataset.x[train], y=dataset.y[train], x_test=dataset.x[test], y_test=dataset.y[test])
