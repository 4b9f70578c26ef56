"""Training: the step, fed with batches, on a backend."""

from __future__ import annotations

import contextlib
import copy
import math
import time
from collections.abc import Sequence
from typing import Any

from portanet import backends, losses, optimizers, schedules
from portanet.callbacks import Callback
from portanet.data import prepare
from portanet.data.batches import Batches, Order, Rows
from portanet.data.dataset import Dataset
from portanet.errors import ConfigError, DivergedError
from portanet.history import History
from portanet.interrupt import held_interrupt
from portanet.layers import Layer
from portanet.meter import Meter
from portanet.metrics import Metric
from portanet.model import CHUNK, Model, class_indices
from portanet.progress import Progress
from portanet.random import epoch_word
from portanet.step import Step, all_finite, drawn
from portanet.typing import Params, Shape

__all__ = ["Trainer"]

TOGETHER = 16  # steps in one call where the backend can: few enough for Ctrl-C to be heard soon


class Trainer(Model):
    """A network, what it is trained on, and where.

    Parameters
    ----------
    net : Layer or list of Layer
        The network. If it ends with the output layer that the loss contains (Softmax with cross-entropy), it is trained
        on what goes into that layer, which is the same and stable.
    loss : Loss or str
    optimizer : Optimizer or str
    metrics : sequence of Metric or str
        ``"accuracy"``, ``"top_5"``, ``"mae"``, ``"r2"``, or a function of sklearn.metrics (measured in validation).
    backend : str or Backend
        See :func:`portanet.backends.get`.
    dtype : str
        ``"float32"`` or ``"float64"``.
    seed : int
        Names all random numbers: initial weights, shuffles, dropout, the validation split.
    schedule : Schedule or str, optional
        Multiplies the optimizer's learning rate.
    l1, l2 : float
        Penalties on the weights, added to the loss: l1 Σ|W| + l2/2 Σ W².
    penalty_per_sample : bool
        Whether they are divided by the number of a batch's samples (the sum of their weights).
    class_weight : "balanced", dict or sequence, optional
        Weight of each class in the loss.
    classes : sequence of str
        Names of the classes, saved with the network.

    Attributes
    ----------
    params, buffers, input_shape, outputs
        See :class:`portanet.model.Model`, which evaluates and predicts.
    history : History
        Of all calls of :meth:`fit` together.
    epoch : int
        Number of epochs trained so far.
    """

    def __init__(
        self,
        net: Layer | Sequence[Layer],
        loss: losses.Loss | str = "softmax_cross_entropy",
        optimizer: optimizers.Optimizer | str = "adam",
        metrics: Sequence[Metric | str] = (),
        *,
        backend: str | backends.Backend = "auto",
        dtype: str = "float32",
        seed: int = 0,
        schedule: schedules.Schedule | str | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        penalty_per_sample: bool = False,
        class_weight: Any = None,
        classes: Sequence[str] = (),
    ) -> None:
        super().__init__(net, loss, metrics, backend=backend, dtype=dtype, seed=seed, l1=l1, l2=l2, classes=classes)
        self.penalty_per_sample = penalty_per_sample
        self.optimizer = optimizers.get(optimizer)
        self._schedule = schedules.get(schedule)  # as given: one that learns, such as Plateau, is copied for each start
        self.schedule = copy.deepcopy(self._schedule)
        self.class_weight = class_weight
        self.opt_state: dict[str, Any] = {}
        self.history = History()
        self.epoch = 0
        self.meter = Meter(self.backend, self.metrics)
        self._stop = ""
        step = Step(self.body, self.loss, self.optimizer, tuple(self.meter.metrics), dtype, l1, l2, penalty_per_sample)
        self._step = self.backend.compile(step, donate=(0, 2))  # parameters and the optimizer's state
        self._scan = self.backend.scan(drawn(step))
        self._finite = self.backend.compile(all_finite)

    def adopt(self, params: Params, buffers: Params, input_shape: Shape, out_shape: Shape) -> None:
        """Take these host arrays as parameters and buffers, with a fresh optimizer; training so far is forgotten."""
        super().adopt(params, buffers, input_shape, out_shape)
        with self.backend.activate(self.dtype):
            self.opt_state = self.optimizer.init(self.params)
        self.epoch, self.history, self.schedule = 0, History(), copy.deepcopy(self._schedule)

    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        epochs: int = 10,
        batch_size: int | None = 128,
        sample_weight: Any = None,
        validation_data: tuple[Any, ...] | None = None,
        validation_fraction: float = 0.0,
        shuffle: bool | Order = True,
        callbacks: Sequence[Callback] = (),
        verbose: bool = True,
    ) -> History:
        """Train for `epochs` more epochs; a second call goes on where the first one ended.

        Parameters
        ----------
        x : array, shape (n, ...), or Dataset
            Host array, or an array of the backend's library. Images of bytes stay bytes until the batch.
        y : array, shape (n,) or (n, outputs)
            Class indices, numbers, or a row of numbers a sample.
        batch_size : int or None
            Samples a step: 1 trains one by one, None on all at once.
        sample_weight : array, shape (n,), optional
            Weight of each sample in the loss and the metrics.
        validation_data : (x, y) or (x, y, sample_weight), optional
            Evaluated behind each epoch.
        validation_fraction : float
            Share of the samples that is split off for it instead, by class where there are classes.
        shuffle : bool or callable
            Whether each epoch has an order of its own; or a function of the number of samples that returns the rows'
            numbers in the next epoch's order.
        callbacks : sequence of Callback
        verbose : bool
            Whether progress is shown on stderr.

        Raises
        ------
        ConfigError, DataError, ShapeError
            For arguments and data that cannot be.
        DivergedError
            If the loss or a weight is no longer finite behind an epoch.
        KeyboardInterrupt
            Behind the batch in which it came, so that the trainer can go on or be saved.
        """
        if isinstance(x, Dataset):
            self.classes = self.classes or x.classes
            x, y = x.x, x.y
        _check_count("epochs", epochs, 0)
        if batch_size is not None:
            _check_count("batch_size", batch_size, 1)
        train, validation = self._parts(x, y, sample_weight, validation_data, validation_fraction, batch_size)
        hooks = _checked(callbacks) + ([Progress()] if verbose else [])
        each_batch = [hook for hook in hooks if type(hook).on_batch_end is not Callback.on_batch_end]
        self._stop, self.history.stopped = "", "error"  # what it says if an error ends the training
        end = self.epoch + epochs
        with held_interrupt(self.stop), self.backend.activate(self.dtype), contextlib.ExitStack() as begun:
            for hook in hooks:
                begun.callback(hook.on_fit_end, self)
                hook.on_fit_begin(self, end)
            while self.epoch < end and not self._stop:
                row = self._run_epoch(train, validation, end, shuffle=shuffle, each_batch=each_batch)
                self._note(row)
                for hook in hooks:
                    hook.on_epoch_end(self, row)
            self.history.stopped = self._stop or "epochs"
        return self.history

    def stop(self, reason: str) -> None:
        """Let training end behind the current batch; for callbacks and signals.

        Parameters
        ----------
        reason : str
            Becomes ``history.stopped``.
        """
        self._stop = reason

    def _parts(
        self, x: Any, y: Any, weight: Any, validation_data: Any, fraction: float, batch_size: int | None
    ) -> tuple[Batches, Batches | None]:
        """Return the training and the validation part in batches; draws the initial weights where there are none."""
        x = prepare.samples(x, self.dtype, self.input_shape)
        if self.input_shape is None:
            self.init(tuple(x.shape[1:]))
        if fraction:
            if validation_data is not None:
                message = "fit: validation_data and validation_fraction were both given; leave one of them out"
                raise ConfigError(message)
            y = prepare.targets(y, x.shape[0], self.outputs, self.loss, self.dtype)
            target = self.backend.to_numpy(y)
            exclusive = isinstance(self.loss, losses.SoftmaxCrossEntropy) or self.outputs == 1
            if target.ndim == 2 and exclusive and self.loss.output is not None:
                target = class_indices(target, 0.5)  # rows of shares, or a column of 0 and 1
            stratify = target.ndim == 1 and (target.dtype.kind == "i" or self.loss.output is not None)
            chosen = prepare.split(target, fraction, self.seed, stratify=stratify)
            (x, y, weight), validation_data = (
                tuple(None if a is None else prepare.take_rows(a, rows) for a in (x, y, weight)) for rows in chosen
            )
        with self.backend.activate(self.dtype):
            size = batch_size or x.shape[0]
            train = self._batches(x, y, weight, size, class_weight=self.class_weight)
            if validation_data is None:
                return train, None
            if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
                message = "fit: validation_data must be (x, y) or (x, y, sample_weight)"
                raise ConfigError(message)
            xv, yv, wv = (*validation_data, None)[:3]
            return train, self._batches(xv, yv, wv, CHUNK, what="validation ")

    def _run_epoch(
        self, train: Batches, validation: Batches | None, end: int, *, shuffle: bool | Order, each_batch: list[Callback]
    ) -> dict[str, float]:
        began, n, done = time.perf_counter(), len(train), 0
        self.meter = meter = Meter(self.backend, self.metrics)
        seed = epoch_word(self.seed, self.epoch)
        counters = {"lr": self.optimizer.lr, "seed": seed, "step": 0}
        together = TOGETHER if self._scan and not any(hook.every_batch for hook in each_batch) else 1
        for part in train.epoch(self.seed, self.epoch, shuffle=shuffle, together=together):
            if isinstance(part, Rows):
                done += len(part.sizes)
                counters["lr"] = self._run_many(train, part, seed, range(done - len(part.sizes), done), end)
            else:
                counters["lr"], counters["step"] = self._rate(done, n, end), done
                self.params, self.buffers, self.opt_state, loss, measured = self._step(
                    self.params, self.buffers, self.opt_state, part.x, part.y, part.weight, counters
                )
                meter.add(part.size, loss, measured)
                done += 1
            for hook in each_batch:
                hook.on_batch_end(self, done, n)
            if self._stop:
                break
        self.epoch += 1
        row = {"epoch": self.epoch, **meter.result()}
        if validation is not None:
            row.update({f"val_{name}": value for name, value in self._evaluate(validation).items()})
        return {**row, "lr": counters["lr"], "seconds": time.perf_counter() - began}

    def _rate(self, i: int, n: int, end: int) -> float:
        """Return the learning rate in the middle of step `i` of the `n` of this epoch."""
        return self.optimizer.lr * self.schedule.factor(self.epoch + (i + 0.5) / n, end)

    def _run_many(self, train: Batches, part: Rows, seed: int, steps: range, end: int) -> float:
        """Train on several batches in one call of the backend; return the last one's learning rate."""
        assert self._scan is not None
        rates = [self._rate(i, len(train), end) for i in steps]
        asarray = self.backend.asarray
        items = (part.index, asarray(rates, self.dtype), asarray(list(steps), "int32"))
        carry = (self.params, self.buffers, self.opt_state)
        carry, measured = self._scan(carry, (train.x, train.y, train.weight, seed), items)
        self.params, self.buffers, self.opt_state = carry
        self.meter.add_many(part.sizes, measured)
        return rates[-1]

    def _note(self, row: dict[str, float]) -> None:
        """Take down an epoch's row; tell a loss, or weights behind its last step, that are no longer finite."""
        self.history.rows.append(row)
        bad = [f"{name} is {row[name]}" for name in ("loss", "val_loss") if not math.isfinite(row.get(name, 0.0))]
        # The last step's overflow is in no loss yet.
        if not bad and self.params and not self.backend.to_numpy(self._finite(self.params)):
            bad = ["there are weights that are not finite"]
        if bad:
            self.history.stopped = "diverged"
            message = (
                f"training diverged: {bad[0]} in epoch {self.epoch} (learning rate {row['lr']:g}); "
                f"a smaller learning rate, clip_norm=1, or inputs scaled to about 1 usually help"
            )
            raise DivergedError(message)
        self.schedule.observe(row)


def _checked(callbacks: Sequence[Callback]) -> list[Callback]:
    """Return the callbacks as a list; tell one that is none."""
    for hook in callbacks:
        if not isinstance(hook, Callback):
            hint = f"; make one of it: {hook.__name__}(...)" if isinstance(hook, type) else ""
            message = f"fit: callbacks must be a list of Callback, got {hook!r} in it{hint}"
            raise ConfigError(message)
    return list(callbacks)


def _check_count(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        message = f"fit: {name} must be a whole number of {least} or more, got {value!r}"
        raise ConfigError(message)
