"""Schedules: what the learning rate is multiplied by as training goes on.

``factor(epoch, epochs)`` takes the time in epochs (2.5 is the middle of the third) and the epoch at which training is
meant to end, so that a schedule means the same at any batch size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

from portanet.checks import Name, NotNegative, Number, Positive, Share, check_fields
from portanet.errors import ConfigError, unknown

__all__ = ["Constant", "Cosine", "Exponential", "OneCycle", "Plateau", "Schedule", "StepDecay", "WarmUp"]


class Schedule:
    """Base of all schedules."""

    def __post_init__(self) -> None:
        check_fields(self)

    def factor(self, epoch: float, epochs: float) -> float:
        """Return the factor at time `epoch` (0 ≤ epoch ≤ epochs) of a training that is to end at `epochs`."""
        raise NotImplementedError

    def observe(self, row: dict[str, float]) -> None:
        """Take notice of an epoch's results; a schedule that depends on them keeps what it needs."""


@dataclass(frozen=True)
class Constant(Schedule):
    """Always 1."""

    def factor(self, epoch: float, epochs: float) -> float:
        return 1.0


@dataclass(frozen=True)
class StepDecay(Schedule):
    """Times `gamma` (0 or more) every `every` epochs (above 0): gamma^⌊epoch / every⌋."""

    every: Positive = 10.0
    gamma: NotNegative = 0.1

    def factor(self, epoch: float, epochs: float) -> float:
        return float(self.gamma ** (epoch // self.every))


@dataclass(frozen=True)
class Exponential(Schedule):
    """Times `gamma` (0 or more) an epoch, smoothly: gamma^epoch."""

    gamma: NotNegative = 0.95

    def factor(self, epoch: float, epochs: float) -> float:
        return float(self.gamma**epoch)


@dataclass(frozen=True)
class Cosine(Schedule):
    """From 1 down to `final` along half a cosine: final + (1 - final) (1 + cos(π epoch / epochs)) / 2; 0 ≤ final ≤ 1.

    Source: Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5, without restarts.
    """

    final: Annotated[float, Number(0, 1)] = 0.0

    def factor(self, epoch: float, epochs: float) -> float:
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * min(epoch / epochs, 1.0))) / 2


@dataclass(frozen=True)
class OneCycle(Schedule):
    """From `start` up to 1 during the first `rise` of the training, then down to `final`; both along half a cosine.

    0 ≤ start ≤ 1, 0 ≤ rise < 1, 0 ≤ final ≤ 1.

    Source: Smith & Topin 2019, arXiv:1708.07120, with cosines in place of lines.
    """

    start: Annotated[float, Number(0, 1)] = 0.04
    rise: Share = 0.3
    final: Annotated[float, Number(0, 1)] = 1e-4

    def factor(self, epoch: float, epochs: float) -> float:
        done = min(epoch / epochs, 1.0)
        if done < self.rise:
            return self.start + (1 - self.start) * (1 - math.cos(math.pi * done / self.rise)) / 2
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * (done - self.rise) / (1 - self.rise))) / 2


@dataclass(frozen=True)
class WarmUp(Schedule):
    """Up a straight line from 0 for the first `epochs` (above 0), times what `then`, a schedule or its name, says.

    Source: Goyal et al. 2017, arXiv:1706.02677, sec. 2.2.
    """

    epochs: Positive = 1.0
    then: Annotated[Schedule, known_schedule] = field(default_factory=Constant)

    def factor(self, epoch: float, epochs: float) -> float:
        return min(epoch / self.epochs, 1.0) * self.then.factor(epoch, epochs)

    def observe(self, row: dict[str, float]) -> None:
        self.then.observe(row)


@dataclass
class Plateau(Schedule):
    """Times `gamma` whenever `monitor` has not improved by `min_delta` for `patience` epochs.

    Parameters
    ----------
    monitor : str
        A column of the history: losses and errors are to fall; accuracies, R² and scores to rise.
    gamma : float
        0 ≤ gamma < 1.
    patience : int
        1 or more.
    min_delta : float
        0 or more.
    """

    monitor: Name = "val_loss"
    gamma: Share = 0.1
    patience: Annotated[int, Number(1, whole=True)] = 5
    min_delta: NotNegative = 0.0
    best: float | None = field(default=None, init=False)
    waited: int = field(default=0, init=False)
    current: float = field(default=1.0, init=False)

    def factor(self, epoch: float, epochs: float) -> float:
        return self.current

    def observe(self, row: dict[str, float]) -> None:
        value = monitored(row, self.monitor, "Plateau")
        if improved(value, self.best, self.monitor, self.min_delta):
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.current *= self.gamma
            self.waited = 0


def direction(monitor: str) -> int:
    """Return +1 where a larger `monitor` is better (accuracies, R², scores), -1 where a smaller one is (errors)."""
    return -1 if monitor.endswith(("loss", "error", "mae", "deviance")) else 1


def improved(value: float, best: float | None, monitor: str, min_delta: float = 0.0) -> bool:
    """Whether `value` of `monitor` is better than `best` by more than `min_delta`; all is better than None or NaN."""
    return best is None or math.isnan(best) or direction(monitor) * (value - best) > min_delta


def monitored(row: dict[str, float], monitor: str, owner: str) -> float:
    """Return the value of `monitor` in a row of the history; tell what is there where it is not."""
    if monitor not in row:
        hint = "; give validation data to fit()" if monitor.startswith("val_") else ""
        raise ConfigError(f"{owner}: " + unknown("column of the history to monitor", monitor, row) + hint)
    return row[monitor]


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "step": StepDecay,
    "exponential": Exponential,
    "cosine": Cosine,
    "one-cycle": OneCycle,
    "warm-up": WarmUp,
    "plateau": Plateau,
}


def get(spec: str | Schedule | None, **options: Any) -> Schedule:
    """Return the schedule that `spec` is or names; None is constant.

    Raises
    ------
    ConfigError
        If the name is unknown (the nearest known one is told), or an option is none of that schedule's.
    """
    if isinstance(spec, Schedule):
        return spec
    name = "constant" if spec is None else str(spec).replace("_", "-")
    if name not in SCHEDULES:
        raise ConfigError(unknown("schedule", spec, SCHEDULES))
    known = [f.name for f in fields(SCHEDULES[name]) if f.init]  # type: ignore[arg-type]  # every one is a dataclass
    for option in options:
        if option not in known:
            raise ConfigError(f"schedule {spec!r}: " + unknown("option", option, known))
    return SCHEDULES[name](**options)


def known_schedule(value: Any) -> Schedule:
    """Return the schedule that `value` is or names: the validator of a field."""
    try:
        return get(value)
    except ConfigError as error:
        expected = "a schedule or its name"
        raise ConfigError(expected, str(error)) from None
