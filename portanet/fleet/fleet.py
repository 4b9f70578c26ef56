"""A fleet: networks of one shape that are trained in batched products, each as it would be alone."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from portanet import backends, losses, optimizers, schedules
from portanet.callbacks.base import Callback, checked
from portanet.callbacks.learning_rate import on_divergence as answer
from portanet.callbacks.notebook import progress as shown
from portanet.checks import check_count
from portanet.data.batching import prepare
from portanet.data.dataset import Dataset
from portanet.data.lazy.readable import is_lazy
from portanet.errors import ConfigError, DivergedError
from portanet.fleet.checks import check_alike, setting
from portanet.fleet.folds import parted
from portanet.fleet.stack import Stacks
from portanet.layers import Layer
from portanet.metrics import MetricLike
from portanet.training.fit_inputs import check_least
from portanet.training.history import History
from portanet.training.interrupt import held_interrupt
from portanet.training.loop import Epoch, Ran
from portanet.training.trainer import Trainer

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
    loss, optimizer, metrics, backend, dtype, schedule, l1, l2, classes, penalty_per_sample, class_weight
        See :class:`~portanet.Trainer`.
    seeds : int or sequence of k int, optional
        One for all, or one a member; 0 … k - 1 by default.
    lr, weight_decay : float or sequence of k float, optional
        In place of the optimizer's own.
    group : int, optional
        How many members are stepped at a time. By default as many as keep the arrays of a step within the processor's
        cache, and all where there is a GPU or a compiler: :func:`portanet.fleet.stack.group_size`.

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
            member.engine.outputs = self.members[0].engine.outputs  # compiled once

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
        validation_fraction: float = 0.0,
        callbacks: Sequence[Callback] | Callable[[int], Sequence[Callback]] = (),
        on_divergence: str = "stop",
        verbose: bool = False,
        total_epochs: int | None = None,
        join_last: bool = False,
    ) -> list[History]:
        """Train all members for `epochs` more epochs and return their histories.

        Parameters
        ----------
        x, y, batch_size, sample_weight, validation_data, on_divergence, total_epochs, join_last
            See :meth:`portanet.Trainer.fit`.
        folds : k pairs of (training rows, validation rows), optional
            Whole numbers, as scikit-learn's splitters give them: member i is trained on its own rows of x and evaluated
            after each epoch on the others; None or no rows for no evaluation.
        shuffle : bool
            Whether each member has an order of its own in each epoch, by its seed.
        on_epoch : function of the fleet, optional
            Called after each epoch of all members.
        validation_fraction : float
            Share of the samples that each member is evaluated on instead, split off by its seed.
        callbacks : sequence of Callback, or function
            Of each member, which gets copies of its own; or a function from its number to its callbacks, for those that
            write files. A member that a callback stops is out; the others continue.
        verbose : bool
            Whether the mean of the members' rows is shown on stderr.

        Raises
        ------
        ConfigError, DataError, ShapeError
            If an argument or the data is invalid.
        DivergedError
            If no member is left: one whose loss or weights are not finite goes back to the start of that epoch, ends
            there, and leaves the others alone.
        KeyboardInterrupt
            After the epoch in which it came.
        """
        if isinstance(x, Dataset):
            x, y = x.x, x.y
        check_count("fit: epochs", epochs, 0)
        if batch_size is not None:
            check_count("fit: batch_size", batch_size, 1)
        if is_lazy(x):
            message = "Fleet: its members share samples in memory; load them without stream, or fit a Trainer to each"
            raise ConfigError(message)
        first = self.members[0]
        x = prepare.samples(x, first.dtype, first.input_shape)
        self.init(x.shape[1:])
        parts = parted(self.members, x, y, sample_weight, batch_size, folds, validation_data, validation_fraction)
        hooks = self._callbacks(callbacks, on_divergence)
        trains = [
            check_least(member, train, join=join_last) for member, (train, _) in zip(self.members, parts, strict=True)
        ]
        fits: dict[int, Generator[Epoch, Ran, None]] = {}
        progress = shown() if verbose else None
        with contextlib.ExitStack() as begun:
            for i, member in enumerate(self.members):
                begun.callback(member.end)
                fits[i] = member.begin(
                    *(trains[i], parts[i][1]),
                    epochs=epochs,
                    shuffle=shuffle,
                    hooks=hooks[i],
                    # One warning for all, where it is not given.
                    total_epochs=member.epoch + epochs if i and total_epochs is None else total_epochs,
                ).epochs()
            with (
                held_interrupt(self._interrupt),
                first.backend.activate(first.dtype),
                contextlib.ExitStack() as running,
            ):
                for fit in fits.values():  # whatever one raises while it ends, the others end too
                    running.callback(fit.close)
                if progress is not None:
                    progress.on_fit_begin(first, first.last_epoch)
                    running.callback(progress.on_fit_end, first)
                self._run(fits, on_epoch, progress)
        if all(member.history.stopped == "diverged" for member in self.members):
            message = "Fleet: the loss or a weight of every member is no longer finite; try a smaller lr"
            raise DivergedError(message)
        return self.histories

    def _run(
        self,
        fits: Mapping[int, Generator[Epoch, Ran, None]],
        on_epoch: Callable[[Fleet], None] | None,
        progress: Callback | None,
    ) -> None:
        """Run the members' epochs, those that are left together, until none is."""
        stacks, members = Stacks(self.group), self.members
        begun, rounds = members[0].epoch, 0
        ran: dict[int, Any] = dict.fromkeys(fits)
        while ran:
            ready: dict[int, Epoch] = {}
            errors: list[Exception] = []
            before = [len(member.history) for member in members]
            for i, found in ran.items():
                try:
                    ready[i] = fits[i].throw(found) if isinstance(found, BaseException) else fits[i].send(found)
                except StopIteration:
                    pass
                except DivergedError:
                    epoch = members[i].history[-1]["epoch"]
                    logger.warning("member %d of the fleet diverged in epoch %d; the others continue", i, epoch)
                except Exception as error:  # raised when the others have recorded the epoch that they have done
                    errors.append(error)
            if errors:
                raise errors[0]
            seen = [(member.history, n) for member, n in zip(members, before, strict=True)]
            rows = [own[-1] for own, n in seen if len(own) > n and own.stopped != "diverged"]
            if rows and progress is not None:
                progress.on_epoch_end(members[0], {**_mean(rows), "epoch": begun + rounds})
            if rows and on_epoch is not None:
                on_epoch(self)
            ran = dict(zip(ready, stacks.run(list(ready.values())), strict=True))
            rounds += 1

    def _callbacks(
        self, given: Sequence[Callback] | Callable[[int], Sequence[Callback]], on_divergence: str
    ) -> list[list[Callback]]:
        """Return each member's callbacks, in the order in which they are called.

        Raises
        ------
        ConfigError
            If one is none, or all members would write to one file.
        """
        if not callable(given):
            for hook in checked(given):
                place = getattr(hook, "path", getattr(hook, "log_dir", None))
                if hook.writes and place is not None and len(self) > 1:
                    name = type(hook).__name__
                    message = (
                        f"fit: the {len(self)} members would all write to {place} ({name}); give each a file, by a "
                        f"function of its number: callbacks=lambda i: [{name}(f'{{i}}.file')]"
                    )
                    raise ConfigError(message)
        found = [checked(given(i)) if callable(given) else copy.deepcopy(checked(given)) for i in range(len(self))]
        for own in found:
            own += answer(on_divergence, own)
            own.sort(key=lambda hook: hook.runs_last)
        return found

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

    def _interrupt(self, reason: str) -> None:
        for member in self.members:
            member.stop(reason)


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each column over the rows that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}
