"""Callbacks that change the learning rate."""

from __future__ import annotations

import logging
from typing import Any

from portanet.callbacks.base import Callback, TrainerView
from portanet.checks import Number, check_count, check_number
from portanet.engine.state import TrainState
from portanet.errors import ConfigError, unknown
from portanet.files.schema import NUMBER_OR_NONE, OBJECT_OR_NONE, WHOLE, check_values
from portanet.schedules import Schedule
from portanet.schedules import get as get_schedule

__all__ = ["LearningRateSchedule", "LowerRate"]

logger = logging.getLogger("portanet")

ON_DIVERGENCE = ("stop", "lower_lr")


def on_divergence(answer: str, hooks: list[Callback]) -> list[Callback]:
    """Return the callbacks that ``fit(on_divergence=...)`` adds to the given ones.

    Raises
    ------
    ConfigError
        If `answer` is unknown.
    """
    if answer not in ON_DIVERGENCE:
        raise ConfigError("fit: " + unknown("on_divergence", answer, ON_DIVERGENCE))
    lower = answer == "lower_lr" and not any(isinstance(hook, LowerRate) for hook in hooks)
    return [LowerRate()] if lower else []


class LearningRateSchedule(Callback):
    """Use another learning rate schedule for this fit; the previous one is restored after it."""

    def __init__(self, schedule: Schedule | str) -> None:
        try:
            self.schedule = get_schedule(schedule)
        except ConfigError as error:
            message = f"LearningRateSchedule: {error}"
            raise ConfigError(message) from None

    def on_fit_begin(self, trainer: TrainerView, end: int) -> None:
        self._before, trainer.schedule = trainer.schedule, self.schedule

    def on_fit_end(self, trainer: TrainerView) -> None:
        trainer.schedule = self._before


class LowerRate(Callback):
    """Continue with a lower learning rate if training diverges, instead of stopping.

    When the loss or a weight becomes NaN or infinite, the last good weights and the optimizer's state of that time are
    restored, the learning rate is multiplied by `factor` from then on, and the epoch is repeated. A schedule applies in
    addition. ``fit(on_divergence="lower_lr")`` is short for this callback.

    Good weights are the initial ones of the fit, and those after each epoch whose loss was at most twice the lowest so
    far, because weights that are still finite may already be unusable. They are copied to the host once per epoch.

    Parameters
    ----------
    factor : float
        Above 0 and below 1; 0.5 by default, the backoff factor of PyTorch's GradScaler.
    times : int
        Maximum number of reductions in a fit; after these, DivergedError is raised.

    Attributes
    ----------
    lowered : int
        Number of reductions so far.
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
        self._kept: TrainState | None = None
        self._trainer: TrainerView | None = None

    def on_fit_begin(self, trainer: TrainerView, end: int) -> None:
        self.lowered, self._best, self._trainer, self._kept = 0, None, trainer, trainer.copy_state()

    def on_epoch_end(self, trainer: TrainerView, row: dict[str, float]) -> None:
        if self._best is None:  # the loss of the first batch measures the initial weights of the fit
            self._best = float(trainer.meter.state()["columns"][0][0])
        if row["loss"] <= 2 * self._best:
            self._best, self._kept = min(self._best, row["loss"]), trainer.copy_state()

    def on_divergence(self, trainer: TrainerView, message: str) -> bool:
        kept = self._kept
        if kept is None or self.lowered >= self.times:
            return False
        now = trainer.state
        factor = now.rate_factor * self.factor
        trainer.restore_state(kept._replace(epoch=now.epoch, step=0, rate_factor=factor, schedule=now.schedule))
        self.lowered += 1
        which = f"the weights after epoch {kept.epoch}" if kept.epoch else "the first weights"
        logger.warning(
            "%s; restored %s and continuing with the learning rate scaled by %g (attempt %d of %d)",
            *(message, which, factor, self.lowered, self.times),
        )
        return True

    def on_fit_end(self, trainer: TrainerView) -> None:
        self._kept = self._trainer = None

    def state(self) -> dict[str, Any]:
        trainer, kept = self._trainer, self._kept
        rate = 1.0 if trainer is None else trainer.rate_factor
        found: dict[str, Any] | None = None
        if trainer is not None and kept is not None and (kept.epoch, kept.step) != (trainer.epoch, trainer.position):
            # Otherwise the checkpoint itself contains this state.
            found = {"params": kept.params, "buffers": kept.buffers, "optimizer": kept.opt_state}
            found |= {"epoch": kept.epoch, "position": kept.step}
        return {"lowered": self.lowered, "best": self._best, "rate_factor": rate, "kept": found}

    def check_state(self, trainer: TrainerView, state: dict[str, Any]) -> None:
        check_values(state, {"lowered": WHOLE, "best": NUMBER_OR_NONE})
        check_values(state, {"rate_factor": Number(0), "kept": OBJECT_OR_NONE})
        if state["kept"]:
            _kept(state["kept"], trainer.state).check_like(trainer.state)

    def load_state(self, state: dict[str, Any]) -> None:
        self.lowered, self._best = state["lowered"], state["best"]
        if self._trainer is not None:
            self._trainer.rate_factor = state["rate_factor"]
        if state["kept"] and self._kept is not None:
            self._kept = _kept(state["kept"], self._kept)


def _kept(noted: dict[str, Any], like: TrainState) -> TrainState:
    """Return the last good state that is in a checkpoint."""
    arrays = (noted["params"], noted["buffers"], noted["optimizer"])
    return TrainState(*arrays, like.meter, noted["epoch"], noted["position"])
