"""Layers one after the other: the chain rule, as a loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from portanet.checks import NotNegative
from portanet.errors import ShapeError
from portanet.initializers import ShapesOnly
from portanet.layers.base import Layer
from portanet.layers.config import layers_from
from portanet.layers.container import Container, within
from portanet.random import Key
from portanet.registry import Custom
from portanet.typing import Array, Params, Shape

__all__ = ["Sequential"]


@dataclass(frozen=True)
class Sequential(Container):
    """Layers one after the other; itself a layer.

    Forward   y  = fₖ(… f₂(f₁(x)))
    Backward  the layers' backward passes, last to first: each takes the dx of the one after it as its dy (chain rule)
    Source    Rumelhart, Hinton & Williams 1986, Nature 323

    A layer is a description and holds no weights. So an object that stands at several places, as in
    ``2 * [Dense(8), ReLU()]``, has weights of its own at each: they are not tied, unlike in PyTorch and Keras. A logged
    warning says so when the weights are drawn.

    Parameters
    ----------
    layers : sequence of Layer
        At least one.
    rate : float
        Factor on the learning rate of all parameters within, in addition to the layers' own; 0 freezes them.
    """

    rate: NotNegative = field(default=1.0, kw_only=True)

    @classmethod
    def from_config(cls, config: Iterable[Mapping[str, Any]], custom: Custom | None = None) -> Sequential:
        """Return the network that a list of dicts describes; see :func:`portanet.layers.config.layers_from`."""
        return cls(layers_from(config, custom))

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        params: Params = {}
        shape = tuple(in_shape)
        for i, layer in enumerate(self.layers):
            try:
                own, shape = layer.init(rng, shape)
            except ShapeError as error:
                raise within(error, layer, i) from None
            params.update({f"{i}.{name}": value for name, value in own.items()})
        return params, shape

    def child_shapes(self, in_shape: Shape) -> Mapping[str, Shape]:
        shapes = [tuple(in_shape)]
        for i, layer in enumerate(self.layers[:-1]):
            try:
                shapes.append(layer.init(ShapesOnly(), shapes[-1])[1])
            except ShapeError as error:
                raise within(error, layer, i) from None
        return dict(zip(self.children(), shapes, strict=True))

    def without_output(self, kind: type[Layer]) -> Layer:
        *front, last = self.layers
        if isinstance(last, kind) and front:
            return Sequential(front, rate=self.rate)
        inner = last.without_output(kind)
        return self if inner is last else Sequential((*front, inner), rate=self.rate)

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        parts = self.split(params)
        caches = []
        for i, layer in enumerate(self.layers):
            try:
                x, cache = layer.forward(parts[i], x, train=train, key=key and key.child(i))
            except ShapeError as error:
                raise within(error, layer, i) from None
            caches.append(cache)
        return x, (parts, caches)

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        parts, caches = cache
        # Nothing in front of the first layer with parameters is needed, unless the caller wants dx itself.
        # (`params` holds what is trained, the parts in the cache hold the buffers too.)
        first = 0 if need_dx else min((int(name.partition(".")[0]) for name in params), default=len(parts))
        grads: Params = {}
        dx: Array | None = dy
        for i in range(len(self.layers) - 1, first - 1, -1):
            dx, own = self.layers[i].backward(parts[i], dx, caches[i], need_dx=need_dx or i > first)
            for name, value in own.items():
                grads[f"{i}.{name}"] = value
        return dx, grads
