"""A fleet: networks of the same shape trained as batched matrix products, each exactly as it would train alone."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from portanet import backends, losses, optimizers, schedules
from portanet.callbacks.base import Callback
from portanet.callbacks.notebook import progress as shown
from portanet.checks import check_count
from portanet.data.batching import prepare
from portanet.data.dataset import Dataset
from portanet.data.lazy.readable import is_lazy
from portanet.errors import ConfigError, DivergedError
from portanet.fleet.checks import check_alike, setting
from portanet.fleet.folds import parted
from portanet.fleet.hooks import member_callbacks
from portanet.fleet.rounds import rounds
from portanet.layers import Layer
from portanet.metrics import MetricLike
from portanet.training.fit_inputs import check_least
from portanet.training.history import History
from portanet.training.interrupt import held_interrupt
from portanet.training.loop import Epoch, Ran
from portanet.training.trainer import Trainer

__all__ = ["Ensemble", "Fleet"]


class Ensemble(NamedTuple):
    """Mean and spread (standard deviation) of the members' predictions, host arrays of shape (n, outputs)."""

    mean: Any
    spread: Any


class Fleet:
    """Train k networks of the same shape together: every parameter has a leading axis, each layer is a batched product.

    Member i trains as ``Trainer(net, ..., seed=seeds[i])`` would: it has the same initial weights, sample orders and
    dropout masks. The results differ only by the rounding of products and, in float32, of learning rates that differ
    among members.

    Parameters
    ----------
    net : Layer, sequence of Layer, or function
        Layers that take leading axes (``Layer.stacks``): Dense, NTKDense, activations, Dropout, OneHot,
        PeriodicEmbedding, Rescale, Standardize, RobustScale, SmoothClip, Scale, and Sequential, Residual, Parallel
        and Branches of these. A function returns the network of member i; networks may differ only in the arrays of
        Standardize and RobustScale.
    k : int
        Number of members.
    loss, optimizer, metrics, backend, dtype, schedule, l1, l2, classes, penalty_per_sample, class_weight
        See :class:`~portanet.Trainer`.
    seeds : int or sequence of k int, optional
        One seed for all, or one for each member; 0 … k - 1 by default.
    lr, weight_decay : float or sequence of k float, optional
        Replaces the optimizer's value.
    group : int, optional
        Number of members that are stepped together. By default as many as fit into the processor's cache with their
        arrays of a step, and all on a GPU or with a compiler: :func:`portanet.fleet.stack.group_size`.

    Attributes
    ----------
    members : list of Trainer
        Also ``fleet[i]``. Each can evaluate, predict, be saved and continue training alone.

    Raises
    ------
    ConfigError
        For a layer that takes no leading axes, or a setting with a wrong number of values.
    """

    def __init__(
        self,
        net: Layer | Sequence[Layer] | Callable[[int], Layer | Sequence[Layer]],
        k: int,
        loss: losses.Loss | str = "softmax_cross_entropy",
        optimizer: optimizers.Optimizer | str = "adam",
        metrics: Sequence[MetricLike] = (),
        *,
        seeds: int | Sequence[int] | None = None,
        lr: float | Sequence[float] | None = None,
        weight_decay: float | Sequence[float] | None = None,
        group: int | None = None,
        backend: str | backends.Backend = "auto",
        dtype: str = "float32",
        schedule: schedules.Schedule | str | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        classes: Sequence[str] = (),
        penalty_per_sample: bool = False,
        class_weight: Any = None,
    ) -> None:
        check_count("Fleet: k", k, 1)
        if group is not None:
            check_count("Fleet: group", group, 1)
        own = optimizers.get(optimizer)
        rates, decays = setting("lr", lr, own.lr, k), setting("weight_decay", weight_decay, own.weight_decay, k)
        self.group = group
        build = net if callable(net) and not isinstance(net, Layer) else lambda _: net
        self.members = [
            Trainer(
                build(i),
                loss,
                dataclasses.replace(own, lr=rates[i], weight_decay=decays[i]),
                metrics,
                backend=backend,
                dtype=dtype,
                seed=seed,
                schedule=schedule,
                l1=l1,
                l2=l2,
                classes=classes,
                penalty_per_sample=penalty_per_sample,
                class_weight=class_weight,
            )
            for i, seed in enumerate(setting("seeds", seeds, None, k))
        ]
        check_alike([member.net for member in self.members])
        for member in self.members[1:]:
            member.engine.infer_by(self.members[0].engine)  # compiled once

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, i: int) -> Trainer:
        return self.members[i]

    def __iter__(self) -> Iterator[Trainer]:
        return iter(self.members)

    def init(self, input_shape: Sequence[int]) -> None:
        """Initialize the weights of the members that have none, for samples of `input_shape`."""
        for member in self.members:
            if member.input_shape is None:
                member.init(tuple(input_shape))

    @property
    def histories(self) -> list[History]:
        """The history of each member; ``stopped`` is "diverged" if it diverged."""
        return [member.history for member in self.members]

    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        epochs: int = 10,
        batch_size: int | None = 128,
        sample_weight: Any = None,
        folds: Iterable[tuple[Any, Any]] | None = None,
        validation_data: tuple[Any, ...] | None = None,
        shuffle: bool = True,
        on_epoch: Callable[[Fleet], None] | None = None,
        validation_fraction: float = 0.0,
        callbacks: Sequence[Callback] | Callable[[int], Sequence[Callback]] = (),
        on_divergence: str = "stop",
        verbose: bool = False,
        total_epochs: int | None = None,
        join_last: bool = False,
        accumulate: int = 1,
    ) -> list[History]:
        """Train all members for `epochs` more epochs and return their histories.

        Parameters
        ----------
        x, y, batch_size, sample_weight, validation_data, on_divergence, total_epochs, join_last
            See :meth:`portanet.Trainer.fit`.
        folds : k pairs of (training rows, validation rows), optional
            Row numbers, as returned by scikit-learn's splitters: member i is trained on the first rows of its pair and
            evaluated on the second after each epoch; None or no rows for no evaluation.
        shuffle : bool
            Whether to shuffle the rows in each epoch, by the seed of each member.
        on_epoch : function of the fleet, optional
            Called after each epoch of all members.
        validation_fraction : float
            Fraction of the samples to evaluate each member on instead, split off by its seed.
        callbacks : sequence of Callback, or function
            Callbacks of which each member gets copies; or a function from a member's number to its callbacks, for those
            that write files. If a callback stops a member, the others continue.
        verbose : bool
            Whether to show the mean of the members' metrics on stderr.
        accumulate : int
            Only 1: members take each step together, on whole batches. Fleet(group=...) trains fewer of them at once.

        Raises
        ------
        ConfigError, DataError, ShapeError
            If an argument or the data is invalid.
        DivergedError
            If all members have diverged. A member whose loss or weights become NaN or infinite is restored to the start
            of that epoch and stops; the others continue.
        KeyboardInterrupt
            After the epoch in which it occurred.
        """
        x, y = self._checked(x, y, epochs, batch_size, accumulate)
        parts = parted(self.members, x, y, sample_weight, batch_size, folds, validation_data, validation_fraction)
        hooks = member_callbacks(callbacks, on_divergence, len(self))
        trains = [
            check_least(member, train, join=join_last) for member, (train, _) in zip(self.members, parts, strict=True)
        ]
        with contextlib.ExitStack() as begun:
            fits = {}
            for i, member in enumerate(self.members):
                begun.callback(member.end)
                # If total_epochs is not given, one warning for all members.
                end = member.epoch + epochs if i and total_epochs is None else total_epochs
                fits[i] = member.begin(
                    *(trains[i], parts[i][1]), epochs=epochs, shuffle=shuffle, hooks=hooks[i], total_epochs=end
                ).epochs()
            self._run(fits, on_epoch, shown() if verbose else None)
        if all(member.history.stopped == "diverged" for member in self.members):
            message = "Fleet: the loss or a weight of every member is no longer finite; try a smaller lr"
            raise DivergedError(message)
        return self.histories

    def _checked(self, x: Any, y: Any, epochs: int, batch_size: int | None, accumulate: int) -> tuple[Any, Any]:
        """Return checked samples, and targets as given; weights are drawn where there are none."""
        check_count("fit: epochs", epochs, 0)
        if accumulate != 1:
            message = (
                f"Fleet.fit: accumulate={accumulate} is for a single network, as the members of a fleet take each "
                f"step together on whole batches; for less memory take Fleet(group=...) or a smaller batch_size"
            )
            raise ConfigError(message)
        if batch_size is not None:
            check_count("fit: batch_size", batch_size, 1)
        if isinstance(x, Dataset):
            x, y = x.x, x.y
        if is_lazy(x):
            message = "Fleet: its members share samples in memory; load them without stream, or fit a Trainer to each"
            raise ConfigError(message)
        first = self.members[0]
        x = prepare.samples(x, first.dtype, first.input_shape)
        self.init(x.shape[1:])
        return x, y

    def _run(
        self,
        fits: Mapping[int, Generator[Epoch, Ran, None]],
        on_epoch: Callable[[Fleet], None] | None,
        progress: Callback | None,
    ) -> None:
        """Run the members' fits to their end."""
        first = self.members[0]
        with held_interrupt(self._interrupt), first.backend.activate(first.dtype), contextlib.ExitStack() as running:
            for fit in fits.values():  # whatever one raises while it ends, the others are also closed
                running.callback(fit.close)
            if progress is not None:
                progress.on_fit_begin(first, first.last_epoch)
                running.callback(progress.on_fit_end, first)
            for row in rounds(self.members, fits, self.group):
                if progress is not None:
                    progress.on_epoch_end(first, row)
                if on_epoch is not None:
                    on_epoch(self)

    def evaluate(self, x: Any, y: Any = None, *, sample_weight: Any = None) -> list[dict[str, float]]:
        """Return each member's loss and metrics on `x` and `y` (or a Dataset)."""
        return [member.evaluate(x, y, sample_weight=sample_weight) for member in self.members]

    def predict(self, x: Any, *, raw: bool = False) -> Any:
        """Return the members' outputs for `x`, host array (k, n, outputs); see :meth:`portanet.Trainer.predict`."""
        return np.stack([member.predict(x, raw=raw) for member in self.members])

    def ensemble(self, x: Any) -> Ensemble:
        """Return mean and spread of the members' predictions (Lakshminarayanan et al. 2017, arXiv:1612.01474).

        Computed in float64 and returned in the fleet's dtype; the spread of a single member is 0.
        """
        found = self.predict(x)
        mean, spread = found.mean(axis=0, dtype="float64"), found.std(axis=0, dtype="float64")
        return Ensemble(mean.astype(found.dtype), spread.astype(found.dtype))

    def keep(self, members: Sequence[int]) -> None:
        """Keep these members, in this order, and drop all others."""
        self.members = [self.members[i] for i in members]

    def _interrupt(self, reason: str) -> None:
        for member in self.members:
            member.stop(reason)
