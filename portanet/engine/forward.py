"""Forward passes without training, as functions that are equal where what they compute is: compiled once for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portanet.engine.step import as_float
from portanet.layers import Layer
from portanet.losses import Loss
from portanet.losses.places import folded
from portanet.metrics import Metric, measure
from portanet.typing import Array, Params

__all__ = ["Linked", "Measured", "Outputs"]


@dataclass(frozen=True)
class Outputs:
    """From parameters and buffers, and samples, to the outputs that a loss takes."""

    body: Layer
    dtype: str

    def __hash__(self) -> int:
        try:
            return hash((type(self), *vars(self).values()))
        except TypeError:  # somebody's layer that holds an array: it is equal to itself alone
            return id(self)

    def __call__(self, everything: Params, x: Array) -> Array:
        return self.body.forward(everything, as_float(x, self.dtype))[0]


@dataclass(frozen=True)
class Linked(Outputs):
    """From the same to outputs on the target's scale, such as probabilities."""

    loss: Loss
    __hash__ = Outputs.__hash__

    def __call__(self, everything: Params, x: Array) -> Array:
        return self.loss.link(super().__call__(everything, x))


@dataclass(frozen=True)
class Measured(Outputs):
    """With targets and weights too, to the outputs that a loss takes, the loss, and the numbers of the metrics."""

    loss: Loss
    metrics: tuple[Metric, ...]
    __hash__ = Outputs.__hash__

    def __call__(  # type: ignore[override]  # targets and weights as well
        self, everything: Params, x: Array, y: Array, weight: Array | None
    ) -> tuple[Array, Array, tuple[Any, ...]]:
        prediction = super().__call__(everything, x)
        rows = folded(prediction, y, weight)
        return prediction, self.loss.forward(*rows)[0], measure(self.metrics, self.loss, *rows)
