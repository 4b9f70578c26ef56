"""Optimizers: how parameters move along their gradients.

``init(params) -> state``, ``update(params, grads, state, lr) -> (params, state)``. The arrays of `params` and `state`
are donated: they are changed in place where the library allows it, and only the returned ones may be used afterwards.
Gradients are left as they are.
"""

from __future__ import annotations

from typing import Any

from portanet.errors import ConfigError, unknown
from portanet.optimizers.base import Optimizer
from portanet.optimizers.rules import SGD, Adagrad, Adam, AdamW, Lion, RMSprop

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Lion", "Optimizer", "RMSprop"]

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "adam": Adam,
    "adamw": AdamW,
    "lion": Lion,
}


def get(spec: str | Optimizer, **options: Any) -> Optimizer:
    """Return the optimizer that `spec` is or names, made with `options`.

    Raises
    ------
    ConfigError
        If the name is unknown (the nearest known one is told), or an option is none of that optimizer's.
    """
    if isinstance(spec, Optimizer):
        return spec
    if not isinstance(spec, str) or spec not in OPTIMIZERS:
        raise ConfigError(unknown("optimizer", spec, OPTIMIZERS))
    known = OPTIMIZERS[spec].__dataclass_fields__
    for name in options:
        if name not in known:
            raise ConfigError(f"optimizer {spec!r}: " + unknown("option", name, known))
    return OPTIMIZERS[spec](**options)
