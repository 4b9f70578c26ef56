"""The layers of images and signals as torch modules."""

from __future__ import annotations

from functools import partial
from typing import Any

from portanet import layers
from portanet.backends.primitives.axes import Axis
from portanet.export.source import Step, cannot, transposed
from portanet.export.torch_call import Call, Entry, Made, Make, State, vectors, weight
from portanet.layers import Layer
from portanet.layers.windows import pair
from portanet.typing import Array


def _conv(step: Step, prefix: str, state: State) -> Made:
    layer = step.layer
    rows, columns = layer.axes(*step.in_shape[:2])
    padded, padding = _padding(rows, columns, 0.0, most=None)
    options: dict[str, Any] = {"stride": (rows.stride, columns.stride), "padding": padding}
    options |= {"dilation": pair(layer.dilation), "groups": layer.groups, "bias": layer.bias}
    call = Call("Conv2d", (step.in_shape[2], layer.units, (rows.kernel, columns.kernel)), _changed(options))
    prefix += "1." if padded else ""
    entries = [weight(step, prefix, (3, 2, 0, 1)), *vectors(step, prefix, state, bias="bias")]
    return (Call("Sequential", (padded, call)) if padded else call), entries


def _conv_transpose(step: Step, prefix: str, state: State) -> Made:
    layer = step.layer
    options = {name: pair(getattr(layer, name)) for name in ("stride", "padding", "output_padding", "dilation")}
    options = _changed({**options, "groups": layer.groups, "bias": layer.bias})
    call = Call("ConvTranspose2d", (step.in_shape[2], layer.units, pair(layer.kernel)), options)
    kh, kw, own, units = step.arrays["weight"].shape
    each = units // layer.groups
    shape = (own * layer.groups, each, kh, kw)
    entry = Entry(
        f"{step.prefix}weight",
        f"{prefix}weight",
        shape,
        partial(transposed_kernel, groups=layer.groups),
        partial(_kernel_back, groups=layer.groups),
    )
    return call, [entry, *vectors(step, prefix, state, bias="bias")]


