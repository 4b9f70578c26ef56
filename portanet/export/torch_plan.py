"""Which torch module stands for each layer, and how its arrays are laid out there."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from portanet import layers
from portanet.backends.primitives.axes import Axis
from portanet.export.source import Step, cannot, transposed
from portanet.layers import Layer
from portanet.layers.windows import pair
from portanet.typing import Array, Shape

OWN = {"Rescale", "Standardize", "Residual"}  # the modules that torch lacks


@dataclass(frozen=True)
class Call:
    """A torch module as the call that makes it; arguments may be calls themselves."""

    name: str
    arguments: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def text(self, indent: str = "") -> str:
        """Return it as a line of Python, or, if it holds other modules, as several."""
        name = self.name if self.name in OWN else f"nn.{self.name}"
        if any(isinstance(a, Call) for a in self.arguments):
            inner = "".join(f"{indent}    {a.text(f'{indent}    ')},\n" for a in self.arguments)
            return f"{name}(\n{inner}{indent})"
        words = [repr(a) for a in self.arguments] + [f"{k}={v!r}" for k, v in self.options.items()]
        return f"{name}({', '.join(words)})".replace("-inf", 'float("-inf")')

    def own(self) -> set[str]:
        """Return which of the modules that torch lacks are in it."""
        inner = [a.own() for a in self.arguments if isinstance(a, Call)]
        return set().union(*inner) | ({self.name} & OWN)


@dataclass(frozen=True)
class Entry:
    """An array here and there: names, torch's shape, and the way to torch's layout and back."""

    ours: str
    theirs: str
    shape: Shape
    forth: Callable[[Array], Array]
    back: Callable[[Array], Array]


@dataclass
class _State:
    """The order of features after a Flatten of images, until a Dense: torch's feature j is our feature order[j]."""

    order: Array | None = None


Made = tuple[Call, list[Entry]]


def plan(steps: Sequence[Step]) -> tuple[list[Call], list[Entry]]:
    """Return a torch module for each step, and all arrays; raise ConfigError if a layer has no counterpart in torch."""
    state = _State()
    found = _plan(steps, "", state)
    if state.order is not None:
        raise cannot(steps[-1], "torch", "its outputs are flattened images, which come in another order there")
    return found


def _plan(steps: Sequence[Step], prefix: str, state: _State) -> tuple[list[Call], list[Entry]]:
    calls, entries = [], []
    for i, step in enumerate(steps):
        make = _MODULES.get(type(step.layer))
        if make is None:
            raise cannot(step, "torch")
        call, own = make(step, f"{prefix}{i}.", state)
        calls.append(call)
        entries += own
    return calls, entries


def _same(array: Array) -> Array:
    return array


def _vectors(step: Step, prefix: str, state: _State, **names: str) -> list[Entry]:
    """Return the entries of those arrays, with a number for each feature, that the layer has; and torch's names."""
    forth, back = _same, _same
    if state.order is not None:
        forth, back = (partial(np.take, indices=order, axis=0) for order in (state.order, np.argsort(state.order)))
    arrays = {ours: step.arrays[ours] for ours in names if ours in step.arrays}
    return [Entry(step.prefix + ours, prefix + names[ours], a.shape, forth, back) for ours, a in arrays.items()]


def _weight(step: Step, prefix: str, axes: tuple[int, ...]) -> Entry:
    """Return the entry of a weight whose axes have this order in torch."""
    shape = tuple(step.arrays["weight"].shape[axis] for axis in axes)
    forth, back = (partial(transposed, axes=order) for order in (axes, tuple(np.argsort(axes))))
    return Entry(f"{step.prefix}weight", f"{prefix}weight", shape, forth, back)


def _without_arrays(name: str, *fields: str, **options: Any) -> Callable[[Step, str, _State], Made]:
    """Return what makes the call of a module with these fields of the layer, as floats, and options."""
    return lambda step, prefix, state: (Call(name, tuple(float(getattr(step.layer, f)) for f in fields), options), [])


def _softmax(step: Step, prefix: str, state: _State) -> Made:
    return Call("Softmax", (), {"dim": 1 if len(step.in_shape) == 3 else -1}), []  # channels come first there


