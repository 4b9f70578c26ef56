"""To ONNX: one node or a few for each layer, in the standard operators of opset 17."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import portanet
from portanet import layers
from portanet.export.source import Exp, Source, Step, cannot, check, needed, read, transposed
from portanet.layers import Layer
from portanet.layers.windows import Axis, pair
from portanet.typing import Array
from portanet.writing import write

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["onnx_model", "to_onnx"]

OPSET, IR = 17, 8  # LayerNormalization came with 17; runtimes since 2022 read both


def to_onnx(model: Any, path: str | os.PathLike[str], *, raw: bool = False) -> None:
    """Write a trained network as an ONNX file, in one piece or not at all.

    Its one input, ``input``, takes samples as :meth:`portanet.Trainer.predict` does, in float32, shape (batch,
    *input_shape): images have their channels last. Its one output, ``output``, is what predict returns, (batch,
    outputs). The metadata hold ``classes``, ``input_shape``, ``output`` (what comes out) and ``portanet``, the version.

    Parameters
    ----------
    model : Trainer, or a fitted MLPClassifier or MLPRegressor of portanet.sklearn or scikit-learn
    path : str or path
    raw : bool
        Whether logits come out instead of probabilities.

    Raises
    ------
    ConfigError
        If a layer is one's own, there are no weights yet, or onnx is not installed.
    DataError
        If the file cannot be written.

    Notes
    -----
    Source: the operators of ONNX, https://onnx.ai/onnx/operators/.
    """
    write(path, onnx_model(model, raw=raw).SerializeToString())


def onnx_model(model: Any, *, raw: bool = False) -> ModelProto:
    """Return a trained network as an ``onnx.ModelProto`` that ``onnx.checker`` has passed; see :func:`to_onnx`."""
    onnx = needed("onnx", "onnx", "to_onnx")
    source = read(model, raw=raw, what="to_onnx")
    graph = _Graph(onnx)
    found = graph.add(source.steps, "input")
    if not graph.nodes:
        found = graph.node("Identity", [found], "output")
    graph.nodes[-1].output[0] = "output"
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    proto = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "portanet",
            [helper.make_tensor_value_info("input", float32, ["batch", *source.input_shape])],
            [helper.make_tensor_value_info("output", float32, ["batch", source.outputs])],
            graph.initializers,
        ),
        ir_version=IR,
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="portanet",
        producer_version=portanet.__version__,
    )
    helper.set_model_props(proto, metadata(source))
    onnx.checker.check_model(proto, full_check=True)
    return proto  # type: ignore[no-any-return]  # onnx is imported by its name


def metadata(source: Source) -> dict[str, str]:
    """Return what a reader of an exported file wants to know beside the arrays, as text."""
    return {
        "portanet": portanet.__version__,
        "output": source.output,
        "input_shape": json.dumps(source.input_shape),
        "classes": json.dumps(source.classes, ensure_ascii=False),
    }


class _Graph:
    """Nodes and arrays as they come together; values are named after the layers, arrays as portanet names them."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._known: set[str] = set()

    def add(self, steps: Sequence[Step], x: str) -> str:
        """Add the nodes of layers, one behind the other; return the name of what comes out."""
        for step in steps:
            write_step = _STEPS.get(type(step.layer))
            if write_step is None:
                raise cannot(step, "ONNX")
            check(step, "ONNX")
            x = write_step(self, step, x)
        return x

    def node(self, operator: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Add a node; return the name of its output."""
        name = f"{name}{operator}"
        taken = sum(node.name == name or node.name.startswith(f"{name}_") for node in self.nodes)
        name = f"{name}_{taken}" if taken else name
        self.nodes.append(self._onnx.helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def array(self, name: str, value: Array) -> str:
        """Add a constant array, unless it is there; return its name."""
        if name not in self._known:
            self._known.add(name)
            self.initializers.append(self._onnx.numpy_helper.from_array(np.asarray(value, order="C"), name))
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


def _plain(operator: str, **attributes: Any) -> Callable[[_Graph, Step, str], str]:
    return lambda graph, step, x: graph.node(operator, [x], step.prefix, **attributes)


def _nothing(graph: _Graph, step: Step, x: str) -> str:
    return x


def _dense(graph: _Graph, step: Step, x: str) -> str:
    inputs = [x, graph.weight(step, "weight")]
    if "bias" not in step.arrays:
        return graph.node("MatMul", inputs, step.prefix)
    return graph.node("Gemm", [*inputs, graph.weight(step, "bias")], step.prefix)


def _leaky_relu(graph: _Graph, step: Step, x: str) -> str:
    return graph.node("LeakyRelu", [x], step.prefix, alpha=float(step.layer.slope))


def _elu(graph: _Graph, step: Step, x: str) -> str:
    return graph.node("Elu", [x], step.prefix, alpha=float(step.layer.alpha))


def _gelu(graph: _Graph, step: Step, x: str) -> str:
    def times(a: str, b: str) -> str:
        return graph.node("Mul", [a, b], step.prefix)

    def plus(a: str, b: str) -> str:
        return graph.node("Add", [a, b], step.prefix)

    cubed = times(times(x, x), x)
    u = times(plus(x, times(cubed, graph.number(0.044715))), graph.number(math.sqrt(2 / math.pi)))
    t = graph.node("Tanh", [u], step.prefix)
    return times(times(x, graph.number(0.5)), plus(t, graph.number(1.0)))


def _swish(graph: _Graph, step: Step, x: str) -> str:
    return graph.node("Mul", [x, graph.node("Sigmoid", [x], step.prefix)], step.prefix)


def _rescale(graph: _Graph, step: Step, x: str) -> str:
    x = graph.node("Mul", [x, graph.number(step.layer.scale)], step.prefix)
    return graph.node("Add", [x, graph.number(step.layer.offset)], step.prefix) if step.layer.offset else x


def _standardize(graph: _Graph, step: Step, x: str) -> str:
    x = graph.node("Sub", [x, graph.weight(step, "mean")], step.prefix)
    return graph.node("Mul", [x, graph.weight(step, "inverse_std")], step.prefix)


def _reshape(graph: _Graph, step: Step, x: str) -> str:
    shape = graph.array(f"{step.prefix}shape", np.asarray([0, *step.out_shape], dtype="int64"))  # 0: as it came
    return graph.node("Reshape", [x, shape], step.prefix)


def _embedding(graph: _Graph, step: Step, x: str) -> str:
    # A row of zeros in front and one behind: what lies outside of the categories is held there, and gives zeros.
    weight = step.arrays["weight"].astype("float32")
    table = graph.array(f"{step.prefix}weight", np.pad(weight, ((1, 1), (0, 0))))
    x = graph.node("Round", [x], step.prefix)
    x = graph.node("Clip", [x, graph.number(-1), graph.number(len(weight))], step.prefix)
    x = graph.node("Add", [x, graph.number(1)], step.prefix)
    x = graph.node("Cast", [x], step.prefix, to=graph._onnx.TensorProto.INT64)
    return graph.node("Gather", [table, x], step.prefix)


def _conv(graph: _Graph, step: Step, x: str) -> str:
    layer = step.layer
    weight = transposed(step.arrays["weight"].astype("float32"), (3, 2, 0, 1))
    inputs = [graph.array(f"{step.prefix}weight", weight)]
    inputs += [graph.weight(step, "bias")] if "bias" in step.arrays else []
    window = {
        **_window(layer.axes(*step.in_shape[:2])),
        "dilations": pair(layer.dilation, "dilation", 1),
        "group": layer.groups,
    }
    return graph.channels_first(step, x, lambda x: graph.node("Conv", [x, *inputs], step.prefix, **window))


def _max_pool(graph: _Graph, step: Step, x: str) -> str:
    window = _window(step.layer.axes(*step.in_shape[:2]))
    return graph.channels_first(step, x, lambda x: graph.node("MaxPool", [x], step.prefix, **window))


def _avg_pool(graph: _Graph, step: Step, x: str) -> str:
    window = {**_window(step.layer.axes(*step.in_shape[:2])), "count_include_pad": 1}
    return graph.channels_first(step, x, lambda x: graph.node("AveragePool", [x], step.prefix, **window))


def _window(axes: tuple[Axis, Axis]) -> dict[str, list[int]]:
    rows, columns = axes
    return {
        "kernel_shape": [rows.kernel, columns.kernel],
        "strides": [rows.stride, columns.stride],
        "pads": [rows.before, columns.before, rows.after, columns.after],
    }


def _batch_norm(graph: _Graph, step: Step, x: str) -> str:
    arrays = [graph.weight(step, name) for name in ("gamma", "beta", "mean", "variance")]
    eps = float(step.layer.eps)

    def work(x: str) -> str:
        return graph.node("BatchNormalization", [x, *arrays], step.prefix, epsilon=eps)

    return graph.channels_first(step, x, work)


def _layer_norm(graph: _Graph, step: Step, x: str) -> str:
    inputs = [x, graph.weight(step, "gamma"), graph.weight(step, "beta")]
    eps = float(step.layer.eps)
    return graph.node("LayerNormalization", inputs, step.prefix, axis=-1, epsilon=eps)


def _residual(graph: _Graph, step: Step, x: str) -> str:
    return graph.node("Add", [x, graph.add(step.inner, x)], step.prefix)


def _parallel(graph: _Graph, step: Step, x: str) -> str:
    found, start = [], 0
    axis = graph.array("axis 1", np.asarray([1], dtype="int64"))
    for branch, size in zip(step.branches, step.layer.sizes, strict=True):
        ends = [graph.array(f"at {at}", np.asarray([at], dtype="int64")) for at in (start, start + size)]
        found.append(graph.add(branch, graph.node("Slice", [x, *ends, axis], step.prefix)))
        start += size
    return graph.node("Concat", found, step.prefix, axis=1)


_STEPS: dict[type[Layer], Callable[[_Graph, Step, str], str]] = {
    layers.Augment: _nothing,
    layers.AvgPool2D: _avg_pool,
    layers.BatchNorm: _batch_norm,
    layers.Conv2D: _conv,
    layers.Dense: _dense,
    layers.Dropout: _nothing,
    layers.ELU: _elu,
    layers.Embedding: _embedding,
    layers.Flatten: _plain("Flatten", axis=1),
    layers.GELU: _gelu,
    layers.GlobalAvgPool2D: _plain("ReduceMean", axes=[1, 2], keepdims=0),
    layers.LayerNorm: _layer_norm,
    layers.LeakyReLU: _leaky_relu,
    layers.MaxPool2D: _max_pool,
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
