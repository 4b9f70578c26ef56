"""Training: the step, fed with batches, on a backend."""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from portanet import backends, checkpoint, divergence, losses, optimizers, schedules
from portanet.callbacks import Callback
from portanet.data import prepare
from portanet.data.batches import Batches, Order
from portanet.data.dataset import Dataset
from portanet.errors import ConfigError, DataError, DivergedError
from portanet.history import History
from portanet.interrupt import held_interrupt
from portanet.layers import Layer
from portanet.loop import EpochLoop
from portanet.metrics import Metric
from portanet.model import CHUNK, class_indices
from portanet.progress import Progress
from portanet.typing import Params, Shape
from portanet.writing import sweep

__all__ = ["Trainer"]


class Trainer(EpochLoop):
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
        Number of epochs trained so far, whole ones.
    position : int
        Number of steps done in the epoch after them; 0 unless training was stopped within one.
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
        self._begin()
        self._finished = ""
        self._fitted: dict[str, Any] = {}  # what the training is fitted to, and how: a resumed one must be the same
        self._resumed: dict[str, Any] | None = None

    def adopt(self, params: Params, buffers: Params, input_shape: Shape, out_shape: Shape) -> None:
        """Take these host arrays as parameters and buffers, with a fresh optimizer; training so far is forgotten."""
        super().adopt(params, buffers, input_shape, out_shape)
        with self.backend.activate(self.dtype):
            self.opt_state = self.optimizer.init(self.params)
        self.epoch, self.history, self.schedule = 0, History(), copy.deepcopy(self._schedule)
        self.position, self._resumed = 0, None

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
        """Train for `epochs` more epochs; a second call goes on where the first one ended, also within an epoch.

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
        hooks = sorted(_checked(callbacks) + ([Progress()] if verbose else []), key=lambda hook: hook.runs_last)
        before = self._fitted
        order = "a function's" if callable(shuffle) else shuffle
        self._fitted = {"batch_size": train.batch_size, "shuffle": order, "samples": train.n, "data": train}
        if callable(shuffle) or (self.position and self._resumed is None and before != checkpoint.fitted(self)):
            self.position = 0  # another fit than the one that was stopped within an epoch begins its own
        self._stop = self._finished = ""
        self.history.stopped = "error"  # what it says if an error ends the training
        self._hooks, self._end = hooks, self.epoch + epochs
        with held_interrupt(self.stop), self.backend.activate(self.dtype), contextlib.ExitStack() as begun:
            begun.callback(self._release)
            for hook in hooks:
                begun.callback(hook.on_fit_end, self)
                hook.on_fit_begin(self, self._end)
            if self._resumed is not None:
                checkpoint.take_up(self, self._resumed)
                self._stop = self._finished
            while self.epoch < self._end and not self._stop:
                row = self._run_epoch(train, validation, shuffle=shuffle)
                # Weights that nobody sees are not looked at: the next epoch's loss would tell.
                self._check_finite(row, weights=bool(hooks or self._stop) or self.epoch == self._end)
                if self.position:  # stopped within the epoch: the rest of it is the next fit's
                    break
                self.history.rows.append(row)
                self.schedule.observe(row)
                for hook in hooks:
                    hook.on_epoch_end(self, row)
            self.history.stopped = self._stop or "epochs"
        return self.history

    def stop(self, reason: str, *, finished: bool = False) -> None:
        """Let training end behind the current batch; for callbacks and signals.

        Parameters
        ----------
        reason : str
            Becomes ``history.stopped``.
        finished : bool
            Whether there is nothing left to do, so that a training that is resumed from here ends at once.
        """
        self._stop = reason
        self._finished = reason if finished else ""

    def resume(self, path: str | os.PathLike[str]) -> int:
        """Take up the training in a file of :class:`~portanet.TrainingCheckpoint`, and return the epochs left of it.

        The next :meth:`fit`, for so many epochs and with the same data and callbacks, goes on as if nothing had
        happened: bit for bit on the same backend.

        Raises
        ------
        DataError
            If there is no such file, it is damaged, or that of another network, loss, optimizer, seed or dtype. The
            next fit raises it where data, batch size or callbacks are others.
        """
        state = checkpoint.load(self, path)
        place = Path(path)
        sweep(place.parent, place.name)  # the training may have been killed while it wrote
        try:
            checkpoint.restore(self, state)
        except (DataError, KeyError, TypeError, ValueError, AttributeError) as error:
            message = f"{path}: it is damaged or was edited ({error}); take the checkpoint of another run"
            raise DataError(message) from None
        self._resumed = state
        return int(state["end"]) - self.epoch

    def _release(self) -> None:
        """Let go of what belongs to a fit alone."""
        data = self._fitted.get("data")
        if isinstance(data, Batches):  # its fingerprint is still wanted where an epoch is half done
            self._fitted["data"] = checkpoint.fingerprint(data) if self.position else None
        self._hooks = []

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

    def _check_finite(self, row: dict[str, float], *, weights: bool) -> None:
        """Tell a loss, or weights behind its last step, that are no longer finite."""
        message = divergence.in_words(self, row, weights=weights)
        if message:
            self.history.rows.append(row)
            self.history.stopped = "diverged"
            raise DivergedError(message)


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
