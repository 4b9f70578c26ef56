"""Who takes the steps of a training: this process alone here; several processes, or a fleet, elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

from portanet.data.batching.batches import Batch, Batches
from portanet.data.batching.stream import StreamedBatches
from portanet.engine.engine import Engine
from portanet.engine.state import TrainState

__all__ = ["Flags", "SingleProcess", "Strategy", "TakeStep"]

T = TypeVar("T")

TakeStep = Callable[[TrainState, Batch, dict[str, Any]], TrainState]


class Flags(NamedTuple):
    """What is asked after a step: whether to stop, and whether to look at loss and weights."""

    stop: bool
    look: bool


NEITHER = Flags(False, False)


class Strategy(Protocol):
    """Who takes the steps.

    Attributes
    ----------
    writes : bool
        Whether this process writes files and prints.
    size : int
        Number of processes.
    one_by_one : bool
        Whether steps must be taken one at a time, not several in one call of the backend.
    """

    writes: bool
    size: int
    one_by_one: bool

    def step(self, engine: Engine) -> TakeStep:
        """Return the function that takes a step."""

    def batches(self, *args: Any) -> Batches:
        """Return the batches of a training in memory; arguments as of Batches."""

    def streamed(self, *args: Any) -> Batches:
        """Return the batches of a training on disk; arguments as of StreamedBatches."""

    def rows(self, n: int) -> tuple[int, int]:
        """Return where the rows begin and end that this process evaluates, of `n`."""

    def run(self, epoch: Any) -> Any:
        """Run a :class:`portanet.training.loop.Epoch` and return what it has come to."""

    def agree(self, stop: bool, look: bool) -> Flags:
        """Return one answer for all processes, after a step."""

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes, in the order of their ranks."""

    def broadcast(self, value: Callable[[], T]) -> T:
        """Return what `value` returns in the first process."""

    def guard(self) -> contextlib.AbstractContextManager[Any]:
        """Return a block in which an error ends all processes."""


class SingleProcess:
    """Steps taken by this process alone."""

    writes = True
    size = 1
    one_by_one = False

    def step(self, engine: Engine) -> TakeStep:
        return engine.step

    def batches(self, *args: Any) -> Batches:
        return Batches(*args)

    def streamed(self, *args: Any) -> Batches:
        return StreamedBatches(*args)

    def rows(self, n: int) -> tuple[int, int]:
        return 0, n

    def run(self, epoch: Any) -> Any:
        return epoch.run()

    def agree(self, stop: bool, look: bool) -> Flags:
        return Flags(stop, look) if stop or look else NEITHER

    def gather(self, value: T) -> list[T]:
        return [value]

    def broadcast(self, value: Callable[[], T]) -> T:
        return value()

    def guard(self) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext()
