"""Training: the step, fed with batches, on a backend."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import logging
import os
from collections.abc import Iterator, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, Self

from portanet import backends, losses, optimizers, schedules
from portanet.callbacks.base import Callback, checked
from portanet.callbacks.learning_rate import on_divergence as answer
from portanet.callbacks.notebook import progress
from portanet.checks import check_count, check_number
from portanet.data.batching.batches import Batches, Order
from portanet.distributed.ranks import Ranks
from portanet.distributed.strategy import strategy_of
from portanet.engine.engine import Program
from portanet.engine.meter import Meter
from portanet.engine.strategy import Strategy
from portanet.errors import ConfigError, DataError, OutOfMemoryError
from portanet.files.atomic import sweep
from portanet.inspection.pictures import pictures
from portanet.layers import Layer, Sequential
from portanet.metrics import MetricLike
from portanet.metrics import get as metric
from portanet.plot.run import Figures
from portanet.random import generator
from portanet.schedules import depends_on_end
from portanet.training import batch_size as memory
from portanet.training import resume
from portanet.training.fit import Fit
from portanet.training.fit_info import FitInfo
from portanet.training.fit_inputs import check_least, in_batches
from portanet.training.history import History
from portanet.training.initial_weights import LoadedWeights, load_weights
from portanet.training.interrupt import held_interrupt
from portanet.training.loop import drive
from portanet.training.model import Model, part_of
from portanet.training.online import Online
from portanet.typing import Array, Params, Shape

__all__ = ["Trainer"]

logger = logging.getLogger("portanet")

RESTARTED = (
    "fit: restarting epoch %d (%d steps were done): a custom shuffle function cannot be replayed; use shuffle=True to "
    "resume within an epoch"
)

STRETCHED = (
    "fit: the schedule %s has come to its end in epoch %d, and comes to it again in epoch %d; if the calls of fit are "
    "parts of one training, give each of them total_epochs="
)


class Trainer(Model):
    """A network, what it is trained on, and where.

    Parameters
    ----------
    net : Layer or list of Layer
        The network. If it ends with the output layer that the loss contains (Softmax with cross-entropy), it is trained
        on what goes into that layer, which is the same and stable.
    loss : Loss or str
    optimizer : Optimizer or str
    metrics : sequence of Metric, str or function
        ``"accuracy"``, ``"top_5"``, ``"mae"``, ``"r2"``, or a function of sklearn.metrics or of your own,
        ``f(y_true, y_pred) -> float``, or the name of one of sklearn.metrics (functions are measured in validation).
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
        See :class:`portanet.training.model.Model`, which evaluates and predicts.
    optimizer : Optimizer
    opt_state : dict
        The optimizer's state, on the backend's device.
    history : History
        Of all calls of :meth:`fit` together.
    epoch : int
        Number of epochs trained so far, whole ones.
    position : int
        Number of steps done in the epoch after them; 0 unless training was stopped within one.
    rate_factor : float
        Multiplies the learning rate, in addition to the schedule; below 1 where :class:`LowerRate` acted.
    meter : Meter
        What was measured in the current epoch so far; between epochs, in the last one.
    last_epoch : int
        The number of whole epochs at which the current or the last fit ends.
    stopping : str
        Why training is to end after the current batch; empty if it is not.
    finished : str
        The same where nothing is left to do, so that a resumed training ends at once.
    resumed : bool
        Whether a checkpoint was restored, until the next fit has given schedule and callbacks what it holds.
    fit_info : FitInfo or None
        What the last fit was to.
    callbacks : sequence of Callback
        Those of the fit that runs.
    """

    optimizer: optimizers.Optimizer = part_of("program", "optimizer")
    opt_state: dict[str, Any] = part_of("state", "opt_state", settable=True)
    epoch: int = part_of("state", "epoch", settable=True)
    position: int = part_of("state", "step", settable=True)
    rate_factor: float = part_of("state", "rate_factor", settable=True)
    meter: Meter = part_of("state", "meter")
    fit_info: FitInfo | None
    callbacks: Sequence[Callback]

    def __init__(
        self,
        net: Layer | Sequence[Layer],
        loss: losses.Loss | str = "softmax_cross_entropy",
        optimizer: optimizers.Optimizer | str = "adam",
        metrics: Sequence[MetricLike] = (),
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
        strategy: Strategy | None = None,
    ) -> None:
        if dtype not in ("float32", "float64"):
            message = f"Trainer: dtype must be 'float32' or 'float64', got {dtype!r}"
            raise ConfigError(message)
        generator(seed)  # raises if the seed is invalid
        check_number("Trainer: l1", l1, 0)
        check_number("Trainer: l2", l2, 0)
        if isinstance(metrics, str) or callable(metrics):  # else each letter would be looked up
            name = getattr(metrics, "__name__", repr(metrics))
            message = f"Trainer: metrics must be a list, got {name}; write [{name}]"
            raise ConfigError(message)
        program = Program(
            net if isinstance(net, Layer) else Sequential(tuple(net)),
            losses.get(loss),
            optimizers.get(optimizer),
            tuple(metric(m) for m in metrics),
            *(dtype, int(seed), l1, l2, penalty_per_sample),
        )
        self.ranks, strategy = strategy_of(ranks, strategy)
        super().__init__(program, backends.get(backend, quiet=True), strategy, classes)
        self.asked = backend
        self._schedule = schedules.get(schedule)  # as given: one that learns, such as Plateau, is copied for each start
        self.schedule = copy.deepcopy(self._schedule)
        self.class_weight = class_weight
        self.history = History()
        self.last_epoch, self.fit_info, self.callbacks = 0, None, ()
        self.stopping = self.finished = ""
        self._resumed: dict[str, Any] | None = None
        self._online = Online()

    def adopt(self, params: Params, buffers: Params, input_shape: Shape, out_shape: Shape) -> None:
        """Take these host arrays as parameters and buffers, with a fresh optimizer; training so far is forgotten."""
        super().adopt(params, buffers, input_shape, out_shape)
        self.history, self.schedule, self._resumed = History(), copy.deepcopy(self._schedule), None

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
        total_epochs: int | None = None,
        join_last: bool = False,
        accumulate: int = 1,
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
            of all samples by these weights, and what weighs 0 (padding, for example) is ignored.
        validation_data : (x, y), (x, y, sample_weight), Dataset or Readable, optional
            Evaluated after each epoch.
        validation_fraction : float
            Share of the samples that is split off for it instead, by class where there are classes.
        shuffle : bool or callable
            Whether each epoch has an order of its own; or a function of the number of samples that returns the rows'
            numbers in the next epoch's order: then an epoch that was stopped within starts again, which a warning says.
            Rows that are read from disk are shuffled by blocks.
        callbacks : sequence of Callback
        on_divergence : "stop" or "lower_lr"
            What to do when the loss or a weight is no longer finite: raise DivergedError, or go back to the last good
            weights and on with half the learning rate, ten times at most: :class:`~portanet.LowerRate`, which also
            takes other numbers, as one of the callbacks.
        verbose : bool
            Whether progress is shown on stderr.
        total_epochs : int, optional
            The number of epochs of the whole training, for its schedule, where it is made by several calls; by default
            it ends with this one.
        join_last : bool
            Whether a last batch that is too small to train on (a single sample, with BatchNorm) is joined to the batch
            before it, which a log message says; else it is a ConfigError.
        accumulate : int
            Number of batches whose gradients are accumulated for one update (gradient accumulation): the steps are
            those of batches `accumulate` times as large, up to rounding, in the memory of one of `batch_size`. Only
            for networks that look at each sample alone, without BatchNorm, and with a whole number as batch_size.

        Raises
        ------
        ConfigError, DataError, ShapeError
            If an argument or the data is invalid.
        DivergedError
            If the loss or a weight is no longer finite after an epoch, or at a look into a long one. The trainer is
            then back at the last weights known to be good, those of the epoch's begin as a rule.
        OutOfMemoryError
            If the memory of host or device does not suffice; with the batch size that would fit.
        KeyboardInterrupt
            After the batch in which it came, so that the trainer can go on or be saved.
        """
        check_count("fit: epochs", epochs, 0)
        hooks = checked(callbacks) + ([progress()] if verbose else [])
        hooks += answer(on_divergence, hooks)
        hooks.sort(key=lambda hook: hook.runs_last)
        with self.strategy.guard(), self._in_pieces(batch_size, accumulate) as batch_size:
            train, validation = in_batches(self, x, y, sample_weight, validation_data, validation_fraction, batch_size)
            train = check_least(self, train, join=join_last)
            fit = self.begin(train, validation, epochs=epochs, shuffle=shuffle, hooks=hooks, total_epochs=total_epochs)
            try:
                with held_interrupt(self.stop), self.backend.activate(self.dtype):
                    drive(fit.epochs(), self.strategy.run)
            except OutOfMemoryError as error:
                explained = memory.explained(error, self, train)
                if explained is error:
                    raise
                raise explained from error
            finally:
                self.end()
        return self.history

    def train_batch(self, x: Any, y: Any, sample_weight: Any = None, *, lr: float | None = None) -> Array:
        """Take one step of training on a batch and return its loss before the step, an array on the device.

        It is for loops of your own, such as GANs, online learning and reinforcement learning. Nothing else happens: no
        schedule, callback, history or class weight takes part, and whether samples, loss and weights are finite is not
        checked. The first call draws the initial weights. ``float(loss)`` waits for the device.

        Parameters
        ----------
        x : array, shape (n, ...)
        y : array, shape (n, *places) or (n, *places, outputs)
        sample_weight : array, shape (n,) or (n, *places), optional
            As in :meth:`fit`. Targets on the device are not checked.
        lr : float, optional
            Learning rate of this step; by default that of the optimizer.

        Raises
        ------
        DataError, ShapeError
            If the host arrays are invalid.
        """
        return self._online.step(self, x, y, sample_weight, lr)

    @contextlib.contextmanager
    def _in_pieces(self, batch_size: int | str | None, accumulate: int) -> Iterator[int | str | None]:
        """Within the block, take steps of so many batches, a batch at a time; yield the samples of a step."""
        check_count("fit: accumulate", accumulate, 1)
        if accumulate == 1:
            yield batch_size
            return
        if not isinstance(batch_size, Integral) or not self.engine.body.by_sample:
            alone = "a network without BatchNorm; GroupNorm and LayerNorm look at each sample alone"
            what = f"a whole number as batch_size, got {batch_size!r}" if self.engine.body.by_sample else alone
            message = f"fit: accumulate={accumulate} needs {what}"
            raise ConfigError(message)
        check_count("fit: batch_size", batch_size, 1)
        before, self.program = self.program, dataclasses.replace(self.program, rows=int(batch_size))
        self._compile()
        try:
            yield int(batch_size) * accumulate
        finally:
            self.program = before
            self._compile()

    def begin(
        self,
        train: Batches,
        validation: Batches | None,
        *,
        epochs: int,
        shuffle: bool | Order = True,
        hooks: Sequence[Callback] = (),
        total_epochs: int | None = None,
    ) -> Fit:
        """Return a fit to these batches, ready to run; :meth:`end` belongs after it."""
        end = self.epoch + epochs
        if total_epochs is not None:
            check_count("fit: total_epochs", total_epochs, end)
        elif self.epoch and self._resumed is None and not self.position and depends_on_end(self.schedule, self.epoch):
            logger.warning(STRETCHED, type(self.schedule).__name__, self.epoch, end)
        before, order = self.fit_info, "a function's" if callable(shuffle) else shuffle
        self.fit_info = FitInfo(train.batch_size, order, train.n, train)
        another = False
        if self.position and self._resumed is None:
            another = before is None or before.described() != self.fit_info.described()
        if self.position and callable(shuffle) and not another:
            logger.warning(RESTARTED, self.epoch + 1, self.position)
        if callable(shuffle) or another:
            self.position = 0  # another fit than the one that was stopped within an epoch begins its own
        self.stopping = self.finished = ""
        self.callbacks, self.last_epoch = hooks, end
        backends.announce(self.asked)  # only now: all that can be checked has been
        return Fit(self, train, validation, shuffle, hooks, total_epochs or end)

    def end(self) -> None:
        """Release what is held only during a fit."""
        self.callbacks = ()
        if self.fit_info is not None:  # the fingerprint is still wanted where an epoch is half done
            self.fit_info.release(keep=bool(self.position))

    @property
    def resumed(self) -> bool:
        return self._resumed is not None

    def check_resumed(self) -> None:
        """Raise DataError if the training was resumed and the fit is another one than before, or it was edited."""
        if self._resumed is not None:
            resume.check(self, self._resumed)

    def take_up(self) -> None:
        """Give schedule and callbacks what a checkpoint holds of them, if the training was resumed."""
        if self._resumed is not None:
            resume.take_up(self, self._resumed)
            self._resumed = None  # only now: where another fit was refused, the right one still finds it

    def stop(self, reason: str, *, finished: bool = False) -> None:
        """Let training end after the current batch; for callbacks and signals.

        Parameters
        ----------
        reason : str
            Becomes ``history.stopped``.
        finished : bool
            Whether there is nothing left to do, so that a training that is resumed from here ends at once.
        """
        self.stopping, self.finished = reason, reason if finished else ""

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
        noted = resume.load(self, path)
        place = Path(os.path.realpath(path))
        if self.strategy.writes:
            sweep(place.parent, place.name)  # the training may have been killed while it wrote
        try:
            resume.restore(self, noted)
        except (DataError, KeyError, TypeError, ValueError, AttributeError) as error:
            message = f"{path}: it is damaged or was edited ({error}); use the checkpoint of another run"
            raise DataError(message) from None
        self._resumed = noted
        return self.last_epoch - self.epoch

    def load_weights(self, path: str | os.PathLike[str], *, strict: bool = True) -> LoadedWeights:
        """Start from a trained network: take the parameters and buffers in a file, with a fresh optimizer.

        Training so far is forgotten. Before the first fit, the file says the shape of a sample. Preprocessing
        (Rescale, Standardize) is no weight: the network keeps its own.

        Parameters
        ----------
        path : str or path
            A file of :meth:`save`, or a run folder, of which the best weights are taken.
        strict : bool
            Whether the file must hold the arrays of this network and no others; else what has the same name and shape
            is taken, and the rest of the network keeps the values it has.

        Returns
        -------
        LoadedWeights
            The names of what was taken, of what was left, and of what was not used of the file.

        Raises
        ------
        DataError
            If there is no such file, it is damaged, or its arrays do not fit; all that do not are listed.
        """
        return load_weights(self, path, strict=strict)

    def save_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Write the whole training to `path`, for :meth:`resume`."""
        resume.save(self, path)

    def finite(self) -> bool:
        """Return whether no weight is inf or NaN; waits for the device."""
        with self.backend.activate(self.dtype):
            return self.engine.all_finite(self.state)

    def plot(self, data: Any) -> Figures:
        """Return figures by name: the curves of the training so far, and what the network mistakes in `data`.

        A notebook shows them; ``trainer.plot(data).save("plots")`` writes them.

        Parameters
        ----------
        data : Dataset or (x, y)
            Of a Dataset the test part, if there is one. Images also show the worst mistakes, samples of two numbers the
            decision boundary. Of a regression the curves alone are drawn.
        """
        return pictures(self, data)

    def host_state(self) -> dict[str, Any]:
        """Return the optimizer's state as copies on the host."""
        return self.copy_state().opt_state

    def adopt_state(self, state: dict[str, Any]) -> None:
        """Take a copy of `state` as the optimizer's."""
        self.restore_state(self.state._replace(opt_state=state))

    def __copy__(self) -> Self:
        """Return a trainer of its own: a step writes over arrays, which two trainers cannot share."""
        return copy.deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        """Return all but what is compiled, and the callbacks of a fit that runs; arrays on the host."""
        state = {name: value for name, value in vars(self).items() if name not in ("engine", "take", "_online")}
        info = None if self.fit_info is None else FitInfo(**self.fit_info.described())
        return state | {"state": self.copy_state(), "callbacks": (), "fit_info": info}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._online = Online()
        self._compile()
        self.restore_state(self.state)
