"""Several paths through which one input goes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from portanet.backends.namespace import namespace
from portanet.checks import NotNegative
from portanet.errors import ShapeError
from portanet.layers.base import Layer
from portanet.layers.container import Container, checked_layers, within
from portanet.layers.sequential import Sequential
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["Branches"]


def _paths(value: Any) -> tuple[Layer, ...]:
    """Return paths as layers, those that are lists of layers as one each: the validator of a field."""
    given = list(value) if isinstance(value, Iterable) else []
    return checked_layers([Sequential(checked_layers(p)) if isinstance(p, list | tuple) else p for p in given])


@dataclass(frozen=True)
class Branches(Container):
    """Feed one input to several paths, and concatenate or add what they make of it.

    Forward   y  = [f₁(x), …, fₖ(x)] along the last axis   "concat";      y = Σ fᵢ(x)   "add"
    Backward  dx = Σ fᵢ's dx, each from its part of dy, or from all of it;  the paths' own gradients
    Shapes    x (n, *in_shape); the outputs equal but for the last axis, which may differ where they are concatenated
    Source    Szegedy et al. 2015, arXiv:1409.4842

    Convolutions of two sizes side by side, for example::

        Branches([[Conv2D(8, 1)], [Conv2D(8, 1), ReLU(), Conv2D(16, 3, padding=1)]])

    Parameters
    ----------
    layers : sequence of Layer, or of lists of Layer
        The paths, at least one; a list of layers is one path.
    join : "concat" or "add"
    rate : float
        Factor on the learning rate of all parameters within, in addition to the layers' own; 0 freezes them.
    """

    layers: Annotated[Sequence[Any], _paths]
    join: Literal["concat", "add"] = "concat"
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
        last = slice(None, -1 if self.join == "concat" else None)
        if any(shape[last] != shapes[0][last] or len(shape) != len(shapes[0]) for shape in shapes):
            what = "the same shape" + (" but for the last axis" if self.join == "concat" else "")
            message = f"expected paths whose outputs have {what}, got {', '.join(map(str, shapes))}; change their sizes"
            raise ShapeError(message)
        units = sum(shape[-1] for shape in shapes) if self.join == "concat" else shapes[0][-1]
        return params, (*shapes[0][:-1], units)

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
        # The units of each path are kept: they say which part of dy is whose.
        units = [y.shape[-1] for y in found] if self.join == "concat" else None
        return (total(found) if units is None else namespace(x).concat(found, axis=-1)), (split, caches, units)

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        split, caches, units = cache
        ends = list(itertools.accumulate(units or ()))
        found, grads = [], {}
        for i, layer in enumerate(self.layers):
            part = dy if units is None else dy[..., ends[i] - units[i] : ends[i]]
            dx, own = layer.backward(split[i], part, caches[i], need_dx=need_dx)
            found.append(dx)
            grads.update({f"{i}.{name}": value for name, value in own.items()})
        return (total(found) if need_dx else None), grads


def total(arrays: Sequence[Array | None]) -> Array:
    """Return the sum of arrays of one shape."""
    found: Any = arrays[0]
    for array in arrays[1:]:
        found = found + array
    return found
