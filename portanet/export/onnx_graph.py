"""A graph of ONNX as it is put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from portanet.export.source import Step, cannot
from portanet.layers import Layer
from portanet.typing import Array


class Graph:
    """Nodes and arrays as they come together; values are named after the layers, arrays as portanet names them.

    Parameters
    ----------
    onnx : module
    write : mapping
        From a layer's type to what adds its nodes behind a value, and returns the name of what comes out.
    """

    def __init__(self, onnx: Any, write: Mapping[type[Layer], Callable[[Graph, Step, str], str]]) -> None:
        self.onnx, self._write = onnx, write
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._known: set[str] = set()

    def add(self, steps: Sequence[Step], x: str) -> str:
        """Add the nodes of layers, one behind the other; return the name of what comes out."""
        for step in steps:
            write_step = self._write.get(type(step.layer))
            if write_step is None:
                raise cannot(step, "ONNX")
            x = write_step(self, step, x)
        return x

    def node(self, operator: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Add a node; return the name of its output."""
        name = f"{name}{operator}"
        taken = sum(node.name == name or node.name.startswith(f"{name}_") for node in self.nodes)
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
        """Add an array of the layer's own."""
        return self.array(f"{step.prefix}{name}", step.arrays[name].astype("float32"))

    def number(self, value: float) -> str:
        """Add a number."""
        return self.array(repr(float(value)), np.asarray(value, dtype="float32"))

    def channels_first(self, step: Step, x: str, work: Callable[[str], str]) -> str:
        """Return what `work` makes of values whose channels stand behind the batch's axis, with its channels last."""
        axes = len(step.in_shape) + 1
        if axes == 2:
            return work(x)
        x = self.node("Transpose", [x], step.prefix, perm=[0, axes - 1, *range(1, axes - 1)])
        return self.node("Transpose", [work(x)], step.prefix, perm=[0, *range(2, axes), 1])
