"""Schedules: what the learning rate is multiplied by as training goes on.

``factor(epoch, epochs)`` takes the time in epochs (2.5 is the middle of the third) and the epoch at which training is
meant to end, so that a schedule means the same at any batch size.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Annotated, Any

from portanet.checks import Is, Name, NotNegative, Number, Positive, Share, check, check_fields, validators
from portanet.errors import ConfigError
from portanet.registry import Registry
from portanet.training.monitor import MODE, direction, improved, monitored

if TYPE_CHECKING:
    from portanet.metrics import Metric

__all__ = ["Constant", "CosLog", "Cosine", "Exponential", "OneCycle", "Plateau", "Schedule", "StepDecay", "WarmUp"]

_NUMBER = Is("a number or None", lambda value: isinstance(value, int | float | None) and not isinstance(value, bool))


class Schedule:
    """Base of all schedules."""

    def __post_init__(self) -> None:
        check_fields(self)

    def factor(self, epoch: float, epochs: float) -> float:
        """Return the factor at time `epoch` (0 ≤ epoch ≤ epochs) of a training that is to end at `epochs`."""
        raise NotImplementedError

    def prepare(self, metrics: Iterable[Metric]) -> None:
        """Called before the first epoch of a fit with the trainer's metrics; raises ConfigError if they do not fit."""

    def observe(self, row: dict[str, float]) -> None:
        """Called with each epoch's row of the history; adaptive schedules update their state here."""

    def state(self) -> dict[str, Any]:
        """Return what the schedule has learned: its fields that are not arguments (``init=False``).

        A schedule that is not a dataclass overrides this and :meth:`load_state`.
        """
        known: Any = fields(self) if is_dataclass(self) else ()
        return {field.name: getattr(self, field.name) for field in known if not field.init}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state` returned.

        Raises
        ------
        ValueError
            If it is something else.
        """
        known, own = self.state(), validators(type(self), init=False)  # type: ignore[arg-type]  # classes are hashable
        for name, value in state.items():
            if name not in known:
                message = f"the schedule has noted {name!r:.40}"
                raise ValueError(message)
            setattr(self, name, check(name, value, own.get(name, _NUMBER)))


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
class CosLog(Schedule):
    """Cosine cycles, each twice as long as the one before: (1 - cos(2π log₂(1 + (2^cycles - 1) t))) / 2.

    t is epoch / epochs. It starts at 0, and falls to 0 between the cycles and at the end. `cycles` is 1 to 30.

    Source: Holzmüller, Grinsztajn & Steinwart 2024, arXiv:2407.04491 ("coslog4": 4 cycles).
    """

    cycles: Annotated[int, Number(1, 30, whole=True)] = 4

    def factor(self, epoch: float, epochs: float) -> float:
        done = min(epoch / epochs, 1.0)
        return (1 - math.cos(2 * math.pi * math.log2(1 + (2**self.cycles - 1) * done))) / 2


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
    then: Annotated[Schedule, known_schedule] = Constant()

    def factor(self, epoch: float, epochs: float) -> float:
        return min(epoch / self.epochs, 1.0) * self.then.factor(epoch, epochs)

    def prepare(self, metrics: Iterable[Metric]) -> None:
        self.then.prepare(metrics)

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
        A column of the history.
    gamma : float
        0 ≤ gamma < 1.
    patience : int
        1 or more.
    min_delta : float
        0 or more.
    mode : {"auto", "min", "max"}
        Whether the smallest or the largest value is the best; "auto" knows it of the loss and of metrics that say it
        (:attr:`portanet.Metric.greater_is_better`).
    """

    monitor: Name = "val_loss"
    gamma: Share = 0.1
    patience: Annotated[int, Number(1, whole=True)] = 5
    min_delta: NotNegative = 0.0
    mode: Annotated[str, MODE] = "auto"
    best: Annotated[float | None, _NUMBER] = field(default=None, init=False)  # NaN too, where that was measured
    waited: Annotated[int, Number(0, whole=True)] = field(default=0, init=False)
    current: Annotated[float, Number(0, 1)] = field(default=1.0, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._metrics: tuple[Metric, ...] = ()  # no field: equality, checkpoints and descriptions do without it

    def factor(self, epoch: float, epochs: float) -> float:
        return self.current

    def prepare(self, metrics: Iterable[Metric]) -> None:
        self._metrics = tuple(metrics)
        direction(self.monitor, self.mode, self._metrics, "Plateau")

    def observe(self, row: dict[str, float]) -> None:
        sign = direction(self.monitor, self.mode, self._metrics, "Plateau")
        value = monitored(row, self.monitor, "Plateau")
        if improved(value, self.best, sign, self.min_delta):
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.current *= self.gamma
            self.waited = 0


def depends_on_end(schedule: Schedule, epoch: int) -> bool:
    """Return whether a schedule's factor at `epoch` depends on when training ends."""
    schedule = copy.deepcopy(schedule)  # a custom one may note what it is asked
    return schedule.factor(epoch - 0.5, epoch) != schedule.factor(epoch - 0.5, 2 * epoch)


SCHEDULES: Registry[Schedule] = Registry(
    "schedule",
    Schedule,
    {
        "constant": Constant,
        "step": StepDecay,
        "exponential": Exponential,
        "cosine": Cosine,
        "coslog": CosLog,
        "one-cycle": OneCycle,
        "warm-up": WarmUp,
        "plateau": Plateau,
    },
)


def get(spec: str | Schedule | None, **options: Any) -> Schedule:
    """Return the schedule that `spec` is or names; None is constant.

    Raises
    ------
    ConfigError
        If the name or an option is unknown; with the nearest known one.
    """
    if isinstance(spec, Schedule):
        return spec
    name = "constant" if spec is None else spec
    if isinstance(name, str) and name.replace("_", "-") in SCHEDULES:
        name = name.replace("_", "-")
    return SCHEDULES.make(name, options)


def known_schedule(value: Any) -> Schedule:
    """Return the schedule that `value` is or names: the validator of a field."""
    try:
        return get(value)
    except ConfigError as error:
        expected = "a schedule or its name"
        raise ConfigError(expected, str(error)) from None
