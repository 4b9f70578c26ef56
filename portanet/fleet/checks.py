"""Checks of the networks and settings of a fleet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portanet.checks import check_number
from portanet.errors import ConfigError
from portanet.layers import Layer
from portanet.layers.tree import place, walk


def check_alike(nets: Sequence[Layer]) -> None:
    """Raise ConfigError for a layer that takes no leading axes, or a network that differs from the first.

    Raises
    ------
    ConfigError
        With the position of the layer, or the member.
    """
    odd = not_stackable(nets[0])
    if odd:
        message = (
            f"Fleet: expected layers that take leading axes (Layer.stacks), got {odd}; leave it out (samples given "
            "as rows need no Flatten), or train one Trainer after the other"
        )
        raise ConfigError(message)
    for i, net in enumerate(nets):
        if net.config() != nets[0].config():
            message = f"Fleet: expected one network for all members, got another for member {i}; make two fleets"
            raise ConfigError(message)


def not_stackable(net: Layer) -> str:
    """Return the position of the first layer that takes no leading axes, though its children do; empty if all do."""
    odd = (
        place(net, path)
        for path, layer in walk(net)
        if not layer.stacks and all(inner.stacks for inner in layer.children().values())
    )
    return next(odd, "")


def setting(name: str, given: Any, default: Any, k: int) -> list[Any]:
    """Return the value of a setting for each member."""
    if given is None:
        return list(range(k)) if default is None else [default] * k
    found = [given] * k if not np.ndim(given) else list(given)
    if len(found) != k:
        message = f"Fleet: {name} must be one number, or one for each of the {k} members, got {len(found)}"
        raise ConfigError(message)
    if name == "seeds":
        return found
    for value in found:
        check_number(f"Fleet: {name}", value, 0)
    return [float(value) for value in found]