def transposed_kernel(array: Array, groups: int) -> Array:
    """Return the weight of a ConvTranspose2D as torch and ONNX have it, (in, units / groups, kh, kw)."""
    kh, kw, own, units = array.shape
    apart = array.reshape(kh, kw, own, groups, units // groups)
    return transposed(apart, (3, 2, 4, 0, 1)).reshape(groups * own, units // groups, kh, kw)


def _kernel_back(array: Array, groups: int) -> Array:
    channels, each, kh, kw = array.shape
    apart = array.reshape(groups, channels // groups, each, kh, kw)
    return transposed(apart, (3, 4, 1, 0, 2)).reshape(kh, kw, channels // groups, groups * each)


def _changed(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that are not torch's defaults."""
    plain = {"stride": (1, 1), "padding": (0, 0), "output_padding": (0, 0), "dilation": (1, 1), "groups": 1}
    plain |= {"bias": True, "ceil_mode": False, "count_include_pad": True}
    return {name: value for name, value in options.items() if value != plain[name]}


def _padding(rows: Axis, columns: Axis, value: float, *, most: float | None) -> tuple[Call | None, tuple[int, int]]:
    """Return the module that pads, if torch's windows cannot do so themselves, and what they pad.

    They cannot do so unevenly, nor by more than the share `most` of their size.
    """
    if all(a.before == a.after and (most is None or a.before <= most * a.kernel) for a in (rows, columns)):
        return None, (rows.before, columns.before)
    return Call("ConstantPad2d", ((columns.before, columns.after, rows.before, rows.after), value)), (0, 0)


def _max_pool(step: Step, prefix: str, state: State) -> Made:
    rows, columns = step.layer.axes(*step.in_shape[:2])
    return _pooled(step, "MaxPool2d", rows, columns, float("-inf"), {})


def _avg_pool(step: Step, prefix: str, state: State) -> Made:
    layer = step.layer
    rows, columns = layer.axes(*step.in_shape[:2])
    if layer.count_padding:
        return _pooled(step, "AvgPool2d", rows, columns, 0.0, {})
    if any(a.before != a.after or a.before > 0.5 * a.kernel for a in (rows, columns)):
        why = "torch's AvgPool2d counts padding that is not the same on both sides, or above half the kernel"
        raise cannot(step, "torch", why)
    return _pooled(step, "AvgPool2d", rows, columns, 0.0, {"count_include_pad": False})


def _pooled(step: Step, name: str, rows: Axis, columns: Axis, blank: float, options: dict[str, Any]) -> Made:
    ceil = step.layer.ceil_mode
    padded, padding = _padding(rows, columns, blank, most=0.5)
    if padded and ceil:
        if name == "AvgPool2d":
            why = "ceil_mode with padding that torch's AvgPool2d does not have itself; take the same on both sides"
            raise cannot(step, "torch", why)
        # Padded as far as the windows reach, so that nothing is left to be rounded up.
        rows, columns = (a._replace(after=a.reached) for a in (rows, columns))
        padded, padding = _padding(rows, columns, blank, most=-1.0)
    options = {"stride": (rows.stride, columns.stride), "padding": padding, "ceil_mode": ceil and not padded, **options}
    stride = options.pop("stride")
    call = Call(name, ((rows.kernel, columns.kernel),), {"stride": stride, **_changed(options)})
    return (Call("Sequential", (padded, call)) if padded else call), []


def _global(name: str) -> Make:
    return lambda *_: (Call("Sequential", (Call(name, (1,)), Call("Flatten"))), [])


def _zero_pad(step: Step, prefix: str, state: State) -> Made:
    (top, bottom), (left, right) = step.layer.edges()
    return Call("ZeroPad2d", ((left, right, top, bottom),)), []


def _up_sample(step: Step, prefix: str, state: State) -> Made:
    times = tuple(map(float, pair(step.layer.size)))
    return Call("Upsample", (), {"scale_factor": times, "mode": step.layer.mode}), []


def _resize(step: Step, prefix: str, state: State) -> Made:
    layer = step.layer
    plain = layer.edges and not layer.antialias and (layer.mode != "bicubic" or layer.cubic == -0.75)
    options: dict[str, Any] = {"mode": layer.mode}
    if layer.mode == "nearest":
        ways = {("asymmetric", "floor"): "nearest", ("half_pixel", "up"): "nearest-exact"}
        options["mode"] = ways.get((layer.coordinates, layer.rounding))
    elif layer.coordinates == "align_corners":
        options["align_corners"] = True
    plain = plain and options["mode"] is not None and (layer.mode == "nearest" or layer.coordinates != "asymmetric")
    if not plain or (layer.scale is not None and layer.coordinates == "align_corners"):
        raise cannot(step, "torch", "torch's Upsample has no such interpolation; export it to ONNX")
    if layer.scale is None:
        return Call("Upsample", (), {"size": step.out_shape[:2], **options}), []
    return Call("Upsample", (), {"scale_factor": tuple(map(float, pair(layer.scale))), **options}), []


_PADS = {"reflect": "ReflectionPad2d", "replicate": "ReplicationPad2d", "circular": "CircularPad2d"}


def _pad(step: Step, prefix: str, state: State) -> Made:
    (top, bottom), (left, right) = step.layer.sides()
    edges = (left, right, top, bottom)
    if step.layer.mode == "constant":
        return Call("ConstantPad2d", (edges, float(step.layer.value))), []
    return Call(_PADS[step.layer.mode], (edges,)), []


def _blocks(name: str) -> Make:
    def make(step: Step, prefix: str, state: State) -> Made:
        if step.layer.order != "CRD":
            raise cannot(step, "torch", f"torch's {name} has the order CRD alone")
        return Call(name, (step.layer.block,)), []

    return make


def _lp_pool(step: Step, prefix: str, state: State) -> Made:
    layer = step.layer
    if layer.p % 2:
        raise cannot(step, "torch", "torch's LPPool2d leaves out what is negative, unless p is even")
    rows, columns = layer.axes(*step.in_shape[:2])
    # torch rounds up and scales by the share of the window inside: padded as far as the windows reach, it need not.
    rows, columns = (a._replace(after=a.reached) for a in (rows, columns))
    padded, _ = (
        _padding(rows, columns, 0.0, most=-1.0) if any(a.before or a.after for a in (rows, columns)) else (None, 0)
    )
    call = Call("LPPool2d", (float(layer.p), (rows.kernel, columns.kernel)), {"stride": (rows.stride, columns.stride)})
    return (Call("Sequential", (padded, call)) if padded else call), []


IMAGES: dict[type[Layer], Make] = {
    layers.AdaptiveAvgPool2D: lambda step, *_: (Call("AdaptiveAvgPool2d", (pair(step.layer.size),)), []),
    layers.AvgPool2D: _avg_pool,
    layers.Conv2D: _conv,
    layers.ConvTranspose2D: _conv_transpose,
    layers.Dropout2D: lambda step, *_: (Call("Dropout2d", (float(step.layer.rate),)), []),
    layers.DepthToSpace2D: _blocks("PixelShuffle"),
    layers.GlobalAvgPool2D: _global("AdaptiveAvgPool2d"),
    layers.LpPool2D: _lp_pool,
    layers.Pad2D: _pad,
    layers.Resize2D: _resize,
    layers.SpaceToDepth2D: _blocks("PixelUnshuffle"),
    layers.GlobalMaxPool2D: _global("AdaptiveMaxPool2d"),
    layers.MaxPool2D: _max_pool,
    layers.UpSample2D: _up_sample,
    layers.ZeroPad2D: _zero_pad,
}


def _conv1d(step: Step, prefix: str, state: State) -> Made:
    layer = step.layer
    a = layer.axis(step.in_shape[0])
    pads = Call("ConstantPad1d", ((a.before, a.after), 0.0)) if a.before != a.after else None
    options = {"stride": a.stride, "padding": 0 if pads else a.before, "dilation": a.dilation}
    plain = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": True}
    options = {**options, "groups": layer.groups, "bias": layer.bias}
    options = {name: value for name, value in options.items() if value != plain[name]}
    call = Call("Conv1d", (step.in_shape[1], layer.units, a.kernel), options)
    prefix += "1." if pads else ""
    entries = [weight(step, prefix, (2, 1, 0)), *vectors(step, prefix, state, bias="bias")]
    return (Call("Sequential", (pads, call)) if pads else call), entries


def _pool1d(name: str) -> Make:
    def make(step: Step, prefix: str, state: State) -> Made:
        a = step.layer.axis(step.in_shape[0])
        if a.before != a.after or a.before > 0.5 * a.kernel:
            raise cannot(step, "torch", f"torch's {name} has the same padding on both sides, at most half the kernel")
        options = {"padding": a.before, "ceil_mode": step.layer.ceil_mode}
        options |= {} if name == "MaxPool1d" or step.layer.count_padding else {"count_include_pad": False}
        plain = {"padding": 0, "ceil_mode": False, "count_include_pad": True}
        options = {key: value for key, value in options.items() if value != plain[key]}
        return Call(name, (a.kernel,), {"stride": a.stride, **options}), []

    return make


SIGNALS: dict[type[Layer], Make] = {
    layers.AvgPool1D: _pool1d("AvgPool1d"),
    layers.Conv1D: _conv1d,
    layers.GlobalAvgPool1D: _global("AdaptiveAvgPool1d"),
    layers.GlobalMaxPool1D: _global("AdaptiveMaxPool1d"),
    layers.MaxPool1D: _pool1d("MaxPool1d"),
}
