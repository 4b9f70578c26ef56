"""Penalties on the weights, l1 Σ|W| + l2/2 Σ W²: their value, their gradient, and their share in a batch."""

from __future__ import annotations

from typing import Any

from portanet.backends.namespace import namespace, sign
from portanet.optimizers.base import is_weight, of_each
from portanet.typing import Array, Params

__all__ = ["acts", "penalised", "penalty", "sample_share"]


def sample_share(n: int, weight: Array | None, stack: int = 0) -> Any:
    """Return 1 / n, or 1 / Σ w where samples are weighted; 0 for weights that are all 0.

    A sample whose places have weights of their own weighs as much as they do in the mean.
    """
    if weight is None:
        return 1.0 / n
    xp = namespace(weight)
    if weight.ndim > stack + 1:
        weight = xp.mean(weight, axis=tuple(range(stack + 1, weight.ndim)))
    total = xp.sum(weight, axis=-1)  # of each network, where they are a stack
    return total / xp.maximum(total * total, 1e-30)


def penalty(params: Params, l1: float, l2: Any, share: Any = 1.0, *, stack: int = 0) -> Any:
    """Return `share` times l1 Σ|W| + l2/2 Σ W² over the weights; 0.0 where there are none.

    The first `stack` axes are left: a number for each network, of which `l2` and `share` may hold one each.
    """
    total: Any = 0.0
    for name, p in params.items():
        if is_weight(name):
            xp, axes = namespace(p), tuple(range(stack, p.ndim)) if stack else None
            if l1:
                total = total + (share * l1) * xp.sum(xp.abs(p), axis=axes)
            if acts(l2):
                total = total + (share * (0.5 * l2)) * xp.sum(p * p, axis=axes)
    return total


def penalised(name: str, p: Array, g: Array, l1: float, l2: Any, share: Any = 1.0) -> Array:
    """Return the gradient `g` of parameter `p` with that of the penalties: g + share (l1 sign(W) + l2 W)."""
    if not is_weight(name):
        return g
    if l1:
        g = g + of_each(share * l1, p) * sign(p)
    return g + of_each(share * l2, p) * p if acts(l2) else g


def acts(l2: Any) -> bool:
    """Whether there is a penalty: a number other than 0, or an array with one for each network of a stack."""
    return bool(getattr(l2, "ndim", 0) or l2)
