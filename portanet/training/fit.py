"""One fit of a trainer, as a generator of epochs: its driver runs them, alone or together with those of others."""

from __future__ import annotations

import contextlib
import copy
import itertools
import math
import time
from collections.abc import Generator, Sequence
from functools import partial
from typing import Any, Protocol

from portanet.callbacks.base import Callback, TrainerView
from portanet.data.batching.batches import Batches, Order
from portanet.engine.state import TrainState
from portanet.errors import DivergedError, OutOfMemoryError
from portanet.schedules import Schedule
from portanet.training import divergence
from portanet.training.evaluation import evaluated
from portanet.training.loop import Epoch, Ran, run_epoch
from portanet.typing import Params

__all__ = ["Fit"]

LOOK = 10.0  # seconds between looks at loss and weights within an epoch
KEEP = 2.0  # seconds, at least, between copies of the last good state; they take no more than a hundredth of the time
WAIT = 0.05  # seconds that the numbers of an epoch may stay on the device where nobody acts on them
MOST = 64  # epochs that may do so: few enough for Ctrl-C to be heard soon


class Fits(TrainerView, Protocol):
    """A trainer, as a fit sees it."""

    def check_resumed(self) -> None:
        """Raise DataError if the training was resumed and this is another fit."""

    def take_up(self) -> None:
        """Give schedule and callbacks what a checkpoint holds of them, if the training was resumed."""


