"""A graph of ONNX, and what each layer is in it: one node or a few, in the standard operators of opset 17."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from portanet import layers
from portanet.export.source import Exp, Step, cannot, transposed
from portanet.layers import Layer
from portanet.layers.windows import pair
from portanet.typing import Array


class Graph:
    """Nodes and arrays as they come together; values are named after the layers, arrays as portanet names them."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._known: set[str] = set()

    def add(self, steps: Sequence[Step], x: str) -> str:
        """Add the nodes of layers, one after the other; return the name of what comes out."""
        for step in steps:
            if type(step.layer) not in STEPS:
                raise cannot(step, "ONNX")
            x = STEPS[type(step.layer)](self, step, x)
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
        """Add an array of the layer."""
        return self.array(f"{step.prefix}{name}", step.arrays[name].astype("float32"))

    def number(self, value: float) -> str:
        """Add a number."""
        return self.array(repr(float(value)), np.asarray(value, dtype="float32"))


_Write = Callable[[Graph, Step, str], str]


def _plain(operator: str, *arrays: str, settings: Mapping[str, str] | None = None, **attributes: Any) -> _Write:
    """Return what writes one node, with these arrays of the layer, and its settings as the attributes named."""

    def write(graph: Graph, step: Step, x: str) -> str:
        own = {theirs: float(getattr(step.layer, ours)) for theirs, ours in (settings or {}).items()}
        inputs = [x, *(graph.weight(step, name) for name in arrays)]
        return graph.node(operator, inputs, step.prefix, **own, **attributes)

    return write


def _channels_first(write: _Write) -> _Write:
    """Return what writes the same for values whose channels come after the axis of the batch, as ONNX has them."""

    def between(graph: Graph, step: Step, x: str) -> str:
        axes = len(step.in_shape) + 1
        if axes == 2:
            return write(graph, step, x)
        x = graph.node("Transpose", [x], step.prefix, perm=[0, axes - 1, *range(1, axes - 1)])
        return graph.node("Transpose", [write(graph, step, x)], step.prefix, perm=[0, *range(2, axes), 1])

    return between


def _nothing(graph: Graph, step: Step, x: str) -> str:
    return x


def _dense(graph: Graph, step: Step, x: str) -> str:
    inputs = [x, graph.weight(step, "weight")]
    if "bias" not in step.arrays or len(step.in_shape) > 1:  # Gemm takes rows alone
        x = graph.node("MatMul", inputs, step.prefix)
        return graph.node("Add", [x, graph.weight(step, "bias")], step.prefix) if "bias" in step.arrays else x
    return graph.node("Gemm", [*inputs, graph.weight(step, "bias")], step.prefix)


def _gelu(graph: Graph, step: Step, x: str) -> str:
    def times(a: str, b: str) -> str:
        return graph.node("Mul", [a, b], step.prefix)

    def plus(a: str, b: str) -> str:
        return graph.node("Add", [a, b], step.prefix)

    cubed = times(times(x, x), x)
    u = times(plus(x, times(cubed, graph.number(0.044715))), graph.number(math.sqrt(2 / math.pi)))
    t = graph.node("Tanh", [u], step.prefix)
    return times(times(x, graph.number(0.5)), plus(t, graph.number(1.0)))


def _swish(graph: Graph, step: Step, x: str) -> str:
    return graph.node("Mul", [x, graph.node("Sigmoid", [x], step.prefix)], step.prefix)


def _rescale(graph: Graph, step: Step, x: str) -> str:
    x = graph.node("Mul", [x, graph.number(step.layer.scale)], step.prefix)
    return graph.node("Add", [x, graph.number(step.layer.offset)], step.prefix) if step.layer.offset else x


def _standardize(graph: Graph, step: Step, x: str) -> str:
    x = graph.node("Sub", [x, graph.weight(step, "mean")], step.prefix)
    return graph.node("Mul", [x, graph.weight(step, "inverse_std")], step.prefix)


def _reshape(graph: Graph, step: Step, x: str) -> str:
    shape = graph.array(f"{step.prefix}shape", np.asarray([0, *step.out_shape], dtype="int64"))  # 0: as it came
    return graph.node("Reshape", [x, shape], step.prefix)


