"""Optimizers: how parameters move along their gradients.

``init(params) -> state``, ``update(params, grads, state, lr) -> (params, state)``. The arrays of `params` and `state`
are donated: they are changed in place where the library allows it, and only the returned ones may be used afterwards.
Gradients are left as they are.
"""

from __future__ import annotations

from typing import Any

from portanet.optimizers.base import Optimizer as Optimizer
from portanet.optimizers.rules import *
from portanet.registry import Registry, snake_case, subclasses_in

_OWN = subclasses_in(globals(), Optimizer)
OPTIMIZERS: Registry[Optimizer] = Registry(
    "optimizer", Optimizer, {snake_case(name): kind for name, kind in _OWN.items()}
)
globals()["__all__"] = sorted([*_OWN, "Optimizer"])  # as in portanet.layers


def get(spec: str | Optimizer, **options: Any) -> Optimizer:
    """Return the optimizer that `spec` is or names, made with `options`.

    Raises
    ------
    ConfigError
        If the name or an option is unknown; with the nearest known one.
    """
    return spec if isinstance(spec, Optimizer) else OPTIMIZERS.make(spec, options)
