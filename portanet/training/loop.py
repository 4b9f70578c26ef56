"""The loop over the batches of an epoch, the only one, and the loop over the epochs of a fit."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from portanet.data.batching.batches import Batches, IndexBlock, Order
from portanet.engine.engine import Engine
from portanet.engine.state import TrainState
from portanet.engine.strategy import TakeStep
from portanet.random import epoch_word

__all__ = ["Epoch", "Ran", "drive", "run_epoch"]

TOGETHER = 16  # steps in one call where the backend can: few enough for Ctrl-C to be heard soon


class Ran(NamedTuple):
    """What an epoch has come to.

    Attributes
    ----------
    state : TrainState
        After it; ``state.step`` is above 0 where it was stopped.
    rate : float
        The last step's learning rate.
    finite : bool or None
        Whether all weights are finite, where that is known already.
    """

    state: TrainState
    rate: float
    finite: bool | None = None


def _go_on(state: TrainState, batches: int) -> tuple[TrainState, bool]:
    return state, False


@dataclass
class Epoch:
    """An epoch, or what is left of one, ready to run.

    Parameters
    ----------
    engine : Engine
    take : callable
        Takes a step: :meth:`portanet.engine.strategy.Strategy.step`.
    state : TrainState
        Where it begins, and while it runs where it stands; donated.
    batches : Batches
    rate : callable
        ``rate(state, i, n)``, the learning rate of step `i` of the `n` of the epoch.
    shuffle : bool or callable
    one_by_one : bool
        Whether each step is a call of its own.
    on_batch : callable
        ``on_batch(state, n) -> (state, stop)``, called after each step or block of steps; training continues from the
        state that it returns, unless it is to stop.
    watched : bool
        Whether ``on_batch`` must be called after every batch; else it may be called every ten seconds.
    counters : mapping
        Of each step, in addition to the learning rate, the seed and the step.
    owner : object
        Whose epoch it is: one object a fit.
    """

    engine: Engine
    take: TakeStep
    state: TrainState
    batches: Batches
    rate: Callable[[TrainState, int, int], Any]
    shuffle: bool | Order = True
    one_by_one: bool = False
    on_batch: Callable[[TrainState, int], tuple[TrainState, bool]] = _go_on
    watched: bool = True
    counters: Mapping[str, Any] = field(default_factory=dict)
    owner: Any = None

    @property
    def word(self) -> Any:
        """What names the epoch's dropout masks, with the step."""
        return epoch_word(self.engine.program.seed, self.state.epoch)

    def run(self) -> Ran:
        """Run it."""
        return run_epoch(self)


def run_epoch(epoch: Epoch) -> Ran:
    """Run an epoch, or what is left of one, until its end or until ``on_batch`` stops it.

    ``epoch.state`` is the state after the last whole step, also where an error ends the epoch.
    """
    began, engine, n, lr = time.perf_counter(), epoch.engine, len(epoch.batches), 0.0
    if not epoch.state.step:
        epoch.state = epoch.state._replace(meter=engine.meter())
    state, word = epoch.state, epoch.word
    counters = {**epoch.counters, "lr": lr, "seed": word, "step": 0}
    together = TOGETHER if engine.scans and not epoch.one_by_one else 1
    parts = epoch.batches.epoch(
        engine.program.seed, state.epoch, shuffle=epoch.shuffle, together=together, skip=state.step
    )
    for part in parts:
        if isinstance(part, IndexBlock):
            rates = [epoch.rate(state, i, n) for i in range(state.step, state.step + len(part.sizes))]
            state, lr = engine.steps(state, epoch.batches, part, rates, word), rates[-1]
        else:
            counters["lr"] = lr = epoch.rate(state, state.step, n)
            counters["step"] = state.step
            state = epoch.take(state, part, counters)
        epoch.state = state
        epoch.state, stop = epoch.on_batch(state, n)
        state = epoch.state
        if stop:
            break
    state.meter.seconds += time.perf_counter() - began
    if state.step == n:
        epoch.state = state._replace(epoch=state.epoch + 1, step=0)
    return Ran(epoch.state, lr)


def drive(epochs: Generator[Epoch, Ran, None], run: Callable[[Epoch], Ran]) -> None:
    """Run the epochs of a fit one after the other; an error in one is raised within the fit."""
    ran: Ran | None = None
    while True:
        try:
            epoch = epochs.send(ran)  # type: ignore[arg-type]  # None begins
        except StopIteration:
            return
        ran = None  # its arrays are the fit's
        try:
            ran = run(epoch)
        except BaseException as error:
            epochs.throw(error)
            raise
