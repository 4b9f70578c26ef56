"""One training step in numbers: each layer forward, the loss, each layer backward, the update."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from portanet.errors import ConfigError
from portanet.inspection.formulas import formula, number
from portanet.inspection.gradients import batched
from portanet.inspection.step_numbers import Trace, TraceBlock
from portanet.layers import Dense, Layer
from portanet.layers.recording import Pass, recorded
from portanet.layers.tree import in_order, place
from portanet.layers.words import layer_words
from portanet.losses import Loss
from portanet.optimizers import Optimizer
from portanet.random import epoch_word
from portanet.training.model import Model
from portanet.training.trainer import Trainer
from portanet.typing import Array, Params

__all__ = ["Trace", "trace"]

_TERMS = 6  # of a sum that is written out


def trace(
    net: Layer | Model,
    x: Any,
    y: Any,
    *,
    loss: Loss | str | None = None,
    optimizer: Optimizer | str | None = None,
    seed: int = 0,
) -> Trace:
    """Return one training step on all of `x` and `y` in numbers; nothing that was given changes.

    Parameters
    ----------
    net : Layer or Trainer
        A network, which gets fresh weights from `seed` and is computed in float64 on NumPy; or a trainer, whose next
        step is taken, with its weights, loss, optimizer and backend (at the optimizer's own learning rate, whatever its
        schedule).
    x, y : array
        A few samples and their targets, as :meth:`portanet.Trainer.fit` takes them.
    loss, optimizer : Loss, Optimizer or str
        Of a network: softmax_cross_entropy and sgd by default.

    Examples
    --------
    >>> import numpy as np, portanet as pn
    >>> net = pn.Sequential([pn.Dense(2), pn.ReLU(), pn.Dense(1)])
    >>> step = pn.trace(net, np.array([[1.0, 2.0]]), np.array([0.5]), loss="mean_squared_error")
    >>> [block.title for block in step.backward]
    ['Dense 2', 'ReLU 1', 'Dense 0']
    """
    if isinstance(net, Layer):
        trainer: Model = Trainer(
            net, loss or "softmax_cross_entropy", optimizer or "sgd", backend="numpy", dtype="float64", seed=seed
        )
        trainer.init(tuple(x.shape[1:]))
    else:
        trainer = net
        if loss is not None or optimizer is not None:
            message = "trace: a trainer has a loss and an optimizer; leave loss and optimizer out"
            raise ConfigError(message)
        trainer.check_weights("trace")
    return _Step(trainer, x, y).trace()


class _Step:
    """A step that has been taken, with all that it has made."""

    def __init__(self, trainer: Model, x: Any, y: Any) -> None:
        self.trainer, state = trainer, trainer.state
        twin, self.passes = recorded(trainer.body)
        step = dataclasses.replace(trainer.step, net=twin, rows=None, metrics=(), donate=False)
        backend = trainer.backend
        self.lr = trainer.program.optimizer.lr * state.rate_factor
        with backend.activate(trainer.dtype):
            batches = batched(trainer, x, y)
            batches.batch_size = batches.n
            (batch,) = batches.in_order()
            counters = {"lr": self.lr, "seed": epoch_word(trainer.seed, state.epoch), "step": state.step}
            arrays = batch.x, batch.y, batch.weight
            grads, _, value, _ = step.before_update(state.params, state.buffers, *arrays, counters)
            own = state.to_device(backend, trainer.dtype)  # a copy, which the update may write over
            after, _ = step.update(own.params, grads, own.opt_state, self.lr)
            self.grads, self.after, self.params = (self._host(own) for own in (grads, after, state.params))
            self.value, self.n, self.target = float(value), batches.n, backend.to_numpy(batch.y)

    def _host(self, arrays: Mapping[str, Array]) -> Params:
        return {name: self.trainer.backend.to_numpy(array) for name, array in arrays.items()}

    def trace(self) -> Trace:
        """Return the step as blocks."""
        with self.trainer.backend.activate(self.trainer.dtype):
            return self._trace()

    def _trace(self) -> Trace:
        p = self.trainer.program
        samples = f"{self.n} sample{'s' if self.n > 1 else ''}"
        about = f"one step of {type(p.optimizer).__name__} with lr {self.lr:g} on {samples}, {p.dtype}"
        # The output of another container is that of its last layer.
        shown = [one for one in self.passes if not one.layer.children() or one.layer.output_layer() is one.layer]
        forward = tuple(map(self._forward, shown))
        backward = tuple(self._backward(one) for one in reversed(shown) if one.dy is not None)
        return Trace(about, forward, self._loss(), backward, tuple(self._update()), self.value)

    def _forward(self, one: Pass) -> TraceBlock:
        arrays = self._host({"x": one.x, **_own(one), "y": one.y})
        return TraceBlock(self._place(one), _words(one), formula(one.layer, "Forward"), arrays, _sum(one, arrays))

    def _backward(self, one: Pass) -> TraceBlock:
        arrays = self._host({"dy": one.dy, **{f"d {name}": g for name, g in one.grads.items()}})
        arrays = {name: array for name, array in arrays.items() if "." not in name}
        notes: tuple[str, ...] = ()
        if one.dx is None:
            notes = ("dx is not needed: nothing in front of this layer is trained",)
        else:
            arrays |= self._host({"dx": one.dx})
        return TraceBlock(self._place(one), _words(one), formula(one.layer, "Backward"), arrays, notes)

    def _place(self, one: Pass) -> str:
        return place(self.trainer.body, one.path)

    def _loss(self) -> TraceBlock:
        loss, last = self.trainer.loss, self.passes[-1]
        shares = {} if loss.output is None else {"p": loss.link(last.y)}
        arrays = {"z": last.y, **shares, "t": self.target, "dz": last.dy}
        lines = (*formula(loss, "Forward"), *formula(loss, "Backward"))
        notes = (f"loss = {self.value:.6g}",)
        if self.n > 1:
            notes = (f"{notes[0]}, the mean over {self.n} samples: dz is that of each sample, divided by {self.n}",)
        return TraceBlock(type(loss).__name__, "", lines, self._host(arrays), notes)

    def _update(self) -> Iterator[TraceBlock]:
        rule = formula(self.trainer.program.optimizer, "Rule")
        for name in in_order(self.trainer.body, self.params):
            before, after = self.params[name], self.after[name]
            where = tuple(int(i) for i in _largest(self.grads[name]))
            index = ", ".join(map(str, where))
            old, slope, new = (number(float(own[where])) for own in (before, self.grads[name], after))
            note = f"p[{index}]: {old} becomes {new}, along the gradient {slope}"
            yield TraceBlock(name, "", rule, {"p": before, "g": self.grads[name], "new p": after}, (note,))
            rule = ()  # once


def _words(one: Pass) -> str:
    """Return a layer's type and numbers; nothing if there are none, as its title has its type."""
    words = layer_words(one.layer)
    return "" if words == type(one.layer).__name__ else words


