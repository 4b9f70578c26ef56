"""Callbacks: what else shall happen while a network trains. A hook that is not overridden costs nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from portanet.checks import check_count, check_flag, check_number, check_path, check_text
from portanet.errors import ConfigError
from portanet.schedules import Schedule, improved, monitored
from portanet.schedules import get as get_schedule

if TYPE_CHECKING:
    from portanet.trainer import Trainer

__all__ = ["Callback", "Checkpoint", "EarlyStopping", "LearningRateSchedule", "TimeLimit"]


class Callback:
    """Base of all callbacks; override what is needed. ``trainer.stop(reason)`` ends the training."""

    every_batch: ClassVar[bool] = True
    """Whether :meth:`on_batch_end` must be called behind every batch; else several may be trained in one go."""

    runs_last: ClassVar[bool] = False
    """Whether it is called behind the others."""

    writes: ClassVar[bool] = False
    """Whether it writes files or prints, so that of several processes (:class:`portanet.Ranks`) one alone calls it."""

    def on_fit_begin(self, trainer: Trainer, end: int) -> None:
        """Before the first epoch; training is to end behind epoch `end`."""

    def on_batch_end(self, trainer: Trainer, batch: int, batches: int) -> None:
        """Behind batch number `batch` (1 …) of `batches` in this epoch."""

    def on_epoch_end(self, trainer: Trainer, row: dict[str, float]) -> None:
        """Behind each epoch; `row` is its line of the history."""

    def on_divergence(self, trainer: Trainer, message: str) -> bool:
        """When the loss or a weight is no longer finite; return whether training goes on from what was put in place."""
        return False

    def on_fit_end(self, trainer: Trainer) -> None:
        """Behind the last epoch, also when training ended by an error."""

    def state(self) -> dict[str, Any]:
        """Return what it has noted, of which a checkpoint is made: plain values and host arrays, in dicts and lists."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take back what :meth:`state` returned; behind :meth:`on_fit_begin`."""


class EarlyStopping(Callback):
    """Ends the training when `monitor` no longer improves, and puts the best weights back.

    Parameters
    ----------
    monitor : str
        A column of the history; losses and errors are to fall, all else is to rise.
    patience : int
        Number of epochs to wait for an improvement.
    min_delta : float
        Smallest change that counts as one.
    restore_best : bool
        Whether the weights of the best epoch are put back when training ends.
    """

    def __init__(
        self, monitor: str = "val_loss", patience: int = 5, min_delta: float = 0.0, *, restore_best: bool = True
    ) -> None:
        check_text("EarlyStopping: monitor", monitor)
        check_count("EarlyStopping: patience", patience, 1)
        check_number("EarlyStopping: min_delta", min_delta, 0)
        check_flag("EarlyStopping: restore_best", restore_best)
        self.monitor, self.patience, self.min_delta, self.restore_best = monitor, patience, min_delta, restore_best
        self.best: float | None = None
        self.best_epoch = 0
        self._weights: dict[str, Any] | None = None

    def on_fit_begin(self, trainer: Trainer, end: int) -> None:
        self.best, self.best_epoch, self._weights = None, trainer.epoch, None

    def on_epoch_end(self, trainer: Trainer, row: dict[str, float]) -> None:
        value = monitored(row, self.monitor, "EarlyStopping")
        if improved(value, self.best, self.monitor, self.min_delta):
            self.best, self.best_epoch = value, trainer.epoch
            self._weights = trainer.snapshot() if self.restore_best else None
        elif trainer.epoch - self.best_epoch >= self.patience:
            reason = f"no better {self.monitor} for {self.patience} epochs (best in epoch {self.best_epoch})"
            trainer.stop(reason, finished=True)

    def on_fit_end(self, trainer: Trainer) -> None:
        if self._weights is not None and self.best_epoch != trainer.epoch:
            trainer.restore(self._weights)
        self._weights = None

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "best_epoch": self.best_epoch, "weights": self._weights}

    def load_state(self, state: dict[str, Any]) -> None:
        check_noted(best=(state["best"], float | int | None), best_epoch=(state["best_epoch"], int))
        check_noted(weights=(state["weights"], dict | None))
        self.best, self.best_epoch, self._weights = state["best"], state["best_epoch"], state["weights"]


class Checkpoint(Callback):
    """Saves the network behind every `every`-th epoch, or, where `monitor` is given, whenever it is at its best.

    Parameters
    ----------
    path : str or Path
        The file; each save takes the place of the one before.
    monitor : str, optional
        A column of the history.
    every : int
        Number of epochs between saves; without `monitor`.
    """

    writes = True

    def __init__(self, path: str | Path, monitor: str | None = None, every: int = 1) -> None:
        if monitor is not None:
            check_text("Checkpoint: monitor", monitor)
        check_count("Checkpoint: every", every, 1)
        self.path, self.monitor, self.every = check_path("Checkpoint: path", path), monitor, every
        self.best: float | None = None

    def on_epoch_end(self, trainer: Trainer, row: dict[str, float]) -> None:
        if self.monitor is None:
            if trainer.epoch % self.every == 0:
                trainer.save(self.path)
            return
        value = monitored(row, self.monitor, "Checkpoint")
        if improved(value, self.best, self.monitor):
            self.best = value
            trainer.save(self.path)

    def state(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state(self, state: dict[str, Any]) -> None:
        check_noted(best=(state["best"], float | int | None))
        self.best = state["best"]


class LearningRateSchedule(Callback):
    """Gives the trainer another schedule for this fit; the one it had comes back behind it."""

    def __init__(self, schedule: Schedule | str) -> None:
        try:
            self.schedule = get_schedule(schedule)
        except ConfigError as error:
            message = f"LearningRateSchedule: {error}"
            raise ConfigError(message) from None

    def on_fit_begin(self, trainer: Trainer, end: int) -> None:
        self._before, trainer.schedule = trainer.schedule, self.schedule

    def on_fit_end(self, trainer: Trainer) -> None:
        trainer.schedule = self._before


class TimeLimit(Callback):
    """Ends the training behind the batch in which `seconds` have passed since it began."""

    def __init__(self, seconds: float) -> None:
        check_number("TimeLimit: seconds", seconds, 0)
        self.seconds = seconds

    def on_fit_begin(self, trainer: Trainer, end: int) -> None:
        self._until = time.monotonic() + self.seconds

    def on_batch_end(self, trainer: Trainer, batch: int, batches: int) -> None:
        if time.monotonic() >= self._until:
            trainer.stop(f"time limit of {self.seconds:g} s")


def check_noted(**fields: tuple[Any, Any]) -> None:
    """Raise TypeError where a value of a checkpoint is not of the kind that was put in."""
    for name, (value, kind) in fields.items():
        if not isinstance(value, kind):
            message = f"{name} is {value!r:.40}"
            raise TypeError(message)


def checked(callbacks: Sequence[Callback]) -> list[Callback]:
    """Return the callbacks as a list; tell one that is none."""
    if not isinstance(callbacks, list | tuple):
        what = type(callbacks).__name__
        message = f"fit: callbacks must be a list of Callback, got a single {what}; put it into a list"
        raise ConfigError(message)
    for hook in callbacks:
        if not isinstance(hook, Callback):
            hint = f"; make one of it: {hook.__name__}(...)" if isinstance(hook, type) else ""
            message = f"fit: callbacks must be a list of Callback, got {hook!r} in it{hint}"
            raise ConfigError(message)
    return list(callbacks)
