"""The loop over the batches of an epoch: the step, fed."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self, cast

from portanet.callbacks import learning_rate as rollback
from portanet.callbacks.base import Callback
from portanet.data.batching.batches import Batches, Order, Rows
from portanet.distributed.all_reduce import Exchange
from portanet.engine.meter import Meter
from portanet.engine.step import Step, drawn, total
from portanet.optimizers import Optimizer
from portanet.random import epoch_word
from portanet.schedules import Schedule
from portanet.training.model import Model

if TYPE_CHECKING:
    from portanet.training.trainer import Trainer

TOGETHER = 16  # steps in one call where the backend can: few enough for Ctrl-C to be heard soon
LOOK = 10.0  # seconds between looks at loss and weights within an epoch
KEEP = 2.0  # seconds, at least, between copies of what is good; they take no more than a hundredth of the time


_COMPILED = ("_forward", "step", "_step", "_scan", "_total", "_exchange")


class EpochLoop(Model):
    """The part of a :class:`~portanet.Trainer` that runs an epoch, or what is left of one.

    Attributes
    ----------
    epoch : int
        Number of epochs trained so far, whole ones.
    position : int
        Number of steps done in the epoch after them; 0 unless training was stopped within one.
    meter : Meter
        Of that epoch.
    rate_factor : float
        What the learning rate is multiplied by, beside what the schedule says; below 1 where :class:`LowerRate` acted.
    """

    optimizer: Optimizer
    schedule: Schedule
    opt_state: dict[str, Any]
    penalty_per_sample: bool

    def _begin(self) -> None:
        """Compile the step; nothing is trained yet."""
        self.epoch = self.position = self._end = 0
        self.meter, self._spent = Meter(self.backend, self.metrics), 0.0  # seconds of the epoch that is half done
        self._stop = ""
        self._hooks: list[Callback] = []
        self.rate_factor = 1.0
        self._kept: dict[str, Any] | None = None
        self._due = 0.0
        self._compile_step()

    def _compile_step(self) -> None:
        metrics, shared = tuple(self.meter.metrics), self.penalty_per_sample
        rows = self.backend.rows if self.body.by_sample else None
        self.step = step = Step(
            self.body, self.loss, self.optimizer, metrics, self.dtype, self.l1, self.l2, shared, rows
        )
        self._step = self.backend.compile(step, donate=(0, 2))  # parameters and the optimizer's state
        self._scan = self.backend.scan(drawn(step))
        self._exchange: Exchange | None = None
        if self.ranks is not None:
            self._exchange = Exchange(step, self.ranks, self.backend)
            self._scan = None
        self._total = self.backend.compile(total)

    def __copy__(self) -> Self:
        """Return a trainer of its own: a step writes over arrays, which two trainers cannot share."""
        return copy.deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        """Return all but what is compiled, and the callbacks of a fit that runs; arrays on the host."""
        from portanet.files import checkpoint

        state = {name: value for name, value in vars(self).items() if name not in _COMPILED}
        state |= {**self.snapshot(), "opt_state": self.host_state(), "meter": self.meter.state()}
        state |= {"_hooks": [], "_kept": None, "_fitted": checkpoint.fitted(cast("Trainer", self))}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.restore({"params": self.params, "buffers": self.buffers})
        self.adopt_state(self.opt_state)
        self.meter = Meter(self.backend, self.metrics)
        self.meter.load_state(state["meter"])
        self._compile()
        self._compile_step()

    def host_state(self) -> dict[str, Any]:
        """Return the optimizer's state as copies on the host."""
        with self.backend.activate(self.dtype):
            return _each(self.opt_state, lambda a: self.backend.to_numpy(a).copy())

    def adopt_state(self, state: dict[str, Any]) -> None:
        """Take host arrays as the optimizer's state."""
        put, xp = self.backend.asarray, self.backend.xp
        with self.backend.activate(self.dtype):  # copies: an optimizer writes into its arrays
            self.opt_state = _each(state, lambda a: xp.asarray(put(a, self.dtype), copy=True))

    def _run_epoch(
        self, train: Batches, validation: Batches | None, *, shuffle: bool | Order, read: bool = True
    ) -> dict[str, float]:
        """Return the row of an epoch, or of the part of it that was done when it was stopped.

        Unless it is `read`, loss and metrics are not in it yet, and it ends before the
        device does.
        """
        began, n = time.perf_counter(), len(train)
        each_batch = [hook for hook in self._called() if type(hook).on_batch_end is not Callback.on_batch_end]
        self._looked = time.monotonic()
        if not self.position:
            self.meter, self._spent = Meter(self.backend, self.metrics), 0.0
        seed = epoch_word(self.seed, self.epoch)
        counters = {"lr": self.optimizer.lr, "seed": seed, "step": 0}
        together = TOGETHER if self._scan and not any(hook.every_batch for hook in each_batch) else 1
        for part in train.epoch(self.seed, self.epoch, shuffle=shuffle, together=together, skip=self.position):
            if isinstance(part, Rows):
                counters["lr"] = self._run_many(train, part, seed)
                self.position += len(part.sizes)
            else:
                counters["lr"], counters["step"] = self._rate(self.position, n), self.position
                self._run_one(part, counters)
                self.position += 1
            for hook in each_batch:
                hook.on_batch_end(cast("Trainer", self), self.position, n)
            if self._is_late():  # a long epoch: nobody shall wait for its end in vain
                self._looked = time.monotonic()
                if not (math.isfinite(self.meter.result()["loss"]) and self.finite()):
                    break
                if read and self._is_due():  # what is kept has no rows before it that nobody has seen
                    self._keep()
            if self._stops():
                break
        row = {"epoch": self.epoch + 1, **(self.meter.result() if read else {})}
        self._spent += time.perf_counter() - began
        if self.position < n:
            return row
        began = time.perf_counter()
        self.epoch, self.position = self.epoch + 1, 0
        if validation is not None:
            row.update({f"val_{name}": value for name, value in self._evaluate(validation).items()})
        return {**row, "lr": counters["lr"], "seconds": self._spent + time.perf_counter() - began}

    def _run_one(self, part: Any, counters: dict[str, Any]) -> None:
        """Train on a batch, or on this process's part of it."""
        state = self.params, self.buffers, self.opt_state
        if self._exchange is None:
            *state, loss, measured = self._step(*state, part.x, part.y, part.weight, counters)  # type: ignore[assignment]
            self.meter.add(part.size, loss, measured)
        else:
            self._exchange.wanted = [bool(self._stop), time.monotonic() - self._looked >= LOOK]
            counters = {**counters, "part": part.part, "size": part.size}
            *state, loss, measured = self._exchange(*state, part.x, part.y, part.weight, counters)  # type: ignore[assignment]
            self.meter.add_many(self._exchange.sizes, (loss, *measured))
        self.params, self.buffers, self.opt_state = state

    def _called(self) -> list[Callback]:
        return self._hooks if self.ranks is None else self.ranks.called(self._hooks)

    # Where several processes train, each of these questions has one answer for all of them.

    def _is_late(self) -> bool:
        return time.monotonic() - self._looked >= LOOK if self._exchange is None else self._exchange.agreed[1]

    def _is_due(self) -> bool:
        due = time.monotonic() >= self._due
        return due if self.ranks is None else self.ranks.any(due)

    def _stops(self) -> bool:
        """Return whether the training is to end behind this step."""
        return bool(self._stop) if self._exchange is None else self._exchange.agreed[0] and self._ends()

    def _ends(self) -> bool:
        """Return whether it is to end behind this epoch."""
        if self.ranks is not None:
            self._stop = next((reason for reason in self.ranks.gather(self._stop) if reason), "")
        return bool(self._stop)

    def _rate(self, i: int, n: int) -> float:
        """Return the learning rate in the middle of step `i` of the `n` of this epoch."""
        return self.optimizer.lr * self.rate_factor * self.schedule.factor(self.epoch + (i + 0.5) / n, self._end)

    def _run_many(self, train: Batches, part: Rows, seed: int) -> float:
        """Train on several batches in one call of the backend; return the last one's learning rate."""
        assert self._scan is not None
        steps = range(self.position, self.position + len(part.sizes))
        rates = [self._rate(i, len(train)) for i in steps]
        asarray = self.backend.asarray
        items = (part.index, asarray(rates, self.dtype), asarray(list(steps), "int32"))
        carry = (self.params, self.buffers, self.opt_state)
        carry, measured = self._scan(carry, (train.x, train.y, train.weight, seed), items)
        self.params, self.buffers, self.opt_state = carry
        self.meter.add_many(part.sizes, measured)
        return rates[-1]

    def _keep(self) -> None:
        """Copy what the training would go back to, should it diverge."""
        began = time.monotonic()
        self._kept = rollback.keep(cast("Trainer", self))
        now = time.monotonic()
        self._due = now + max(KEEP, 100 * (now - began))

    @property
    def stopping(self) -> str:
        """Why training is to end behind the current batch; empty if it is not."""
        return self._stop

    def finite(self) -> bool:
        """Return whether no weight is inf or nan; waits for the device."""
        with self.backend.activate(self.dtype):
            if not self.params or math.isfinite(float(self._total(self.params))):
                return True
            xp = self.backend.xp  # the sum of large weights may be more than a float holds
            return bool(self.backend.fetch([xp.all(xp.isfinite(p)) for p in self.params.values()]).all())


def _each(state: dict[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """Return an optimizer's state with each array changed; ``t``, the number of its steps, as a plain number."""
    return {
        slot: int(own) if slot == "t" else {name: change(array) for name, array in own.items()}
        for slot, own in state.items()
    }
