"""A network as a tree of layers, by :meth:`Layer.children`: which there are, where each is, whose a parameter is."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator

from portanet.layers.base import Layer
from portanet.layers.sequential import Sequential
from portanet.typing import Shape


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


def input_shapes(net: Layer, in_shape: Shape) -> Iterator[Shape]:
    """Yield the shape of the samples that each innermost layer gets; a container that does not say it counts as one."""
    shapes = net.child_shapes(in_shape)
    for name, layer in net.children().items() if shapes else ():
        yield from input_shapes(layer, shapes[name])
    if not shapes:
        yield in_shape


def in_words(net: Layer) -> str:
    """Return a network in one line: ``Rescale, Flatten, Dense 500, ReLU, Residual(Dense 500, ReLU)``."""
    layers = net.children().values() if isinstance(net, Sequential) else [net]
    return ", ".join(map(_with_inner, layers))


def _with_inner(layer: Layer) -> str:
    inner = ", ".join(map(_with_inner, layer.children().values()))
    return f"{layer_in_words(layer)}({inner})" if inner else layer_in_words(layer)


def layer_in_words(layer: Layer) -> str:
    """Return a layer as its type and the number that matters: ``Dense 500``."""
    numbers = [getattr(layer, name, None) for name in ("units", "rate")]
    return " ".join([type(layer).__name__, *(f"{n:g}" for n in numbers if isinstance(n, int | float))])


def warn_of_repeats(net: Layer, names: Iterable[str]) -> None:
    """Warn if one layer object has parameters, of these flat names, at several places: they are not tied."""
    layers = dict(walk(net))
    places: dict[int, list[str]] = {}
    for path in dict.fromkeys(_owner(layers, name) for name in names):
        places.setdefault(id(layers[path]), []).append(place(net, path))
    for found in places.values():
        if len(found) > 1:
            message = (
                f"[{'], ['.join(found)}] are one layer object, but have weights of their own: a layer is a description "
                "and nothing is tied; make one object for each place"
            )
            warnings.warn(message, stacklevel=3)


def _owner(paths: Iterable[str], name: str) -> str:
    """Return the path of the layer that the parameter of that flat name belongs to."""
    while (name := name.rpartition(".")[0]) not in paths:  # the network's own path, "", always is
        pass
    return name