class Fit:
    """One fit of a trainer.

    Parameters
    ----------
    trainer : Trainer
        Ready to train until ``trainer.last_epoch``.
    train : Batches
    validation : Batches or None
        Evaluated after each epoch.
    shuffle : bool or callable
    hooks : sequence of Callback
        In the order in which they are called.
    total_epochs : int
        At which the schedule ends.
    """

    def __init__(
        self,
        trainer: Fits,
        train: Batches,
        validation: Batches | None,
        shuffle: bool | Order,
        hooks: Sequence[Callback],
        total_epochs: int,
    ) -> None:
        self.trainer, self.train, self.validation, self.shuffle = trainer, train, validation, shuffle
        self.strategy, self.hooks, self.total_epochs = trainer.strategy, list(hooks), total_epochs
        self._called = [hook for hook in hooks if self.strategy.writes or not hook.writes]
        self._each_batch = [hook for hook in self._called if type(hook).on_batch_end is not Callback.on_batch_end]
        self._one_by_one = self.strategy.one_by_one or any(hook.every_batch for hook in self._each_batch)
        acts = any(hook.acts for hook in hooks) or type(trainer.schedule).observe is not Schedule.observe
        self._in_order = acts or validation is not None or callable(shuffle) or self.strategy.size > 1  # each is read
        self._waiting: list[Ran] = []  # epochs whose numbers are still on the device
        self._read = self._looked = self._due = 0.0  # when they were read, or are to be copied
        self._refused: TrainState | None = None
        self._good, self._changed = trainer.state, False  # whether a callback has changed the state, so that it is due

    def epochs(self) -> Generator[Epoch, Ran, None]:
        """Yield the epochs until training ends; what each has come to is sent back.

        Raises
        ------
        DivergedError
            If the loss or a weight is no longer finite, and no callback has an answer.
        """
        trainer = self.trainer
        trainer.history.stopped = "error"  # what it says if an error ends the training
        trainer.check_resumed()  # before a callback writes
        with contextlib.ExitStack() as last, contextlib.ExitStack() as begun:
            last.callback(self._refuse)
            for hook in self._called:
                (last if hook.ends_last else begun).callback(hook.on_fit_end, trainer)
                hook.on_fit_begin(trainer, trainer.last_epoch)
            trainer.schedule.prepare(trainer.metrics)
            self._refused = trainer.state
            trainer.take_up()
            self._refused = None
            if self.strategy.size > 1:
                trainer.restore_state(self.strategy.broadcast(trainer.copy_state))
            trainer.state = trainer.state._replace(schedule=trainer.schedule.state())
            begun.callback(self._rescue)
            self._keep()
            while trainer.epoch < trainer.last_epoch and not self._ends():
                self._looked = time.monotonic()
                epoch = self._epoch(trainer.state, self._on_batch)
                try:
                    ran = yield epoch
                finally:
                    trainer.state = epoch.state
                self._waiting.append(ran)
                del epoch, ran  # their arrays are the trainer's alone
                if not self._may_wait() and self._read_rows():
                    break
            if self._waiting:  # a signal came after the last epoch
                self._read_rows()
            trainer.history.stopped = trainer.stopping or "epochs"

    def _refuse(self) -> None:
        """Undo what callbacks put back when they ended, where the fit was refused before its first step."""
        if self._refused is not None:
            self.trainer.state = self._refused

    def _epoch(self, state: TrainState, on_batch: Any, schedule: Schedule | None = None) -> Epoch:
        t, watched = self.trainer, bool(self._each_batch)
        rate = self._rate if schedule is None else partial(self._rate, schedule=schedule)
        return Epoch(
            *(t.engine, t.take, state, self.train, rate, self.shuffle, self._one_by_one, on_batch, watched), owner=self
        )

    def _rate(self, state: TrainState, i: int, n: int, schedule: Schedule | None = None) -> float:
        """Return the learning rate in the middle of step `i` of the `n` of an epoch."""
        t = self.trainer
        factor = (schedule or t.schedule).factor(state.epoch + (i + 0.5) / n, self.total_epochs)
        return t.program.optimizer.lr * state.rate_factor * factor

    def _on_batch(self, state: TrainState, n: int) -> tuple[TrainState, bool]:
        trainer = self.trainer
        trainer.state = state
        if self._each_batch:
            for hook in self._each_batch:
                hook.on_batch_end(trainer, state.step, n)
            self._changed |= trainer.state is not state
        flags = self.strategy.agree(bool(trainer.stopping), time.monotonic() >= self._looked + LOOK)
        if flags.look:  # a long epoch: nobody shall wait for its end in vain
            self._looked = time.monotonic()
            if not (math.isfinite(state.meter.result()["loss"]) and trainer.finite()):
                return trainer.state, True
            if not self._waiting and self._is_due():
                self._keep()
        return trainer.state, flags.stop and self._ends()

    def _ends(self) -> bool:
        """Return whether training is to end, for the reason of the first process that has one."""
        reason = next((reason for reason in self.strategy.gather(self.trainer.stopping) if reason), "")
        if reason != self.trainer.stopping:
            self.trainer.stop(reason, finished=bool(self.trainer.finished))
        return bool(reason)

    def _is_due(self) -> bool:
        return any(self.strategy.gather(self._changed or time.monotonic() >= self._due))

    def _keep(self) -> None:
        """Copy what the training would go back to, should it diverge."""
        began = time.monotonic()
        self._good, self._changed = self.trainer.copy_state(), False
        now = time.monotonic()
        self._due = now + max(KEEP, 100 * (now - began))

    def _may_wait(self) -> bool:
        """Return whether the last epoch's numbers may stay on the device: nobody acts on them, or on the weights."""
        trainer = self.trainer
        if self._in_order or self._waiting[-1].finite is not None:  # a fleet has read them all at once
            return False
        now, ends = time.monotonic(), trainer.stopping or trainer.position or trainer.epoch == trainer.last_epoch
        ends = ends or self._changed
        return not (ends or now >= self._due or now - self._read >= WAIT or len(self._waiting) == MOST)

    def _read_rows(self) -> bool:
        """Read the epochs' numbers, act on them, and return whether training ends within an epoch."""
        trainer, waiting = self.trainer, self._waiting
        rows = self._rows(waiting)
        bad, message, good = self._diverged(rows)
        for i, row in enumerate(rows):
            ran = self._waiting.pop(0)
            if i == bad:
                self._waiting.clear()
                self._recover(message, row, good)
                return False
            if ran.state.step:  # stopped within the epoch: the rest of it is the next fit's
                return True
            trainer.history.rows.append(row)
            trainer.schedule.observe(row)
            if not self._waiting:
                trainer.state = trainer.state._replace(schedule=trainer.schedule.state())
            state = trainer.state
            for hook in self._called:
                hook.on_epoch_end(trainer, row)
            self._changed |= trainer.state is not state
        if self._is_due() and (not self._changed or trainer.finite()):
            self._keep()
        return False

    def _diverged(self, rows: Sequence[dict[str, float]]) -> tuple[int | None, str, TrainState | None]:
        """Return which of the epochs that wait has diverged, in words too, and the state before it if it is known."""
        trainer, waiting = self.trainer, self._waiting
        for i, (ran, row) in enumerate(zip(waiting, rows, strict=True)):
            last = ran is waiting[-1]
            finite = not last or (trainer.finite() if ran.finite is None else ran.finite)
            message = divergence.in_words(trainer, row, ran.state.meter, trainer.params, finite=finite)
            if message and last and not i:
                return i, message, None
            if message:  # the weights are those after the last epoch, and nobody has looked at those before it
                good, params = self._again(self._started(int(row["epoch"]) - 1))
                first = i if good is None else good.epoch + 1 - int(rows[0]["epoch"])
                meter = waiting[first].state.meter
                return first, divergence.in_words(trainer, rows[first], meter, params, finite=False), good
        return None, "", None

    def _again(self, good: TrainState | None) -> tuple[TrainState | None, Params]:
        """Return a copy of a state at the start of an epoch, and the parameters after that epoch, taken once more."""
        if good is None:
            return None, {}
        kept = good.to_host(self.trainer.backend)
        with contextlib.suppress(OutOfMemoryError):
            return kept, run_epoch(self._epoch(good, self._only_stop)).state.params
        return kept, {}

    def _rows(self, waiting: Sequence[Ran]) -> list[dict[str, float]]:
        """Return a row of the history for each; the time that it takes to read them is shared by them."""
        began, trainer = time.perf_counter(), self.trainer
        rows = []
        for state, rate, _ in waiting:
            row = {"epoch": state.epoch + bool(state.step), **state.meter.result()}
            if not state.step and self.validation is not None:
                found = evaluated(trainer.engine, state, self.validation, self.strategy)
                row |= {f"val_{name}": value for name, value in found.items()}
            rows.append(row if state.step else {**row, "lr": rate, "seconds": state.meter.seconds})
        spent = (time.perf_counter() - began) / max(len(rows), 1)
        self._read = time.monotonic()
        return [{**row, "seconds": row["seconds"] + spent} if "seconds" in row else row for row in rows]

    def _rescue(self) -> None:
        """Record the epochs that were not read where an error has ended the training, if the device still answers."""
        with contextlib.suppress(Exception):
            rows = [row for row in self._rows(self._waiting) if "seconds" in row]
            self.trainer.history.rows += rows
            for row, hook in itertools.product(rows, self._called):
                with contextlib.suppress(Exception):
                    hook.on_epoch_end(self.trainer, row)

    def _recover(self, message: str, row: dict[str, float], good: TrainState | None) -> None:
        """Continue as a callback says, or go back to the start of the epoch that diverged and raise DivergedError."""
        trainer, epoch = self.trainer, int(row["epoch"]) - 1
        if any(hook.on_divergence(trainer, message) for hook in self.hooks):
            trainer.state = trainer.state._replace(epoch=epoch, step=0)
            self._keep()
            return
        trainer.restore_state(good or self._started(epoch) or self._good)
        trainer.history.rows.append(row)
        trainer.history.stopped = "diverged"
        text = f"{message}; {divergence.HELP}"
        raise DivergedError(text)

    def _started(self, epoch: int) -> TrainState | None:
        """Return the state at the start of an epoch, or of the first one before it after which weights are not finite.

        The steps since the last copy, taken again, are the same steps. None where they cannot be: an order that a
        function drew cannot be drawn again.
        """
        trainer, state = self.trainer, self._good
        if callable(self.shuffle):
            return None
        schedule = copy.deepcopy(trainer.schedule)
        schedule.load_state(state.schedule)
        with contextlib.suppress(OutOfMemoryError):
            state = state.to_device(trainer.backend, trainer.dtype)
            while state.epoch < epoch and not self._ends():
                state = run_epoch(self._epoch(state, self._only_stop, schedule)).state
                if not state.step and not trainer.engine.all_finite(state):
                    return self._started(state.epoch - 1)
                for row in trainer.history.rows:
                    if row["epoch"] == state.epoch:
                        schedule.observe(row)
                state = state._replace(schedule=schedule.state())
            return state if state.epoch == epoch and not state.step else None
        return None

    def _only_stop(self, state: TrainState, n: int) -> tuple[TrainState, bool]:
        return state, self.strategy.agree(bool(self.trainer.stopping), False).stop
