"""What each layer is in a script of NumPy alone: one expression of x, by functions of ``numpy_functions.py``."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from portanet import layers
from portanet.backends.primitives.axes import Axis
from portanet.export.source import Exp, Step
from portanet.layers import Layer
from portanet.layers.blocks import depth_axes, space_axes
from portanet.layers.windows import pair
from portanet.typing import Shape


def array(step: Step, name: str) -> str:
    """Return how a script reads an array of a layer; None where the layer has none of that name."""
    return f"W[{json.dumps(step.prefix + name)}]" if name in step.arrays else "None"


def _dense(step: Step) -> str:
    return f"x @ {array(step, 'weight')}" + (f" + {array(step, 'bias')}" if "bias" in step.arrays else "")


def _ntk_dense(step: Step) -> str:
    factor = 1 / math.sqrt(step.arrays["weight"].shape[0])
    bias = f" + {array(step, 'bias')} * {step.layer.bias_factor!r}" if "bias" in step.arrays else ""
    return f"x @ {array(step, 'weight')} * {factor!r}{bias}"


def _periodic(step: Step) -> str:
    arrays = ", ".join(array(step, name) for name in ("frequency", "phase", "weight", "bias"))
    return f"periodic_embedding(x, {arrays}, skip={step.layer.skip})"


def _rescale(step: Step) -> str:
    scale, offset = float(step.layer.scale), float(step.layer.offset)
    return f"x * {scale!r}" + (f" {'-' if offset < 0 else '+'} {abs(offset)!r}" if offset else "")


def _reshape(step: Step) -> str:
    return f"x.reshape(len(x), {', '.join(map(str, step.out_shape))})"


def _settings(**given: Any) -> str:
    """Return keyword arguments, without those that are the functions' defaults."""
    plain = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}
    return "".join(f", {name}={value}" for name, value in given.items() if value != plain.get(name))


def _padding(rows: Axis, columns: Axis) -> tuple[tuple[int, int], tuple[int, int]]:
    return (rows.before, rows.after), (columns.before, columns.after)


def _conv(step: Step) -> str:
    layer = step.layer
    rows, columns = layer.axes(*step.in_shape[:2])
    padding, dilation = _padding(rows, columns), pair(layer.dilation)
    settings = _settings(stride=(rows.stride, columns.stride), padding=padding, dilation=dilation, groups=layer.groups)
    return f"conv2d(x, {array(step, 'weight')}, {array(step, 'bias')}{settings})"


def _pool(name: str) -> Callable[[Step], str]:
    def line(step: Step) -> str:
        rows, columns = step.layer.axes(*step.in_shape[:2])
        kernel, stride = (rows.kernel, columns.kernel), (rows.stride, columns.stride)
        settings = _settings(padding=_padding(*(a._replace(after=a.reached) for a in (rows, columns))))
        if name == "avg_pool" and not step.layer.counts_all(rows, columns):
            counted = _padding(rows, columns) if step.layer.count_padding else ((0, 0), (0, 0))
            settings += f", counted={counted}"
        return f"{name}(x, kernel={kernel}, stride={stride}{settings})"

    return line


def _of_a_row(line: Callable[[Step], str]) -> Callable[[Step], str]:
    """Return the line of a layer of signals: that of images of one row."""

    def signal(step: Step) -> str:
        arrays = {name: a[None] if name == "weight" else a for name, a in step.arrays.items()}
        image = replace(step, layer=step.layer.image, arrays=arrays, in_shape=(1, *step.in_shape))
        found = line(image).replace("(x,", "(x[:, None],", 1)
        if "weight" in arrays:
            found = found.replace(array(step, "weight"), f"{array(step, 'weight')}[None]", 1)
        return f"{found}[:, 0]"

    return signal


def _conv_transpose(step: Step) -> str:
    layer = step.layer
    given = {name: pair(getattr(layer, name)) for name in ("stride", "padding", "output_padding", "dilation")}
    plain = {"stride": (1, 1), "padding": (0, 0), "output_padding": (0, 0), "dilation": (1, 1)}
    settings = "".join(f", {name}={value}" for name, value in given.items() if value != plain[name])
    settings += f", groups={layer.groups}" if layer.groups > 1 else ""
    return f"conv_transpose2d(x, {array(step, 'weight')}, {array(step, 'bias')}{settings})"


def _up_sample(step: Step) -> str:
    rows, columns = pair(step.layer.size)
    if step.layer.mode == "bilinear":
        return f"up_sample(x, {(rows, columns)})"
    return f"x.repeat({rows}, axis=1).repeat({columns}, axis=2)"


def _group_norm(step: Step) -> str:
    groups = step.in_shape[-1] if isinstance(step.layer, layers.InstanceNorm) else step.layer.groups
    return f"group_norm(x, {array(step, 'gamma')}, {array(step, 'beta')}, {groups}, {float(step.layer.eps)!r})"


def _gelu(step: Step) -> str:
    return "gelu(x)" if step.layer.approximate == "tanh" else "exact_gelu(x)"


def _function(name: str, *settings: str, arrays: Sequence[str] = ()) -> Callable[[Step], str]:
    def line(step: Step) -> str:
        words = ["x", *(array(step, a) for a in arrays), *(repr(float(getattr(step.layer, s))) for s in settings)]
        return f"{name}({', '.join(words)})"

    return line


def _response_norm(step: Step) -> str:
    layer = step.layer
    return f"local_response_norm(x, {layer.size}, {float(layer.alpha)!r}, {float(layer.beta)!r}, {float(layer.k)!r})"