def _standardize(step: Step, prefix: str, state: _State) -> Made:
    if len(step.in_shape) != 1:
        raise cannot(step, "torch", f"it takes rows of features there, and these are samples of shape {step.in_shape}")
    entries = _vectors(step, prefix, state, mean="mean", inverse_std="inverse_std")
    return Call("Standardize", (step.in_shape[0],)), entries


def _dense(step: Step, prefix: str, state: _State) -> Made:
    if len(step.in_shape) == 3:
        why = "channels stand in front there; take Conv2D(units, kernel=1), which is the same map"
        raise cannot(step, "torch", why)
    n_in, n_out = step.arrays["weight"].shape
    order = np.arange(n_in) if state.order is None else state.order
    back = np.argsort(order)
    state.order = None
    weight = _weight(step, prefix, (1, 0))
    entries = [replace(weight, forth=lambda a: weight.forth(a[order]), back=lambda a: weight.back(a)[back])]
    entries += _vectors(step, prefix, state, bias="bias")
    return Call("Linear", (n_in, n_out), {} if "bias" in step.arrays else {"bias": False}), entries


def _flatten(step: Step, prefix: str, state: _State) -> Made:
    if len(step.in_shape) == 3:
        places = np.arange(int(np.prod(step.in_shape))).reshape(step.in_shape)
        state.order = places.transpose(2, 0, 1).reshape(-1)
    return Call("Flatten"), []


def _reshape(step: Step, prefix: str, state: _State) -> Made:
    came, shape = step.in_shape, step.out_shape
    if shape[:-1] == came and shape[-1] == 1 and len(came) == 2:
        return Call("Unflatten", (1, (1, came[0]))), []  # grey images have their channel in front there
    if any(len(s) == 3 and s[-1] > 1 for s in (came, shape)) or state.order is not None:
        why = "numbers of images stand in another order there, channels first; put the Reshape in front of the network"
        raise cannot(step, "torch", why)
    theirs = (1, *shape[:2]) if len(shape) == 3 else shape
    unflatten = Call("Unflatten", (1, theirs))
    return (unflatten if len(came) == 1 else Call("Sequential", (Call("Flatten"), unflatten))), []


def _conv(step: Step, prefix: str, state: _State) -> Made:
    layer = step.layer
    rows, columns = layer.axes(*step.in_shape[:2])
    padded, padding = _padding(rows, columns, 0.0, most=None)
    options: dict[str, Any] = {"stride": (rows.stride, columns.stride), "padding": padding}
    options |= {"dilation": pair(layer.dilation), "groups": layer.groups, "bias": layer.bias}
    plain = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1, "bias": True}
    options = {name: value for name, value in options.items() if value != plain[name]}
    call = Call("Conv2d", (step.in_shape[2], layer.units, (rows.kernel, columns.kernel)), options)
    prefix += "1." if padded else ""
    entries = [_weight(step, prefix, (3, 2, 0, 1)), *_vectors(step, prefix, state, bias="bias")]
    return (Call("Sequential", (padded, call)) if padded else call), entries


def _padding(rows: Axis, columns: Axis, value: float, *, most: float | None) -> tuple[Call | None, tuple[int, int]]:
    """Return the module that pads, if torch's windows cannot do so themselves, and what they pad.

    They cannot do so unevenly, nor by more than the share `most` of their size.
    """
    if all(a.before == a.after and (most is None or a.before <= most * a.kernel) for a in (rows, columns)):
        return None, (rows.before, columns.before)
    return Call("ConstantPad2d", ((columns.before, columns.after, rows.before, rows.after), value)), (0, 0)


def _pool(name: str, blank: float) -> Callable[[Step, str, _State], Made]:
    def make(step: Step, prefix: str, state: _State) -> Made:
        rows, columns = step.layer.axes(*step.in_shape[:2])
        padded, padding = _padding(rows, columns, blank, most=0.5)
        options: dict[str, Any] = {"stride": (rows.stride, columns.stride)}
        options |= {"padding": padding} if any(padding) else {}
        call = Call(name, ((rows.kernel, columns.kernel),), options)
        return (Call("Sequential", (padded, call)) if padded else call), []

    return make


