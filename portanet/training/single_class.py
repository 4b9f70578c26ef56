"""The class of each sample where each is of one class, whatever the loss."""

from __future__ import annotations

from typing import Any

from portanet.engine.outputs import class_indices
from portanet.training.model import Model
from portanet.typing import Array


def single_class(model: Model, x: Any) -> Array:
    """Return the index of one class for each sample of `x`, or for each place; host array of int64.

    :meth:`Model.predict_classes` answers yes or no for each class where the loss is a binary cross-entropy of several
    outputs. Trained on samples of one class each, the largest output is the class.
    """
    return class_indices(model.predict(x, raw=True), model.loss.threshold)
