"""A network as a tree of layers, by :meth:`Layer.children`: which there are, where each is, whose a parameter is."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Iterator

from portanet.initializers import ShapesOnly
from portanet.layers.base import Layer
from portanet.typing import Shape

logger = logging.getLogger("portanet")


def walk(net: Layer, path: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield (path, layer) for the network and each layer within, outer before inner, in the order of the forward pass.

    The path is what stands in front of the names of the layer's parameters: ``"3.0"`` for ``"3.0.weight"``, and ``""``
    for the network itself.
    """
    yield path, net
    for name, layer in net.children().items():
        yield from walk(layer, f"{path}.{name}" if path else name)


def place(net: Layer, name: str) -> str:
    """Return a path or a flat name in words.

    ``"3.0"`` is ``Residual 3 > Dense 0``, ``"3.0.weight"`` is ``weight of Residual 3 > Dense 0``, and ``""`` is the
    network's type.
    """
    layer, places = net, []
    while (inner := layer.children().get((parts := name.partition("."))[0])) is not None:
        layer, name = inner, parts[2]
        places.append(f"{type(layer).__name__} {parts[0]}")
    where = " > ".join(places) or type(net).__name__
    return f"{name} of {where}" if name else where


def in_order(net: Layer, names: Iterable[str]) -> list[str]:
    """Return flat names of parameters in the order of the layers they belong to; those of one layer as they came."""
    order = {path: i for i, (path, _) in enumerate(walk(net))}
    return sorted(names, key=lambda name: order[_owner(order, name)])


def output_shapes(net: Layer, in_shape: Shape) -> Iterator[Shape]:
    """Yield the shape of each array that the layers make of a sample of `in_shape`.

    A container that does not tell the shapes within it counts as one layer.
    """
    shapes = net.child_shapes(in_shape)
    for name, layer in net.children().items() if shapes else ():
        yield from output_shapes(layer, shapes[name])
    if not shapes or net.output_layer() is net:  # else its output is that of its last layer
        yield net.init(ShapesOnly(), in_shape)[1]


def with_shapes(net: Layer, in_shape: Shape, path: str = "") -> Iterator[tuple[str, Layer, Shape]]:
    """Yield the path of each layer, the layer, and the shape of the samples that it gets; containers come last."""
    shapes = net.child_shapes(in_shape)
    for name, layer in net.children().items() if shapes else ():
        yield from with_shapes(layer, shapes[name], f"{path}.{name}" if path else name)
    yield path, net, in_shape


def scratches(net: Layer, in_shape: Shape) -> Iterator[tuple[str, int]]:
    """Yield the path of each layer and its :meth:`Layer.scratch` for a sample of `in_shape`."""
    for path, layer, shape in with_shapes(net, in_shape):
        yield path, layer.scratch(shape)


def report_repeats(net: Layer, names: Iterable[str]) -> None:
    """Log a warning, once, if one layer object has parameters, of these flat names, at several places: none is tied."""
    layers = dict(walk(net))
    places: dict[int, list[str]] = {}
    for path in dict.fromkeys(_owner(layers, name) for name in names):
        places.setdefault(id(layers[path]), []).append(place(net, path))
    for found in places.values():
        if len(found) > 1:
            warn_once(f"[{'], ['.join(found)}] are one layer object, and each has weights of its own: nothing is tied")


@functools.lru_cache(maxsize=1024)  # a fleet draws the weights of one network many times
def warn_once(message: str) -> None:
    """Log a warning that was not logged before."""
    logger.warning(message)


def _owner(paths: Iterable[str], name: str) -> str:
    """Return the path of the layer that the parameter of that flat name belongs to."""
    while (name := name.rpartition(".")[0]) not in paths:  # the network's own path, "", always is
        pass
    return name
