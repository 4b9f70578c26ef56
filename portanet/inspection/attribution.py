"""What each input contributes to an output: gradients with respect to the inputs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from array_api_compat import device

from portanet import backends
from portanet.backends.namespace import namespace
from portanet.data.batching.stream import chunks
from portanet.data.columns import CATEGORY
from portanet.data.dataset import Dataset
from portanet.engine.outputs import class_indices
from portanet.engine.step import as_float
from portanet.errors import ConfigError, ShapeError, unknown
from portanet.inspection.gradients import batched, samples
from portanet.inspection.path_integral import Integral
from portanet.losses.places import folded
from portanet.training import batch_size as memory
from portanet.training.fit_inputs import CHUNK
from portanet.training.tables import targets
from portanet.typing import Array

__all__ = ["METHODS", "input_gradients"]

logger = logging.getLogger("portanet")

METHODS = ("loss", "saliency", "integrated")


def input_gradients(
    model: Any, x: Any, y: Any = None, *, method: str = "loss", baseline: Any = None, tolerance: float = 1e-6
) -> Array:
    """Return gradients with respect to the inputs; see :meth:`portanet.Trainer.input_gradients`."""
    model.check_weights("input_gradients")
    if method not in METHODS:
        message = f"input_gradients: {unknown('method', method, METHODS)}"
        raise ConfigError(message)
    if baseline is not None and method != "integrated":
        message = f"input_gradients: baseline belongs to method='integrated', got method={method!r}; leave it out"
        raise ConfigError(message)
    xp = backends.get("numpy").xp
    if method == "loss":
        return xp.concat([model.backend.to_numpy(dx) for dx in _of_loss(model, x, y)])
    if model.places:
        expected, shape = "a network with a row of outputs for each sample", (*model.places, model.outputs)
        message = f"input_gradients: expected {expected}, got outputs of shape {shape}; use method='loss'"
        raise ConfigError(message)
    dtype = "float64" if method == "integrated" else model.dtype
    with model.backend.activate(dtype):
        everything = {name: model.backend.asarray(a, dtype) for name, a in {**model.params, **model.buffers}.items()}
        inputs = samples(model, x)
        index = _index(model, x, y, inputs.shape[0])
        score = _scorer(model, everything, dtype)
        rows = memory.rows_at_a_time(model, inputs.shape[0], CHUNK)
        if method == "saliency":
            parts = zip(chunks(inputs, rows), _cut(index, rows), strict=True)
            return xp.concat([abs(score(part, own)[1]) for part, own in parts])
        found = []
        starts = _baseline(model, inputs, baseline)
        for i, (one, start) in enumerate(zip(xp.astype(_host(model, inputs), xp.float64), starts, strict=True)):
            integral = Integral(partial(_along, score, one, start, int(index[i]), xp), tolerance)
            found.append(integral.value * (one - start))
            if not integral.complete:
                logger.warning(
                    "input_gradients: sample %d: the attributions miss the difference of the outputs by %.1e, as the "
                    "output jumps between baseline and sample; let inputs that are whole numbers be equal in both",
                    *(i, integral.gap),
                )
        return xp.stack(found)


def _of_loss(model: Any, x: Any, y: Any) -> Iterator[Array]:
    """Yield the gradient of each sample's own loss, batch by batch."""
    with model.backend.activate(model.dtype):
        everything = {**model.params, **model.buffers}
        for batch in batched(model, x, y).in_order():
            prediction, cache = model.body.forward(everything, as_float(batch.x, model.dtype))
            value_cache = model.loss.forward(*folded(prediction, batch.y, None))[1]
            dy = model.backend.xp.reshape(model.loss.backward(value_cache), tuple(prediction.shape))
            yield model.body.backward(model.params, batch.size * dy, cache)[0]  # of the sum, not of the mean


