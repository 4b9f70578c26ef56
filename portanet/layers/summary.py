"""A network's layers in a table: output shapes, parameters, memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from portanet.initializers import ShapesOnly
from portanet.inspection.text import bytes_in_words, html_table, shape_words, text_table
from portanet.layers.base import Layer
from portanet.layers.words import layer_words
from portanet.typing import Shape

__all__ = ["LayerSummary", "Summary", "summary"]

_HEADER = ("#", "layer", "output", "parameters", "memory per sample")
_RIGHT = (3, 4)


@dataclass(frozen=True)
class LayerSummary:
    """One line of a summary.

    Attributes
    ----------
    path : str
        What stands in front of the names of the layer's parameters, ``"3.0"``; empty for the network itself.
    layer : str
        Its type and the numbers that matter: ``Dense 500``.
    output_shape : tuple of int
        Of one sample, without the batch axis.
    parameters : int
        Number of trained numbers, those of inner layers included.
    numbers : int
        How many numbers its forward pass makes of one sample: the output and scratch; inner layers have their own.
    """

    path: str
    layer: str
    output_shape: Shape
    parameters: int
    numbers: int


@dataclass(frozen=True)
class Summary:
    """A network in a table; print it, or let a notebook show it.

    Attributes
    ----------
    rows : tuple of LayerSummary
        Outer layers before inner ones, in the order of the forward pass.
    input_shape : tuple of int
    parameters : int
        Number of trained numbers.
    itemsize : int
        Bytes of one number.
    notes : tuple of str
        Further lines, below the table.
    """

    rows: tuple[LayerSummary, ...]
    input_shape: Shape
    parameters: int
    itemsize: int = 4
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([*text_table(_HEADER, self._cells(), _RIGHT), *self._footer()])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return html_table(_HEADER, self._cells(), _RIGHT) + "".join(f"<div>{line}</div>" for line in self._footer())

    def _cells(self) -> list[list[str]]:
        cells = [["", "input", shape_words(self.input_shape), "", ""]]
        for row in self.rows:
            inside = "  " * row.path.count(".")
            memory = bytes_in_words(row.numbers * self.itemsize)
            shape = shape_words(row.output_shape)
            cells.append([inside + row.path, inside + row.layer, shape, f"{row.parameters:,}", memory])
        return cells

    def _footer(self) -> list[str]:
        return [f"{self.parameters:,} parameters, {bytes_in_words(self.parameters * self.itemsize)}", *self.notes]


def summary(net: Layer, input_shape: Shape, *, itemsize: int = 4, notes: tuple[str, ...] = ()) -> Summary:
    """Return the layers of a network for samples of `input_shape`; no weights are drawn.

    Raises
    ------
    ShapeError
        If the network cannot take samples of that shape; it names the layer.
    """
    shape = (input_shape,) if isinstance(input_shape, int) else tuple(input_shape)
    whole = _row("", net, shape)
    inner = tuple(_rows(net, shape, ""))
    return Summary(inner or (whole,), shape, whole.parameters, itemsize, notes)


def _rows(net: Layer, in_shape: Shape, front: str) -> Iterator[LayerSummary]:
    children = net.children()
    for name, shape in net.child_shapes(in_shape).items():
        yield _row(front + name, children[name], tuple(shape))
        yield from _rows(children[name], tuple(shape), f"{front}{name}.")


def _row(path: str, layer: Layer, in_shape: Shape) -> LayerSummary:
    params, out_shape = layer.init(ShapesOnly(), in_shape)
    makes = not layer.child_shapes(in_shape) or layer.output_layer() is layer  # else its output is a child's
    numbers = layer.scratch(in_shape) + (math.prod(out_shape) if makes else 0)
    count = sum(math.prod(p.shape) for p in params.values())
    return LayerSummary(path, layer_words(layer), tuple(out_shape), count, numbers)
