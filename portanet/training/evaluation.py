"""Evaluation and prediction: functions of an engine, a state and data."""

from __future__ import annotations

from typing import Any

from portanet import backends
from portanet.data.batching.batches import Batches
from portanet.data.batching.stream import chunks
from portanet.engine.engine import Engine
from portanet.engine.meter import Meter
from portanet.engine.outputs import class_indices
from portanet.engine.state import TrainState
from portanet.engine.strategy import Strategy
from portanet.losses.places import folded, per_place
from portanet.metrics import ScikitMetric
from portanet.training.batch_size import by_fewer
from portanet.typing import Array

__all__ = ["evaluated", "predicted"]


def evaluated(engine: Engine, state: TrainState, batches: Batches, strategy: Strategy) -> dict[str, float]:
    """Return the loss, penalties included, and the metrics over all batches; by fewer rows where memory is short."""

    def run(rows: int) -> dict[str, float]:
        batches.batch_size = rows  # the next epoch's validation begins with what fitted
        with engine.backend.activate(engine.program.dtype):
            return _measured(engine, state, batches, strategy)

    return by_fewer(batches.batch_size, run)


def _measured(engine: Engine, state: TrainState, batches: Batches, strategy: Strategy) -> dict[str, float]:
    p, backend, loss = engine.program, engine.backend, engine.program.loss
    meter = engine.meter()
    whole = [m for m in p.metrics if isinstance(m, ScikitMetric)]
    outputs, targets, places = [], [], tuple[int, ...]()
    for batch in batches.in_order():
        prediction, value, measured = engine.measure(state, batch)
        meter.add(batch.size, value, measured)
        if whole:
            places = tuple(prediction.shape[1:-1])
            output, target, _ = folded(backend.to_numpy(prediction), backend.to_numpy(batch.y), None)
            outputs.append(output)
            targets.append(target)
    weight = batches.host_weight
    if strategy.size > 1:
        meter, outputs, targets, weight = _gathered(strategy, meter, outputs, targets, weight)
    row = meter.result()
    share = 1.0 / max(sum(meter.sizes), 1e-30) if p.penalty_per_sample else 1.0
    row["loss"] += share * engine.penalty(state)
    if whole:
        xp = backends.get("numpy").xp
        output, target = xp.concat(outputs), xp.concat(targets)
        weight = None if weight is None else xp.reshape(per_place(weight, (len(weight), *places), xp), (-1,))
        classes = class_indices(output, loss.threshold) if loss.output is not None else None
        for m in whole:
            row[m.name] = m.whole(target, loss.link(output), classes, weight)
    return row


def _gathered(strategy: Strategy, meter: Meter, outputs: list[Any], targets: list[Any], weight: Any) -> tuple[Any, ...]:
    """Return what all processes have measured, and their outputs, targets and weights, in the rows' order."""
    found = strategy.gather((meter.state(), outputs, targets, weight))
    xp = backends.get("numpy").xp
    states = [state for state, *_ in found]
    whole = meter.copy()
    whole.load_state(
        {
            "sizes": xp.concat([state["sizes"] for state in states]),
            "columns": [xp.concat(column) for column in zip(*(state["columns"] for state in states), strict=True)],
        }
    )
    weight = None if weight is None else xp.concat([each for *_, each in found])
    return whole, *([part for each in found for part in each[i]] for i in (1, 2)), weight


def predicted(engine: Engine, state: TrainState, x: Array, rows: int, *, raw: bool, to_numpy: bool) -> Array:
    """Return the outputs for checked samples, at most `rows` at a time."""

    def run(rows: int) -> Array:
        backend = engine.backend
        with backend.activate(engine.program.dtype):
            found = []
            for part in chunks(x, rows):
                output = engine.forward(state, backend.asarray(part), raw=raw)
                found.append(backend.to_numpy(output) if to_numpy else output)
            if len(found) == 1:
                return found[0]
            # Parts are joined where they are wanted: for the host, the device holds one chunk at a time.
            return (backends.get("numpy") if to_numpy else backend).xp.concat(found)

    return by_fewer(rows, run)
