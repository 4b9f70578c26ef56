"""What all losses share: their interface, targets in the shape of predictions, and weighted means."""

from __future__ import annotations

import functools
import math
from typing import Annotated, Any, ClassVar, TypeAlias

from array_api_compat import device

from portanet.checks import Either, Number, Several, check_fields
from portanet.errors import ShapeError
from portanet.layers import Layer
from portanet.typing import Array


class Loss:
    """Base of all losses; every one is a frozen dataclass."""

    output: ClassVar[type[Layer] | None] = None
    """The output layer that the loss contains; a network that ends with it is trained on what goes into that layer."""

    ends_with: ClassVar[type[Layer] | None] = None
    """The layer that a network must end with, as the loss takes what it makes."""

    threshold: ClassVar[float] = 0.5
    """Where a single output passes from class 0 to class 1."""

    target_range: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    """What targets may be."""

    one_target: ClassVar[bool] = False
    """Whether a single target a sample is that of each of several outputs."""

    def __post_init__(self) -> None:
        check_fields(self)

    def forward(self, prediction: Array, target: Array, weight: Array | None = None) -> tuple[Array, Any]:
        """Return the weighted mean over the samples, and the cache of :meth:`backward`."""
        raise NotImplementedError

    def backward(self, cache: Any) -> Array:
        """Return the gradient with respect to the prediction, in its shape."""
        raise NotImplementedError

    def targets(self, outputs: int) -> int:
        """Return how many numbers a target has for so many outputs."""
        return outputs

    def link(self, prediction: Array) -> Array:
        """Return the prediction on the target's scale: probabilities, rates, or itself."""
        return prediction


def aligned(prediction: Array, target: Array, xp: Any) -> Array:
    """Return `target` in the shape and dtype of `prediction`: class indices as one-hot rows, numbers as a column."""
    if target.ndim < prediction.ndim and target.shape[-1] == prediction.shape[-2]:
        outputs = prediction.shape[-1]
        if outputs == 1:
            target = target[..., None]
        elif _integral(target.dtype, xp):
            indices = xp.arange(outputs, dtype=target.dtype, device=device(prediction))
            target = target[..., None] == indices  # by comparison: an index out of range cannot wrap round
    if target.shape[-2:] != prediction.shape[-2:]:
        message = (
            f"expected targets for predictions of shape {tuple(prediction.shape)}, got targets of shape "
            f"{tuple(target.shape)}; give one row of {prediction.shape[-1]} numbers a sample"
        )
        if prediction.shape[-1] > 1:
            message += ", or one class index (an integer) a sample"
        raise ShapeError(message)
    return target if target.dtype == prediction.dtype else xp.astype(target, prediction.dtype)


Unit: TypeAlias = Annotated[float | tuple[float, ...], Either((Number(above=0), Several(Number(above=0))))]
"""The unit in which errors are measured, one for all outputs or one for each: e = (y - t) / unit, and dy is divided by
it too. With the targets' standard deviation, targets of any size are learned like standardised ones."""


def in_units(e: Array, unit: float | tuple[float, ...], xp: Any) -> Array:
    """Return errors (..., outputs) divided by their unit; as they are where it is 1."""
    if not isinstance(unit, tuple):
        return e if unit == 1.0 else e * (1.0 / unit)
    row = [xp.full((1,), 1.0 / own, dtype=e.dtype, device=device(e)) for own in unit]
    return e * xp.concat(row)


@functools.cache  # the question takes longer than an operation on a small batch
def _integral(dtype: Any, xp: Any) -> bool:
    return bool(xp.isdtype(dtype, "integral"))


def weighted_mean(values: Array, weight: Array | None, xp: Any) -> tuple[Array, Any]:
    """Return the mean of `values` (..., n), and each sample's share in it, to scale gradients (..., n, outputs)."""
    if weight is None:
        share = 1.0 / values.shape[-1]
        return xp.sum(values, axis=-1) * share, share
    total = xp.sum(weight, axis=-1, keepdims=True)
    shares = weight / xp.maximum(total, 1e-30)  # a batch whose weights are all 0 moves nothing
    return xp.sum(values * shares, axis=-1), shares[..., None]
