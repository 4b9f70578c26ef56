"""The rules: how one array moves along its gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from portanet.backends.elementwise import elementwise
from portanet.backends.namespace import namespace, sign
from portanet.backends.primitives.axpy import minus_scaled
from portanet.checks import NotNegative, Positive, Share
from portanet.errors import ConfigError
from portanet.optimizers.base import Optimizer
from portanet.typing import Array

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Lion", "NAdam", "RMSprop"]


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

    momentum: Share = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and not self.momentum:
            message = "SGD: nesterov needs a momentum above 0, got 0; set momentum=0.9, for example"
            raise ConfigError(message)

    @property
    def slots(self) -> tuple[str, ...]:  # type: ignore[override]  # one that is not used is not kept
        return ("velocity",) if self.momentum else ()

    @elementwise
    def rule(self, p: Array, g: Array, *args: Any) -> tuple[Array, ...]:
        *slots, lr = args
        if not slots:
            return (minus_scaled(p, lr, g),)
        (v,) = slots
        v *= self.momentum
        v += g
        return minus_scaled(p, lr, g + self.momentum * v if self.nesterov else v), v


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """Steps scaled by the root of a running mean of squares.

    Rule      s ← r s + (1 - r) g²,   p ← p - lr g / (√s + eps)
    Ranges    0 ≤ r < 1, eps > 0 (at 0, a gradient of 0 would give NaN)
    Source    Tieleman & Hinton 2012, Coursera lecture 6.5
    """

    lr: NotNegative = 0.001
    rho: Share = 0.9
    eps: Positive = 1e-8
    slots: ClassVar[tuple[str, ...]] = ("square",)

    @elementwise
    def rule(self, p: Array, g: Array, *args: Any) -> tuple[Array, ...]:
        s, lr = args
        s *= self.rho
        s += (1.0 - self.rho) * (g * g)
        root = namespace(p).sqrt(s)
        root += self.eps
        return minus_scaled(p, lr, g / root), s


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """Steps scaled by the root of the sum of all squares so far.

    Rule      s ← s + g²,   p ← p - lr g / (√s + eps)
    Ranges    eps > 0 (at 0, a gradient of 0 would give NaN)
    Source    Duchi, Hazan & Singer 2011, JMLR 12
    """

    lr: NotNegative = 0.01
    eps: Positive = 1e-10
    slots: ClassVar[tuple[str, ...]] = ("square",)

    @elementwise
    def rule(self, p: Array, g: Array, *args: Any) -> tuple[Array, ...]:
        s, lr = args
        s += g * g
        root = namespace(p).sqrt(s)
        root += self.eps
        return minus_scaled(p, lr, g / root), s


@dataclass(frozen=True)
class Adam(Optimizer):
    """Momentum and root-mean-square scaling, both freed of their bias towards 0.

    Rule      m ← b₁ m + (1 - b₁) g,   v ← b₂ v + (1 - b₂) g²
              p ← p - lr m̂ / (√v̂ + eps),   m̂ = m / (1 - b₁ᵗ),   v̂ = v / (1 - b₂ᵗ)
    Ranges    0 ≤ b₁ < 1, 0 ≤ b₂ < 1, eps > 0 (at 0, a gradient of 0 would give NaN)
    Source    Kingma & Ba 2015, arXiv:1412.6980, algorithm 1, with the corrections moved into the two scalars (sec. 2)
    """

    lr: NotNegative = 0.001
    beta1: Share = 0.9
    beta2: Share = 0.999
    eps: Positive = 1e-8
    slots: ClassVar[tuple[str, ...]] = ("mean", "square")

    def numbers(self, lr: float, t: int) -> tuple[float, ...]:
        # The running arrays are kept without the factors 1 - b, M = m / (1 - b₁) and V = v / (1 - b₂): these stand in
        # two scalars a step instead of two passes over all arrays.
        root = (one_minus_power(self.beta2, t) / (1.0 - self.beta2)) ** 0.5
        return lr * root * (1.0 - self.beta1) / one_minus_power(self.beta1, t), self.eps * root

    @elementwise
    def rule(self, p: Array, g: Array, *args: Any) -> tuple[Array, ...]:
        m, v, rate, eps = args
        m *= self.beta1
        m += g
        v *= self.beta2
        v += g * g
        step = namespace(p).sqrt(v)
        step += eps
        return minus_scaled(p, rate, m / step), m, v


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay on by default.

    Rule      Adam's, after p ← (1 - lr w) p
    Source    Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2
    """

    weight_decay: NotNegative = 0.01


