"""Networks and data in words and numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from portanet.data import Dataset
from portanet.inspection.text import shape_words as shape_words
from portanet.layers import Layer
from portanet.layers.summary import summary
from portanet.layers.words import net_in_words
from portanet.typing import Params, Shape


def count(params: Params) -> int:
    """Return how many numbers a network's parameters hold."""
    return sum(math.prod(p.shape) for p in params.values())


def network_in_words(net: Layer, params: Params) -> str:
    """Return a network in one line."""
    return f"{net_in_words(net)}: {count(params):,} parameters"


def data_in_words(dataset: Dataset) -> str:
    """Return a data set in one line."""
    kind = f"{len(dataset.classes)} classes" if dataset.classes else "numbers to predict"
    if dataset.outputs:
        kind = f"{len(dataset.outputs)} {'labels' if dataset.labels else 'numbers'} to predict"
    test = "no test part" if dataset.x_test is None else f"a test part of {len(dataset.x_test)}"
    test += "" if dataset.x_val is None else f", a validation part of {len(dataset.x_val)}"
    return f"{dataset.name}: {len(dataset.x)} samples of {shape_words(dataset.x.shape[1:])}, {kind}, {test}"


def class_counts(dataset: Dataset, y: Any) -> dict[str, int]:
    """Return how many of the targets `y` are of each class, by its name."""
    found = Counter(y.tolist())
    return {name: found[i] for i, name in enumerate(dataset.classes)}


def layer_rows(net: Layer, input_shape: Shape, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return for each layer: its number, what it is, the shape of a sample after it, and its parameters' number.

    A container that does not tell the shapes within it is one layer.
    """
    shapes = net.child_shapes(input_shape)
    sizes: Counter[str] = Counter()
    for name, array in params.items():
        sizes[name.partition(".")[0] if shapes else ""] += math.prod(array.shape)
    rows = [row for row in summary(net, input_shape).rows if "." not in row.path]
    return [
        {"index": i, "layer": row.layer, "output_shape": list(row.output_shape), "parameters": sizes[row.path]}
        for i, row in enumerate(rows)
    ]
