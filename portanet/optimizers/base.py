"""What all optimizers share: a step over all parameters, decay, clipping, and stacks of networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from portanet.backends.namespace import namespace
from portanet.checks import NotNegative, Positive, check_fields
from portanet.typing import Array, Params


@dataclass(frozen=True)
class Optimizer:
    """Base of all optimizers. A new one names its `slots` and writes its :meth:`rule` for a single array.

    Parameters
    ----------
    lr : float
        Learning rate, 0 or more; a schedule multiplies it.
    weight_decay : float
        Decoupled decay w, 0 or more: weights (not biases) shrink by 1 - lr w a step (Loshchilov & Hutter 2019).
    clip_norm : float, optional
        Largest Euclidean norm of all gradients together, above 0; beyond it all are scaled down (Pascanu et al. 2013).
    clip_value : float, optional
        Largest absolute value of any entry of a gradient, above 0.
    max_norm : float, optional
        Largest Euclidean norm of the weights into a unit, above 0: after each step w ← w min(1, c / ‖w‖), for the
        weights (not biases) of each index of their last axis (max-norm constraint; Srivastava et al. 2014, JMLR 15).
    """

    lr: NotNegative = 0.01
    weight_decay: NotNegative = 0.0
    clip_norm: Positive | None = None
    clip_value: Positive | None = None
    max_norm: Positive | None = field(default=None, kw_only=True)

    slots: ClassVar[tuple[str, ...]] = ()
    """Names of the running arrays that the rule keeps beside each parameter; they begin at 0."""

    def __post_init__(self) -> None:
        check_fields(self)

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
        rates: Mapping[str, float] | None = None,
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
        rates : dict of float, optional
            Factors on the learning rate, and so on the decay, of the parameters of these names. The slots take the
            gradients as they are, whatever the factor. With 0 a parameter is frozen: it stays as it is, bit for bit,
            and so do its slots, and its gradient is in no norm that is clipped; "t" counts its steps too.
        """
        if rates:  # those that are frozen have no gradient
            grads = {name: g for name, g in grads.items() if rates.get(name, 1.0)}
        grads = self.clipped(grads, stacked=stacked)
        t = state["t"] + 1
        running = [state[slot] for slot in self.slots]
        new: Params = {}
        moved: list[Params] = [{} for _ in running]
        decays = weight_decay is not None or self.weight_decay
        decay = self.weight_decay if weight_decay is None else weight_decay
        numbers, left = self.numbers(lr, t), 1.0 - lr * decay if decays else 1.0
        each_rate = {1.0: (numbers, left)}
        for name, p in params.items():
            if rates:
                rate = rates.get(name, 1.0)
                if not rate:
                    new[name] = p
                    for slot, array in zip(moved, running, strict=True):
                        slot[name] = array[name]
                    continue
                if rate not in each_rate:
                    each_rate[rate] = self.numbers(lr * rate, t), 1.0 - lr * rate * decay if decays else 1.0
                numbers, left = each_rate[rate]
            if decays and is_weight(name):
                p *= of_each(left, p)
            each = [of_each(number, p) for number in numbers] if stacked else numbers
            new[name], *arrays = self.rule(p, grads[name], *[slot[name] for slot in running], *each)
            for slot, array in zip(moved, arrays, strict=True):
                slot[name] = array
            if self.max_norm is not None and is_weight(name):
                new[name] = constrained(new[name], self.max_norm, stacked=stacked)
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
            grads = {name: g * of_each(factor, g) for name, g in grads.items()}
        return grads


def constrained(p: Array, most: float, *, stacked: bool = False) -> Array:
    """Return weights p, (..., units), with the norm of each unit's weights at most `most`; p is owned.

    With `stacked` the first axis is a stack of networks. A row of numbers, (units,), stays as it is.
    """
    if p.ndim < 2 + int(stacked):
        return p
    xp = namespace(p)
    norm = xp.sqrt(xp.sum(p * p, axis=tuple(range(int(stacked), p.ndim - 1)), keepdims=True))
    p *= xp.minimum(most / xp.maximum(norm, 1e-30), 1.0)
    return p


def of_each(number: Any, p: Array) -> Any:
    """Return a number for each network of a stack, (k,), in the shape that goes with p, (k, ...); a scalar as it is."""
    if not getattr(number, "ndim", 0):
        return number
    return namespace(p).reshape(number, (-1,) + (1,) * (p.ndim - 1))


def is_weight(name: str) -> bool:
    """Whether the parameter of that name decays and is penalised: weights do, biases do not."""
    return name.rpartition(".")[2] == "weight"
