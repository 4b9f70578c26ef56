"""Learning rates per layer: the factors of a network's layers, by the names of its parameters."""

from __future__ import annotations

from collections.abc import Iterable

from portanet.layers.base import Layer, RatedLayer
from portanet.layers.tree import walk

__all__ = ["is_rated", "learning_rates"]


def is_rated(layer: Layer) -> bool:
    """Whether a layer, or one within it, has a factor on the learning rate other than 1."""
    return any(isinstance(inner, RatedLayer) and inner.rate != 1 for _, inner in walk(layer))


def learning_rates(layer: Layer, names: Iterable[str]) -> dict[str, float]:
    """Return the factors on the learning rate that are not 1, by the parameters' flat names.

    Factors of layers within layers multiply; 0 freezes all parameters within.
    """
    found = {name: _rate(layer, name) for name in names}
    return {name: rate for name, rate in found.items() if rate != 1}


def _rate(layer: Layer, name: str) -> float:
    own = layer.rate if isinstance(layer, RatedLayer) else 1.0
    head, _, rest = name.partition(".")
    inner = layer.children().get(head)
    return own if inner is None else own * _rate(inner, rest)
