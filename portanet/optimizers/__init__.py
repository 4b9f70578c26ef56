"""Optimizers: how parameters move along their gradients.

``init(params) -> state``, ``update(params, grads, state, lr) -> (params, state)``. The arrays of `params` and `state`
are donated: they are changed in place where the library allows it, and only the returned ones may be used afterwards.
Gradients are left as they are.
"""

from __future__ import annotations

from typing import Any

from portanet.optimizers.base import Optimizer
from portanet.optimizers.rules import SGD, Adagrad, Adam, AdamW, Lion, RMSprop
from portanet.registry import Registry

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Lion", "Optimizer", "RMSprop"]

OPTIMIZERS: Registry[Optimizer] = Registry(
    "optimizer",
    Optimizer,
    {"sgd": SGD, "rmsprop": RMSprop, "adagrad": Adagrad, "adam": Adam, "adamw": AdamW, "lion": Lion},
)


def get(spec: str | Optimizer, **options: Any) -> Optimizer:
    """Return the optimizer that `spec` is or names, made with `options`.

    Raises
    ------
    ConfigError
        If the name or an option is unknown; with the nearest known one.
    """
    return spec if isinstance(spec, Optimizer) else OPTIMIZERS.make(spec, options)