def _embedding(graph: Graph, step: Step, x: str) -> str:
    # A row of zeros before and one after: what is outside of the categories is clipped to these, and gives zeros.
    weight = step.arrays["weight"].astype("float32")
    table = graph.array(f"{step.prefix}weight", np.pad(weight, ((1, 1), (0, 0))))
    x = graph.node("Round", [x], step.prefix)
    x = graph.node("Clip", [x, graph.number(-1), graph.number(len(weight))], step.prefix)
    x = graph.node("Add", [x, graph.number(1)], step.prefix)
    x = graph.node("Cast", [x], step.prefix, to=graph.onnx.TensorProto.INT64)
    return graph.node("Gather", [table, x], step.prefix)


def _one_hot(graph: Graph, step: Step, x: str) -> str:
    sizes = step.layer.sizes
    places = [i for i, size in enumerate(sizes) for _ in range(size)]
    numbers = [float(number) for size in sizes for number in range(size)]
    x = graph.node("Gather", [x, graph.array(f"{step.prefix}places", np.asarray(places))], step.prefix, axis=1)
    x = graph.node("Equal", [x, graph.array(f"{step.prefix}numbers", np.asarray(numbers, "float32"))], step.prefix)
    return graph.node("Cast", [x], step.prefix, to=graph.onnx.TensorProto.FLOAT)


def _conv(graph: Graph, step: Step, x: str) -> str:
    layer = step.layer
    weight = transposed(step.arrays["weight"].astype("float32"), (3, 2, 0, 1))
    inputs = [x, graph.array(f"{step.prefix}weight", weight)]
    inputs += [graph.weight(step, "bias")] if "bias" in step.arrays else []
    return graph.node("Conv", inputs, step.prefix, **_window(step), dilations=pair(layer.dilation), group=layer.groups)


def _pool(operator: str, **attributes: Any) -> _Write:
    return lambda graph, step, x: graph.node(operator, [x], step.prefix, **_window(step), **attributes)


def _window(step: Step) -> dict[str, list[int]]:
    rows, columns = step.layer.axes(*step.in_shape[:2])
    pads = [rows.before, columns.before, rows.after, columns.after]
    return {"kernel_shape": [rows.kernel, columns.kernel], "strides": [rows.stride, columns.stride], "pads": pads}


def _residual(graph: Graph, step: Step, x: str) -> str:
    return graph.node("Add", [x, graph.add(step.chain, x)], step.prefix)


def _parallel(graph: Graph, step: Step, x: str) -> str:
    found, start = [], 0
    axis = graph.array("axis 1", np.asarray([1], dtype="int64"))
    for branch, size in zip(step.inner, step.layer.sizes, strict=True):
        ends = [graph.array(f"at {at}", np.asarray([at], dtype="int64")) for at in (start, start + size)]
        found.append(graph.add(branch, graph.node("Slice", [x, *ends, axis], step.prefix)))
        start += size
    return graph.node("Concat", found, step.prefix, axis=1)


_EPS = {"epsilon": "eps"}

STEPS: dict[type[Layer], _Write] = {
    layers.Augment: _nothing,
    layers.AvgPool2D: _channels_first(_pool("AveragePool", count_include_pad=1)),
    layers.BatchNorm: _channels_first(_plain("BatchNormalization", "gamma", "beta", "mean", "variance", settings=_EPS)),
    layers.Conv2D: _channels_first(_conv),
    layers.Dense: _dense,
    layers.Dropout: _nothing,
    layers.ELU: _plain("Elu", settings={"alpha": "alpha"}),
    layers.Embedding: _embedding,
    layers.Flatten: _plain("Flatten", axis=1),
    layers.GELU: _gelu,
    layers.GlobalAvgPool2D: _plain("ReduceMean", axes=[1, 2], keepdims=0),
    layers.LayerNorm: _plain("LayerNormalization", "gamma", "beta", settings=_EPS, axis=-1),
    layers.LeakyReLU: _plain("LeakyRelu", settings={"alpha": "slope"}),
    layers.MaxPool2D: _channels_first(_pool("MaxPool")),
    layers.OneHot: _one_hot,
    layers.Parallel: _parallel,
    layers.ReLU: _plain("Relu"),
    layers.Rescale: _rescale,
    layers.Reshape: _reshape,
    layers.Residual: _residual,
    layers.Sigmoid: _plain("Sigmoid"),
    layers.Softmax: _plain("Softmax", axis=-1),
    layers.Softplus: _plain("Softplus"),
    layers.Standardize: _standardize,
    layers.Swish: _swish,
    layers.Tanh: _plain("Tanh"),
    Exp: _plain("Exp"),
}
"""For each type of layer, what adds its nodes after a value and returns the name of what comes out."""
