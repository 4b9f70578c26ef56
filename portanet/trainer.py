"""Training: the step, fed with batches, on a backend."""

from __future__ import annotations

import contextlib
import copy
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from portanet import backends, checkpoint, divergence, losses, memory, optimizers, rollback, schedules
from portanet.ahead import Ahead
from portanet.callbacks import Callback, checked
from portanet.checks import check_count
from portanet.data.batches import Batches, Order
from portanet.errors import DataError, OutOfMemoryError
from portanet.fit_data import in_batches
from portanet.history import History
from portanet.interrupt import held_interrupt
from portanet.layers import Layer
from portanet.loop import EpochLoop
from portanet.metrics import Metric
from portanet.progress import Progress
from portanet.ranks.communicator import Ranks, together
from portanet.ranks.communicator import of as processes
from portanet.typing import Params, Shape
from portanet.writing import sweep

__all__ = ["Trainer"]

logger = logging.getLogger("portanet")

ANEW = (
    "fit: epoch %d begins anew, with %d of its steps done: an order that a function drew (shuffle) cannot be drawn "
    "again; with shuffle=True it would go on where it was stopped"
)


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
    ranks : Ranks or "mpi", optional
        The processes that mpiexec started, which train this network together: see :class:`portanet.Ranks`. Left out,
        each process trains a network of its own.

    Attributes
    ----------
    params, buffers, input_shape, outputs, places
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
        ranks: Ranks | str | None = None,
    ) -> None:
        super().__init__(net, loss, metrics, backend=backend, dtype=dtype, seed=seed, l1=l1, l2=l2, classes=classes)
        self.penalty_per_sample, self.ranks = penalty_per_sample, processes(ranks)
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
        self.position, self._resumed, self.rate_factor = 0, None, 1.0

    @together
    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        epochs: int = 10,
        batch_size: int | str | None = 128,
        sample_weight: Any = None,
        validation_data: tuple[Any, ...] | None = None,
        validation_fraction: float = 0.0,
        shuffle: bool | Order = True,
        callbacks: Sequence[Callback] = (),
        on_divergence: str = "stop",
        verbose: bool = True,
    ) -> History:
        """Train for `epochs` more epochs; a second call goes on where the first one ended, also within an epoch.

        Parameters
        ----------
        x : array, shape (n, ...), Dataset, or portanet.data.Readable
            Host array, or an array of the backend's library. Images of bytes stay bytes until the batch. What has the
            two methods of Readable is read in blocks while it is trained on, and so is a Dataset whose samples were
            left on disk.
        y : array, shape (n,) or (n, outputs)
            Class indices, numbers, or a row of numbers a sample. Left out where `x` brings them. Of a network with
            outputs at several places, such as tokens or pixels: (n, *places) or (n, *places, outputs).
        batch_size : int, "auto" or None
            Samples a step: 1 trains one by one, None on all at once. "auto" takes the number of samples / 64, as a
            power of two from 16 to 256; less where a step on so many would not fit into half of the free memory.
        sample_weight : array, shape (n,) or (n, *places), optional
            Weight of each sample, or of each of its places, in the loss and the metrics: both are means over all places
            of all samples by these weights, and what weighs 0 (padding, say) is ignored.
        validation_data : (x, y), (x, y, sample_weight), Dataset or Readable, optional
            Evaluated behind each epoch.
        validation_fraction : float
            Share of the samples that is split off for it instead, by class where there are classes.
        shuffle : bool or callable
            Whether each epoch has an order of its own; or a function of the number of samples that returns the rows'
            numbers in the next epoch's order: then an epoch that was stopped within begins anew, which a warning says.
            Rows that are read from disk are shuffled by blocks.
        callbacks : sequence of Callback
        on_divergence : "stop" or "lower_lr"
            What to do when the loss or a weight is no longer finite: raise DivergedError, or go back to the last good
            weights and on with half the learning rate, ten times at most: :class:`~portanet.LowerRate`, which also
            takes other numbers, as one of the callbacks.
        verbose : bool
            Whether progress is shown on stderr.

        Raises
        ------
        ConfigError, DataError, ShapeError
            For arguments and data that cannot be.
        DivergedError
            If the loss or a weight is no longer finite behind an epoch, or at a look into a long one. The trainer is
            then back at the last weights known to be good, those of the epoch's begin as a rule.
        OutOfMemoryError
            If the memory of host or device does not suffice; with the batch size that would fit.
        KeyboardInterrupt
            Behind the batch in which it came, so that the trainer can go on or be saved.
        """
        check_count("fit: epochs", epochs, 0)
        hooks = checked(callbacks) + ([Progress()] if verbose else [])
        hooks += rollback.named(on_divergence, hooks)
        hooks.sort(key=lambda hook: hook.runs_last)
        train, validation = in_batches(self, x, y, sample_weight, validation_data, validation_fraction, batch_size)
        before = self._fitted
        order = "a function's" if callable(shuffle) else shuffle
        self._fitted = {"batch_size": train.batch_size, "shuffle": order, "samples": train.n, "data": train}
        another = self.position and self._resumed is None and before != checkpoint.fitted(self)
        if self.position and callable(shuffle) and not another:
            logger.warning(ANEW, self.epoch + 1, self.position)
        if callable(shuffle) or another:
            self.position = 0  # another fit than the one that was stopped within an epoch begins its own
        self._stop = self._finished = ""
        self.history.stopped = "error"  # what it says if an error ends the training
        self._hooks, self._end = hooks, self.epoch + epochs
        try:
            with held_interrupt(self.stop), self.backend.activate(self.dtype), contextlib.ExitStack() as begun:
                begun.callback(self._release)
                for hook in (called := self._called()):
                    begun.callback(hook.on_fit_end, self)
                    hook.on_fit_begin(self, self._end)
                if self._resumed is not None:
                    checkpoint.take_up(self, self._resumed)
                    self._stop = self._finished
                if self.ranks is not None:
                    self.ranks.equalise(self)
                self._keep()
                ahead = Ahead(self, validation, shuffle)
                begun.callback(ahead.finish)
                while self.epoch < self._end and (ahead.waiting or not self._ends()):
                    done = self._run_epoch(train, validation, shuffle=shuffle, read=not ahead.on)
                    due = self._is_due()
                    row = ahead.take(done, due=due)
                    if row is None or not divergence.is_good(self, row, train, shuffle, weights=ahead.looked):
                        continue
                    if due:
                        self._keep()
                    if self.position:  # stopped within the epoch: the rest of it is the next fit's
                        break
                    self.history.rows.append(row)
                    self.schedule.observe(row)
                    for hook in called:
                        hook.on_epoch_end(self, row)
                self.history.stopped = self._stop or "epochs"
        except OutOfMemoryError as error:
            told = memory.explained(error, self, train)
            if told is error:
                raise
            raise told from error
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
        if self.ranks is None or self.ranks.rank == 0:
            sweep(place.parent, place.name)  # the training may have been killed while it wrote
        try:
            checkpoint.restore(self, state)
        except (DataError, KeyError, TypeError, ValueError, AttributeError) as error:
            message = f"{path}: it is damaged or was edited ({error}); take the checkpoint of another run"
            raise DataError(message) from None
        self._resumed = state
        return self._end - self.epoch

    def _release(self) -> None:
        """Let go of what belongs to a fit alone."""
        data = self._fitted.get("data")
        if isinstance(data, Batches):  # its fingerprint is still wanted where an epoch is half done
            self._fitted["data"] = checkpoint.fingerprint(data) if self.position else None
        self._hooks, self._kept = [], None
