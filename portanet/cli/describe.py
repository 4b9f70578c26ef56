"""Networks and data in words and numbers, for people and for JSON."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from portanet.data import Dataset
from portanet.layers import Layer, Sequential
from portanet.layers.words import layer_words, net_in_words
from portanet.typing import Params, Shape

__all__ = ["class_counts", "count", "data_in_words", "layer_rows", "layer_words", "net_in_words", "shape_words"]


def count(params: Params) -> int:
    """Return how many numbers a network's parameters hold."""
    return sum(math.prod(p.shape) for p in params.values())


def shape_words(shape: Shape) -> str:
    """Return the shape of a sample as people write it: ``28×28``."""
    return "×".join(map(str, shape))


def data_in_words(dataset: Dataset) -> str:
    """Return a data set in one line."""
    kind = f"{len(dataset.classes)} classes" if dataset.classes else "numbers to predict"
    test = "no test part" if dataset.x_test is None else f"a test part of {len(dataset.x_test)}"
    return f"{dataset.name}: {len(dataset.x)} samples of {shape_words(dataset.x.shape[1:])}, {kind}, {test}"


def class_counts(dataset: Dataset, y: Any) -> dict[str, int]:
    """Return how many of the targets `y` are of each class, by its name."""
    found = Counter(y.tolist())
    return {name: found[i] for i, name in enumerate(dataset.classes)}


def layer_rows(net: Layer, input_shape: Shape, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return for each layer: its number, what it is, the shape of a sample behind it, and its parameters' number."""
    net = net if isinstance(net, Sequential) else Sequential((net,))
    rows = []
    for i, (layer, shape, own) in enumerate(
        zip(net.layers, net.shapes(input_shape), net.split(dict(params)), strict=True)
    ):
        rows.append({"index": i, "layer": layer_words(layer), "output_shape": list(shape), "parameters": count(own)})
    return rows
