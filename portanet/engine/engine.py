"""What does not change while a network trains, compiled for a backend."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from portanet.backends import Backend
from portanet.data.batching.batches import Batch, Batches, IndexBlock
from portanet.engine.meter import Meter
from portanet.engine.outputs import without_output
from portanet.engine.state import TrainState
from portanet.engine.step import Step, as_float, drawn, penalty, total
from portanet.layers import Layer
from portanet.layers.tree import output_shapes, scratches
from portanet.losses import Loss
from portanet.losses.places import folded
from portanet.metrics import Metric, ScikitMetric, measure
from portanet.optimizers import Optimizer
from portanet.typing import Array, Params, Shape

__all__ = ["Engine", "Program"]


def numbers_of(body: Layer, shape: Shape) -> tuple[int, int, int]:
    """Return the three numbers of :attr:`Engine.numbers`."""
    outputs = sum(map(math.prod, output_shapes(body, shape)))
    return math.prod(shape), outputs, max(scratch for _, scratch in scratches(body, shape))


@dataclass(frozen=True)
class Program:
    """What is trained, on what, and how: a description without arrays. See :class:`portanet.Trainer`.

    `stack` is the number of leading axes of all arrays that stack networks: 0, or 1 in a fleet. `rows` is the number of
    samples that go through the network at a time, at most (gradient accumulation); None where nothing was asked for.
    """

    net: Layer
    loss: Loss
    optimizer: Optimizer
    metrics: tuple[Metric, ...] = ()
    dtype: str = "float32"
    seed: int = 0
    l1: float = 0.0
    l2: float = 0.0
    penalty_per_sample: bool = False
    stack: int = 0
    rows: int | None = None


class Engine:
    """A program compiled for one backend. Its methods are called inside ``backend.activate(program.dtype)``.

    Attributes
    ----------
    body : Layer
        The network without the output layer that the loss contains.
    function : Step
        One step, not compiled.
    compiled : callable
        The same, compiled; parameters and the optimizer's state are donated.
    least_batch : callable
        From the shape of a sample to the least number of samples that a batch must have to be trained on.
    numbers : callable
        From the shape of a sample to how many numbers it is, how many all layers make of it, and how many one of them
        makes beside its output at most.
    outputs, linked, measured : callable
        The compiled forward pass, from parameters, buffers and samples to raw outputs, to outputs on the target's
        scale, and (with targets and weights) to raw outputs, loss and metrics; engines of one network may share them.
    """

    def __init__(self, program: Program, backend: Backend) -> None:
        self.program, self.backend, p = program, backend, program
        self.body = body = without_output(p.net, p.loss)
        metrics = tuple(m for m in p.metrics if not isinstance(m, ScikitMetric))
        rows = min((n for n in (backend.rows, p.rows) if n), default=None) if body.by_sample and not p.stack else None
        self.function = Step(
            body, p.loss, p.optimizer, metrics, p.dtype, p.l1, p.l2, p.penalty_per_sample, rows, p.stack
        )
        self.compiled = backend.compile(self.function, donate=(0, 2))  # parameters and the optimizer's state
        self._scan = backend.scan(drawn(self.function))
        self._total = backend.compile(total)
        self._penalty = backend.compile(functools.partial(penalty, l1=p.l1, l2=p.l2))
        self.least_batch = functools.cache(p.net.least_batch)
        self.numbers = functools.cache(functools.partial(numbers_of, body))

        def outputs(everything: Params, x: Array) -> Array:
            return body.forward(everything, as_float(x, p.dtype))[0]

        def linked(everything: Params, x: Array) -> Array:
            return p.loss.link(outputs(everything, x))

        def measured(everything: Params, x: Array, y: Array, weight: Array | None) -> tuple[Any, ...]:
            prediction = outputs(everything, x)
            rows = folded(prediction, y, weight)
            return prediction, p.loss.forward(*rows)[0], measure(metrics, p.loss, *rows)

        self.outputs, self.linked = backend.compile(outputs), backend.compile(linked)
        self.measured = backend.compile(measured)

    @property
    def scans(self) -> bool:
        """Whether :meth:`steps` is there: the backend can take several steps in one call."""
        return self._scan is not None

    def meter(self) -> Meter:
        """Return a fresh meter for an epoch or an evaluation."""
        return Meter(self.backend, self.program.metrics)

    def state(self, params: Params, buffers: Params) -> TrainState:
        """Return the state in which a training from these host arrays begins; they are copied."""
        opt_state = self.program.optimizer.init(params)  # made on the host: no program to compile for each shape
        return TrainState(params, buffers, opt_state, self.meter()).to_device(self.backend, self.program.dtype)

    def step(self, state: TrainState, batch: Batch, counters: dict[str, Any]) -> TrainState:
        """Return the state after a step on `batch`; the arrays of the state before it are donated.

        Parameters
        ----------
        counters : dict
            ``"lr"``, ``"seed"`` and ``"step"``: see :class:`~portanet.engine.step.Step`.
        """
        params, buffers, opt_state, loss, measured = self.compiled(
            *(state.params, state.buffers, state.opt_state, batch.x, batch.y, batch.weight, counters)
        )
        state.meter.add(batch.size, loss, measured)
        return state.stepped(params, buffers, opt_state)

    def steps(
        self, state: TrainState, data: Batches, block: IndexBlock, rates: Sequence[float], seed: int
    ) -> TrainState:
        """Return the state after a step on each batch of the block, in one call of the backend."""
        assert self._scan is not None
        asarray = self.backend.asarray
        steps = asarray(list(range(state.step, state.step + len(rates))), "int32")
        items = (asarray(block.index), asarray(list(rates), self.program.dtype), steps)
        carry = (state.params, state.buffers, state.opt_state)
        carry, measured = self._scan(carry, (data.x, data.y, data.weight, seed), items)
        state.meter.add_many(block.sizes, measured, len(block.sizes))
        params, buffers, opt_state = carry
        return state.stepped(params, buffers, opt_state, len(rates))

    def forward(self, state: TrainState, x: Array, *, raw: bool = True) -> Array:
        """Return the outputs for samples on the device: as the loss takes them (raw), or on the target's scale."""
        return (self.outputs if raw else self.linked)({**state.params, **state.buffers}, x)

    def measure(self, state: TrainState, batch: Batch) -> tuple[Array, Array, tuple[Array, ...]]:
        """Return the raw outputs for a batch, the loss without penalties, and the metrics' numbers, on the device."""
        prediction, loss, measured = self.measured({**state.params, **state.buffers}, batch.x, batch.y, batch.weight)
        return prediction, loss, measured

    def penalty(self, state: TrainState) -> float:
        """Return l1 Σ|W| + l2/2 Σ W²; waits for the device if there is a penalty."""
        return float(self._penalty(state.params)) if self.program.l1 or self.program.l2 else 0.0

    def infer_by(self, other: Engine) -> None:
        """Predict and evaluate by the compiled functions of an engine of the same network, loss and metrics."""
        self.outputs, self.linked, self.measured = other.outputs, other.linked, other.measured

    def all_finite(self, state: TrainState) -> bool:
        """Return whether no weight is inf or NaN; waits for the device."""
        if not state.params or math.isfinite(float(self._total(state.params))):
            return True
        xp = self.backend.xp  # the sum of large weights may be more than a float holds
        return bool(self.backend.fetch([xp.all(xp.isfinite(p)) for p in state.params.values()]).all())
