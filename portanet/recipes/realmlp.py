"""RealMLP: a multi-layer perceptron for tables, with settings tuned on many of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from portanet.layers import (
    SELU,
    Dense,
    Dropout,
    Layer,
    Mish,
    NTKDense,
    OneHot,
    Parametric,
    PeriodicEmbedding,
    RobustScale,
    Scale,
    Sequential,
    SmoothClip,
)
from portanet.losses import MeanSquaredError, SoftmaxCrossEntropy
from portanet.optimizers import AdamW
from portanet.recipes.recipe import Recipe, checked_rows, joined, sampled, usual_epochs
from portanet.schedules import CosLog

LARGEST_ONE_HOT = 9
"""Categories of more values than this become vectors."""

VECTOR = 8
"""Length of these vectors."""

HIDDEN = (256, 256, 256)
"""Units of the hidden layers."""

LABEL_SMOOTHING = 0.1
"""Of the cross-entropy."""


def realmlp(
    x: Any,
    *,
    classes: int = 0,
    outputs: int = 1,
    categories: Sequence[int] = (),
    hidden: Sequence[int] = HIDDEN,
    epochs: int | None = None,
    batch_size: int = 256,
    lr: float | None = None,
) -> Recipe:
    """Return RealMLP for the training rows `x`.

    Numbers: RobustScale, SmoothClip(3), PeriodicEmbedding (16 frequencies, sigma 0.1, vectors of 3 and the number
    itself, rate 0.1). Categories: up to 9 as indicators, scaled and clipped alike; more as vectors of 8, drawn from the
    standard normal distribution. Then Scale (rate 6), and for each hidden layer NTKDense (biases by the factor 0.1),
    Parametric activation (rate 0.1; SELU for classes, Mish for numbers) and Dropout(0.15); NTKDense at the end. Initial
    weights are fitted to the rows (:func:`portanet.recipes.data_driven.data_driven`). AdamW with β₂ 0.95, decay 0.02
    and CosLog(4) from a rate of 0.04 for classes (cross-entropy, labels smoothed by 0.1) and 0.2 for numbers (mean
    squared error, of targets with mean 0 and deviation 1); the epoch with the smallest loss on the validation rows is
    kept.

    Source: Holzmüller, Grinsztajn & Steinwart 2024, arXiv:2407.04491 ("RealMLP-TD"); the numbers beside
    those of the authors' implementation, github.com/dholzmueller/pytabkit, of which nothing is copied. What differs:
    there, dropout and decay fall to 0 along a cosine in the second half of the training, two categories are one column,
    the factors on the rate also act on the decay a second time, Scale and the activations' strengths decay, and for
    classes the epoch with the best accuracy is kept.

    Parameters
    ----------
    x : host array, shape (rows, columns)
        Training rows without gaps: categories as codes 0 … k - 1 first, then numbers.
    classes : int
        Number of classes, or 0 for a regression.
    outputs : int
        Number of targets of a regression.
    categories : sequence of int
        Number of categories of each of the first columns.
    hidden : sequence of int
        Units of the hidden layers.
    epochs : int, optional
        By default 128 for small tables, from 256 down to 16 for others: :func:`portanet.recipes.recipe.usual_epochs`.
    batch_size : int
    lr : float, optional
        Learning rate at the peaks of the schedule.
    """
    sizes = tuple(int(k) for k in categories)
    checked_rows(x, sizes, "realmlp")
    layers: list[Layer] = [joined(list(_front(x, sizes))), Scale(rate=6.0)]
    for units in hidden:
        layers += [NTKDense(int(units)), Parametric(SELU() if classes else Mish(), rate=0.1), Dropout(0.15)]
    net = Sequential([*layers, NTKDense(max(classes, 2) if classes else outputs)])
    loss = SoftmaxCrossEntropy(label_smoothing=LABEL_SMOOTHING) if classes else MeanSquaredError()
    optimizer = AdamW(lr=(0.04 if classes else 0.2) if lr is None else lr, beta2=0.95, weight_decay=0.02)
    epochs = epochs or usual_epochs(len(x), batch_size)
    return Recipe(net, loss, optimizer, CosLog(), epochs, batch_size, True, sampled(x))


def _front(x: Any, sizes: tuple[int, ...]) -> Iterator[tuple[Layer, int]]:
    """Yield the layers that make features of the columns, and how many columns each takes."""
    for small, group in itertools.groupby(range(len(sizes)), key=lambda i: sizes[i] <= LARGEST_ONE_HOT):
        columns = list(group)
        if small:
            indicators = OneHot([sizes[i] for i in columns])
            made, _ = indicators.forward({}, x[:, columns])
            yield Sequential([indicators, RobustScale.of(made), SmoothClip()]), len(columns)
            continue
        for i in columns:
            yield Sequential([OneHot([sizes[i]]), Dense(VECTOR, bias=False, weight_init="normal")]), 1
    numbers = x[:, len(sizes) :]
    if numbers.shape[1]:
        yield Sequential([RobustScale.of(numbers), SmoothClip(), PeriodicEmbedding(rate=0.1)]), numbers.shape[1]
