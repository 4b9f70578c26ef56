"""Callbacks that save the network or the complete training state."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from portanet.callbacks.base import Callback, TrainerView
from portanet.checks import check, check_count, check_number, check_path, check_text
from portanet.files.schema import NUMBER_OR_NONE, check_values
from portanet.training.monitor import MODE, direction, improved, monitored

__all__ = ["Checkpoint", "TrainingCheckpoint"]


class Checkpoint(Callback):
    """Save the network after every `every` epochs or, if `monitor` is given, whenever that improves.

    Parameters
    ----------
    path : str or Path
        The file; each save replaces the previous one.
    monitor : str, optional
        A column of the history.
    every : int
        Number of epochs between saves; without `monitor`.
    mode : {"auto", "min", "max"}
        As for :class:`EarlyStopping`.

    Raises
    ------
    ConfigError
        When training begins, if `mode` is "auto" and the direction of `monitor` is not known.
    """

    writes = True

    def __init__(self, path: str | Path, monitor: str | None = None, every: int = 1, *, mode: str = "auto") -> None:
        if monitor is not None:
            check_text("Checkpoint: monitor", monitor)
        check_count("Checkpoint: every", every, 1)
        check("Checkpoint: mode", mode, MODE)
        self.mode = mode
        self.path, self.monitor, self.every = check_path("Checkpoint: path", path), monitor, every
        self.best: float | None = None

    def on_fit_begin(self, trainer: TrainerView, end: int) -> None:
        if self.monitor is not None:
            direction(self.monitor, self.mode, trainer.metrics, "Checkpoint")

    def on_epoch_end(self, trainer: TrainerView, row: dict[str, float]) -> None:
        if self.monitor is None:
            if trainer.epoch % self.every == 0:
                trainer.save(self.path)
            return
        value = monitored(row, self.monitor, "Checkpoint")
        if improved(value, self.best, direction(self.monitor, self.mode, trainer.metrics, "Checkpoint")):
            self.best = value
            trainer.save(self.path)

    def state(self) -> dict[str, Any]:
        return {"best": self.best}

    def check_state(self, trainer: TrainerView, state: dict[str, Any]) -> None:
        check_values(state, {"best": NUMBER_OR_NONE})

    def load_state(self, state: dict[str, Any]) -> None:
        self.best = state["best"]


class TrainingCheckpoint(Callback):
    """Save the complete training state for :meth:`portanet.Trainer.resume`; each save replaces the previous one.

    Always saves when training ends or is stopped; before that every `steps` steps, every `minutes` minutes or, if
    neither is given, after each epoch.

    Parameters
    ----------
    path : str or Path
    steps : int, optional
        Number of steps between saves.
    minutes : float, optional
        Minimum minutes between saves, also within an epoch.
    """

    writes = True
    runs_last = True  # the state of the other callbacks after an epoch is part of it

    def __init__(self, path: str | os.PathLike[str], *, steps: int | None = None, minutes: float | None = None) -> None:
        if steps is not None:
            check_count("TrainingCheckpoint: steps", steps, 1)
        if minutes is not None:
            check_number("TrainingCheckpoint: minutes", minutes, 0)
        self.path, self.steps, self.minutes = check_path("TrainingCheckpoint: path", path), steps, minutes
        self.every_batch = steps is not None  # type: ignore[misc]  # for minutes, several batches may run in one call
        self._since, self._saved = 0, 0.0

    def on_fit_begin(self, trainer: TrainerView, end: int) -> None:
        self._since, self._saved = 0, time.monotonic()

    def on_batch_end(self, trainer: TrainerView, batch: int, batches: int) -> None:
        self._since += 1
        if batch == batches:
            return  # on_epoch_end follows at once, and saves the row as well
        if (self.steps is not None and self._since >= self.steps) or self._is_time():
            self._save(trainer)

    def on_epoch_end(self, trainer: TrainerView, row: dict[str, float]) -> None:
        by_steps = self.steps is not None and self._since >= self.steps
        if by_steps or self._is_time() or (self.steps is None and self.minutes is None):
            self._save(trainer)

    def on_fit_end(self, trainer: TrainerView) -> None:
        if trainer.history.stopped not in ("error", "diverged"):  # then the last good checkpoint remains
            self._save(trainer)

    def _is_time(self) -> bool:
        return self.minutes is not None and time.monotonic() - self._saved >= 60 * self.minutes

    def _save(self, trainer: TrainerView) -> None:
        if trainer.finite():  # else the last good one remains; the end of the epoch reports it
            trainer.save_checkpoint(self.path)
        self._since, self._saved = 0, time.monotonic()
