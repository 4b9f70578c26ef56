"""The layer that takes the columns of a table, made from their plan."""

from __future__ import annotations

import numpy as np

from portanet.data.columns import CATEGORY, ONE_HOT
from portanet.data.dataset import HostArray
from portanet.data.plan import Plan
from portanet.layers import Dense, Layer, OneHot, Parallel, Sequential, Standardize

WIDTH = 8
"""Length of the vectors of a category of many values; Holzmüller, Grinsztajn & Steinwart 2024, arXiv:2407.04491."""


def front(plan: Plan, x: HostArray) -> Layer:
    """Return the layer that takes the inputs of a plan, standardised by the rows `x` of them.

    Categories of few values become zeros and a one, others vectors that are learned; numbers get mean 0 and standard
    deviation 1. What is 0 or 1, or a sine, is left as it is.
    """
    sizes = [c.slots for c in plan.kept if c.kind == CATEGORY]
    few = [size for size in sizes if size <= ONE_HOT]
    layers: list[Layer] = [OneHot(few)] if few else []
    widths = [len(few)] if few else []
    for size in sizes[len(few) :]:
        # Drawn with variance 1, as standardised numbers have it: smaller vectors are learned late.
        layers.append(Sequential((OneHot((size,)), Dense(WIDTH, bias=False, weight_init="normal:1.0"))))
        widths.append(1)
    scaled = np.asarray([standardised for _, standardised in plan.names()][len(sizes) :], bool)
    if len(scaled):
        numbers = x[:, len(sizes) :]
        layer = Standardize.of(numbers)
        mean, inverse = np.where(scaled, layer.mean, 0.0), np.where(scaled, layer.inverse_std, 1.0)
        layers.append(Standardize(mean, inverse))
        widths.append(len(scaled))
    return layers[0] if len(layers) == 1 else Parallel(layers, widths)
