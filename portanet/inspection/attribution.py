"""What each input contributes to an output: gradients with respect to the inputs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from array_api_compat import device

from portanet import backends
from portanet.backends import Backend
from portanet.backends.namespace import namespace
from portanet.data.batching.stream import chunks
from portanet.data.columns import CATEGORY
from portanet.data.dataset import Dataset
from portanet.data.plan import Plan
from portanet.engine.outputs import class_indices
from portanet.engine.step import as_float
from portanet.errors import ConfigError, ShapeError, unknown
from portanet.inspection.gradients import batched, samples
from portanet.inspection.path_integral import Integral
from portanet.layers import Layer, Sequential
from portanet.losses.places import folded
from portanet.training import batch_size as memory
from portanet.training.fit_inputs import CHUNK
from portanet.training.tables import targets
from portanet.typing import Array, Params

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
    inputs = samples(model, x)
    index = _index(model, x, y, inputs.shape[0])
    if method == "integrated":
        return _integrated(model, inputs, index, baseline, tolerance)
    with model.backend.activate(model.dtype):
        score = _scorer(model.backend, model.body, model.params, model.buffers, model.dtype)
        rows = memory.rows_at_a_time(model, inputs.shape[0], CHUNK)
        parts = zip(chunks(inputs, rows), _cut(index, rows), strict=True)
        return xp.concat([abs(score(part, own)[1]) for part, own in parts])


def _integrated(model: Any, inputs: Array, index: Any, baseline: Any, tolerance: float) -> Array:
    """Return integrated gradients in float64."""
    xp, backend = backends.get("numpy").xp, model.backend
    with backend.activate("float64"):
        params, buffers = (
            {name: backend.asarray(a, "float64") for name, a in own.items()} for own in (model.params, model.buffers)
        )
        body, front = model.body, None
        x = xp.astype(backend.to_numpy(inputs), xp.float64)
        starts = _baseline(model, x, baseline)
        if model.columns is not None and any(c.kind == CATEGORY for c in model.columns.kept):
            front = _front(model, {**params, **buffers})
            _, *rest = model.body.children()
            places = {name: str(i) for i, name in enumerate(rest)}
            params, buffers = (_moved(own, places) for own in (params, buffers))
            body = Sequential([model.body.children()[name] for name in rest])
        score = _scorer(backend, body, params, buffers, "float64")
        found = []
        for i, (one, start) in enumerate(zip(x, starts, strict=True)):
            end, begin = (one, start) if front is None else front(xp.stack([one, start]))
            integral = Integral(partial(_along, score, end, begin, int(index[i]), xp), tolerance)
            parts = integral.value * (end - begin)
            if front is not None:  # each of its units is made of one input: the one without which it changes
                without = xp.where(xp.eye(len(one), dtype=xp.bool), start, one)
                parts = xp.sum((front(without) != end) * parts, axis=-1)
            found.append(parts)
            if not integral.complete:
                logger.warning(
                    "input_gradients: sample %d: the attributions miss the difference of the outputs by %.1e, as the "
                    "output jumps between baseline and sample; let inputs that are whole numbers be equal in both",
                    *(i, integral.gap),
                )
        return xp.stack(found)


def _front(model: Any, everything: Any) -> Callable[[Any], Any]:
    """Return the first layer, which takes the columns of a table, as a function of host arrays."""
    name, first = next(iter(model.body.children().items()))
    own = _moved(everything, {name: ""})

    def front(x: Any) -> Any:
        return model.backend.to_numpy(first.forward(own, model.backend.asarray(x))[0])

    return front


def _moved(arrays: Params, places: dict[str, str]) -> Params:
    """Return the arrays of these layers, under the names that they have at other places; no others."""
    parts = [(*key.partition("."), array) for key, array in arrays.items()]
    return {f"{places[name]}.{rest}".lstrip("."): array for name, _, rest, array in parts if name in places}


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


def _scorer(
    backend: Backend, body: Layer, params: Params, buffers: Params, dtype: str
) -> Callable[[Array, Any], tuple[Any, Any]]:
    """Return a function from samples, and the number of an output for each, to these outputs and their gradients.

    Both are host arrays. The output is a logit, where the loss is a cross-entropy.
    """

    def both(params: Params, buffers: Params, x: Array, index: Array) -> tuple[Array, Array]:
        output, cache = body.forward({**params, **buffers}, as_float(x, dtype))
        xp = namespace(output)
        columns = xp.arange(output.shape[-1], dtype=index.dtype, device=device(output))
        chosen = xp.astype(index[:, None] == columns, output.dtype)
        dx, _ = body.backward(params, chosen, cache)
        return xp.sum(output * chosen, axis=-1), dx

    compiled = backend.compile(both)

    def score(x: Array, index: Any) -> tuple[Any, Any]:
        found = compiled(params, buffers, backend.asarray(x), backend.asarray(index, "int32"))
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


def _baseline(model: Any, x: Any, baseline: Any) -> Any:
    """Return where the path begins for each sample, (n, *shape): what was given, or 0; of a table, its usual row."""
    xp = backends.get("numpy").xp
    if baseline is None:
        baseline = 0.0 if model.columns is None else _usual(model.columns)
    try:
        return xp.broadcast_to(xp.asarray(baseline, dtype=xp.float64), x.shape)
    except ValueError:
        message = f"input_gradients: expected a baseline that goes with samples {x.shape}, got {xp.shape(baseline)}"
        raise ShapeError(message + "; give one sample, or one for each") from None


def _usual(plan: Plan) -> list[float]:
    """Return inputs with the means of numbers, and without a category (-1): zeros in its place."""
    found = []
    for c in plan.kept:
        found.append(-1.0 if c.kind == CATEGORY else c.mean if c.std else c.fill)
        found += [0.0] * (2 * len(c.parts) + (c.flag and c.kind != CATEGORY))
    return found
