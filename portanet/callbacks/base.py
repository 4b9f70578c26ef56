"""Callbacks: what else shall happen while a network trains. A hook that is not overridden costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from portanet.errors import ConfigError

if TYPE_CHECKING:
    from portanet.training.trainer import Trainer

__all__ = ["Callback"]


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
