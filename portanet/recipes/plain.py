"""The usual network for a table, to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portanet.layers import Dense, Layer, OneHot, ReLU, Sequential, Standardize
from portanet.losses import MeanSquaredError, SoftmaxCrossEntropy
from portanet.optimizers import Adam
from portanet.recipes.recipe import Recipe, checked_rows, joined, sampled, usual_epochs
from portanet.schedules import Cosine


def plain(
    x: Any,
    *,
    classes: int = 0,
    outputs: int = 1,
    categories: Sequence[int] = (),
    hidden: Sequence[int] = (256, 256),
    epochs: int | None = None,
    batch_size: int = 256,
    lr: float = 0.001,
) -> Recipe:
    """Return the usual network: standardised numbers, one-hot categories, ReLU, Adam, a cosine; see :func:`realmlp`."""
    sizes = tuple(int(k) for k in categories)
    checked_rows(x, sizes, "plain")
    numbers = x.shape[1] - len(sizes)
    parts: list[tuple[Layer, int]] = [(OneHot(sizes), len(sizes))] if sizes else []
    parts += [(Standardize.of(x[:, len(sizes) :]), numbers)] if numbers else []
    layers: list[Layer] = [joined(parts)]
    for units in hidden:
        layers += [Dense(int(units), weight_init="he_normal"), ReLU()]
    net = Sequential([*layers, Dense(max(classes, 2) if classes else outputs)])
    loss = SoftmaxCrossEntropy() if classes else MeanSquaredError()
    epochs = epochs or usual_epochs(len(x), batch_size)
    return Recipe(net, loss, Adam(lr=lr), Cosine(), epochs, batch_size, False, sampled(x))