def _batch_norm(step: Step, prefix: str, state: _State) -> Made:
    axes = len(step.in_shape)
    if axes == 2:
        raise cannot(step, "torch", "torch's BatchNorm1d has the channels in front of such samples; put Flatten first")
    options = {"eps": float(step.layer.eps), "momentum": round(1.0 - float(step.layer.momentum), 12)}
    names = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}
    entries = _vectors(step, prefix, state, **names)
    return Call("BatchNorm2d" if axes == 3 else "BatchNorm1d", (step.in_shape[-1],), options), entries


def _layer_norm(step: Step, prefix: str, state: _State) -> Made:
    if len(step.in_shape) == 3:
        raise cannot(step, "torch", "torch's LayerNorm has no form over the channels of images; put Flatten first")
    entries = _vectors(step, prefix, state, gamma="weight", beta="bias")
    return Call("LayerNorm", (step.in_shape[-1],), {"eps": float(step.layer.eps)}), entries


def _embedding(step: Step, prefix: str, state: _State) -> Made:
    if state.order is not None:
        raise cannot(step, "torch", "flattened images stand in another order there")
    shape = step.arrays["weight"].shape
    return Call("Embedding", shape), [Entry(f"{step.prefix}weight", f"{prefix}weight", shape, _same, _same)]


def _ntk_dense(step: Step, prefix: str, state: _State) -> Made:
    call, entries = _dense(step, prefix, state)
    factors = {"weight": 1 / math.sqrt(step.arrays["weight"].shape[0]), "bias": step.layer.bias_factor}
    return call, [_scaled(entry, factors[entry.ours.rpartition(".")[2]]) for entry in entries]


def _scaled(entry: Entry, factor: float) -> Entry:
    return replace(entry, forth=lambda a: entry.forth(a * factor), back=lambda a: entry.back(a / factor))


def _of_a_table(step: Step, prefix: str, state: _State) -> Made:
    raise cannot(step, "torch", "torch.nn has no such module; export it to ONNX")


def _residual(step: Step, prefix: str, state: _State) -> Made:
    if state.order is not None:
        raise cannot(step, "torch", "the features of flattened images stand in another order there; put Dense first")
    calls, entries = _plan(step.chain, prefix, state)
    return Call("Residual", tuple(calls)), entries


def _parallel(step: Step, prefix: str, state: _State) -> Made:
    raise cannot(step, "torch", "torch.nn has no module that parts the features among others; export it to ONNX")


_MODULES: dict[type[Layer], Callable[[Step, str, _State], Made]] = {
    layers.Augment: _without_arrays("Identity"),
    layers.AvgPool2D: _pool("AvgPool2d", 0.0),
    layers.BatchNorm: _batch_norm,
    layers.Conv2D: _conv,
    layers.Dense: _dense,
    layers.Dropout: _without_arrays("Dropout", "rate"),
    layers.ELU: _without_arrays("ELU", "alpha"),
    layers.Embedding: _embedding,
    layers.Flatten: _flatten,
    layers.GELU: _without_arrays("GELU", approximate="tanh"),
    layers.GlobalAvgPool2D: lambda *_: (Call("Sequential", (Call("AdaptiveAvgPool2d", (1,)), Call("Flatten"))), []),
    layers.LayerNorm: _layer_norm,
    layers.LeakyReLU: _without_arrays("LeakyReLU", "slope"),
    layers.MaxPool2D: _pool("MaxPool2d", float("-inf")),
    layers.Mish: _without_arrays("Mish"),
    layers.NTKDense: _ntk_dense,
    layers.OneHot: _of_a_table,
    layers.Parallel: _parallel,
    layers.Parametric: _of_a_table,
    layers.PeriodicEmbedding: _of_a_table,
    layers.ReLU: _without_arrays("ReLU"),
    layers.Rescale: _without_arrays("Rescale", "scale", "offset"),
    layers.Reshape: _reshape,
    layers.Residual: _residual,
    layers.RobustScale: _of_a_table,
    layers.SELU: _without_arrays("SELU"),
    layers.Scale: _of_a_table,
    layers.SmoothClip: _of_a_table,
    layers.Sigmoid: _without_arrays("Sigmoid"),
    layers.Softmax: _softmax,
    layers.Softplus: _without_arrays("Softplus"),
    layers.Standardize: _standardize,
    layers.Swish: _without_arrays("SiLU"),
    layers.Tanh: _without_arrays("Tanh"),
}