@dataclass(frozen=True)
class NAdam(Optimizer):
    """Adam with Nesterov's momentum, which grows towards b₁ over the first steps.

    Rule      m ← b₁ m + (1 - b₁) g,   v ← b₂ v + (1 - b₂) g²,   uₜ = b₁ (1 - ½ 0.96^(t d)),   Uₜ = u₁ ⋯ uₜ
              p ← p - lr (uₜ₊₁ m / (1 - Uₜ₊₁) + (1 - uₜ) g / (1 - Uₜ)) / (√v̂ + eps),   v̂ = v / (1 - b₂ᵗ)
    Ranges    0 ≤ b₁ < 1, 0 ≤ b₂ < 1, d > 0, eps > 0 (at 0, a gradient of 0 would give NaN)
    Source    Dozat 2016, ICLR workshop, "Incorporating Nesterov momentum into Adam"; as in torch

    Parameters
    ----------
    momentum_decay : float
        d, above 0.
    """

    lr: NotNegative = 0.002
    beta1: Share = 0.9
    beta2: Share = 0.999
    eps: Positive = 1e-8
    momentum_decay: Positive = 0.004
    slots: ClassVar[tuple[str, ...]] = ("mean", "square")

    def numbers(self, lr: float, t: int) -> tuple[float, ...]:
        now, later = self._momentum(t), self._momentum(t + 1)
        grown = lr * later * (1.0 - self.beta1) / (1.0 - self._product(t + 1))  # the slots lack the factors 1 - b
        fresh = lr * (1.0 - now) / (1.0 - self._product(t))
        root = (one_minus_power(self.beta2, t) / (1.0 - self.beta2)) ** 0.5
        return grown * root, fresh * root, self.eps * root

    def _momentum(self, t: Any) -> Any:
        return self.beta1 * (1.0 - 0.5 * _exp(t * self.momentum_decay * math.log(0.96)))

    def _product(self, t: Any) -> Any:
        """Return Uₜ: b₁ᵗ times the product of 1 - ½ qⁱ, i = 1 … t, whose logarithm is a sum of geometric series."""
        if self.beta1 == 0:
            return 0.0
        log_q = self.momentum_decay * math.log(0.96)
        total: Any = 0.0
        for k in range(1, 56):  # ½⁵⁵ is below the last digit
            first = 0.5**k / k * math.exp(k * log_q) / -math.expm1(k * log_q)
            total = total + first * one_minus_power(math.exp(k * log_q), t)
        return _exp(t * math.log(self.beta1) - total)

    @elementwise
    def rule(self, p: Array, g: Array, *args: Any) -> tuple[Array, ...]:
        m, v, grown, fresh, eps = args
        m *= self.beta1
        m += g
        v *= self.beta2
        v += g * g
        root = namespace(p).sqrt(v)
        root += eps
        step = grown * m
        step += fresh * g
        step /= root
        p -= step
        return p, m, v


@dataclass(frozen=True)
class Lion(Optimizer):
    """The sign of an interpolated momentum; every entry moves by lr. Take lr three to ten times below Adam's.

    Rule      p ← p - lr sign(b₁ m + (1 - b₁) g),   m ← b₂ m + (1 - b₂) g
    Ranges    0 ≤ b₁ < 1, 0 ≤ b₂ < 1
    Source    Chen et al. 2023, arXiv:2302.06675, algorithm 2
    """

    lr: NotNegative = 0.0001
    beta1: Share = 0.9
    beta2: Share = 0.99
    slots: ClassVar[tuple[str, ...]] = ("mean",)

    def rule(self, p: Array, g: Array, *args: Any) -> tuple[Array, ...]:
        m, lr = args
        direction = self.beta1 * m
        direction += (1.0 - self.beta1) * g
        p = minus_scaled(p, lr, sign(direction))
        m *= self.beta2
        m += (1.0 - self.beta2) * g
        return p, m


def _exp(x: Any) -> Any:
    """Return exp(x) of a Python float or, in a compiled step, an array."""
    return math.exp(x) if isinstance(x, float) else namespace(x).exp(x)


def one_minus_power(beta: float, t: Any) -> Any:
    """Return 1 - beta^t without cancellation, for a Python int or, in a compiled step, an array t."""
    exponent = t * math.log(beta) if beta > 0 else -math.inf
    return -math.expm1(exponent) if isinstance(exponent, float) else -namespace(exponent).expm1(exponent)
