"""Callbacks that end a training."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from portanet.callbacks.base import Callback, check_noted
from portanet.checks import check_count, check_flag, check_number, check_text
from portanet.schedules import check_mode, direction, improved, monitored

if TYPE_CHECKING:
    from portanet.training.trainer import Trainer

__all__ = ["EarlyStopping", "TimeLimit"]


class EarlyStopping(Callback):
    """Ends the training when `monitor` no longer improves, and puts the best weights back.

    Parameters
    ----------
    monitor : str
        A column of the history.
    patience : int
        Number of epochs to wait for an improvement.
    min_delta : float
        Smallest change that counts as one.
    restore_best : bool
        Whether the weights of the best epoch are put back when training ends.
    mode : {"auto", "min", "max"}
        Whether the smallest or the largest value is the best; "auto" knows it of the loss and of metrics that say it
        (:attr:`portanet.Metric.greater_is_better`).

    Raises
    ------
    ConfigError
        When training begins, if `mode` is "auto" and the direction of `monitor` is not known.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        *,
        restore_best: bool = True,
        mode: str = "auto",
    ) -> None:
        check_text("EarlyStopping: monitor", monitor)
        check_count("EarlyStopping: patience", patience, 1)
        check_number("EarlyStopping: min_delta", min_delta, 0)
        check_flag("EarlyStopping: restore_best", restore_best)
        check_mode("EarlyStopping", mode)
        self.monitor, self.patience, self.min_delta, self.restore_best = monitor, patience, min_delta, restore_best
        self.mode = mode
        self.best: float | None = None
        self.best_epoch = 0
        self._weights: dict[str, Any] | None = None

    def on_fit_begin(self, trainer: Trainer, end: int) -> None:
        direction(self.monitor, self.mode, trainer.metrics, "EarlyStopping")
        self.best, self.best_epoch, self._weights = None, trainer.epoch, None

    def on_epoch_end(self, trainer: Trainer, row: dict[str, float]) -> None:
        value = monitored(row, self.monitor, "EarlyStopping")
        sign = direction(self.monitor, self.mode, trainer.metrics, "EarlyStopping")
        if improved(value, self.best, sign, self.min_delta):
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
