"""Training: the step, fed with batches, on a backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portanet import backends, losses, optimizers, schedules
from portanet.callbacks.base import Callback, checked
from portanet.callbacks.learning_rate import on_divergence as answer
from portanet.callbacks.notebook import progress
from portanet.checks import check_count, check_number
from portanet.data.batching.batches import Batches, Order
from portanet.distributed.ranks import Ranks
from portanet.distributed.strategy import strategy_of
from portanet.engine.engine import Program
from portanet.engine.strategy import Strategy
from portanet.errors import ConfigError, OutOfMemoryError
from portanet.inspection.pictures import pictures
from portanet.layers import Layer, Sequential
from portanet.metrics import MetricLike
from portanet.metrics import get as metric
from portanet.plot.run import Figures
from portanet.random import generator
from portanet.training import batch_size as memory
from portanet.training.accumulate import accumulated
from portanet.training.begin import begun
from portanet.training.fit import Fit
from portanet.training.fit_inputs import check_least, in_batches
from portanet.training.history import History
from portanet.training.interrupt import held_interrupt
from portanet.training.loop import drive
from portanet.training.resumable import Resumable
from portanet.typing import Array

__all__ = ["Trainer"]


class Trainer(Resumable):
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
        super().__init__(program, backends.get(backend, quiet=True), strategy, classes, schedules.get(schedule))
        self.asked, self.class_weight = backend, class_weight

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
        with self.strategy.guard(), accumulated(self, batch_size, accumulate) as batch_size:
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
        return begun(self, train, validation, epochs, shuffle, hooks, total_epochs)

    def end(self) -> None:
        """Release what is held only during a fit."""
        self.callbacks = ()
        if self.fit_info is not None:  # the fingerprint is still wanted where an epoch is half done
            self.fit_info.release(keep=bool(self.position))

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
