"""Optimizers: how parameters move along their gradients.

``init(params) -> state``, ``update(params, grads, state, lr) -> (params, state)``. The arrays of `params` and `state`
are donated: they are changed in place where the library allows it, and only the returned ones may be used afterwards.
Gradients are left as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from portanet.backends.namespace import namespace
from portanet.checks import check_fields
from portanet.errors import ConfigError, unknown
from portanet.typing import Array, Params

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Lion", "Optimizer", "RMSprop"]


@dataclass(frozen=True)
class Optimizer:
    """Base of all optimizers. A new one names its `slots` and writes its :meth:`rule` for a single array.

    Parameters
    ----------
    lr : float
        Learning rate; a schedule multiplies it.
    weight_decay : float
        Decoupled decay w: weights (not biases) shrink by the factor 1 - lr w a step (Loshchilov & Hutter 2019).
    clip_norm : float, optional
        Largest Euclidean norm of all gradients taken together; above it all are scaled down (Pascanu et al. 2013).
    clip_value : float, optional
        Largest absolute value of any entry of a gradient.
    """

    lr: float = 0.01
    weight_decay: float = 0.0
    clip_norm: float | None = None
    clip_value: float | None = None

    slots: ClassVar[tuple[str, ...]] = ()
    """Names of the running arrays that the rule keeps beside each parameter; they begin at 0."""

    def __post_init__(self) -> None:
        check_fields(self)
        for field in ("clip_norm", "clip_value"):
            value = getattr(self, field)
            if value is not None and not value > 0:
                message = f"{type(self).__name__}: {field} must be above 0, or None for no limit, got {value!r}"
                raise ConfigError(message)

    def init(self, params: Params) -> dict[str, Any]:
        """Return the state before the first step: a step count ``"t"``, and for each slot an array per parameter."""
        state: dict[str, Any] = {"t": 0}
        for slot in self.slots:
            state[slot] = {name: namespace(p).zeros_like(p) for name, p in params.items()}
        return state

    def update(
        self,
        params: Params,
        grads: Params,
        state: dict[str, Any],
        lr: Any,
        *,
        stacked: bool = False,
        weight_decay: Any = None,
    ) -> tuple[Params, dict[str, Any]]:
        """Return the parameters after one step, and the new state.

        Parameters
        ----------
        params, grads : dict of arrays
            The same names and shapes.
        state : dict
            What :meth:`init` or the last update returned.
        lr : float
            The learning rate of this step.
        stacked : bool
            Whether the first axis of every array is a stack of k networks, each of which is clipped by its own norm.
            `lr` may then be an array of their rates, (k,), in the dtype of the parameters.
        weight_decay : array, shape (k,), optional
            Their decays, in place of the optimizer's own.
        """
        grads = self.clipped(grads, stacked=stacked)
        t = state["t"] + 1
        numbers = self.numbers(lr, t)
        running = [state[slot] for slot in self.slots]
        new: Params = {}
        moved: list[Params] = [{} for _ in running]
        decays = weight_decay is not None or self.weight_decay
        left = 1.0 - lr * (self.weight_decay if weight_decay is None else weight_decay) if decays else 1.0
        for name, p in params.items():
            if decays and is_weight(name):
                p *= _of_each(left, p)
            each = [_of_each(number, p) for number in numbers] if stacked else numbers
            new[name], *arrays = self.rule(p, grads[name], *[slot[name] for slot in running], *each)
            for slot, array in zip(moved, arrays, strict=True):
                slot[name] = array
        return new, {"t": t, **dict(zip(self.slots, moved, strict=True))}

    def numbers(self, lr: float, t: int) -> tuple[float, ...]:
        """Return the scalars of step `t` (1, 2, ...) that the rule takes; worked out once a step, not once an array."""
        return (lr,)

    def rule(self, p: Array, g: Array, *args: Any) -> tuple[Array, ...]:
        """Return p and the slots' arrays after a step along g; p and the slots' arrays are owned, g is not."""
        raise NotImplementedError

    def clipped(self, grads: Params, *, stacked: bool = False) -> Params:
        """Return the gradients held within `clip_value` and `clip_norm`, each network of a stack by its own norm."""
        if self.clip_value is not None:
            c = self.clip_value
            for_each = ((name, g, namespace(g)) for name, g in grads.items())
            grads = {name: xp.minimum(xp.maximum(g, -c), c) for name, g, xp in for_each}
        if self.clip_norm is not None and grads:
            xp = namespace(next(iter(grads.values())))
            square: Any = sum(xp.sum(g * g, axis=tuple(range(1, g.ndim)) if stacked else None) for g in grads.values())
            factor = xp.minimum(self.clip_norm / (xp.sqrt(square) + 1e-30), 1.0)  # stays on the device: no sync
            grads = {name: g * _of_each(factor, g) for name, g in grads.items()}
        return grads


def _of_each(number: Any, p: Array) -> Any:
    """Return a number for each network of a stack, (k,), in the shape that goes with p, (k, ...); a scalar as it is."""
    if not getattr(number, "ndim", 0):
        return number
    return namespace(p).reshape(number, (-1,) + (1,) * (p.ndim - 1))


def is_weight(name: str) -> bool:
    """Whether the parameter of that name decays and is penalised: weights do, biases do not."""
    return name.rpartition(".")[2] == "weight"


def one_minus_power(beta: float, t: Any) -> Any:
    """Return 1 - beta^t without cancellation, for a Python int or, in a compiled step, an array t."""
    exponent = t * math.log(beta) if beta > 0 else -math.inf
    return -math.expm1(exponent) if isinstance(exponent, float) else -namespace(exponent).expm1(exponent)


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent, plain, with momentum, or with Nesterov's.

    Rule      plain: p ← p - lr g;   v ← m v + g,  p ← p - lr v;   Nesterov: p ← p - lr (g + m v)
    Source    Robbins & Monro 1951; Polyak 1964; Sutskever et al. 2013, ICML

    Parameters
    ----------
    momentum : float
        m, 0 ≤ m < 1.
    nesterov : bool
        Whether the gradient is taken ahead; needs a momentum.
    """

    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share(self, "momentum")
        if self.nesterov and not self.momentum:
            message = "SGD: nesterov needs a momentum above 0, got 0; give momentum=0.9, say"
            raise ConfigError(message)

    @property
    def slots(self) -> tuple[str, ...]:  # type: ignore[override]  # one that is not used is not kept
        return ("velocity",) if self.momentum else ()

    def rule(self, p: Array, g: Array, *args: Any) -> tuple[Array, ...]:
        *slots, lr = args
        if not slots:
            p -= lr * g
            return (p,)
        (v,) = slots
        v *= self.momentum
        v += g
        p -= lr * (g + self.momentum * v) if self.nesterov else lr * v
        return p, v


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """Steps scaled by the root of a running mean of squares.

    Rule      s ← r s + (1 - r) g²,   p ← p - lr g / (√s + eps)
    Source    Tieleman & Hinton 2012, Coursera lecture 6.5
    """

    lr: float = 0.001
    rho: float = 0.9
    eps: float = 1e-8
    slots: ClassVar[tuple[str, ...]] = ("square",)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share(self, "rho")

    def rule(self, p: Array, g: Array, *args: Any) -> tuple[Array, ...]:
        s, lr = args
        s *= self.rho
        s += (1.0 - self.rho) * (g * g)
        root = namespace(p).sqrt(s)
        root += self.eps
        p -= lr * g / root
        return p, s


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """Steps scaled by the root of the sum of all squares so far.

    Rule      s ← s + g²,   p ← p - lr g / (√s + eps)
    Source    Duchi, Hazan & Singer 2011, JMLR 12
    """

    lr: float = 0.01
    eps: float = 1e-10
    slots: ClassVar[tuple[str, ...]] = ("square",)

    def rule(self, p: Array, g: Array, *args: Any) -> tuple[Array, ...]:
        s, lr = args
        s += g * g
        root = namespace(p).sqrt(s)
        root += self.eps
        p -= lr * g / root
        return p, s


