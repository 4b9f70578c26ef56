"""ONNX's own cases of single nodes, computed by our layers: how many can be expressed, and how many are equal.

usage: python -m tests.onnx_nodes [--reasons]

Cases are those of the package onnx (``onnx.backend.test.case.node``) for the operators below, without their expanded
forms, which are graphs of other operators. Equal is what ONNX's own runner calls so: within 1e-3 of each, or 1e-7.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections import Counter, defaultdict
from typing import Any

import numpy as np

import portanet as pn


class Inexpressible(Exception):
    """No layer, or loss, computes this node."""


def make(name: str, *args: Any, **options: Any) -> Any:
    """Return a layer of portanet's, if this version has it, and with these settings."""
    kind = getattr(pn, name, None)
    if kind is None:
        why = f"no {name}"
        raise Inexpressible(why)
    try:
        return kind(*args, **options)
    except (TypeError, pn.ConfigError) as error:
        why = f"{name}: {str(error).splitlines()[0]:.90}"
        raise Inexpressible(why) from None


def run(layer: Any, x: Any, **params: Any) -> Any:
    """Return what a layer makes of samples with these parameters and buffers."""
    try:
        layer.init(np.random.default_rng(0), x.shape[1:])
        return layer.forward({name: a for name, a in params.items() if a is not None}, x)[0]
    except pn.ShapeError as error:
        why = f"{type(layer).__name__}: {error!s:.90}"
        raise Inexpressible(why) from None


def last(x: Any) -> Any:
    return np.moveaxis(x, 1, -1)


def first(x: Any) -> Any:
    return np.moveaxis(x, -1, 1)


def need(holds: bool, why: str) -> None:
    if not holds:
        raise Inexpressible(why)


def elementwise(name: str, **settings: Any) -> Any:
    """Return what computes an activation whose fields have these names, and values by default, in ONNX."""

    def compute(a: dict[str, Any], x: Any) -> Any:
        given = {field: a.get(theirs, default) for field, (theirs, default) in settings.items()}
        layer = make(name, **given)
        return layer.forward({}, x.reshape(1, -1))[0].reshape(x.shape)

    return compute


def net(x: Any, *layers: Any) -> Any:
    """Return what a network without parameters makes of samples."""
    return run(make("Sequential", layers), x)


def hard_sigmoid(a: dict[str, Any], x: Any) -> Any:
    slope, offset = float(a.get("alpha", 0.2)), float(a.get("beta", 0.5))
    return net(x.reshape(1, -1), make("Rescale", slope, offset), make("Hardtanh", 0.0, 1.0)).reshape(x.shape)


def selu(a: dict[str, Any], x: Any) -> Any:
    alpha, gamma = a.get("alpha", 1.67326), a.get("gamma", 1.0507)
    if abs(alpha - 1.67326) < 1e-4 and abs(gamma - 1.0507) < 1e-4:
        return make("SELU").forward({}, x)[0]
    return net(x.reshape(1, -1), make("ELU", float(alpha)), make("Rescale", float(gamma))).reshape(x.shape)


def gelu(a: dict[str, Any], x: Any) -> Any:
    approximate = a.get("approximate", b"none").decode()
    layer = make("GELU") if approximate == "tanh" else make("GELU", approximate)
    return layer.forward({}, x)[0]


def clip(a: dict[str, Any], x: Any, low: Any = None, high: Any = None) -> Any:
    largest = float(np.finfo(np.float32).max)
    given = zip((low, high), (-largest, largest), strict=True)
    low, high = (most if v is None or not np.size(v) else float(v) for v, most in given)
    need(low < high, "Clip to bounds that exclude each other")
    return make("Hardtanh", low, high).forward({}, x)[0]


