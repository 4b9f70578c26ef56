"""Losses: the number to minimise, and its gradient with respect to the prediction.

``forward(prediction, target, weight) -> (value, cache)``, ``backward(cache) -> ∂value/∂prediction``. Predictions have
shape (..., n, outputs). Targets have the same shape, or lack its last axis: class indices (integers, at more than one
output) or one number a sample (at one output). The value is the mean over the samples, weighted where weights (n,) are
given: Σ w l / Σ w. Leading axes are a stack of networks, and the value has one entry for each.

A loss knows nothing of tokens or pixels: where a network has outputs at several places of a sample, the step makes each
place a row (:mod:`portanet.losses.places`). The value is then the mean over all places of all samples, Σ w l / Σ w with
the weight of each place: its own, or its sample's.
"""

from __future__ import annotations

from portanet.losses.base import Loss as Loss
from portanet.losses.cross_entropy import *
from portanet.losses.focal import *
from portanet.losses.likelihood import *
from portanet.losses.regression import *
from portanet.registry import Registry, snake_case, subclasses_in

_OWN = subclasses_in(globals(), Loss)
_ALIASES = {
    **{"mse": "mean_squared_error", "mae": "mean_absolute_error", "sse": "sum_squared_error"},
    **{"bce": "binary_cross_entropy", "cross_entropy": "softmax_cross_entropy", "ce": "softmax_cross_entropy"},
    **{"nll": "negative_log_likelihood", "gaussian_nll": "gaussian_likelihood"},
}
LOSSES: Registry[Loss] = Registry(
    "loss", Loss, {snake_case(name): kind for name, kind in _OWN.items()}, aliases=_ALIASES
)
globals()["__all__"] = sorted([*_OWN, "Loss"])  # as in portanet.layers


def get(spec: str | Loss) -> Loss:
    """Return the loss that `spec` is or names.

    Raises
    ------
    ConfigError
        If the name is unknown; with the nearest known one.
    """
    return spec if isinstance(spec, Loss) else LOSSES.make(spec)
