"""Classes as a user writes them: a container, a layer, a loss, an optimizer, a metric, schedules."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

import portanet as pn
from portanet.backends.namespace import namespace

__all__ = ["Fading", "Gate", "Noted", "Paired", "Quartic", "Share", "Slowing", "Twice", "Walk"]


@dataclass(frozen=True)
class Gate(pn.Layer):
    """A container of two named layers, y = a(x) * b(x), with a scale of its own."""

    value: pn.Layer
    gate: pn.Layer
    stacks = True

    @property
    def by_sample(self):  # type: ignore[override]  # its layers decide
        return all(layer.by_sample for layer in self.children().values())

    def children(self):
        return {"value": self.value, "gate": self.gate}

    def output_layer(self):
        return self

    def init(self, rng, in_shape):
        found = {"weight": np.ones(())}
        for name, layer in self.children().items():
            own, shape = layer.init(rng, in_shape)
            found.update({f"{name}.{key}": array for key, array in own.items()})
        return found, shape

    def init_buffers(self, in_shape):
        each = ((name, layer.init_buffers(in_shape)) for name, layer in self.children().items())
        return {f"{name}.{key}": array for name, own in each for key, array in own.items()}

    def forward(self, params, x, *, train=False, key=None):
        found = []
        for i, (name, layer) in enumerate(self.children().items()):
            part = {k.removeprefix(f"{name}."): a for k, a in params.items() if k.startswith(f"{name}.")}
            found.append((part, *layer.forward(part, x, train=train, key=key and key.child(i))))
        (_, a, _), (_, b, _) = found
        return params["weight"] * a * b, (params["weight"], found)

    def backward(self, params, dy, cache, *, need_dx=True):
        weight, found = cache
        (_, a, _), (_, b, _) = found
        grads, dx = {"weight": namespace(dy).sum(dy * a * b)}, []
        for (name, layer), (part, _, inner), other in zip(self.children().items(), found, (b, a), strict=True):
            own = {key: array for key, array in part.items() if f"{name}.{key}" in params}
            back, more = layer.backward(own, weight * dy * other, inner, need_dx=need_dx)
            grads.update({f"{name}.{key}": array for key, array in more.items()})
            dx.append(back)
        return sum(dx) if need_dx else None, grads

    def updated_buffers(self, params, cache):
        each = zip(self.children().items(), cache[1], strict=True)
        return {
            f"{name}.{key}": array
            for (name, layer), (part, _, inner) in each
            for key, array in layer.updated_buffers(part, inner).items()
        }


@dataclass(frozen=True)
class Walk(Gate):
    """The same, whose output layer nobody has said, and which tells the shapes of its layers."""

    def child_shapes(self, in_shape):
        return {"value": in_shape, "gate": in_shape}

    def output_layer(self):
        return pn.Layer.output_layer(self)


@dataclass(frozen=True)
class Twice(pn.Layer):
    """y = 2 x."""

    by_sample = True

    def forward(self, params, x, *, train=False, key=None):
        return 2.0 * x, None

    def backward(self, params, dy, cache, *, need_dx=True):
        return 2.0 * dy, {}


@dataclass(frozen=True)
class Quartic(pn.Loss):
    """Mean of (y - t)⁴ / scale."""

    scale: float = 1.0

    def forward(self, prediction, target, weight=None):
        error = prediction - target[..., None]
        return namespace(error).mean(error**4) / self.scale, error

    def backward(self, cache):
        return 4 * cache**3 / self.scale / cache.shape[-2]


@dataclass(frozen=True)
class Paired(pn.Loss):
    """The mean of two losses."""

    first: pn.Loss
    others: tuple[pn.Loss, ...]

    def forward(self, prediction, target, weight=None):
        found = [loss.forward(prediction, target, weight) for loss in (self.first, *self.others)]
        return sum(value for value, _ in found) / len(found), [cache for _, cache in found]

    def backward(self, cache):
        losses = (self.first, *self.others)
        return sum(loss.backward(own) for loss, own in zip(losses, cache, strict=True)) / len(losses)


@dataclass(frozen=True)
class Slowing(pn.SGD):
    """SGD whose rate is divided by 1 + fade t."""

    fade: float = 0.1

    def numbers(self, lr, t):
        return super().numbers(lr / (1 + self.fade * t), t)


@dataclass(frozen=True)
class Share(pn.Metric):
    """The share of the samples whose error is below `most`."""

    most: float = 0.5
    name: str = "share"

    def batch(self, prediction, target, weight, loss):
        xp = namespace(prediction)
        return xp.mean(xp.astype(abs(prediction[..., 0] - target) < self.most, prediction.dtype))


class Fading(pn.Schedule):
    """Not a dataclass: gamma^epoch."""

    def __init__(self, gamma=0.9):
        self.gamma = gamma

    def factor(self, epoch, epochs):
        return self.gamma**epoch


@dataclass
class Noted(pn.Schedule):
    """Divides the rate by how many epochs it has seen."""

    seen: int = field(default=1, init=False)

    def factor(self, epoch, epochs):
        return 1.0 / self.seen

    def observe(self, row):
        self.seen += 1
