"""What each layer is in ONNX: one node or a few, in the standard operators of opset 17."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np

from portanet import layers
from portanet.export.onnx_graph import Graph, Write, channels_first, plain
from portanet.export.onnx_images import IMAGES
from portanet.export.source import Exp, Step, cannot
from portanet.layers import Layer
from portanet.typing import Array


def _nothing(graph: Graph, step: Step, x: str) -> str:
    return x


def _dense(graph: Graph, step: Step, x: str) -> str:
    inputs = [x, graph.weight(step, "weight")]
    if "bias" not in step.arrays or len(step.in_shape) > 1:  # Gemm takes rows alone
        x = graph.node("MatMul", inputs, step.prefix)
        return graph.node("Add", [x, graph.weight(step, "bias")], step.prefix) if "bias" in step.arrays else x
    return graph.node("Gemm", [*inputs, graph.weight(step, "bias")], step.prefix)


def _ntk_dense(graph: Graph, step: Step, x: str) -> str:
    return _dense(graph, replace(step, arrays=step.layer.effective(step.arrays)), x)


def _mish(graph: Graph, step: Step, x: str) -> str:
    gate = graph.node("Tanh", [graph.node("Softplus", [x], step.prefix)], step.prefix)
    return graph.node("Mul", [x, gate], step.prefix)


def _smooth_clip(graph: Graph, step: Step, x: str) -> str:
    u = graph.node("Mul", [x, graph.number(1 / step.layer.limit)], step.prefix)
    square = graph.node("Mul", [u, u], step.prefix)
    root = graph.node("Sqrt", [graph.node("Add", [square, graph.number(1.0)], step.prefix)], step.prefix)
    return graph.node("Div", [x, root], step.prefix)


def _parametric(graph: Graph, step: Step, x: str) -> str:
    bend = graph.node("Sub", [graph.add(step.chain, x), x], step.prefix)
    return graph.node("Add", [x, graph.node("Mul", [bend, graph.weight(step, "strength")], step.prefix)], step.prefix)


def _gelu(graph: Graph, step: Step, x: str) -> str:
    def times(a: str, b: str) -> str:
        return graph.node("Mul", [a, b], step.prefix)

    def plus(a: str, b: str) -> str:
        return graph.node("Add", [a, b], step.prefix)

    if step.layer.approximate == "none":
        t = graph.node("Erf", [times(x, graph.number(math.sqrt(0.5)))], step.prefix)
        return times(times(x, graph.number(0.5)), plus(t, graph.number(1.0)))
    cubed = times(times(x, x), x)
    u = times(plus(x, times(cubed, graph.number(0.044715))), graph.number(math.sqrt(2 / math.pi)))
    t = graph.node("Tanh", [u], step.prefix)
    return times(times(x, graph.number(0.5)), plus(t, graph.number(1.0)))


def _relu6(graph: Graph, step: Step, x: str) -> str:
    return graph.node("Clip", [x, graph.number(0.0), graph.number(6.0)], step.prefix)


def _hardtanh(graph: Graph, step: Step, x: str) -> str:
    return graph.node("Clip", [x, graph.number(step.layer.low), graph.number(step.layer.high)], step.prefix)


def _response_norm(graph: Graph, step: Step, x: str) -> str:
    layer = step.layer
    square = graph.node("Mul", [x, x], step.prefix)
    near = layer.near(np.zeros((1, step.in_shape[-1]), "float32")) * (layer.alpha / layer.size)
    around = graph.node("MatMul", [square, graph.array(f"{step.prefix}near", near.astype("float32"))], step.prefix)
    d = graph.node("Add", [around, graph.number(layer.k)], step.prefix)
    return graph.node("Div", [x, graph.node("Pow", [d, graph.number(layer.beta)], step.prefix)], step.prefix)


def _rms_norm(graph: Graph, step: Step, x: str) -> str:
    square = graph.node("ReduceMean", [graph.node("Mul", [x, x], step.prefix)], step.prefix, axes=[-1], keepdims=1)
    root = graph.node("Sqrt", [graph.node("Add", [square, graph.number(step.layer.eps)], step.prefix)], step.prefix)
    u = graph.node("Div", [x, root], step.prefix)
    return graph.node("Mul", [u, graph.weight(step, "gamma")], step.prefix)


def _instance_norm(graph: Graph, step: Step, x: str) -> str:
    whole = {**_plain_norm(step.in_shape[-1]), **step.arrays}
    inputs = [graph.array(f"{step.prefix}{name}", whole[name].astype("float32")) for name in ("gamma", "beta")]
    return graph.node("InstanceNormalization", [x, *inputs], step.prefix, epsilon=float(step.layer.eps))


def _group_norm(graph: Graph, step: Step, x: str) -> str:
    # GroupNormalization came with opset 18: each group is an instance's channel here.
    groups, (*places, channels) = step.layer.groups, step.in_shape
    apart = graph.array(f"{step.prefix}groups", np.asarray([0, groups, -1], dtype="int64"))
    plain = [graph.array(f"{name} {groups}", a) for name, a in _plain_norm(groups).items()]
    x = graph.node("Reshape", [x, apart], step.prefix)
    x = graph.node("InstanceNormalization", [x, *plain], step.prefix, epsilon=float(step.layer.eps))
    whole = graph.array(f"{step.prefix}shape", np.asarray([0, channels, *places], dtype="int64"))
    x = graph.node("Reshape", [x, whole], step.prefix)
    for operator, name in (("Mul", "gamma"), ("Add", "beta")):
        array = step.arrays[name].astype("float32").reshape(channels, *(1 for _ in places))
        x = graph.node(operator, [x, graph.array(f"{step.prefix}{name}", array)], step.prefix)
    return x


def _plain_norm(channels: int) -> dict[str, Array]:
    return {"gamma": np.ones(channels, "float32"), "beta": np.zeros(channels, "float32")}


def _swish(graph: Graph, step: Step, x: str) -> str:
    return graph.node("Mul", [x, graph.node("Sigmoid", [x], step.prefix)], step.prefix)


def _rescale(graph: Graph, step: Step, x: str) -> str:
    x = graph.node("Mul", [x, graph.number(step.layer.scale)], step.prefix)
    return graph.node("Add", [x, graph.number(step.layer.offset)], step.prefix) if step.layer.offset else x


def _standardize(middle: str, factor: str) -> Write:
    def write(graph: Graph, step: Step, x: str) -> str:
        x = graph.node("Sub", [x, graph.weight(step, middle)], step.prefix)
        return graph.node("Mul", [x, graph.weight(step, factor)], step.prefix)

    return write


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


def _periodic(graph: Graph, step: Step, x: str) -> str:
    turn = graph.array(f"{step.prefix}turn", (2 * math.pi * step.arrays["frequency"]).astype("float32"))
    last = graph.array("axis -1", np.asarray([-1], dtype="int64"))
    z = graph.node("Mul", [graph.node("Unsqueeze", [x, last], step.prefix), turn], step.prefix)  # (n, f, k)
    if step.layer.phase:
        waves = graph.node("Cos", [graph.node("Add", [z, graph.weight(step, "phase")], step.prefix)], step.prefix)
    else:
        both = [graph.node(wave, [z], step.prefix) for wave in ("Cos", "Sin")]
        waves = graph.node("Concat", both, step.prefix, axis=-1)
    before = graph.array("axis -2", np.asarray([-2], dtype="int64"))
    u = graph.node(
        "MatMul", [graph.node("Unsqueeze", [waves, before], step.prefix), graph.weight(step, "weight")], step.prefix
    )
    u = graph.node("Add", [graph.node("Squeeze", [u, before], step.prefix), graph.weight(step, "bias")], step.prefix)
    u = graph.node("Flatten", [u], step.prefix, axis=1)
    return graph.node("Concat", [u, x], step.prefix, axis=-1) if step.layer.skip else u


def _residual(graph: Graph, step: Step, x: str) -> str:
    if not step.layer.shortcut:
        return graph.node("Add", [x, graph.add(step.chain, x)], step.prefix)
    *inner, shortcut = step.inner
    y = graph.add(tuple(itertools.chain(*inner)), x)
    return graph.node("Add", [graph.add(shortcut, x), y], step.prefix)


def _branches(graph: Graph, step: Step, x: str) -> str:
    found = [graph.add(branch, x) for branch in step.inner]
    if step.layer.join == "add":
        return graph.node("Sum", found, step.prefix)
    return graph.node("Concat", found, step.prefix, axis=len(step.out_shape))


def _committee(graph: Graph, step: Step, x: str) -> str:
    if step.layer.apart:
        raise cannot(step, "ONNX", "its networks answer apart, as in a training step; make it with apart=False")
    return graph.node("Mean", [graph.add(member, x) for member in step.inner], step.prefix)


def _parallel(graph: Graph, step: Step, x: str) -> str:
    found, start = [], 0
    axis = graph.array("axis 1", np.asarray([1], dtype="int64"))
    for branch, size in zip(step.inner, step.layer.sizes, strict=True):
        ends = [graph.array(f"at {at}", np.asarray([at], dtype="int64")) for at in (start, start + size)]
        found.append(graph.add(branch, graph.node("Slice", [x, *ends, axis], step.prefix)))
        start += size
    return graph.node("Concat", found, step.prefix, axis=1)


_EPS = {"epsilon": "eps"}

STEPS: dict[type[Layer], Write] = {
    **IMAGES,
    layers.Augment: _nothing,
    layers.BatchNorm: channels_first(plain("BatchNormalization", "gamma", "beta", "mean", "variance", settings=_EPS)),
    layers.Branches: _branches,
    layers.CELU: plain("Celu", settings={"alpha": "alpha"}),
    layers.Dense: _dense,
    layers.Dropout: _nothing,
    layers.ELU: plain("Elu", settings={"alpha": "alpha"}),
    layers.Embedding: _embedding,
    layers.Committee: _committee,
    layers.Flatten: plain("Flatten", axis=1),
    layers.GELU: _gelu,
    layers.GroupNorm: channels_first(_group_norm),
    layers.Hardsigmoid: plain("HardSigmoid", alpha=1 / 6, beta=0.5),
    layers.Hardswish: plain("HardSwish"),
    layers.Hardtanh: _hardtanh,
    layers.InstanceNorm: channels_first(_instance_norm),
    layers.LayerNorm: plain("LayerNormalization", "gamma", "beta", settings=_EPS, axis=-1),
    layers.LeakyReLU: plain("LeakyRelu", settings={"alpha": "slope"}),
    layers.LocalResponseNorm: _response_norm,
    layers.LogSoftmax: plain("LogSoftmax", axis=-1),
    layers.Mish: _mish,
    layers.NTKDense: _ntk_dense,
    layers.OneHot: _one_hot,
    layers.Parallel: _parallel,
    layers.Parametric: _parametric,
    layers.PeriodicEmbedding: _periodic,
    layers.PReLU: plain("PRelu", "slope"),
    layers.ReLU6: _relu6,
    layers.ReLU: plain("Relu"),
    layers.Rescale: _rescale,
    layers.Reshape: _reshape,
    layers.Residual: _residual,
    layers.RMSNorm: _rms_norm,
    layers.RobustScale: _standardize("median", "factor"),
    layers.Scale: plain("Mul", "scale"),
    layers.SELU: plain("Selu"),
    layers.Sigmoid: plain("Sigmoid"),
    layers.SmoothClip: _smooth_clip,
    layers.Softmax: plain("Softmax", axis=-1),
    layers.Softplus: plain("Softplus"),
    layers.Softsign: plain("Softsign"),
    layers.Standardize: _standardize("mean", "inverse_std"),
    layers.Swish: _swish,
    layers.Tanh: plain("Tanh"),
    layers.ThresholdedReLU: plain("ThresholdedRelu", settings={"alpha": "theta"}),
    Exp: plain("Exp"),
}
"""For each type of layer, what adds its nodes after a value and returns the name of what comes out."""
