"""Networks and data in words and numbers."""

from __future__ import annotations

import math

from portanet.data import Dataset
from portanet.layers import Layer
from portanet.layers.words import net_in_words
from portanet.typing import Params, Shape


def count(params: Params) -> int:
    """Return how many numbers a network's parameters hold."""
    return sum(math.prod(p.shape) for p in params.values())


def network_in_words(net: Layer, params: Params) -> str:
    """Return a network in one line."""
    return f"{net_in_words(net)}: {count(params):,} parameters"


def shape_words(shape: Shape) -> str:
    """Return the shape of a sample as people write it: ``28×28``."""
    return "×".join(map(str, shape))


def data_in_words(dataset: Dataset) -> str:
    """Return a data set in one line."""
    kind = f"{len(dataset.classes)} classes" if dataset.classes else "numbers to predict"
    test = "no test part" if dataset.x_test is None else f"a test part of {len(dataset.x_test)}"
    return f"{dataset.name}: {len(dataset.x)} samples of {shape_words(dataset.x.shape[1:])}, {kind}, {test}"
