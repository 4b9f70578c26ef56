"""Small networks that ask for much: what their layers make of a sample is counted when they are loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.hostile.model_files import Case, good, joined, parts, raw

TOO_MANY = "numbers of a sample"


def made(layers: Sequence[dict[str, Any]], shapes: Mapping[str, tuple[int, ...]], says: str, inputs: int = 2) -> Case:
    """A network of these layers, whose arrays are those that they need."""

    def content() -> bytes:
        about = json.loads(parts(good())[0]["__metadata__"]["portanet"])
        net = {"type": "Sequential", "layers": list(layers)}
        about.update(net=net, input_shape=[inputs], buffers=[], classes=[], loss={"name": "huber", "options": {}})
        header: dict[str, Any] = {"__metadata__": {"portanet": json.dumps(about)}}
        data = b""
        for name, shape in shapes.items():
            end = len(data) + 4 * int(np.prod(shape))
            header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [len(data), end]}
            data += np.full(shape, 0.1, "f4").tobytes()
        return joined(header, data)

    return raw(content, says)


def image(layer: dict[str, Any], says: str, inputs: int = 2) -> Case:
    """A network of one layer between a row of pixels and their mean."""
    kernel = layer.get("kernel", 1)
    size = tuple(kernel) if isinstance(kernel, list) else (kernel, kernel)
    weights = {"1.weight": (*size, 1, 1)} if layer["type"] == "Conv2D" else {}
    row = {"type": "Reshape", "shape": [1, inputs, 1]}
    return made([row, layer, {"type": "GlobalAvgPool2D"}], weights, says, inputs)


def conv(says: str, inputs: int = 2, **options: Any) -> Case:
    return image({"type": "Conv2D", "units": 1, "bias": False, "kernel": 1, **options}, says, inputs)


def pool(says: str, kind: str = "MaxPool2D", **options: Any) -> Case:
    return image({"type": kind, "stride": 1, **options}, says)


def embeddings(says: str, *sizes: tuple[int, int]) -> Case:
    layers = [{"type": "Embedding", "categories": categories, "units": units} for categories, units in sizes]
    return made([*layers, {"type": "Flatten"}], {f"{i}.weight": size for i, size in enumerate(sizes)}, says)


WIDE = {"type": "Dense", "units": 200_000, "bias": False}

SIZES = {
    "an image padded by 9,000 pixels": conv("padding must be below 17, ", padding=9000),
    "a dilation of 8,000": conv(
        "a dilation of 8000 lets no window hold two of 1 pixels", kernel=2, dilation=8000, padding="same"
    ),
    "a dilation of 8,000 along one axis": conv(
        "lets no window hold two of 2 pixels", kernel=[1, 2], dilation=[1, 8000], padding="same"
    ),
    "a dilation of 8,000 with as much padding": conv(
        "a dilation of 8000 lets no window", kernel=2, dilation=8000, padding=8000
    ),
    "a kernel of 20,000 pixels": conv(TOO_MANY, inputs=2000, kernel=[1, 20_000], padding="same"),
    "a pool of 3,000 squared": pool("kernel must have at most 16384 pixels", kernel=3000, padding="same"),
    "a pool of 10^9 squared": pool("kernel must have at most 16384 pixels", kernel=10**9, padding="same"),
    "a pool of 120 squared, all around the image": pool(TOO_MANY, kernel=120, padding=119),
    "a pool of 60,000 × 1": pool("kernel must have at most 16384 pixels", kernel=[60_000, 1], padding="same"),
    "a mean of 3,000 squared": pool("kernel must have at most 16384 pixels", "AvgPool2D", kernel=3000, padding="same"),
    "embeddings of embeddings": embeddings(TOO_MANY, (2, 300), (2, 300), (2, 300)),
    "wide layers by the hundred": made([WIDE, *[{"type": "ReLU"}] * 300], {"0.weight": (2, 200_000)}, TOO_MANY),
}
