"""A fleet: networks of one shape that are trained in batched products, each as it would be alone."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from portanet import backends, losses, optimizers, schedules
from portanet.checks import check_count
from portanet.data import prepare
from portanet.data.batches import Batches
from portanet.data.dataset import Dataset
from portanet.data.readable import is_lazy
from portanet.errors import ConfigError, DivergedError
from portanet.fleet.checks import check_alike, setting
from portanet.fleet.folds import checked_folds, held_out
from portanet.fleet.group import Group, stepped_together
from portanet.history import History
from portanet.interrupt import held_interrupt
from portanet.layers import Layer
from portanet.metrics import Metric
from portanet.step import Step
from portanet.trainer import Trainer

__all__ = ["Ensemble", "Fleet"]

logger = logging.getLogger("portanet")


class Ensemble(NamedTuple):
    """Mean and spread (standard deviation) of the members' predictions, host arrays of shape (n, outputs)."""

    mean: Any
    spread: Any


class Fleet:
    """Networks of one shape, trained together: a leading axis on every parameter, a batched product for each layer.

    Member i is what ``Trainer(net, ..., seed=seeds[i])`` would be: it has that one's initial weights, orders of samples
    and dropout masks. Its numbers are that one's but for the rounding of products and, in float32, of rates that differ
    among members.

    Parameters
    ----------
    net : Layer, sequence of Layer, or function
        Layers that take leading axes (``Layer.stacks``): Dense, activations, Dropout, Rescale, Standardize, and
        Sequential and Residual of these. A function gives the network of member i; these may differ in the arrays of
        Standardize alone.
    k : int
        Number of members.
    loss, optimizer, metrics, backend, dtype, schedule, l1, l2, classes
        See :class:`~portanet.Trainer`.
    seeds : int or sequence of k int, optional
        One for all, or one a member; 0 … k - 1 by default.
    lr, weight_decay : float or sequence of k float, optional
        In place of the optimizer's own.
    group : int, optional
        How many members are stepped at a time. By default as many as keep the arrays of a step within the processor's
        cache, and all where there is a GPU or a compiler: :func:`portanet.fleet.group.group_size`.

    Attributes
    ----------
    members : list of Trainer
        ``fleet[i]`` too: each evaluates, predicts, is saved and trains on alone.

    Raises
    ------
    ConfigError
        For a layer that takes no leading axes, or settings that are not one a member.
    """

    def __init__(
        self,
        net: Layer | Sequence[Layer] | Callable[[int], Layer | Sequence[Layer]],
        k: int,
        loss: losses.Loss | str = "softmax_cross_entropy",
        optimizer: optimizers.Optimizer | str = "adam",
        metrics: Sequence[Metric | str] = (),
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
    ) -> None:
        check_count("Fleet: k", k, 1)
        if group is not None:
            check_count("Fleet: group", group, 1)
        own = optimizers.get(optimizer)
        rates, decays = setting("lr", lr, own.lr, k), setting("weight_decay", weight_decay, own.weight_decay, k)
        self.group = group
        place = backends.get(backend)
        build = net if callable(net) and not isinstance(net, Layer) else lambda _: net
        self.members = [
            Trainer(
                build(i),
                loss,
                dataclasses.replace(own, lr=rates[i], weight_decay=decays[i]),
                metrics,
                backend=place,
                dtype=dtype,
                seed=seed,
                schedule=schedule,
                l1=l1,
                l2=l2,
                classes=classes,
            )
            for i, seed in enumerate(setting("seeds", seeds, None, k))
        ]
        check_alike([member.net for member in self.members])
        for member in self.members[1:]:
            member._forward = self.members[0]._forward  # compiled once
        self._stop = ""

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, i: int) -> Trainer:
        return self.members[i]

    def __iter__(self) -> Iterator[Trainer]:
        return iter(self.members)

    def init(self, input_shape: Sequence[int]) -> None:
        """Draw the initial weights of the members that have none, for samples of `input_shape`."""
        for member in self.members:
            if member.input_shape is None:
                member.init(tuple(input_shape))

    @property
    def histories(self) -> list[History]:
        """What each member saw; ``stopped`` is "diverged" where one ended so."""
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
    ) -> list[History]:
        """Train all members for `epochs` more epochs and return their histories.

        Parameters
        ----------
        x, y, batch_size, sample_weight, validation_data
            See :meth:`portanet.Trainer.fit`.
        folds : k pairs of (training rows, validation rows), optional
            Whole numbers, as scikit-learn's splitters give them: member i is trained on its own rows of x and evaluated
            behind each epoch on the others; None or no rows for no evaluation.
        shuffle : bool
            Whether each member has an order of its own in each epoch, by its seed.
        on_epoch : function of the fleet, optional
            Called behind each epoch of all members.

        Raises
        ------
        ConfigError, DataError, ShapeError
            For arguments and data that cannot be.
        DivergedError
            If no member is left: one whose loss or weights are not finite goes back to the begin of that epoch, ends
            there, and leaves the others alone.
        KeyboardInterrupt
            Behind the epoch in which it came.
        """
        if isinstance(x, Dataset):
            x, y = x.x, x.y
        check_count("fit: epochs", epochs, 0)
        if batch_size is not None:
            check_count("fit: batch_size", batch_size, 1)
        if folds is not None and validation_data is not None:
            message = "fit: folds and validation_data were both given; folds bring their own validation rows"
            raise ConfigError(message)
        first = self.members[0]
        if is_lazy(x):
            message = "Fleet: its members share samples in memory; load them without stream, or fit a Trainer to each"
            raise ConfigError(message)
        x = prepare.samples(x, first.dtype, first.input_shape)
        self.init(x.shape[1:])
        n = int(x.shape[0])
        rows = [np.arange(n)] * len(self) if folds is None else []
        validation: list[Batches | None] = [None] * len(self)
        with first.backend.activate(first.dtype):
            data = first._batches(x, y, sample_weight, n)
            if validation_data is not None:
                xv, yv, wv = (*validation_data, None)[:3]
                validation = [first._batches(xv, yv, wv, None, what="validation ")] * len(self)
        if folds is not None:
            pairs = checked_folds(folds, len(self), n)
            rows = [pair[0] for pair in pairs]
            validation = held_out(first, x, y, sample_weight, [pair[1] for pair in pairs])
        size = n if batch_size is None else batch_size
        metrics = tuple(first.meter.metrics)
        step = Step(first.body, first.loss, first.optimizer, metrics, first.dtype, first.l1, first.l2, stack=1)
        compiled = first.backend.compile(step, donate=(0, 2))
        for member in self.members:
            member._end, member.history.stopped = member.epoch + epochs, "epochs"
        left = list(range(len(self)))
        groups: list[tuple[list[int], Group]] = []
        self._stop = ""
        with held_interrupt(self._interrupt), first.backend.activate(first.dtype):
            for _ in range(epochs):
                groups = groups or [
                    (own, Group([self.members[i] for i in own], [rows[i] for i in own], compiled))
                    for own in stepped_together(self.members, left, rows, size, self.group)
                ]
                for own, group in groups:
                    for i, row in zip(own, group.epoch([data] * len(own), size, shuffle=shuffle), strict=True):
                        self._note(i, row, validation[i])
                fine = [i for i in left if self.members[i].history.stopped != "diverged"]
                if len(fine) < len(left):
                    left, groups = fine, []
                if not left:
                    message = "Fleet: the loss or a weight of every member is no longer finite; try a smaller lr"
                    raise DivergedError(message)
                if on_epoch is not None:
                    on_epoch(self)
                if self._stop:
                    break
        return self.histories

    def evaluate(self, x: Any, y: Any = None, *, sample_weight: Any = None) -> list[dict[str, float]]:
        """Return each member's loss and metrics on `x` and `y` (or a Dataset)."""
        return [member.evaluate(x, y, sample_weight=sample_weight) for member in self.members]

    def predict(self, x: Any, *, raw: bool = False) -> Any:
        """Return the members' outputs for `x`, host array (k, n, outputs); see :meth:`portanet.Trainer.predict`."""
        return np.stack([member.predict(x, raw=raw) for member in self.members])

    def ensemble(self, x: Any) -> Ensemble:
        """Return mean and spread of the members' predictions (Lakshminarayanan et al. 2017, arXiv:1612.01474).

        Summed up in float64 and given in the fleet's dtype; the spread of a single member is 0.
        """
        found = self.predict(x)
        mean, spread = found.mean(axis=0, dtype="float64"), found.std(axis=0, dtype="float64")
        return Ensemble(mean.astype(found.dtype), spread.astype(found.dtype))

    def keep(self, members: Sequence[int]) -> None:
        """Go on with these members alone, in this order."""
        self.members = [self.members[i] for i in members]

    def _note(self, i: int, row: dict[str, float], validation: Batches | None) -> None:
        """Add an epoch's row to the history of member i, validated; or note that it diverged."""
        member = self.members[i]
        if member.epoch < row["epoch"]:
            member.history.stopped = "diverged"
            logger.warning("member %d of the fleet diverged in epoch %d; the others go on", i, row["epoch"])
        elif validation is not None:
            end = {name: row.pop(name) for name in ("lr", "seconds")}
            row |= {f"val_{name}": value for name, value in member._evaluate(validation).items()} | end
        member.history.rows.append(row)
        member.schedule.observe(row)

    def _interrupt(self, reason: str) -> None:
        self._stop = reason