def _own(one: Pass) -> Params:
    """Return a layer's own parameters and buffers, without those of the layers in it."""
    own = {name: array for name, array in one.params.items() if "." not in name}
    return {name: own[name] for name in sorted(own, key=lambda name: (name != "weight", name))}


def _largest(array: Array) -> Iterator[int]:
    """Yield the index of the entry that is farthest from 0."""
    flat, index = int(abs(array).argmax()), list[int]()
    for size in reversed(array.shape):
        flat, rest = divmod(flat, size)
        index.append(rest)
    yield from reversed(index)


def _sum(one: Pass, arrays: Mapping[str, Array]) -> tuple[str, ...]:
    """Return the first output of a dense layer as the sum that it is."""
    if not isinstance(one.layer, Dense) or arrays["x"].ndim != 2:
        return ()
    x, weight = arrays["x"][0].tolist(), arrays["weight"][:, 0].tolist()
    order = sorted(range(len(x)), key=lambda i: -abs(x[i] * weight[i]))
    terms = [f"{number(x[i])}·{number(weight[i])}" for i in sorted(order[:_TERMS])]
    rest = sum(x[i] * weight[i] for i in order[_TERMS:])
    if len(order) > _TERMS:
        terms.append(f"{number(rest)} ({len(order) - _TERMS} smaller terms)")
    if "bias" in arrays:
        terms.append(number(float(arrays["bias"][0])))
    return (f"y[0, 0] = {' + '.join(map(_bracketed, terms))} = {number(float(arrays['y'][0, 0]))}",)


def _bracketed(term: str) -> str:
    """Return a product with brackets around factors below 0."""
    return "·".join(f"({own})" if own.startswith("-") else own for own in term.split("·"))
