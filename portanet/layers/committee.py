"""Several networks that are trained side by side, and answer with their mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from portanet.backends.namespace import namespace
from portanet.checks import NotNegative
from portanet.errors import ShapeError
from portanet.layers.base import Layer
from portanet.layers.branches import total
from portanet.layers.container import Container, within
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["Committee"]


@dataclass(frozen=True)
class Committee(Container):
    """Several networks for one input: each is trained on its own error, and they answer with the mean of their outputs.

    Forward   y = Σ fᵢ(x) / k;  in a training step [f₁(x), …, fₖ(x)] along a new axis before the last one
    Backward  dx = Σ fᵢ's dx, each from its part of dy, or from dy / k;  the networks' own gradients
    Shapes    x (n, *in_shape); y (n, outputs), in a training step (n, k, outputs)
    Source    Lakshminarayanan, Pritzel & Blundell 2017, arXiv:1612.01474

    It is the last layer of a network. In a training step every network's outputs are compared with the targets, and the
    loss is the mean over the networks: they share the batches, and differ by their initial weights and dropout.

    Parameters
    ----------
    layers : sequence of Layer
        The networks, at least one, with outputs of one shape, ``(outputs,)``.
    rate : float
        Factor on the learning rate of all parameters within, in addition to the layers' own; 0 freezes them.
    """

    rate: NotNegative = field(default=1.0, kw_only=True)

    @property
    def members(self) -> int:  # type: ignore[override]
        return len(self.layers)

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
        return params, shapes[0]

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
        # Which of both it was is kept: dy has the axis of the networks, or not.
        y = namespace(x).stack(found, axis=-2) if train else total(found) / len(found)
        return y, (split, caches, train)

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        split, caches, train = cache
        found, grads = [], {}
        for i, layer in enumerate(self.layers):
            part = dy[..., i, :] if train else dy / self.members
            dx, own = layer.backward(split[i], part, caches[i], need_dx=need_dx)
            found.append(dx)
            grads.update({f"{i}.{name}": value for name, value in own.items()})
        return (total(found) if need_dx else None), grads
