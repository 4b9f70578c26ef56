"""A graph of ONNX as it comes together, and writers of single nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from portanet.export.source import Step, cannot
from portanet.layers import Layer
from portanet.typing import Array


class Graph:
    """Nodes and arrays as they come together; values are named after the layers, arrays as portanet names them."""

    def __init__(self, onnx: Any, writers: Mapping[type[Layer], Write]) -> None:
        self.onnx, self.writers = onnx, writers
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._known: set[str] = set()
        self._taken: Counter[str] = Counter()

    def add(self, steps: Sequence[Step], x: str) -> str:
        """Add the nodes of layers, one after the other; return the name of what comes out."""
        for step in steps:
            if type(step.layer) not in self.writers:
                raise cannot(step, "ONNX")
            x = self.writers[type(step.layer)](self, step, x)
        return x

    def node(self, operator: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Add a node; return the name of its output."""
        name = f"{name}{operator}"
        taken = self._taken[name]
        self._taken[name] += 1
        name = f"{name}_{taken}" if taken else name
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def array(self, name: str, value: Array) -> str:
        """Add a constant array, unless it is there; return its name."""
        if name not in self._known:
            self._known.add(name)
            self.initializers.append(self.onnx.numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def weight(self, step: Step, name: str) -> str:
        """Add an array of the layer."""
        return self.array(f"{step.prefix}{name}", step.arrays[name].astype("float32"))

    def number(self, value: float) -> str:
        """Add a number."""
        return self.array(repr(float(value)), np.asarray(value, dtype="float32"))


Write = Callable[[Graph, Step, str], str]
"""What adds the nodes of a layer after a value and returns the name of what comes out."""


def plain(operator: str, *arrays: str, settings: Mapping[str, str] | None = None, **attributes: Any) -> Write:
    """Return what writes one node, with these arrays of the layer, and its settings as the attributes named."""

    def write(graph: Graph, step: Step, x: str) -> str:
        own = {theirs: float(getattr(step.layer, ours)) for theirs, ours in (settings or {}).items()}
        inputs = [x, *(graph.weight(step, name) for name in arrays)]
        return graph.node(operator, inputs, step.prefix, **own, **attributes)

    return write


def channels_first(write: Write) -> Write:
    """Return what writes the same for values whose channels come after the axis of the batch, as ONNX has them."""

    def between(graph: Graph, step: Step, x: str) -> str:
        axes = len(step.in_shape) + 1
        if axes == 2:
            return write(graph, step, x)
        x = graph.node("Transpose", [x], step.prefix, perm=[0, axes - 1, *range(1, axes - 1)])
        return graph.node("Transpose", [write(graph, step, x)], step.prefix, perm=[0, *range(2, axes), 1])

    return between
