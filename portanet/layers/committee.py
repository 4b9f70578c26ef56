"""Several networks that are trained side by side, and answer with their mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from portanet.backends.namespace import namespace
from portanet.checks import NotNegative
from portanet.errors import ShapeError
from portanet.layers.base import Layer
from portanet.layers.branches import total
from portanet.layers.container import Container, within
from portanet.layers.sequential import Sequential
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["Committee"]


@dataclass(frozen=True)
class Committee(Container):
    """Several networks for one input: each is trained on its own error, and they answer with the mean of their outputs.

    Forward   y = Σ fᵢ(x) / k;  apart: [f₁(x), …, fₖ(x)] along a new axis before the last one
    Backward  dx = Σ fᵢ's dx, each from dy / k, or from its part of dy;  the networks' own gradients
    Shapes    x (n, *in_shape); y (n, outputs); apart: (n, k, outputs)
    Source    Lakshminarayanan, Pritzel & Blundell 2017, arXiv:1612.01474

    It is the last layer of a network. A training step takes it apart (:func:`apart`): the outputs of every network are
    compared with the targets, and the loss is the mean over the networks. They share the batches, and differ by their
    initial weights and dropout.

    Parameters
    ----------
    layers : sequence of Layer
        The networks, at least one, with outputs of one shape, ``(outputs,)``.
    apart : bool
        Whether all outputs come out, each for itself, in place of their mean.
    rate : float
        Factor on the learning rate of all parameters within, in addition to the layers' own; 0 freezes them.
    """

    apart: bool = field(default=False, kw_only=True)
    rate: NotNegative = field(default=1.0, kw_only=True)

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        params: Params = {}
        shapes: list[Shape] = []
        for i, layer in enumerate(self.layers):
            try:
                own, shape = layer.init(rng, in_shape)
            except ShapeError as error:
                raise within(error, layer, i) from None
            params.update({f"{i}.{name}": value for name, value in own.items()})
            shapes.append(tuple(shape))
        if len(set(shapes)) > 1 or len(shapes[0]) != 1:
            message = f"expected networks with outputs of one shape, (outputs,), got {', '.join(map(str, shapes))}"
            raise ShapeError(message + "; change their last layers")
        return params, (len(self.layers), *shapes[0]) if self.apart else shapes[0]

    def child_shapes(self, in_shape: Shape) -> Mapping[str, Shape]:
        return dict.fromkeys(self.children(), tuple(in_shape))

    def output_layer(self) -> Layer:
        return self

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        split = self.split(params)
        found, caches = [], []
        for i, layer in enumerate(self.layers):
            try:
                y, cache = layer.forward(split[i], x, train=train, key=key and key.child(i))
            except ShapeError as error:
                raise within(error, layer, i) from None
            found.append(y)
            caches.append(cache)
        y = namespace(x).stack(found, axis=-2) if self.apart else total(found) / len(found)
        return y, (split, caches)

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        split, caches = cache
        found, grads = [], {}
        for i, layer in enumerate(self.layers):
            part = dy[..., i, :] if self.apart else dy / len(self.layers)
            dx, own = layer.backward(split[i], part, caches[i], need_dx=need_dx)
            found.append(dx)
            grads.update({f"{i}.{name}": value for name, value in own.items()})
        return (total(found) if need_dx else None), grads


def apart(net: Layer) -> tuple[Layer, int]:
    """Return a network whose last layer is a :class:`Committee` with all outputs of that, and their number; else 1."""
    layers = net.layers if isinstance(net, Sequential) else (net,)
    last = layers[-1]
    if not isinstance(last, Committee) or last.apart:
        return net, 1
    last = replace(last, apart=True)
    return (replace(net, layers=(*layers[:-1], last)) if isinstance(net, Sequential) else last), len(last.layers)
