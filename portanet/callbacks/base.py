"""Callbacks: code run at points of training. Hooks that are not overridden are never called."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from portanet.backends import Backend
from portanet.engine.engine import Engine, Program
from portanet.engine.meter import Meter
from portanet.engine.state import TrainState
from portanet.engine.strategy import Strategy, TakeStep
from portanet.errors import ConfigError
from portanet.layers import Layer
from portanet.losses import Loss
from portanet.metrics import Metric
from portanet.optimizers import Optimizer
from portanet.schedules import Schedule
from portanet.training.fit_info import FitInfo
from portanet.training.history import History
from portanet.typing import Array, Params, Shape

__all__ = ["Callback"]


class TrainerView(Protocol):
    """The part of a trainer that callbacks can use; see :class:`portanet.Trainer`."""

    backend: Backend
    strategy: Strategy
    program: Program
    engine: Engine
    take: TakeStep
    state: TrainState
    schedule: Schedule
    history: History
    classes: tuple[str, ...]
    input_shape: Shape | None
    outputs: int
    net: Layer
    loss: Loss
    optimizer: Optimizer
    metrics: Sequence[Metric]
    dtype: str
    seed: int
    params: Params
    buffers: Params
    opt_state: dict[str, Any]
    meter: Meter
    epoch: int
    position: int
    last_epoch: int
    rate_factor: float
    stopping: str
    finished: str
    fit_info: FitInfo | None
    callbacks: Sequence[Callback]

    @property
    def resumed(self) -> bool: ...

    def stop(self, reason: str, *, finished: bool = False) -> None: ...
    def finite(self) -> bool: ...
    def snapshot(self) -> dict[str, Params]: ...
    def restore(self, snapshot: dict[str, Params]) -> None: ...
    def copy_state(self) -> TrainState: ...
    def adopt(self, params: Params, buffers: Params, input_shape: Shape, out_shape: Shape) -> None: ...
    def restore_state(self, state: TrainState) -> None: ...
    def save(self, path: str | os.PathLike[str]) -> None: ...
    def save_checkpoint(self, path: str | os.PathLike[str]) -> None: ...
    def evaluate(self, x: Any, y: Any = None, *, sample_weight: Any = None) -> dict[str, float]: ...
    def predict(self, x: Any, *, raw: bool = False, to_numpy: bool = True) -> Array: ...


class Callback:
    """Base class of all callbacks; override the hooks you need. ``trainer.stop(reason)`` stops training."""

    every_batch: ClassVar[bool] = True
    """Whether :meth:`on_batch_end` must be called after every batch; otherwise several batches may run in one call."""

    runs_last: ClassVar[bool] = False
    """Whether it is called after the other callbacks; when training ends, before them, while they hold their state."""

    ends_last: ClassVar[bool] = False
    """Whether its :meth:`on_fit_end` is called after those of the others, which may restore the best weights."""

    acts: ClassVar[bool] = True
    """Whether :meth:`on_epoch_end` does more than record or show its row. If not, it may be called a few epochs later,
    by up to 50 ms, so that training need not wait for the device after each epoch."""

    writes: ClassVar[bool] = False
    """Whether it writes files or prints; with several processes (:class:`portanet.Ranks`), only rank 0 calls it."""

    def on_fit_begin(self, trainer: Any, end: int) -> None:
        """Called before the first epoch. Training will stop after epoch `end`."""

    def on_batch_end(self, trainer: Any, batch: int, batches: int) -> None:
        """Called after batch `batch` of `batches` (counted from 1)."""

    def on_epoch_end(self, trainer: Any, row: dict[str, float]) -> None:
        """Called after each epoch; `row` is its line of the history."""

    def on_divergence(self, trainer: Any, message: str) -> bool:
        """Called when the loss or a weight becomes NaN or infinite.

        Return True to continue training: the epoch is repeated from the current state of the trainer.
        """
        return False

    def on_fit_end(self, trainer: Any) -> None:
        """Called after the last epoch, also if training ends with an error."""

    def state(self) -> dict[str, Any]:
        """Return the state to save in a checkpoint: plain values and host arrays, in dicts and lists."""
        return {}

    def check_state(self, trainer: Any, state: dict[str, Any]) -> None:
        """Raise ValueError if `state`, read from a file, cannot have been returned by :meth:`state`.

        Called before :meth:`on_fit_begin`, so that an edited checkpoint is refused before training starts.
        """

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state` returned; called after :meth:`on_fit_begin`."""


def checked(callbacks: Sequence[Callback]) -> list[Callback]:
    """Return the callbacks as a list; raise ConfigError for the first that is not a Callback."""
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
