"""A network with its parameters on a backend: what evaluates and predicts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from portanet import backends, losses, memory
from portanet.checks import check_number
from portanet.data import prepare, weighting
from portanet.data.batches import Batches
from portanet.data.dataset import Dataset
from portanet.data.stored import Stored
from portanet.data.stream import StreamedBatches, chunks, streamed
from portanet.errors import ConfigError
from portanet.layers import Layer, Sequential, Sigmoid, Softmax
from portanet.losses.places import folded, per_place
from portanet.meter import Meter
from portanet.metrics import Metric, ScikitMetric, measure
from portanet.metrics import get as metric
from portanet.random import generator
from portanet.ranks.communicator import Ranks, together
from portanet.ranks.shards import Shards, StreamedShards, gathered, own_rows
from portanet.step import as_float, penalty
from portanet.typing import Array, Params, Shape

CHUNK = 2048  # rows of an evaluation or a prediction at a time, at most: fewer where they would not fit


class Model:
    """The part of a :class:`~portanet.Trainer` that does not train.

    Attributes
    ----------
    params, buffers : dict of arrays
        On the backend's device; empty before the first fit or :meth:`init`.
    input_shape : tuple of int or None
        Shape of one sample; None before the first fit or :meth:`init`.
    outputs : int
        Number of outputs, at each place where there are several.
    places : tuple of int
        The axes of the outputs but the last: tokens, or rows and columns of an image; empty where there are none.
    """

    def __init__(
        self,
        net: Layer | Sequence[Layer],
        loss: losses.Loss | str,
        metrics: Sequence[Metric | str],
        *,
        backend: str | backends.Backend,
        dtype: str,
        seed: int,
        l1: float,
        l2: float,
        classes: Sequence[str],
    ) -> None:
        if dtype not in ("float32", "float64"):
            message = f"Trainer: dtype must be 'float32' or 'float64', got {dtype!r}"
            raise ConfigError(message)
        generator(seed)  # tells a seed that is none
        check_number("Trainer: l1", l1, 0)
        check_number("Trainer: l2", l2, 0)
        self.net = net if isinstance(net, Layer) else Sequential(tuple(net))
        self.loss = losses.get(loss)
        if isinstance(metrics, str):  # else each letter would be looked up
            message = f"Trainer: metrics must be a list, got {metrics!r}; write [{metrics!r}]"
            raise ConfigError(message)
        self.metrics = [metric(m) for m in metrics]
        self.backend = backends.get(backend)
        self.dtype, self.seed, self.l1, self.l2 = dtype, int(seed), l1, l2
        self.penalty_per_sample = False
        self.ranks: Ranks | None = None
        self.classes = tuple(classes)
        self.input_shape: Shape | None = None
        self.need: memory.Need | None = None  # of a prediction, once it was wanted
        self.outputs = 0
        self.places: Shape = ()
        self.params: Params = {}
        self.buffers: Params = {}
        self.body = without_output(self.net, self.loss)
        self._compile()

    def _compile(self) -> None:
        body, dtype = self.body, self.dtype

        def forward(everything: Params, x: Array) -> Array:
            return body.forward(everything, as_float(x, dtype))[0]

        self._forward = self.backend.compile(forward)

    def init(self, input_shape: Shape) -> None:
        """Draw the initial weights for samples of `input_shape` and put them on the device."""
        params, out_shape = self.net.init(generator(self.seed, "weights"), tuple(input_shape))
        self.adopt(params, self.net.init_buffers(tuple(input_shape)), tuple(input_shape), out_shape)

    def adopt(self, params: Params, buffers: Params, input_shape: Shape, out_shape: Shape) -> None:
        """Take these host arrays as parameters and buffers."""
        self.input_shape, self.need = tuple(input_shape), None
        *places, self.outputs = out_shape
        self.places = tuple(places)
        self.restore({"params": params, "buffers": buffers})

    def snapshot(self) -> dict[str, Params]:
        """Return copies of the parameters and buffers on the host."""
        with self.backend.activate(self.dtype):
            parts = {"params": self.params, "buffers": self.buffers}
            return {part: {n: self.backend.to_numpy(a).copy() for n, a in own.items()} for part, own in parts.items()}

    def restore(self, snapshot: dict[str, Params]) -> None:
        """Put a :meth:`snapshot` back."""
        asarray, xp = self.backend.asarray, self.backend.xp
        with self.backend.activate(self.dtype):
            # Copies: an optimizer writes into its arrays, and a host array may be the caller's own.
            copies = {
                part: {name: xp.asarray(asarray(a, self.dtype), copy=True) for name, a in own.items()}
                for part, own in snapshot.items()
            }
        self.params, self.buffers = copies["params"], copies["buffers"]

    @together
    def evaluate(self, x: Any, y: Any = None, *, sample_weight: Any = None) -> dict[str, float]:
        """Return the loss and the metrics on `x` and `y` (or a Dataset), without training."""
        if isinstance(x, Dataset):
            x, y = x.x, x.y
        self._check_weights("evaluate")
        with self.backend.activate(self.dtype):
            return self._evaluate(self._batches(x, y, sample_weight, None))

    def predict(self, x: Any, *, raw: bool = False, to_numpy: bool = True) -> Array:
        """Return the network's outputs for `x`, shape (n, outputs) or (n, *places, outputs), on the target's scale.

        That is: probabilities where the loss is a cross-entropy, rates where it is Poisson, else the plain outputs.

        Parameters
        ----------
        raw : bool
            Return the outputs as the loss takes them (logits) instead.
        to_numpy : bool
            Return a host array; else an array on the backend's device.
        """
        self._check_weights("predict")
        x = prepare.samples(x.x if isinstance(x, Dataset) else x, self.dtype, self.input_shape)
        rows = memory.rows_at_a_time(self, x.shape[0], CHUNK)
        return memory.by_fewer(rows, lambda rows: self._predict(x, rows, raw=raw, to_numpy=to_numpy))

    def _predict(self, x: Array, rows: int, *, raw: bool, to_numpy: bool) -> Array:
        """Return the outputs for checked samples, so many at a time."""
        everything = {**self.params, **self.buffers}
        with self.backend.activate(self.dtype):
            found = []
            for part in chunks(x, rows):
                output = self._forward(everything, self.backend.asarray(part))
                output = output if raw else self.loss.link(output)
                found.append(self.backend.to_numpy(output) if to_numpy else output)
            if len(found) == 1:
                return found[0]
            # Parts are joined where they are wanted: for the host, the device holds one chunk at a time.
            return (backends.get("numpy") if to_numpy else self.backend).xp.concat(found)

    def predict_classes(self, x: Any) -> Array:
        """Return the class index of each sample of `x`, or of each place, shape (n, *places), host array of int64.

        Several outputs with BinaryCrossEntropy are yes or no each: then it is (n, *places, outputs), of 0 and 1.
        """
        outputs = self.predict(x, raw=True)
        if isinstance(self.loss, losses.BinaryCrossEntropy) and self.outputs > 1:
            xp = backends.get("numpy").xp
            return xp.astype(outputs > self.loss.threshold, xp.int64)
        return class_indices(outputs, self.loss.threshold)

    def save(self, path: Any) -> None:
        """Write network, parameters and preprocessing to `path`; :func:`portanet.load` reads it on any backend."""
        from portanet.saving import save

        save(self, path)

    def _batches(
        self, x: Any, y: Any, weight: Any, batch_size: int | None, *, what: str = "", class_weight: Any = None
    ) -> Batches:
        """Return checked data in batches, None for what fits; `what` stands in front of the arrays' names in errors."""
        x = prepare.samples(x, self.dtype, self.input_shape, what=f"{what}x")
        n = x.shape[0]
        if isinstance(x, Stored):
            make: Any = StreamedBatches if self.ranks is None else partial(StreamedShards, self.ranks)
            if self.ranks is not None and not batch_size and weight is None:
                a, b = own_rows(self.ranks, n)
                make, x, y = StreamedBatches, x.take(backends.get("numpy").xp.arange(a, b)), y if y is None else y[a:b]
            size = batch_size or memory.rows_at_a_time(self, n, CHUNK)
            return streamed(self, x, y, weight, class_weight, size, what, make)
        y = prepare.targets(y, n, self.outputs, self.loss, self.dtype, places=self.places, what=f"{what}y")
        weight = weighting.weights(
            weight, class_weight, y, n, self.outputs, self.dtype, places=self.places, what=f"{what}sample_weight"
        )
        if self.ranks is not None and batch_size:
            return Shards(self.ranks, self.backend, x, y, weight, batch_size)
        if self.ranks is not None:
            a, b = own_rows(self.ranks, n)
            x, y, n, weight = x[a:b, ...], y[a:b, ...], b - a, None if weight is None else weight[a:b]
        return Batches(self.backend, x, y, weight, batch_size or memory.rows_at_a_time(self, n, CHUNK))

    def _evaluate(self, batches: Batches) -> dict[str, float]:
        return memory.by_fewer(batches.batch_size, lambda rows: self._evaluate_by(batches, rows))

    def _evaluate_by(self, batches: Batches, rows: int) -> dict[str, float]:
        batches.batch_size = rows  # the next epoch's validation begins with what fitted
        with self.backend.activate(self.dtype):
            return self._measured(batches)

    def _measured(self, batches: Batches) -> dict[str, float]:
        everything = {**self.params, **self.buffers}
        meter = Meter(self.backend, self.metrics)
        whole = [m for m in self.metrics if isinstance(m, ScikitMetric)]
        outputs, targets = [], []
        weight = batches.host_weight
        for batch in batches.in_order():
            rows = folded(self._forward(everything, batch.x), batch.y, batch.weight)
            meter.add(batch.size, self.loss.forward(*rows)[0], measure(meter.metrics, self.loss, *rows))
            if whole:
                outputs.append(self.backend.to_numpy(rows[0]))
                targets.append(self.backend.to_numpy(rows[1]))
        if self.ranks is not None:
            outputs, targets, weight = gathered(self.ranks, meter, outputs, targets, weight)
        row = meter.result()
        share = 1.0 / max(sum(meter.sizes), 1e-30) if self.penalty_per_sample else 1.0
        row["loss"] += share * float(penalty(self.params, self.l1, self.l2))
        if whole:
            xp = backends.get("numpy").xp
            output, target = xp.concat(outputs), xp.concat(targets)
            weight = None if weight is None else xp.reshape(per_place(weight, (len(weight), *self.places), xp), (-1,))
            classes = class_indices(output, self.loss.threshold) if self.loss.output is not None else None
            for m in whole:
                row[m.name] = m.whole(target, self.loss.link(output), classes, weight)
        return row

    def _check_weights(self, what: str) -> None:
        if self.input_shape is None:
            message = (
                f"{what}: this network has no weights yet; call fit(), or init(input_shape), or load it from a file"
            )
            raise ConfigError(message)


def without_output(net: Layer, loss: losses.Loss) -> Layer:
    """Return the network without the output layer that the loss contains; its parameters' names stay as they are.

    Raises
    ------
    ConfigError
        If it ends with the other loss's output layer, or with that one twice: it would be applied twice, silently.
    """
    if loss.output is None or not isinstance(net, Sequential):
        return net
    *front, last = net.layers
    if isinstance(last, Sequential):
        return Sequential((*front, without_output(last, loss)), rate=net.rate)
    if isinstance(last, loss.output) and front:
        net, last = Sequential(tuple(front), rate=net.rate), front[-1]
    if isinstance(last, Softmax | Sigmoid):
        name = type(loss).__name__
        message = (
            f"{name} takes logits and contains the {loss.output.__name__}; the network gives it the output of "
            f"{type(last).__name__}; leave that layer out"
        )
        raise ConfigError(message)
    return net


def class_indices(outputs: Array, threshold: float) -> Array:
    """Return the class indices that raw host outputs (n, ..., outputs) stand for."""
    xp = backends.get("numpy").xp
    if outputs.shape[-1] == 1:
        return xp.astype(outputs[..., 0] > threshold, xp.int64)
    return xp.argmax(outputs, axis=-1)
