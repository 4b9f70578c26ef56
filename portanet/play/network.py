"""The network that the settings of the points describe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from portanet import losses, optimizers
from portanet.data.dataset import HostArray
from portanet.layers import Sequential
from portanet.layers.config import layers_from
from portanet.training.trainer import Trainer

__all__ = ["shares", "trainer"]


def trainer(settings: Mapping[str, Any], classes: int) -> Trainer:
    """Return a trainer in float64 on NumPy, as the settings describe it."""
    crossed, units = settings["loss"] == "cross_entropy", settings["layers"]
    outputs = 1 if crossed and classes == 2 else classes
    last = "linear" if crossed else "sigmoid"  # squared errors are taken of outputs from 0 to 1, as in the tutorials
    entries: Sequence[tuple[int, str, float]] = [(n, settings["activation"], settings["dropout"]) for n in units]
    config = [
        {"output_dim": n, "activation": act, "dropout": drop, "bias": settings["bias"], "init": settings["init"]}
        for n, act, drop in [*entries, (outputs, last, 0.0)]
    ]
    loss: losses.Loss | str = settings["loss"]
    if crossed:
        loss = losses.BinaryCrossEntropy() if outputs == 1 else losses.SoftmaxCrossEntropy()
    lr, name = settings["lr"], settings["optimizer"]
    optimizer = optimizers.SGD(lr=lr, momentum=0.9) if name == "momentum" else optimizers.get(name, lr=lr)
    return Trainer(
        Sequential(layers_from(config)),
        loss,
        optimizer,
        ["accuracy"],
        backend="numpy",
        dtype="float64",
        seed=settings["seed"],
        l2=settings["decay"],
    )


def shares(predicted: HostArray, loss: str) -> HostArray:
    """Return what was predicted as shares of the classes, (n, classes), which add up to 1.

    Squared errors are those of a sigmoid for each class: these are divided by their sum.
    """
    if loss == "cross_entropy":
        return np.concatenate([1 - predicted, predicted], axis=1) if predicted.shape[1] == 1 else predicted
    clipped: HostArray = np.clip(predicted, 1e-6, None)
    clipped /= clipped.sum(axis=1, keepdims=True)
    return clipped
