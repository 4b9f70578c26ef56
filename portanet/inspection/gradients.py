"""Activations of the layers, and gradients of the loss by parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portanet import backends
from portanet.data.batching import prepare
from portanet.data.batching.batches import Batches
from portanet.data.batching.stream import chunks
from portanet.data.dataset import Dataset
from portanet.engine.penalties import penalised
from portanet.engine.step import as_float
from portanet.errors import ConfigError, unknown
from portanet.layers.recording import recorded
from portanet.layers.sequential import Sequential
from portanet.layers.tree import walk
from portanet.random import Key, epoch_word
from portanet.training import batch_size as memory
from portanet.training.fit_inputs import CHUNK, to_batches
from portanet.training.tables import as_inputs
from portanet.typing import Array, Params

__all__ = ["activations", "batched", "gradients", "samples"]


def samples(model: Any, x: Any) -> Array:
    """Return checked samples for a network that has weights: of an array, a frame or a Dataset's training part."""
    x = as_inputs(model, x.x if isinstance(x, Dataset) else x, "x")
    return prepare.samples(x, model.dtype, model.input_shape)


def batched(model: Any, x: Any, y: Any, weight: Any = None) -> Batches:
    """Return checked samples and targets in batches that fit into memory."""
    if isinstance(x, Dataset):
        x, y = x.x, x.y
    return to_batches(model, x, y, weight, None)


def activations(model: Any, x: Any, layers: Sequence[str] | None = None) -> dict[str, Array]:
    """Return the output of each layer; see :meth:`portanet.Trainer.activations`."""
    model.check_weights("activations")
    by_path = dict(walk(model.net))
    known = [path for path, layer in by_path.items() if path or not layer.children()]
    for name in layers or ():
        if name not in known:
            message = f"activations: {unknown('layer', name, known)}; summary() lists them"
            raise ConfigError(message)
    wanted = [path for path in known if layers is None or path in layers]
    x = samples(model, x)
    rows = memory.rows_at_a_time(model, x.shape[0], CHUNK)
    twin, passes = recorded(model.net)
    found: dict[str, list[Array]] = {path: [] for path in wanted}
    with model.backend.activate(model.dtype):
        everything = {**model.params, **model.buffers}
        for part in chunks(x, rows):
            passes.clear()
            twin.forward(everything, as_float(model.backend.asarray(part), model.dtype))
            outputs = {one.path: one.y for one in passes}
            for path, parts in found.items():
                place = path
                while place not in outputs and isinstance(by_path[place], Sequential):
                    # Made for each call, as Residual's shortcut is: its output is that of its last layer.
                    place = f"{place}.{list(by_path[place].children())[-1]}"
                parts.append(model.backend.to_numpy(outputs[place]))
    xp = backends.get("numpy").xp
    return {path: xp.concat(parts) for path, parts in found.items()}  # a copy: some layers return a view of x


def gradients(model: Any, x: Any, y: Any = None, weight: Any = None, *, train: bool = False) -> Params:
    """Return the gradient of the loss by parameter; see :meth:`portanet.Trainer.gradients`."""
    model.check_weights("gradients")
    p, backend, strategy = model.program, model.backend, model.strategy
    if train and strategy.size > 1:
        message = f"gradients: expected one process for train=True, got {strategy.size}; leave train out"
        raise ConfigError(message)
    with strategy.guard(), backend.activate(model.dtype):
        batches = batched(model, x, y, weight)
        key = None
        if train:  # dropout masks and batch statistics are those of a whole batch
            batches.batch_size = batches.n
            key = Key(epoch_word(p.seed, model.state.epoch), model.state.step)
        sums, size = dict[str, Array](), 0.0
        for batch in batches.in_order():
            arrays = batch.x, batch.y, batch.weight
            own = model.step.gradients(model.params, model.buffers, *arrays, key, train=train)[2]
            sums = {name: batch.size * g + sums.get(name, 0.0) for name, g in own.items()}
            size += batch.size
        of_all = strategy.gather((size, {name: backend.to_numpy(g) for name, g in sums.items()}))
        params = {name: backend.to_numpy(array) for name, array in model.params.items()}
    size = max(sum(own for own, _ in of_all), 1e-30)
    share = 1.0 / size if p.penalty_per_sample else 1.0
    return {
        name: penalised(name, array, sum(own[name] for _, own in of_all) / size, p.l1, p.l2, share)
        for name, array in params.items()
    }