def _index(model: Any, x: Any, y: Any, n: int) -> Any:
    """Return the number of the output that is explained, for each sample: that of its class."""
    y = x.y if y is None and isinstance(x, Dataset) else y
    xp = backends.get("numpy").xp
    if model.outputs == 1:
        return xp.zeros(n, dtype=xp.int64)
    if y is None:
        return class_indices(model.predict(x, raw=True), model.loss.threshold)
    index = xp.asarray(y if model.columns is None else targets(model, y))
    if index.shape != (n,) or index.dtype.kind not in "iu" or not 0 <= index.min() <= index.max() < model.outputs:
        expected = f"the number of an output for each of {n} samples, 0 to {model.outputs - 1}"
        message = f"input_gradients: y: expected {expected}, got {index.dtype} of shape {index.shape}"
        raise ShapeError(message + "; leave y out for the predicted class")
    return index


def _cut(index: Any, rows: int) -> Iterator[Any]:
    for start in range(0, len(index), rows):
        yield index[start : start + rows]


def _scorer(model: Any, everything: Any, dtype: str) -> Callable[[Array, Any], tuple[Any, Any]]:
    """Return a function from samples, and the number of an output for each, to these outputs and their gradients.

    Both are host arrays. The output is a logit, where the loss is a cross-entropy.
    """
    backend, names, body = model.backend, list(model.params), model.body

    def both(everything: Any, x: Array, index: Array) -> tuple[Array, Array]:
        output, cache = body.forward(everything, as_float(x, dtype))
        xp = namespace(output)
        columns = xp.arange(output.shape[-1], dtype=index.dtype, device=device(output))
        chosen = xp.astype(index[:, None] == columns, output.dtype)
        dx, _ = body.backward({name: everything[name] for name in names}, chosen, cache)
        return xp.sum(output * chosen, axis=-1), dx

    compiled = backend.compile(both)

    def score(x: Array, index: Any) -> tuple[Any, Any]:
        found = compiled(everything, backend.asarray(x), backend.asarray(index, "int32"))
        return backend.to_numpy(found[0]), backend.to_numpy(found[1])

    return score


def _along(
    score: Callable[[Array, Any], tuple[Any, Any]], x: Any, start: Any, index: int, xp: Any, places: Any
) -> tuple[Any, Any, Any]:
    """Return outputs at these places of the straight line from `start` (0) to `x` (1), slopes and gradients there."""
    direction, n = x - start, len(places)
    rows = min(max(16, 1 << (n - 1).bit_length()), CHUNK)  # few different shapes: JAX compiles for each
    places = xp.concat([places, xp.zeros(-n % rows)])
    points = start + xp.reshape(places, (-1, *[1] * x.ndim)) * direction
    values, dx = zip(*(score(part, [index] * rows) for part in chunks(points, rows)), strict=True)
    gradient = xp.concat(dx)[:n]
    return xp.concat(values)[:n], xp.sum(xp.reshape(gradient * direction, (n, -1)), axis=-1), gradient


def _host(model: Any, inputs: Array) -> Any:
    return model.backend.to_numpy(inputs)


def _baseline(model: Any, inputs: Array, baseline: Any) -> Any:
    """Return where the path begins for each sample, (n, *shape): what was given, or 0; categories as in the sample."""
    xp = backends.get("numpy").xp
    x = xp.astype(_host(model, inputs), xp.float64)
    try:
        start = xp.broadcast_to(xp.asarray(0.0 if baseline is None else baseline, dtype=xp.float64), x.shape)
    except ValueError:
        message = f"input_gradients: expected a baseline that goes with samples {x.shape}, got {xp.shape(baseline)}"
        raise ShapeError(message + "; give one sample, or one for each") from None
    if model.columns is None:
        return start
    start = xp.asarray(start, copy=True)
    categories = sum(c.kind == CATEGORY for c in model.columns.kept)
    start[:, :categories] = x[:, :categories]  # a category has no slope: it stays the sample's own
    return start
