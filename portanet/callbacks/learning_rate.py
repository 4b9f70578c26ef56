"""Callbacks that change the learning rate, and the state that a diverged training goes back to."""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any

from portanet.callbacks.base import Callback
from portanet.checks import check_count, check_number
from portanet.engine.meter import Meter
from portanet.errors import ConfigError, unknown
from portanet.schedules import Schedule
from portanet.schedules import get as get_schedule

if TYPE_CHECKING:
    from portanet.training.trainer import Trainer

__all__ = ["LearningRateSchedule", "LowerRate"]

logger = logging.getLogger("portanet")

ON_DIVERGENCE = ("stop", "lower_lr")


def keep(trainer: Trainer) -> dict[str, Any]:
    """Return copies of weights, buffers and optimizer state on the host, and the place within the training."""
    return {
        **trainer.snapshot(),
        "optimizer": trainer.host_state(),
        "epoch": trainer.epoch,
        "position": trainer.position,
        "meter": trainer.meter.state() if trainer.position else None,
        "schedule": copy.copy(trainer.schedule),
    }


def put_back(trainer: Trainer, kept: dict[str, Any]) -> None:
    """Give a trainer the weights, the buffers and the optimizer's state that :func:`keep` returned."""
    trainer.restore({"params": kept["params"], "buffers": kept["buffers"]})
    trainer.adopt_state(kept["optimizer"])


def go_back(trainer: Trainer, kept: dict[str, Any]) -> None:
    """Give it the place within the training too."""
    put_back(trainer, kept)
    trainer.epoch, trainer.position = kept["epoch"], kept["position"]
    if kept["meter"] is not None:
        trainer.meter = Meter(trainer.backend, trainer.metrics)
        trainer.meter.load_state(kept["meter"])


def named(on_divergence: str, hooks: list[Callback]) -> list[Callback]:
    """Return the callbacks that ``fit(on_divergence=...)`` puts to these.

    Raises
    ------
    ConfigError
        If it is no known one.
    """
    if on_divergence not in ON_DIVERGENCE:
        raise ConfigError("fit: " + unknown("on_divergence", on_divergence, ON_DIVERGENCE))
    lower = on_divergence == "lower_lr" and not any(isinstance(hook, LowerRate) for hook in hooks)
    return [LowerRate()] if lower else []


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


class LowerRate(Callback):
    """Goes on with a lower learning rate where a training has diverged, in place of ending it.

    When the loss or a weight is no longer finite, the last good weights are put back, with the optimizer's state that
    belongs to them, the learning rate is multiplied by `factor` from there on, and the epoch is run again. What a
    schedule says comes on top of that. ``fit(on_divergence="lower_lr")`` is short for it.

    Good are the weights that the fit began with, and those behind each epoch whose loss was at most twice the lowest so
    far: what is still finite may be past saving. They are copied to the host, once an epoch.

    Parameters
    ----------
    factor : float
        Above 0 and below 1; a half, as PyTorch's GradScaler backs off.
    times : int
        How often the rate is lowered in a fit, at most; then DivergedError ends the training.

    Attributes
    ----------
    lowered : int
        How often it was.
    """

    every_batch = False

    def __init__(self, factor: float = 0.5, times: int = 10) -> None:
        check_number("LowerRate: factor", factor, 0)
        if not 0 < factor < 1:
            message = f"LowerRate: factor must be above 0 and below 1, got {factor!r}"
            raise ConfigError(message)
        check_count("LowerRate: times", times, 1)
        self.factor, self.times, self.lowered = factor, times, 0
        self._best: float | None = None
        self._kept: dict[str, Any] | None = None
        self._trainer: Trainer | None = None

    def on_fit_begin(self, trainer: Trainer, end: int) -> None:
        self.lowered, self._best, self._trainer, self._kept = 0, None, trainer, keep(trainer)

    def on_epoch_end(self, trainer: Trainer, row: dict[str, float]) -> None:
        if self._best is None:  # the first batch of all tells how good the weights were that the fit began with
            self._best = float(trainer.meter.state()["columns"][0][0])
        if row["loss"] <= 2 * self._best:
            self._best, self._kept = min(self._best, row["loss"]), keep(trainer)

    def on_divergence(self, trainer: Trainer, message: str) -> bool:
        if self._kept is None or self.lowered >= self.times:
            return False
        put_back(trainer, self._kept)
        self.lowered += 1
        trainer.rate_factor *= self.factor
        epoch = self._kept["epoch"]
        which = f"the weights behind epoch {epoch}" if epoch else "the first weights"
        logger.warning(
            "%s; back to %s, and on with %g times the learning rate (%d of at most %d times)",
            *(message, which, trainer.rate_factor, self.lowered, self.times),
        )
        return True

    def on_fit_end(self, trainer: Trainer) -> None:
        self._kept = self._trainer = None

    def state(self) -> dict[str, Any]:
        trainer, kept = self._trainer, self._kept
        rate = 1.0 if trainer is None else trainer.rate_factor
        if trainer is None or kept is None or (kept["epoch"], kept["position"]) == (trainer.epoch, trainer.position):
            kept = None  # what the checkpoint itself holds
        else:
            kept = {name: kept[name] for name in ("params", "buffers", "optimizer", "epoch", "position")}
        return {"lowered": self.lowered, "best": self._best, "rate_factor": rate, "kept": kept}

    def load_state(self, state: dict[str, Any]) -> None:
        self.lowered, self._best = state["lowered"], state["best"]
        if self._trainer is not None:
            self._trainer.rate_factor = state["rate_factor"]
        self._kept = state["kept"] or self._kept
