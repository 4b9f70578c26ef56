"""Record what goes into and out of each layer while a network runs, forward and backward."""

from __future__ import annotations

import copy
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from portanet.layers.base import Layer
from portanet.layers.tree import walk
from portanet.typing import Array, Params

__all__ = ["Pass", "recorded"]


@dataclass
class Pass:
    """One layer's part in a forward pass, and in the backward pass if there was one.

    Attributes
    ----------
    path : str
        What stands in front of the names of the layer's parameters: ``"3.0"`` for ``"3.0.weight"``.
    layer : Layer
    params : dict of arrays
        Its parameters and buffers under its own names.
    x, y : array
        Input and output.
    dy, dx : array or None
        Gradients with respect to output and input; None where there was no backward pass, or dx was not asked for.
    grads : dict of arrays
        Gradients of its parameters.
    """

    path: str
    layer: Layer
    params: Params
    x: Array
    y: Array
    dy: Array | None = None
    dx: Array | None = None
    grads: Params = field(default_factory=dict)


def recorded(net: Layer) -> tuple[Layer, list[Pass]]:
    """Return a copy of the network, and the list to which the copy appends a :class:`Pass` for each layer that it runs.

    Inner layers come before the container that calls them. How a container calls its layers is its own affair: the
    layers of the copy record themselves.
    """
    twin, passes = copy.deepcopy(net), list[Pass]()
    places: dict[int, deque[tuple[str, Layer]]] = {}  # one object may stand at several places
    for (path, layer), (_, inner) in zip(walk(net), walk(twin), strict=True):
        here = places.setdefault(id(inner), deque())
        here.append((path, layer))
        if len(here) == 1:
            _record(inner, here, passes)
    return twin, passes


def _record(layer: Layer, places: deque[tuple[str, Layer]], passes: list[Pass]) -> None:
    """Put functions that record in front of the layer's own; its cache carries the pass from forward to backward."""
    forward, backward, updated = layer.forward, layer.backward, layer.updated_buffers

    def noted_forward(params: Params, x: Array, **options: Any) -> tuple[Array, Any]:
        path, own = places[0]
        places.rotate(-1)
        y, cache = forward(params, x, **options)
        one = Pass(path, own, params, x, y)
        passes.append(one)
        return y, (one, cache)

    def noted_backward(params: Params, dy: Array, cache: Any, **options: Any) -> tuple[Array | None, Params]:
        one, own = cache
        one.dy = dy
        one.dx, one.grads = backward(params, dy, own, **options)
        return one.dx, one.grads

    def updated_buffers(params: Params, cache: Any) -> Params:
        return updated(params, cache[1])

    for name, function in (
        ("forward", noted_forward),
        ("backward", noted_backward),
        ("updated_buffers", updated_buffers),
    ):
        object.__setattr__(layer, name, function)
