"""What a recipe is: a network and how it is trained, as plain data for a Trainer, a Fleet or the command line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from portanet.callbacks.stopping import EarlyStopping
from portanet.errors import DataError
from portanet.layers import Layer, Parallel, Sequential
from portanet.losses import Loss
from portanet.optimizers import Optimizer
from portanet.random import generator
from portanet.recipes.data_driven import data_driven
from portanet.schedules import Schedule
from portanet.training.trainer import Trainer

ROWS = 4096
"""Most rows that initial weights are fitted to: the deviation over more differs by about 1 %."""

STEPS = 4000
"""Number of steps after which most tables are learned."""

BATCH_SIZE = 256
"""Samples a step."""

_SMALL = 3000  # rows; single networks are at their best after fewer epochs
_MEMBERS = {_SMALL: 4, 100_000: 2}  # networks up to so many rows
_LEAST_ROWS = 10  # for a validation part of two
_MOST_HELD = 2000  # more rows decide no better which epoch is kept, and are missed in training


@dataclass(frozen=True)
class Recipe:
    """A network for a table, and how it is trained.

    ::

        recipe = realmlp(x, classes=3, categories=(5, 12))
        trainer = Trainer(recipe.net, recipe.loss, recipe.optimizer, schedule=recipe.schedule, seed=0)
        recipe.start(trainer)
        trainer.fit(x, y, epochs=recipe.epochs, batch_size=recipe.batch_size, validation_data=held,
                    callbacks=[recipe.keep_best()])

    Attributes
    ----------
    net : Sequential
        Takes rows: the codes 0 … k - 1 of the categories first, then the numbers. Another code is an unknown category.
    loss, optimizer, schedule
        Arguments of :class:`portanet.Trainer` and :class:`portanet.Fleet`.
    epochs, batch_size : int
        Arguments of ``fit``.
    data_driven : bool
        Whether the initial weights are fitted to the training rows.
    sample : host array
        Some of the training rows.
    """

    net: Sequential
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule
    epochs: int
    batch_size: int
    data_driven: bool
    sample: Any = field(repr=False)

    def start(self, trainer: Trainer) -> None:
        """Give a trainer of this network its initial weights, drawn by its seed."""
        shape = tuple(self.sample.shape[1:])
        params, out_shape = self.net.init(generator(trainer.seed, "weights"), shape)
        if self.data_driven:
            params = data_driven(self.net, params, self.sample, generator(trainer.seed, "data-driven weights"))
        trainer.adopt(params, self.net.init_buffers(shape), shape, out_shape)

    def keep_best(self) -> EarlyStopping:
        """Return the callback that puts the weights of the best epoch back; it ends no training."""
        return EarlyStopping("val_loss", None)


def checked_rows(x: Any, categories: tuple[int, ...], what: str) -> None:
    """Raise DataError if `x` is no array of rows with so many columns of categories at least."""
    if getattr(x, "ndim", 0) != 2 or not len(x) or x.shape[1] < max(len(categories), 1):
        expected = f"rows of {len(categories)} categories and numbers"
        message = f"{what}: expected {expected}, got an array of shape {tuple(getattr(x, 'shape', ()))}"
        raise DataError(message + "; give a host array of shape (rows, columns)")


def sampled(x: Any) -> Any:
    """Return at most ROWS of the rows `x`, drawn by a fixed seed."""
    return x if len(x) <= ROWS else x[generator(0, "sample of rows").permutation(len(x))[:ROWS]]


def held_out(rows: int) -> float:
    """Return the share of so many rows that decides which epoch is kept."""
    return min(0.2, _MOST_HELD / rows) if rows >= _LEAST_ROWS else 0.0


def members(rows: int) -> int:
    """Return the number of networks that are averaged for so many rows: single ones differ the most on small tables."""
    return next((count for most, count in _MEMBERS.items() if rows <= most), 1)


def usual_epochs(rows: int, batch_size: int) -> int:
    """Return the number of epochs that makes about STEPS steps, from 16 to 256; for small tables 128 at most."""
    return min(max(round(STEPS / math.ceil(rows / batch_size)), 16), 128 if rows <= _SMALL else 256)


def joined(parts: Sequence[tuple[Layer, int]]) -> Layer:
    """Return layers for so many columns each as one layer."""
    layers, sizes = zip(*parts, strict=True)
    return layers[0] if len(layers) == 1 else Parallel(layers, sizes)
