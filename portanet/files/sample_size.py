"""A bound on what the layers of a network from a file make of one sample, checked before anything is computed."""

from __future__ import annotations

import math

from portanet.errors import DataError
from portanet.layers import Layer
from portanet.layers.tree import output_shapes, place, scratches
from portanet.typing import Shape

LARGEST = 1 << 25
"""Numbers that a network of any size may make of a sample: 128 MB in float32."""

RATIO = 8
"""How many times its parameters a larger network may make: VGG-16 makes 0.5, ResNet-50 2 times."""


def check_sample_size(net: Layer, input_shape: Shape, parameters: int) -> None:
    """Raise DataError if outputs, padded images and gathered windows of a sample are too many for so many parameters.

    A few hundred bytes can describe a network that pads an image by thousands of pixels, layer after layer.
    """
    most = max(LARGEST, RATIO * parameters)
    made = math.prod(input_shape) + sum(map(math.prod, output_shapes(net, input_shape)))
    beside = list(scratches(net, input_shape))
    total = made + sum(scratch for _, scratch in beside)
    if total > most:
        path, scratch = max(beside, key=lambda own: own[1])
        where = f" ({_count(scratch)} of them within {place(net, path)})" if 2 * scratch > total else ""
        message = (
            f"its layers make {_count(total)} numbers of a sample{where}, where {_count(most)} are plausible for its "
            "size; if you trust it: portanet.load(path, any_size=True), or --any-size"
        )
        raise DataError(message)


def _count(n: int) -> str:
    return f"{n:,}" if n < 10**15 else "more than 10^15"
