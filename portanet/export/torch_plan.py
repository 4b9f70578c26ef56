"""Which torch module stands for each layer, and how its arrays are laid out there."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from portanet import layers
from portanet.export.source import Step, cannot
from portanet.export.torch_call import Call, Entry, Made, Make, State, same, vectors, weight, without_arrays
from portanet.export.torch_images import IMAGES, SIGNALS
from portanet.layers import Layer

Planned = tuple[list[Call], list[Entry]]


def plan(steps: Sequence[Step]) -> Planned:
    """Return a torch module for each step, and all arrays; raise ConfigError if a layer has no counterpart in torch."""
    state = State(signals=_signals(steps))
    found = _plan(steps, "", state)
    if state.order is not None:
        raise cannot(steps[-1], "torch", "its outputs are flattened images, which come in another order there")
    return found


def _signals(steps: Sequence[Step]) -> bool:
    return any(type(step.layer) in SIGNALS or any(map(_signals, step.inner)) for step in steps)


def _plan(steps: Sequence[Step], prefix: str, state: State) -> Planned:
    calls, entries = [], []
    for i, step in enumerate(steps):
        make = _MODULES.get(type(step.layer))
        if make is None:
            raise cannot(step, "torch")
        call, own = make(step, f"{prefix}{i}.", state)
        calls.append(call)
        entries += own
    return calls, entries


def _over_features(name: str) -> Make:
    """Return what makes the call of a module that takes the axis of the features; channels come first there."""
    return lambda step, prefix, state: (Call(name, (), {"dim": 1 if state.front(step.in_shape) else -1}), [])


def _gelu(step: Step, prefix: str, state: State) -> Made:
    return Call("GELU", (), {} if step.layer.approximate == "none" else {"approximate": "tanh"}), []


def _standardize(step: Step, prefix: str, state: State) -> Made:
    if len(step.in_shape) != 1:
        raise cannot(step, "torch", f"it takes rows of features there, and these are samples of shape {step.in_shape}")
    entries = vectors(step, prefix, state, mean="mean", inverse_std="inverse_std")
    return Call("Standardize", (step.in_shape[0],)), entries


def _dense(step: Step, prefix: str, state: State) -> Made:
    if state.front(step.in_shape):
        name = "Conv2D" if len(step.in_shape) == 3 else "Conv1D"
        why = f"channels stand in front there; take {name}(units, kernel=1), which is the same map"
        raise cannot(step, "torch", why)
    n_in, n_out = step.arrays["weight"].shape
    order = np.arange(n_in) if state.order is None else state.order
    back = np.argsort(order)
    state.order = None
    plain = weight(step, prefix, (1, 0))
    entries = [replace(plain, forth=lambda a: plain.forth(a[order]), back=lambda a: plain.back(a)[back])]
    entries += vectors(step, prefix, state, bias="bias")
    return Call("Linear", (n_in, n_out), {} if "bias" in step.arrays else {"bias": False}), entries


def _flatten(step: Step, prefix: str, state: State) -> Made:
    shape = step.in_shape
    if state.front(shape) and shape[-1] > 1 and math.prod(shape[:-1]) > 1:
        places = np.arange(math.prod(shape)).reshape(shape)
        state.order = np.moveaxis(places, -1, 0).reshape(-1)
    return Call("Flatten"), []


def _reshape(step: Step, prefix: str, state: State) -> Made:
    came, shape = step.in_shape, step.out_shape
    if state.signals and 2 in (len(came), len(shape)):
        if len(came) != 1 or shape[1] != 1:
            raise cannot(step, "torch", "signals have their channels in front there; put it in front of the network")
        return Call("Unflatten", (1, (1, shape[0]))), []
    if shape[:-1] == came and shape[-1] == 1 and len(came) == 2:
        return Call("Unflatten", (1, (1, came[0]))), []  # grey images have their channel in front there
    if any(len(s) == 3 and s[-1] > 1 for s in (came, shape)) or state.order is not None:
        why = "numbers of images stand in another order there, channels first; put the Reshape in front of the network"
        raise cannot(step, "torch", why)
    theirs = (1, *shape[:2]) if len(shape) == 3 else shape
    unflatten = Call("Unflatten", (1, theirs))
    return (unflatten if len(came) == 1 else Call("Sequential", (Call("Flatten"), unflatten))), []


def _batch_norm(step: Step, prefix: str, state: State) -> Made:
    axes = len(step.in_shape)
    _no_places(step, "BatchNorm1d", state)
    options = {"eps": float(step.layer.eps), "momentum": round(1.0 - float(step.layer.momentum), 12)}
    names = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}
    entries = vectors(step, prefix, state, **names)
    return Call("BatchNorm2d" if axes == 3 else "BatchNorm1d", (step.in_shape[-1],), options), entries


def _no_places(step: Step, name: str, state: State) -> None:
    """Refuse samples (t, c), whose channels torch would look for in front."""
    if len(step.in_shape) == 2 and not state.signals:
        why = f"torch's {name} has the channels in front of such samples; put Flatten first"
        raise cannot(step, "torch", why)


def _last_axis(name: str, **arrays: str) -> Make:
    def make(step: Step, prefix: str, state: State) -> Made:
        if state.front(step.in_shape):
            raise cannot(step, "torch", f"torch's {name} has no form over the channels of images; put Flatten first")
        entries = vectors(step, prefix, state, **arrays)
        return Call(name, (step.in_shape[-1],), {"eps": float(step.layer.eps)}), entries

    return make


def _group_norm(step: Step, prefix: str, state: State) -> Made:
    _no_places(step, "GroupNorm", state)
    if state.order is not None:
        raise cannot(step, "torch", "flattened images stand in another order there, and so in other groups")
    entries = vectors(step, prefix, state, gamma="weight", beta="bias")
    return Call("GroupNorm", (step.layer.groups, step.in_shape[-1]), {"eps": float(step.layer.eps)}), entries


def _instance_norm(step: Step, prefix: str, state: State) -> Made:
    _no_places(step, "InstanceNorm1d", state)
    options = {"eps": float(step.layer.eps), **({"affine": True} if step.layer.affine else {})}
    entries = vectors(step, prefix, state, gamma="weight", beta="bias")
    return Call(f"InstanceNorm{len(step.in_shape) - 1}d", (step.in_shape[-1],), options), entries


def _prelu(step: Step, prefix: str, state: State) -> Made:
    if step.layer.shared:
        name = Entry(f"{step.prefix}slope", f"{prefix}weight", (1,), same, same)
        return Call("PReLU"), [name]
    _no_places(step, "PReLU", state)
    return Call("PReLU", (step.in_shape[-1],)), vectors(step, prefix, state, slope="weight")


def _embedding(step: Step, prefix: str, state: State) -> Made:
    if state.signals:
        raise cannot(step, "torch", "it makes samples with their channels last, and Conv1d takes them in front there")
    if state.order is not None:
        raise cannot(step, "torch", "flattened images stand in another order there")
    shape = step.arrays["weight"].shape
    return Call("Embedding", shape), [Entry(f"{step.prefix}weight", f"{prefix}weight", shape, same, same)]


def _ntk_dense(step: Step, prefix: str, state: State) -> Made:
    call, entries = _dense(step, prefix, state)
    factors = {"weight": 1 / math.sqrt(step.arrays["weight"].shape[0]), "bias": step.layer.bias_factor}
    return call, [_scaled(entry, factors[entry.ours.rpartition(".")[2]]) for entry in entries]


def _scaled(entry: Entry, factor: float) -> Entry:
    return replace(entry, forth=lambda a: entry.forth(a * factor), back=lambda a: entry.back(a / factor))


def _of_a_table(step: Step, prefix: str, state: State) -> Made:
    raise cannot(step, "torch", "torch.nn has no such module; export it to ONNX")


def _branch(steps: Sequence[Step], prefix: str, state: State) -> Planned:
    """Return the plan of layers that end where others begin: none of them may leave features in another order."""
    calls, entries = _plan(steps, prefix, state)
    if state.order is not None:
        raise cannot(steps[-1], "torch", "the features of flattened images stand in another order there; add Dense")
    return calls, entries


def _check_order(step: Step, state: State) -> None:
    if state.order is not None:
        raise cannot(step, "torch", "the features of flattened images stand in another order there; put Dense first")


def _residual(step: Step, prefix: str, state: State) -> Made:
    _check_order(step, state)
    if not step.layer.shortcut:
        calls, entries = _branch(step.chain, prefix, state)
        return Call("Residual", tuple(calls)), entries
    *inner, shortcut = step.inner
    return _side_by_side("Projected", [tuple(itertools.chain(*inner)), shortcut], prefix, state)


def _branches(step: Step, prefix: str, state: State) -> Made:
    _check_order(step, state)
    if step.layer.join == "add":
        return _side_by_side("Sum", step.inner, prefix, state)
    call, entries = _side_by_side("Concat", step.inner, prefix, state)
    return replace(call, options={"dim": 1 if len(step.out_shape) == 1 or state.front(step.out_shape) else -1}), entries


def _side_by_side(name: str, paths: Sequence[Sequence[Step]], prefix: str, state: State) -> Made:
    planned = [_branch(path, f"{prefix}{i}.", state) for i, path in enumerate(paths)]
    calls = tuple(Call("Sequential", tuple(calls)) for calls, _ in planned)
    return Call(name, calls), [entry for _, entries in planned for entry in entries]


def _response_norm(step: Step, prefix: str, state: State) -> Made:
    if len(step.in_shape) == 1 or not state.front(step.in_shape):
        raise cannot(step, "torch", "torch's LocalResponseNorm takes images with the channels first; export it to ONNX")
    layer = step.layer
    return Call("LocalResponseNorm", (layer.size, float(layer.alpha), float(layer.beta), float(layer.k))), []


def _parallel(step: Step, prefix: str, state: State) -> Made:
    raise cannot(step, "torch", "torch.nn has no module that parts the features among others; export it to ONNX")


_MODULES: dict[type[Layer], Make] = {
    **IMAGES,
    **SIGNALS,
    layers.Augment: without_arrays("Identity"),
    layers.BatchNorm: _batch_norm,
    layers.Branches: _branches,
    layers.CELU: without_arrays("CELU", "alpha"),
    layers.Dense: _dense,
    layers.Dropout: without_arrays("Dropout", "rate"),
    layers.ELU: without_arrays("ELU", "alpha"),
    layers.Embedding: _embedding,
    layers.Flatten: _flatten,
    layers.GELU: _gelu,
    layers.GroupNorm: _group_norm,
    layers.Hardsigmoid: without_arrays("Hardsigmoid"),
    layers.Hardswish: without_arrays("Hardswish"),
    layers.Hardtanh: without_arrays("Hardtanh", "low", "high"),
    layers.InstanceNorm: _instance_norm,
    layers.LayerNorm: _last_axis("LayerNorm", gamma="weight", beta="bias"),
    layers.LeakyReLU: without_arrays("LeakyReLU", "slope"),
    layers.LocalResponseNorm: _response_norm,
    layers.LogSoftmax: _over_features("LogSoftmax"),
    layers.Mish: without_arrays("Mish"),
    layers.NTKDense: _ntk_dense,
    layers.OneHot: _of_a_table,
    layers.PReLU: _prelu,
    layers.Parallel: _parallel,
    layers.Parametric: _of_a_table,
    layers.PeriodicEmbedding: _of_a_table,
    layers.RMSNorm: _last_axis("RMSNorm", gamma="weight"),
    layers.ReLU6: without_arrays("ReLU6"),
    layers.ReLU: without_arrays("ReLU"),
    layers.Rescale: without_arrays("Rescale", "scale", "offset"),
    layers.Reshape: _reshape,
    layers.Residual: _residual,
    layers.RobustScale: _of_a_table,
    layers.SELU: without_arrays("SELU"),
    layers.Scale: _of_a_table,
    layers.Sigmoid: without_arrays("Sigmoid"),
    layers.SmoothClip: _of_a_table,
    layers.Softmax: _over_features("Softmax"),
    layers.Softplus: without_arrays("Softplus"),
    layers.Softsign: without_arrays("Softsign"),
    layers.Standardize: _standardize,
    layers.Swish: without_arrays("SiLU"),
    layers.Tanh: without_arrays("Tanh"),
    layers.ThresholdedReLU: lambda step, *_: (Call("Threshold", (float(step.layer.theta), 0.0)), []),
}
