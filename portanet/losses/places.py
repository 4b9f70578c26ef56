"""Outputs at several places of a sample (tokens, pixels) as the rows that losses and metrics take."""

from __future__ import annotations

from typing import Any

from portanet.backends.namespace import namespace
from portanet.errors import ShapeError
from portanet.layers.base import as_rows
from portanet.typing import Array, Shape


def folded(prediction: Array, target: Array, weight: Array | None, stack: int = 0) -> tuple[Array, Array, Array | None]:
    """Return prediction, target and weights with every place of every sample as a row; as they are without places.

    Shapes    prediction (*stack, n, *places, outputs) to (*stack, rows, outputs), rows = n Π places
              target (*stack, n, *places) or (*stack, n, *places, outputs) to (*stack, rows) or (*stack, rows, outputs)
              weight (*stack, n) or (*stack, n, *places) to (*stack, rows); a sample's weight is that of all its places

    Raises
    ------
    ShapeError
        If the target has other places than the prediction.
    """
    if prediction.ndim == stack + 2:
        return prediction, target, weight
    rows = as_rows(prediction, stack + 2)
    samples = tuple(prediction.shape[:-1])
    if tuple(target.shape[: len(samples)]) != samples:
        message = (
            f"expected a target for each place of predictions of shape {tuple(prediction.shape)}, got targets of shape "
            f"{tuple(target.shape)}; give them in the shape {samples}, or with a last axis of outputs"
        )
        raise ShapeError(message)
    xp = namespace(prediction)
    target = xp.reshape(target, (*rows.shape[:-1], *target.shape[len(samples) :]))
    if weight is not None:
        weight = xp.reshape(per_place(weight, samples, xp), tuple(rows.shape[:-1]))
    return rows, target, weight


def of_members(target: Array, members: int, stack: int = 0) -> Array:
    """Return targets (*stack, n, ...) for each of several networks, (*stack, n, members, ...)."""
    xp = namespace(target)
    shape = (*target.shape[: stack + 1], members, *target.shape[stack + 1 :])
    return xp.broadcast_to(xp.expand_dims(target, axis=stack + 1), shape)


def per_place(weight: Array, shape: Shape, xp: Any) -> Array:
    """Return weights of samples, (*stack, n), or of places in `shape`, (*stack, n, *places)."""
    return xp.broadcast_to(xp.reshape(weight, (*weight.shape, *(1,) * (len(shape) - weight.ndim))), shape)