def prelu(a: dict[str, Any], x: Any, slope: Any) -> Any:
    if slope.size == 1:
        return run(make("PReLU", shared=True), x, slope=slope.reshape(1))
    if slope.shape == x.shape:  # all of it is one sample
        return run(make("PReLU"), x.reshape(1, -1), slope=slope.reshape(-1)).reshape(x.shape)
    need(slope.ndim == 1 or slope.size == max(slope.shape), "PRelu with a slope for each place")
    axis = x.ndim - slope.ndim + int(np.argmax(slope.shape))
    if slope.size == x.size // x.shape[0] and slope.shape == x.shape[1:]:
        return run(make("PReLU"), x.reshape(len(x), -1), slope=slope.reshape(-1)).reshape(x.shape)
    need(axis > 0, "PRelu along the batch")
    return np.moveaxis(run(make("PReLU"), np.moveaxis(x, axis, -1), slope=slope.reshape(-1)), -1, axis)


def over_axis(name: str) -> Any:
    def compute(a: dict[str, Any], x: Any) -> Any:
        axis = a.get("axis", -1)
        y = make(name).forward({}, np.moveaxis(x, axis, -1))[0]
        return np.moveaxis(y, -1, axis)

    return compute


def padding(a: dict[str, Any], axes: int, size: tuple[int, ...]) -> Any:
    auto = a.get("auto_pad", b"NOTSET").decode()
    if auto == "SAME_UPPER":
        return "same"
    pads = a.get("pads", [0] * 2 * axes)
    if auto == "SAME_LOWER":
        ones = [1] * axes
        given = zip(size, a["kernel_shape"], a.get("strides", ones), a.get("dilations", ones), strict=True)
        totals = [max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0) for n, k, s, d in given]
        pads = [total - total // 2 for total in totals] + [total // 2 for total in totals]
    each = tuple((pads[i], pads[i + axes]) for i in range(axes))
    if axes == 1:
        return each[0] if each[0][0] != each[0][1] else each[0][0]
    return each[0][0] if len({*each[0], *each[1]}) == 1 else each


def sizes(a: dict[str, Any], axes: int, **names: str) -> dict[str, Any]:
    given = {ours: tuple(a.get(theirs, [1] * axes)) for ours, theirs in names.items()}
    return {ours: value[0] if axes == 1 else value for ours, value in given.items()}


def images(x: Any) -> int:
    need(x.ndim in (3, 4), f"windows over {x.ndim - 2} axes")
    return int(x.ndim) - 2


def conv(a: dict[str, Any], x: Any, w: Any, b: Any = None) -> Any:
    axes = images(x)
    a.setdefault("kernel_shape", list(w.shape[2:]))
    layer = make(
        f"Conv{axes}D",
        w.shape[0],
        **sizes(a, axes, kernel="kernel_shape", stride="strides", dilation="dilations"),
        padding=padding(a, axes, x.shape[2:]),
        groups=a.get("group", 1),
        bias=b is not None,
    )
    weight = np.moveaxis(w, (0, 1), (-1, -2))
    return first(run(layer, last(x), weight=np.ascontiguousarray(weight), bias=b))


def conv_transpose(a: dict[str, Any], x: Any, w: Any, b: Any = None) -> Any:
    if images(x) == 1:  # images of one row
        one = {"strides": 1, "dilations": 1, "kernel_shape": 1, "output_padding": 0}
        row = {name: [fill, *a[name]] for name, fill in one.items() if name in a}
        row |= {name: value for name, value in a.items() if name not in (*one, "pads")}
        row |= {"pads": [0, a["pads"][0], 0, a["pads"][1]]} if "pads" in a else {}
        return conv_transpose(row, x[:, :, None], w[:, :, None], b)[:, :, 0]
    groups, kernel = a.get("group", 1), w.shape[2:]
    pads = a.get("pads", [0] * 4)
    strides, dilations = a.get("strides", [1, 1]), a.get("dilations", [1, 1])
    more = list(a.get("output_padding", [0, 0]))
    if a.get("auto_pad", b"NOTSET") != b"NOTSET" or "output_shape" in a:
        shape = a.get("output_shape") or [n * s for n, s in zip(x.shape[2:], strides, strict=True)]
        full = [
            s * (n - 1) + d * (k - 1) + 1 for n, s, k, d in zip(x.shape[2:], strides, kernel, dilations, strict=True)
        ]
        less = [f - n for f, n in zip(full, shape, strict=True)]
        more = [-min(v, 0) for v in less]
        less = [max(v, 0) for v in less]
        upper = a.get("auto_pad", b"NOTSET") == b"SAME_UPPER"
        pads = [(v // 2 if upper else v - v // 2) for v in less] + [(v - v // 2 if upper else v // 2) for v in less]
    # Less at the end than in front is what output_padding adds.
    extra = [pads[i] - pads[i + 2] for i in (0, 1)]
    need(min(extra) >= 0, "ConvTranspose that cuts off more at the end than at the beginning")
    more = [m + e for m, e in zip(more, extra, strict=True)]
    weight = w.reshape(groups, w.shape[0] // groups, *w.shape[1:]).transpose(3, 4, 1, 0, 2)
    weight = weight.reshape(*kernel, w.shape[0] // groups, -1)
    layer = make(
        "ConvTranspose2D",
        weight.shape[3],
        tuple(kernel),
        tuple(strides),
        tuple(pads[:2]),
        tuple(more),
        tuple(dilations),
        groups,
        bias=b is not None,
    )
    return first(run(layer, last(x), weight=np.ascontiguousarray(weight), bias=b))


def pool(name: str) -> Any:
    def compute(a: dict[str, Any], x: Any) -> Any:
        axes = images(x)
        need(set(a.get("dilations", [1])) == {1}, "a pool with dilation")
        need(x.dtype.kind == "f", f"a pool of {x.dtype}")
        given = {**sizes(a, axes, kernel="kernel_shape", stride="strides"), "padding": padding(a, axes, x.shape[2:])}
        if a.get("ceil_mode"):
            given["ceil_mode"] = True
        counted = a.get("count_include_pad", 0)
        if name == "AvgPool" and not counted and given["padding"] not in (0, "valid"):
            given["count_padding"] = False
        return first(run(make(f"{name}{axes}D", **given), last(x)))

    return compute


def global_pool(name: str) -> Any:
    def compute(a: dict[str, Any], x: Any) -> Any:
        axes = images(x)
        return run(make(f"{name}{axes}D"), last(x)).reshape(*x.shape[:2], *[1] * axes)

    return compute


def batch_norm(a: dict[str, Any], x: Any, gamma: Any, beta: Any, mean: Any, variance: Any) -> Any:
    momentum, eps = a.get("momentum", 0.9), a.get("epsilon", 1e-5)
    layer = make("BatchNorm", momentum, eps)
    arrays = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    if not a.get("training_mode"):
        return first(run(layer, last(x), **arrays))
    y, cache = layer.forward(arrays, last(x), train=True)
    moved = layer.updated_buffers(arrays, cache)
    return first(y), moved["mean"], moved["variance"]


def rows(x: Any, axis: int) -> Any:
    axis = axis % x.ndim  # 0: all of it is one sample
    return x.reshape(-1, math.prod(x.shape[axis:]))


def layer_norm(a: dict[str, Any], x: Any, gamma: Any, beta: Any = None) -> Any:
    eps, flat = a.get("epsilon", 1e-5), rows(x, a.get("axis", -1))
    shift = np.zeros(gamma.size, x.dtype) if beta is None else beta.reshape(-1)
    y = run(make("LayerNorm", eps), flat, gamma=gamma.reshape(-1), beta=shift).reshape(x.shape)
    mean = flat.mean(axis=1)
    stat = (*x.shape[: a.get("axis", -1) % x.ndim], *[1] * (x.ndim - a.get("axis", -1) % x.ndim))
    return y, mean.reshape(stat), (1 / np.sqrt(flat.var(axis=1) + eps)).reshape(stat)


def rms_norm(a: dict[str, Any], x: Any, gamma: Any) -> Any:
    flat = rows(x, a.get("axis", -1))
    return run(make("RMSNorm", a.get("epsilon", 1e-5)), flat, gamma=gamma.reshape(-1)).reshape(x.shape)


def group_norm(a: dict[str, Any], x: Any, gamma: Any, beta: Any) -> Any:
    need(gamma.size == x.shape[1], "GroupNormalization with a scale for each group")
    layer = make("GroupNorm", a["num_groups"], a.get("epsilon", 1e-5))
    return first(run(layer, last(x), gamma=gamma, beta=beta))


def instance_norm(a: dict[str, Any], x: Any, gamma: Any, beta: Any) -> Any:
    return first(run(make("InstanceNorm", a.get("epsilon", 1e-5), affine=True), last(x), gamma=gamma, beta=beta))


def gemm(a: dict[str, Any], x: Any, w: Any, b: Any = None) -> Any:
    need(a.get("transA", 0) == 0, "Gemm of a transposed input")
    w = a.get("alpha", 1.0) * (w.T if a.get("transB") else w)  # factors belong to the weights
    need(b is None or (np.size(b) in (1, w.shape[1]) and (np.ndim(b) < 2 or b.shape[0] == 1)), "a bias of each row")
    bias = None if b is None else np.broadcast_to(a.get("beta", 1.0) * b, (1, w.shape[1]))
    layer = make("Dense", w.shape[1], bias=b is not None)
    return run(layer, x, weight=w.astype(x.dtype), bias=None if bias is None else bias[0].astype(x.dtype))


def matmul(a: dict[str, Any], x: Any, w: Any) -> Any:
    need(w.ndim == 2 and x.ndim > 1, "a product of two stacks")
    return run(make("Dense", w.shape[1], bias=False), x, weight=w)


def flatten(a: dict[str, Any], x: Any) -> Any:
    need(a.get("axis", 1) % x.ndim == 1, "Flatten of other axes")
    return run(make("Flatten"), x)


def pad(a: dict[str, Any], x: Any, pads: Any, value: Any = None, axes: Any = None) -> Any:
    need(x.ndim == 4, f"Pad of {x.ndim} axes")
    whole = np.zeros((2, 4), int)
    axes = np.arange(4) if axes is None else np.asarray(axes) % 4
    whole[0, axes], whole[1, axes] = pads[: len(axes)], pads[len(axes) :]
    need(not whole[:, :2].any(), "Pad of samples or channels")
    mode = {b"edge": "replicate", b"wrap": "circular"}.get(own := a.get("mode", b"constant"), own.decode())
    edges = ((int(whole[0, 2]), int(whole[1, 2])), (int(whole[0, 3]), int(whole[1, 3])))
    return first(run(make("Pad2D", edges, mode, 0.0 if value is None else float(value)), last(x)))


def resize(a: dict[str, Any], x: Any, roi: Any = None, scales: Any = None, out: Any = None) -> Any:
    need(x.ndim == 4, "Resize of other axes than images'")
    axes = a.get("axes", list(range(4)))
    sizes, whole = list(x.shape), np.ones(4)
    if scales is None or not np.size(scales):
        policy, wanted = a.get("keep_aspect_ratio_policy", b"stretch"), [int(n) for n in out]
        if policy != b"stretch":  # the size is worked out from the shape before there is a layer
            factors = [n / x.shape[axis] for n, axis in zip(wanted, axes, strict=True)]
            factor = (min if policy == b"not_larger" else max)(factors)
            wanted = [int(np.floor(factor * x.shape[axis] + 0.5)) for axis in axes]
        for axis, n in zip(axes, wanted, strict=True):
            sizes[axis] = n
        need(sizes[:2] == list(x.shape[:2]), "Resize of samples or channels")
        how = {"size": tuple(sizes[2:])}
    else:
        whole[axes] = scales
        need(whole[:2].tolist() == [1, 1], "Resize of samples or channels")
        how = {"scale": tuple(whole[2:].tolist())}
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(own := a.get("mode", b"nearest").decode(), own)
    where = a.get("coordinate_transformation_mode", b"half_pixel").decode()
    where = "half_pixel" if where == "pytorch_half_pixel" and 1 not in sizes[2:] else where
    near = a.get("nearest_mode", b"round_prefer_floor").decode().replace("round_prefer_floor", "down")
    options = {
        "coordinates": where,
        "rounding": near.replace("round_prefer_ceil", "up"),
        "cubic": float(a.get("cubic_coeff_a", -0.75)),
        "antialias": bool(a.get("antialias", 0)),
        "edges": not a.get("exclude_outside", 0),
    }
    return first(run(make("Resize2D", mode=mode, **how, **options), last(x)))


def upsample(a: dict[str, Any], x: Any, scales: Any) -> Any:
    return resize({**a, "coordinate_transformation_mode": b"asymmetric", "nearest_mode": b"floor"}, x, None, scales)


def dropout(a: dict[str, Any], x: Any, ratio: Any = None, training: Any = None) -> Any:
    need(training is None or not bool(training) or float(ratio) == 0, "Dropout that draws numbers of ONNX's own")
    y = make("Dropout", float(0.5 if ratio is None or not np.size(ratio) else ratio)).forward({}, x)[0]
    return y, np.ones(x.shape, bool)


def lp_pool(a: dict[str, Any], x: Any) -> Any:
    axes = images(x)
    need(set(a.get("dilations", [1])) == {1}, "a pool with dilation")
    if axes == 1:  # images of one row
        x, a = x[:, :, None], {**a, "kernel_shape": [1, *a["kernel_shape"]], "strides": [1, *a.get("strides", [1])]}
        a |= {"pads": [0, a["pads"][0], 0, a["pads"][1]]} if "pads" in a else {}
    given = {**sizes(a, 2, kernel="kernel_shape", stride="strides"), "padding": padding(a, 2, x.shape[2:])}
    y = first(run(make("LpPool2D", p=float(a.get("p", 2)), ceil_mode=bool(a.get("ceil_mode", 0)), **given), last(x)))
    return y[:, :, 0] if axes == 1 else y


def blocks(name: str) -> Any:
    def compute(a: dict[str, Any], x: Any) -> Any:
        order = a.get("mode", b"DCR").decode()
        return first(run(make(name, int(a["blocksize"]), order), last(x)))

    return compute


def response_norm(a: dict[str, Any], x: Any) -> Any:
    given = [float(a.get(name, default)) for name, default in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0))]
    return first(run(make("LocalResponseNorm", int(a["size"]), *given), last(x)))


def likelihood(a: dict[str, Any], x: Any, y: Any, w: Any = None) -> Any:
    return reduced(make("NegativeLogLikelihood"), a, x, y, w)


def cross_entropy(a: dict[str, Any], x: Any, y: Any, w: Any = None) -> Any:
    return reduced(make("SoftmaxCrossEntropy"), a, x, y, w), first(make("LogSoftmax").forward({}, last(x))[0])


def reduced(loss: Any, a: dict[str, Any], x: Any, y: Any, w: Any) -> Any:
    """Return a loss of classes, each place of each sample a row, by class weights, without what is to be ignored."""
    reduction = a.get("reduction", b"mean").decode()
    logits = last(x).reshape(-1, x.shape[1])
    target, weight = y.reshape(-1), np.ones(y.size, x.dtype)
    ignored = target == a.get("ignore_index", -(10**9))
    target = np.where(ignored, 0, target)
    weight = (weight if w is None else w[target]) * ~ignored
    if reduction == "none":  # each is the mean over a batch of one
        each = [loss.forward(logits[i : i + 1], target[i : i + 1])[0] for i in range(len(target))]
        return (np.asarray(each) * weight).reshape(y.shape)
    value, _ = loss.forward(logits, target, weight.astype(x.dtype))
    return value * (weight.sum() if reduction == "sum" else 1)


OPERATORS: dict[str, Any] = {
    "AveragePool": pool("AvgPool"),
    "BatchNormalization": batch_norm,
    "Celu": elementwise("CELU", alpha=("alpha", 1.0)),
    "Clip": clip,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "DepthToSpace": blocks("DepthToSpace2D"),
    "Dropout": dropout,
    "Elu": elementwise("ELU", alpha=("alpha", 1.0)),
    "Flatten": flatten,
    "Gelu": gelu,
    "Gemm": gemm,
    "GlobalAveragePool": global_pool("GlobalAvgPool"),
    "GlobalMaxPool": global_pool("GlobalMaxPool"),
    "GroupNormalization": group_norm,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": elementwise("Hardswish"),
    "InstanceNormalization": instance_norm,
    "LRN": response_norm,
    "LayerNormalization": layer_norm,
    "LeakyRelu": elementwise("LeakyReLU", slope=("alpha", 0.01)),
    "LogSoftmax": over_axis("LogSoftmax"),
    "LpPool": lp_pool,
    "MatMul": matmul,
    "MaxPool": pool("MaxPool"),
    "Mish": elementwise("Mish"),
    "NegativeLogLikelihoodLoss": likelihood,
    "PRelu": prelu,
    "Pad": pad,
    "RMSNormalization": rms_norm,
    "Relu": elementwise("ReLU"),
    "Resize": resize,
    "Selu": selu,
    "Sigmoid": elementwise("Sigmoid"),
    "Softmax": over_axis("Softmax"),
    "SoftmaxCrossEntropyLoss": cross_entropy,
    "Softplus": elementwise("Softplus"),
    "Softsign": elementwise("Softsign"),
    "SpaceToDepth": blocks("SpaceToDepth2D"),
    "Swish": elementwise("Swish"),
    "Tanh": elementwise("Tanh"),
    "ThresholdedRelu": elementwise("ThresholdedReLU", theta=("alpha", 1.0)),
    "Upsample": upsample,
}
"""What computes each operator, from its attributes and inputs; None where there is nothing."""


def computed(node: Any, inputs: list[Any]) -> tuple[Any, ...]:
    """Return the outputs of a node; raise Inexpressible where no layer computes them."""
    import onnx

    compute = OPERATORS[node.op_type]
    need(compute is not None, f"no layer for {node.op_type}")
    given = iter(inputs)
    arrays = [next(given) if name else None for name in node.input]
    attributes = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
    moved = node.op_type in ("Pad", "SpaceToDepth", "DepthToSpace")  # pixels of any kind, which are not computed with
    need(moved or arrays[0].dtype.kind == "f", f"{node.op_type} of {arrays[0].dtype}")
    found = compute(attributes, *arrays)
    return found if isinstance(found, tuple) else (found,)


def outcomes() -> dict[str, str]:
    """Return of each case what came of it: "equal", "different", or why it cannot be expressed."""
    from onnx.backend.test.case.node import collect_testcases

    found: dict[str, str] = {}
    with warnings.catch_warnings(action="ignore"):  # some cases of casts overflow on purpose
        cases = collect_testcases(None)
    for case in cases:
        if len(case.model.graph.node) != 1 or case.model.graph.node[0].op_type not in OPERATORS:
            continue
        if case.name.endswith("_expanded") or "_expanded_" in case.name:
            continue
        node = case.model.graph.node[0]
        try:
            same = True
            for inputs, outputs in case.data_sets:
                got = computed(node, [np.asarray(a) for a in inputs])
                for theirs, ours in zip(outputs, got, strict=False):  # statistics beside the output may be left out
                    same &= np.shape(theirs) == np.shape(ours) and np.allclose(ours, theirs, rtol=1e-3, atol=1e-7)
            found[case.name] = "equal" if same else "different"
        except Inexpressible as error:
            found[case.name] = str(error)
    return found


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reasons", action="store_true", help="list why cases cannot be expressed")
    reasons = parser.parse_args(argv).reasons
    found = outcomes()
    counts = Counter(value if value in ("equal", "different") else "inexpressible" for value in found.values())
    print(f"{len(found)} cases of {len(OPERATORS)} operators: {counts['equal'] + counts['different']} expressible, ")
    print(f"{counts['equal']} of them equal; different: {[n for n, v in found.items() if v == 'different']}")
    if reasons:
        why = defaultdict(list)
        for name, value in found.items():
            if value not in ("equal", "different"):
                why[value].append(name)
        for value, names in sorted(why.items(), key=lambda item: -len(item[1])):
            print(f"{len(names):4}  {value}: {', '.join(names[:3])}{' …' if len(names) > 3 else ''}")


if __name__ == "__main__":
    main()
