"""Callbacks that stop training."""

from __future__ import annotations

import time
from typing import Any

from portanet.callbacks.base import Callback, TrainerView
from portanet.checks import Number, check, check_count, check_flag, check_number, check_text
from portanet.engine.state import TrainState
from portanet.files.schema import NUMBER_OR_NONE, OBJECT_OR_NONE, check_values
from portanet.training.monitor import MODE, direction, improved, monitored

__all__ = ["EarlyStopping", "TimeLimit"]


class EarlyStopping(Callback):
    """Stop training when `monitor` no longer improves, and restore the best weights.

    Parameters
    ----------
    monitor : str
        A column of the history.
    patience : int or None
        Number of epochs to wait for an improvement; None never stops training, but keeps the best epoch.
    min_delta : float
        Smallest change that counts as an improvement.
    restore_best : bool
        Whether to restore the weights of the best epoch when training ends.
    mode : {"auto", "min", "max"}
        Whether the smallest or the largest value is the best; "auto" works for the loss and for metrics that define it
        (:attr:`portanet.Metric.greater_is_better`).

    Raises
    ------
    ConfigError
        When training begins, if `mode` is "auto" and the direction of `monitor` is not known.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int | None = 5,
        min_delta: float = 0.0,
        *,
        restore_best: bool = True,
        mode: str = "auto",
    ) -> None:
        check_text("EarlyStopping: monitor", monitor)
        if patience is not None:
            check_count("EarlyStopping: patience", patience, 1)
        check_number("EarlyStopping: min_delta", min_delta, 0)
        check_flag("EarlyStopping: restore_best", restore_best)
        check("EarlyStopping: mode", mode, MODE)
        self.monitor, self.patience, self.min_delta, self.restore_best = monitor, patience, min_delta, restore_best
        self.mode = mode
        self.best: float | None = None
        self.best_epoch = 0
        self._kept: TrainState | None = None
        self._trainer: TrainerView | None = None

    def on_fit_begin(self, trainer: TrainerView, end: int) -> None:
        direction(self.monitor, self.mode, trainer.metrics, "EarlyStopping")
        self.best, self.best_epoch, self._kept, self._trainer = None, trainer.epoch, None, trainer

    def on_epoch_end(self, trainer: TrainerView, row: dict[str, float]) -> None:
        value = monitored(row, self.monitor, "EarlyStopping")
        sign = direction(self.monitor, self.mode, trainer.metrics, "EarlyStopping")
        if improved(value, self.best, sign, self.min_delta):
            self.best, self.best_epoch = value, trainer.epoch
            self._kept = trainer.copy_state() if self.restore_best else None
        elif self.patience is not None and trainer.epoch - self.best_epoch >= self.patience:
            reason = f"no better {self.monitor} for {self.patience} epochs (best in epoch {self.best_epoch})"
            trainer.stop(reason, finished=True)

    def on_fit_end(self, trainer: TrainerView) -> None:
        # Also if training stopped within an epoch: its steps, and their optimizer state, are discarded.
        kept, now = self._kept, trainer.state
        place = (now.epoch, now.step, int(now.opt_state.get("t", 0)))  # LowerRate may have restored other weights
        if kept is not None and (self.best_epoch, 0, kept.opt_state.get("t")) != place:
            opt_state = kept.opt_state or now.opt_state
            trainer.restore_state(now._replace(params=kept.params, buffers=kept.buffers, opt_state=opt_state, step=0))
        self._kept = self._trainer = None

    def state(self) -> dict[str, Any]:
        kept = self._kept
        parts = None if kept is None else {"params": kept.params, "buffers": kept.buffers}
        if kept is not None and parts is not None and kept.opt_state:
            parts["optimizer"] = kept.opt_state
        return {"best": self.best, "best_epoch": self.best_epoch, "weights": parts}

    def check_state(self, trainer: TrainerView, state: dict[str, Any]) -> None:
        epoch = Number(0, trainer.epoch, whole=True)
        check_values(state, {"best": NUMBER_OR_NONE, "best_epoch": epoch, "weights": OBJECT_OR_NONE})
        if state["weights"] is not None:
            _weights(state["weights"], trainer).check_like(trainer.state)

    def load_state(self, state: dict[str, Any]) -> None:
        self.best, self.best_epoch, self._kept = state["best"], state["best_epoch"], None
        if state["weights"] is not None and self._trainer is not None:
            self._kept = _weights(state["weights"], self._trainer)


def _weights(noted: dict[str, Any], trainer: TrainerView) -> TrainState:
    """Return the weights in a checkpoint as a training state."""
    optimizer = noted.get("optimizer", {})  # missing in files of 0.1.0: then the last state is kept
    return TrainState(noted["params"], noted["buffers"], optimizer, trainer.meter)


class TimeLimit(Callback):
    """Stop training after the batch in which `seconds` have passed since the start."""

    def __init__(self, seconds: float) -> None:
        check_number("TimeLimit: seconds", seconds, 0)
        self.seconds = seconds

    def on_fit_begin(self, trainer: TrainerView, end: int) -> None:
        self._until = time.monotonic() + self.seconds

    def on_batch_end(self, trainer: TrainerView, batch: int, batches: int) -> None:
        if time.monotonic() >= self._until:
            trainer.stop(f"time limit of {self.seconds:g} s")
