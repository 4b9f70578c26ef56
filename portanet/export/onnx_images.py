"""What each layer of images and signals is in ONNX."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from portanet import layers
from portanet.backends.primitives.axes import Axis
from portanet.export.onnx_graph import Graph, Write, channels_first, plain
from portanet.export.source import Step, transposed
from portanet.export.torch_images import transposed_kernel
from portanet.layers import Layer
from portanet.layers.blocks import depth_axes, space_axes
from portanet.layers.resize import between, parts
from portanet.layers.windows import pair
from portanet.typing import Array, Shape


def _conv(graph: Graph, step: Step, x: str) -> str:
    array = step.arrays["weight"].astype("float32")
    last = array.ndim - 1
    inputs = [x, graph.array(f"{step.prefix}weight", transposed(array, (last, last - 1, *range(last - 1))))]
    inputs += [graph.weight(step, "bias")] if "bias" in step.arrays else []
    dilations = [a.dilation for a in _axes(step)]
    return graph.node("Conv", inputs, step.prefix, **_window(step), dilations=dilations, group=step.layer.groups)


def _conv_transpose(graph: Graph, step: Step, x: str) -> str:
    layer = step.layer
    weight = transposed_kernel(step.arrays["weight"].astype("float32"), layer.groups)
    inputs = [x, graph.array(f"{step.prefix}weight", weight)]
    inputs += [graph.weight(step, "bias")] if "bias" in step.arrays else []
    return graph.node(
        "ConvTranspose",
        inputs,
        step.prefix,
        kernel_shape=pair(layer.kernel),
        strides=pair(layer.stride),
        pads=pair(layer.padding) * 2,
        output_padding=pair(layer.output_padding),
        dilations=pair(layer.dilation),
        group=layer.groups,
    )


def _max_pool(graph: Graph, step: Step, x: str) -> str:
    return graph.node("MaxPool", [x], step.prefix, **_window(step))


def _avg_pool(graph: Graph, step: Step, x: str) -> str:
    image = step.layer if len(step.in_shape) == 3 else step.layer.image
    rows, columns = image.axes(*step.in_shape[:2] if image is step.layer else (1, step.in_shape[0]))
    x = graph.node("AveragePool", [x], step.prefix, **_window(step), count_include_pad=1)
    if image.counts_all(rows, columns):
        return x
    # ONNX has no mean over windows that reach beyond the padding by ceil_mode: all taps count, and this is put right.
    share = image.share(rows, columns, np.zeros(1, "float32"))[..., 0] * (rows.kernel * columns.kernel)
    return graph.node("Mul", [x, graph.array(f"{step.prefix}share", share.astype("float32"))], step.prefix)


def _axes(step: Step) -> tuple[Axis, ...]:
    """Return the arithmetic of a window along the axes of its samples: two of an image, one of a signal."""
    return step.layer.axes(*step.in_shape[:2]) if len(step.in_shape) == 3 else (step.layer.axis(step.in_shape[0]),)


def _window(step: Step) -> dict[str, list[int]]:
    axes = _axes(step)
    pads = [a.before for a in axes] + [a.reached for a in axes]
    return {"kernel_shape": [a.kernel for a in axes], "strides": [a.stride for a in axes], "pads": pads}


def _zero_pad(graph: Graph, step: Step, x: str) -> str:
    (top, bottom), (left, right) = step.layer.edges()
    pads = np.asarray([0, top, left, 0, 0, bottom, right, 0], dtype="int64")
    return graph.node("Pad", [x, graph.array(f"{step.prefix}pads", pads)], step.prefix)


def _up_sample(graph: Graph, step: Step, x: str) -> str:
    rows, columns = pair(step.layer.size)
    if step.layer.mode == "bilinear":
        return _resized(graph, step, x, *(between(*own, np.zeros(1, "float32")) for own in _sizes(step)))
    scales = graph.array(f"{step.prefix}scales", np.asarray([1, 1, rows, columns], dtype="float32"))
    settings = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return graph.node("Resize", [x, "", scales], step.prefix, **settings)


def _resize(graph: Graph, step: Step, x: str) -> str:
    return _resized(graph, step, x, *step.layer.weights(step.in_shape[:2], np.zeros(1, "float32")))


def _pad(graph: Graph, step: Step, x: str) -> str:
    layer = step.layer
    (top, bottom), (left, right) = layer.sides()
    if layer.mode == "constant":
        pads = np.asarray([0, top, left, 0, 0, bottom, right, 0], dtype="int64")
        return graph.node("Pad", [x, graph.array(f"{step.prefix}pads", pads), graph.number(layer.value)], step.prefix)
    for axis, edges in enumerate(layer.sides()):
        places = layer.places(step.in_shape[axis], edges, np.zeros(1)).astype("int64")
        x = graph.node("Gather", [x, graph.array(f"{step.prefix}places {axis}", places)], step.prefix, axis=axis + 1)
    return x


def _blocks(axes: Callable[..., tuple[Shape, Shape, Shape]]) -> Write:
    def write(graph: Graph, step: Step, x: str) -> str:
        apart, order, _ = axes((1, *step.in_shape), step.layer.block, step.layer.order)
        first, last = (np.asarray([0, *own[1:]], dtype="int64") for own in (apart, (1, *step.out_shape)))
        x = graph.node("Reshape", [x, graph.array(f"{step.prefix}apart", first)], step.prefix)
        x = graph.node("Transpose", [x], step.prefix, perm=list(order))
        return graph.node("Reshape", [x, graph.array(f"{step.prefix}shape", last)], step.prefix)

    return write


def _lp_pool(graph: Graph, step: Step, x: str) -> str:
    p = float(step.layer.p)
    if p.is_integer():
        return graph.node("LpPool", [x], step.prefix, **_window(step), p=int(p))
    powers = graph.node("Pow", [graph.node("Abs", [x], step.prefix), graph.number(p)], step.prefix)
    window = _window(step)
    mean = graph.node("AveragePool", [powers], step.prefix, **window, count_include_pad=1)
    total = graph.node("Mul", [mean, graph.number(math.prod(window["kernel_shape"]))], step.prefix)
    return graph.node("Pow", [total, graph.number(1 / p)], step.prefix)


def _adaptive(graph: Graph, step: Step, x: str) -> str:
    return _resized(graph, step, x, *(parts(*own, np.zeros(1, "float32")) for own in _sizes(step)))


def _sizes(step: Step) -> list[tuple[int, int]]:
    return list(zip(step.in_shape[:2], pair(step.layer.size), strict=True))


def _resized(graph: Graph, step: Step, x: str, a: Array, b: Array) -> str:
    x = graph.node("MatMul", [graph.array(f"{step.prefix}rows", a), x], step.prefix)
    return graph.node("MatMul", [x, graph.array(f"{step.prefix}columns", b.T)], step.prefix)


def _nothing(graph: Graph, step: Step, x: str) -> str:
    return x


IMAGES: dict[type[Layer], Write] = {
    layers.AdaptiveAvgPool2D: channels_first(_adaptive),
    layers.AvgPool1D: channels_first(_avg_pool),
    layers.AvgPool2D: channels_first(_avg_pool),
    layers.Conv1D: channels_first(_conv),
    layers.Conv2D: channels_first(_conv),
    layers.ConvTranspose2D: channels_first(_conv_transpose),
    layers.Dropout2D: _nothing,
    layers.GlobalAvgPool1D: plain("ReduceMean", axes=[1], keepdims=0),
    layers.GlobalAvgPool2D: plain("ReduceMean", axes=[1, 2], keepdims=0),
    layers.GlobalMaxPool1D: plain("ReduceMax", axes=[1], keepdims=0),
    layers.DepthToSpace2D: _blocks(space_axes),
    layers.GlobalMaxPool2D: plain("ReduceMax", axes=[1, 2], keepdims=0),
    layers.LpPool2D: channels_first(_lp_pool),
    layers.MaxPool1D: channels_first(_max_pool),
    layers.MaxPool2D: channels_first(_max_pool),
    layers.Pad2D: _pad,
    layers.Resize2D: channels_first(_resize),
    layers.SpaceToDepth2D: _blocks(depth_axes),
    layers.UpSample2D: channels_first(_up_sample),
    layers.ZeroPad2D: _zero_pad,
}
