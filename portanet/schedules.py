"""Schedules: what the learning rate is multiplied by as training goes on.

``factor(epoch, epochs)`` takes the time in epochs (2.5 is the middle of the third) and the epoch at which training is
meant to end, so that a schedule means the same at any batch size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from portanet.checks import check_fields
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

    def state(self) -> dict[str, Any]:
        """Return what the schedule has learned: its fields that are no arguments."""
        known: Any = fields(self) if is_dataclass(self) else ()
        return {field.name: getattr(self, field.name) for field in known if not field.init}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state` returned.

        Raises
        ------
        ValueError
            If it is something else.
        """
        for name, value in state.items():
            if name not in self.state() or not isinstance(value, int | float | None):
                message = f"the schedule has noted {name!r:.40} = {value!r:.40}"
                raise ValueError(message)
            setattr(self, name, value)


@dataclass(frozen=True)
class Constant(Schedule):
    """Always 1."""

    def factor(self, epoch: float, epochs: float) -> float:
        return 1.0


@dataclass(frozen=True)
class StepDecay(Schedule):
    """Times `gamma` every `every` epochs: gamma^⌊epoch / every⌋."""

    every: float = 10.0
    gamma: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self, "every", self.every > 0, "above 0")

    def factor(self, epoch: float, epochs: float) -> float:
        return float(self.gamma ** (epoch // self.every))


@dataclass(frozen=True)
class Exponential(Schedule):
    """Times `gamma` an epoch, smoothly: gamma^epoch."""

    gamma: float = 0.95

    def factor(self, epoch: float, epochs: float) -> float:
        return float(self.gamma**epoch)


@dataclass(frozen=True)
class Cosine(Schedule):
    """From 1 down to `final` along half a cosine: final + (1 - final) (1 + cos(π epoch / epochs)) / 2.

    Source: Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5, without restarts.
    """

    final: float = 0.0

    def factor(self, epoch: float, epochs: float) -> float:
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * min(epoch / epochs, 1.0))) / 2


@dataclass(frozen=True)
class OneCycle(Schedule):
    """From `start` up to 1 during the first `rise` of the training, then down to `final`; both along half a cosine.

    Source: Smith & Topin 2019, arXiv:1708.07120, with cosines in place of lines.
    """

    start: float = 0.04
    rise: float = 0.3
    final: float = 1e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self, "rise", 0 <= self.rise < 1, "at least 0 and below 1")

    def factor(self, epoch: float, epochs: float) -> float:
        done = min(epoch / epochs, 1.0)
        if done < self.rise:
            return self.start + (1 - self.start) * (1 - math.cos(math.pi * done / self.rise)) / 2
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * (done - self.rise) / (1 - self.rise))) / 2


@dataclass(frozen=True)
class WarmUp(Schedule):
    """Up a straight line from 0 for the first `epochs`, times what `then` says.

    Source: Goyal et al. 2017, arXiv:1706.02677, sec. 2.2.
    """

    epochs: float = 1.0
    then: Schedule = field(default_factory=Constant)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self, "epochs", self.epochs > 0, "above 0")
        if not isinstance(self.then, Schedule):
            try:
                object.__setattr__(self, "then", get(self.then))
            except ConfigError as error:
                message = f"WarmUp: then: {error}"
                raise ConfigError(message) from None

    def factor(self, epoch: float, epochs: float) -> float:
        return min(epoch / self.epochs, 1.0) * self.then.factor(epoch, epochs)

    def observe(self, row: dict[str, float]) -> None:
        self.then.observe(row)

    def state(self) -> dict[str, Any]:
        return {f"then.{name}": value for name, value in self.then.state().items()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.then.load_state({name.removeprefix("then."): value for name, value in state.items()})


@dataclass
class Plateau(Schedule):
    """Times `gamma` whenever `monitor` has not improved by `min_delta` for `patience` epochs.

    Parameters
    ----------
    monitor : str
        A column of the history: losses and errors are to fall; accuracies, R² and scores to rise.
    """

    monitor: str = "val_loss"
    gamma: float = 0.1
    patience: int = 5
    min_delta: float = 0.0
    best: float | None = field(default=None, init=False)
    waited: int = field(default=0, init=False)
    current: float = field(default=1.0, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self, "patience", self.patience >= 1, "1 or more")

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


def _check(schedule: Schedule, name: str, fits: bool, expected: str) -> None:
    if not fits:
        message = f"{type(schedule).__name__}: {name} must be {expected}, got {getattr(schedule, name)!r}"
        raise ConfigError(message)
