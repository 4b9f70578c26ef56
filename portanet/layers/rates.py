"""Learning rates per layer: the factors of a network's layers, by the names of its parameters."""

from __future__ import annotations

from collections.abc import Iterable

from portanet.layers.base import Layer, RatedLayer
from portanet.layers.parallel import Parallel
from portanet.layers.sequential import Residual, Sequential

__all__ = ["is_rated", "learning_rates"]


def is_rated(layer: Layer) -> bool:
    """Whether a layer, or one within it, has a factor on the learning rate other than 1."""
    own = isinstance(layer, RatedLayer) and layer.rate != 1
    return own or any(is_rated(inner) for inner in _inner(layer))


def learning_rates(layer: Layer, names: Iterable[str]) -> dict[str, float]:
    """Return the factors on the learning rate that are not 1, by the parameters' flat names.

    Factors of layers within layers multiply; 0 freezes all parameters within.
    """
    found = {name: _rate(layer, name) for name in names}
    return {name: rate for name, rate in found.items() if rate != 1}


def _rate(layer: Layer, name: str) -> float:
    own = layer.rate if isinstance(layer, RatedLayer) else 1.0
    inner = _inner(layer)
    if not inner:
        return own
    index, _, rest = name.partition(".")
    return own * _rate(inner[int(index)], rest)


def _inner(layer: Layer) -> tuple[Layer, ...]:
    return tuple(layer.layers) if isinstance(layer, Sequential | Residual | Parallel) else ()