@dataclass(frozen=True)
class Adam(Optimizer):
    """Momentum and root-mean-square scaling, both freed of their bias towards 0.

    Rule      m ← b₁ m + (1 - b₁) g,   v ← b₂ v + (1 - b₂) g²
              p ← p - lr m̂ / (√v̂ + eps),   m̂ = m / (1 - b₁ᵗ),   v̂ = v / (1 - b₂ᵗ)
    Source    Kingma & Ba 2015, arXiv:1412.6980, algorithm 1, with the corrections moved into the two scalars (sec. 2)
    """

    lr: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    slots: ClassVar[tuple[str, ...]] = ("mean", "square")

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share(self, "beta1")
        _check_share(self, "beta2")

    def numbers(self, lr: float, t: int) -> tuple[float, ...]:
        # The running arrays are kept without the factors 1 - b, M = m / (1 - b₁) and V = v / (1 - b₂): these stand in
        # two scalars a step instead of two passes over all arrays.
        root = (one_minus_power(self.beta2, t) / (1.0 - self.beta2)) ** 0.5
        return lr * root * (1.0 - self.beta1) / one_minus_power(self.beta1, t), self.eps * root

    def rule(self, p: Array, g: Array, *args: Any) -> tuple[Array, ...]:
        m, v, rate, eps = args
        m *= self.beta1
        m += g
        v *= self.beta2
        v += g * g
        step = namespace(p).sqrt(v)
        step += eps
        step = m / step
        step *= rate
        p -= step
        return p, m, v


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay on by default.

    Rule      Adam's, behind p ← (1 - lr w) p
    Source    Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2
    """

    weight_decay: float = 0.01


@dataclass(frozen=True)
class Lion(Optimizer):
    """The sign of an interpolated momentum; every entry moves by lr. Take lr three to ten times below Adam's.

    Rule      p ← p - lr sign(b₁ m + (1 - b₁) g),   m ← b₂ m + (1 - b₂) g
    Source    Chen et al. 2023, arXiv:2302.06675, algorithm 2
    """

    lr: float = 0.0001
    beta1: float = 0.9
    beta2: float = 0.99
    slots: ClassVar[tuple[str, ...]] = ("mean",)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share(self, "beta1")
        _check_share(self, "beta2")

    def rule(self, p: Array, g: Array, *args: Any) -> tuple[Array, ...]:
        m, lr = args
        direction = self.beta1 * m
        direction += (1.0 - self.beta1) * g
        p -= lr * namespace(p).sign(direction)
        m *= self.beta2
        m += (1.0 - self.beta2) * g
        return p, m


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "adam": Adam,
    "adamw": AdamW,
    "lion": Lion,
}


def get(spec: str | Optimizer, **options: Any) -> Optimizer:
    """Return the optimizer that `spec` is or names, made with `options`.

    Raises
    ------
    ConfigError
        If the name is unknown (the nearest known one is told), or an option is none of that optimizer's.
    """
    if isinstance(spec, Optimizer):
        return spec
    if not isinstance(spec, str) or spec not in OPTIMIZERS:
        raise ConfigError(unknown("optimizer", spec, OPTIMIZERS))
    known = OPTIMIZERS[spec].__dataclass_fields__
    for name in options:
        if name not in known:
            raise ConfigError(f"optimizer {spec!r}: " + unknown("option", name, known))
    return OPTIMIZERS[spec](**options)


def _check_share(optimizer: Optimizer, field: str) -> None:
    value = getattr(optimizer, field)
    if not 0 <= value < 1:
        message = f"{type(optimizer).__name__}: {field} must be at least 0 and below 1, got {value!r}"
        raise ConfigError(message)