def _lp_pool(step: Step) -> str:
    rows, columns = step.layer.axes(*step.in_shape[:2])
    kernel, stride = (rows.kernel, columns.kernel), (rows.stride, columns.stride)
    settings = _settings(padding=_padding(*(a._replace(after=a.reached) for a in (rows, columns))))
    return f"lp_pool(x, {float(step.layer.p)!r}, kernel={kernel}, stride={stride}{settings})"


def _pad(step: Step) -> str:
    layer, edges = step.layer, ((0, 0), *step.layer.sides(), (0, 0))
    modes = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    if layer.mode == "constant":
        return f"np.pad(x, {edges}, constant_values={float(layer.value)!r})"
    return f'np.pad(x, {edges}, "{modes[layer.mode]}")'


def _blocks(axes: Callable[..., tuple[Shape, Shape, Shape]]) -> Callable[[Step], str]:
    def line(step: Step) -> str:
        apart, order, _ = axes((1, *step.in_shape), step.layer.block, step.layer.order)
        first, last = ", ".join(map(str, apart[1:])), ", ".join(map(str, step.out_shape))
        return f"x.reshape(len(x), {first}).transpose{order}.reshape(len(x), {last})"

    return line


def _resize(step: Step) -> str:
    layer, sizes = step.layer, step.in_shape[:2]
    outs, factors = layer.out(sizes)
    given = (layer.mode, layer.coordinates, layer.rounding, float(layer.cubic), layer.antialias, layer.edges)
    options = ", ".join(map(repr, given))
    known = map(float, factors) if layer.scale is not None else (None, None)
    each = ", ".join(f"({n}, {out}, {f!r})" for n, out, f in zip(sizes, outs, known, strict=True))
    return f"resize(x, {each}, {options})"


LINES: dict[type[Layer], Callable[[Step], str]] = {
    layers.AdaptiveAvgPool2D: lambda step: f"adaptive_avg_pool(x, {pair(step.layer.size)})",
    layers.AvgPool1D: _of_a_row(_pool("avg_pool")),
    layers.AvgPool2D: _pool("avg_pool"),
    layers.BatchNorm: _function("batch_norm", "eps", arrays=("gamma", "beta", "mean", "variance")),
    layers.CELU: _function("celu", "alpha"),
    layers.Conv1D: _of_a_row(_conv),
    layers.Conv2D: _conv,
    layers.ConvTranspose2D: _conv_transpose,
    layers.Dense: _dense,
    layers.ELU: _function("elu", "alpha"),
    layers.Embedding: _function("embedding", arrays=("weight",)),
    layers.Flatten: _reshape,
    layers.GELU: _gelu,
    layers.GlobalAvgPool1D: lambda step: "x.mean(axis=1)",
    layers.GlobalAvgPool2D: lambda step: "x.mean(axis=(1, 2))",
    layers.GlobalMaxPool1D: lambda step: "x.max(axis=1)",
    layers.GlobalMaxPool2D: lambda step: "x.max(axis=(1, 2))",
    layers.GroupNorm: _group_norm,
    layers.Hardsigmoid: _function("hard_sigmoid"),
    layers.DepthToSpace2D: _blocks(space_axes),
    layers.Hardswish: _function("hard_swish"),
    layers.Hardtanh: lambda step: f"np.clip(x, {float(step.layer.low)!r}, {float(step.layer.high)!r})",
    layers.InstanceNorm: _group_norm,
    layers.LayerNorm: _function("layer_norm", "eps", arrays=("gamma", "beta")),
    layers.LeakyReLU: _function("leaky_relu", "slope"),
    layers.LocalResponseNorm: _response_norm,
    layers.LogSoftmax: _function("log_softmax"),
    layers.LpPool2D: _lp_pool,
    layers.MaxPool1D: _of_a_row(_pool("max_pool")),
    layers.MaxPool2D: _pool("max_pool"),
    layers.Mish: _function("mish"),
    layers.NTKDense: _ntk_dense,
    layers.OneHot: lambda step: f"one_hot(x, {tuple(step.layer.sizes)})",
    layers.Pad2D: _pad,
    layers.PeriodicEmbedding: _periodic,
    layers.PReLU: _function("prelu", arrays=("slope",)),
    layers.ReLU6: lambda step: "np.clip(x, 0, 6)",
    layers.ReLU: _function("relu"),
    layers.Rescale: _rescale,
    layers.Reshape: _reshape,
    layers.Resize2D: _resize,
    layers.RMSNorm: _function("rms_norm", "eps", arrays=("gamma",)),
    layers.RobustScale: lambda step: f"(x - {array(step, 'median')}) * {array(step, 'factor')}",
    layers.Scale: lambda step: f"x * {array(step, 'scale')}",
    layers.SELU: _function("selu"),
    layers.Sigmoid: _function("sigmoid"),
    layers.SmoothClip: _function("smooth_clip", "limit"),
    layers.Softmax: _function("softmax"),
    layers.Softplus: _function("softplus"),
    layers.SpaceToDepth2D: _blocks(depth_axes),
    layers.Softsign: lambda step: "x / (1 + np.abs(x))",
    layers.Standardize: lambda step: f"(x - {array(step, 'mean')}) * {array(step, 'inverse_std')}",
    layers.Swish: _function("swish"),
    layers.Tanh: lambda step: "np.tanh(x)",
    layers.ThresholdedReLU: lambda step: f"np.where(x > {float(step.layer.theta)!r}, x, 0)",
    layers.UpSample2D: _up_sample,
    layers.ZeroPad2D: lambda step: f"np.pad(x, {((0, 0), *step.layer.edges(), (0, 0))})",
    Exp: lambda step: "np.exp(x)",
}
