"""Layers side by side."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from portanet.backends.namespace import namespace
from portanet.checks import COUNT, NotNegative, Several, check
from portanet.errors import ShapeError
from portanet.layers.base import Layer
from portanet.layers.container import Container, within
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["Parallel"]


@dataclass(frozen=True)
class Parallel(Container):
    """Split the features among several layers and concatenate their outputs.

    Forward   y  = [f₁(x₁), …, fₖ(xₖ)]   where x = [x₁, …, xₖ]
    Backward  dx = [f₁'s dx, …, fₖ's dx], each from its own part of dy;  the layers' own gradients
    Shapes    x (..., n, Σ sizes), y (..., n, Σ units of the layers)
    Source    Collobert, Kavukcuoglu & Farabet 2011, Torch7 (its module of this name)

    An Embedding for a categorical feature beside numbers that pass as they are (Flatten leaves a row a row)::

        Parallel([Sequential([Embedding(7, 3), Flatten()]), Flatten()], sizes=[1, 4])

    Parameters
    ----------
    layers : sequence of Layer
        At least one; each makes a row of a row.
    sizes : sequence of int
        How many of the features each layer takes, 1 or more, from the first feature to the last.
    rate : float
        Factor on the learning rate of all parameters within, in addition to the layers' own; 0 freezes them.
    """

    sizes: Annotated[Sequence[int], Several(COUNT)]
    rate: NotNegative = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check("Parallel: sizes", self.sizes, Several(COUNT, len(self.layers)))  # one for each layer

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        if tuple(in_shape) != (sum(self.sizes),):
            message = (
                f"expected {sum(self.sizes)} features for the sizes {self.sizes}, got samples of shape "
                f"{tuple(in_shape)}; let the sizes add up to the features"
            )
            raise ShapeError(message)
        params: Params = {}
        units = 0
        for i, (layer, size) in enumerate(zip(self.layers, self.sizes, strict=True)):
            try:
                own, shape = layer.init(rng, (size,))
                if len(shape) != 1:
                    message = f"expected a layer that makes a row of a row, got outputs of shape {shape}; add Flatten()"
                    raise ShapeError(message)
            except ShapeError as error:
                raise within(error, layer, i) from None
            params.update({f"{i}.{name}": value for name, value in own.items()})
            units += shape[0]
        return params, (units,)

    def child_shapes(self, in_shape: Shape) -> Mapping[str, Shape]:
        return {str(i): (size,) for i, size in enumerate(self.sizes)}

    def output_layer(self) -> Layer:
        return self

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        xp = namespace(x)
        split = self.split(params)
        found, caches = [], []
        for i, (layer, part) in enumerate(zip(self.layers, parted(x, self.sizes), strict=True)):
            try:
                y, cache = layer.forward(split[i], part, train=train, key=key and key.child(i))
            except ShapeError as error:
                raise within(error, layer, i) from None
            found.append(y)
            caches.append(cache)
        # The units of each layer are kept: they tell which part of dy is whose.
        return xp.concat(found, axis=-1), (split, caches, [y.shape[-1] for y in found])

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        split, caches, units = cache
        found, grads = [], {}
        for i, (layer, part) in enumerate(zip(self.layers, parted(dy, units), strict=True)):
            dx, own = layer.backward(split[i], part, caches[i], need_dx=need_dx)
            found.append(dx)
            grads.update({f"{i}.{name}": value for name, value in own.items()})
        return (namespace(dy).concat(found, axis=-1) if need_dx else None), grads


def parted(x: Array, sizes: Sequence[int]) -> list[Array]:
    """Return `x` in parts of these sizes along its last axis."""
    return [x[..., end - size : end] for size, end in zip(sizes, itertools.accumulate(sizes), strict=True)]
