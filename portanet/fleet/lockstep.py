"""Trainings in several threads in lockstep: networks of the same shape are stepped together, as in a fleet.

Estimators need no changes: a task in a thread of a :class:`Scheduler`, such as a pipeline's fit or a scikit-learn
search, runs as it would alone, until a trainer whose strategy is :class:`Lockstep` starts an epoch.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from weakref import WeakSet, WeakValueDictionary

import numpy as np

from portanet.data.batching.batches import Batches
from portanet.engine.strategy import SingleProcess
from portanet.fleet.checks import not_stackable
from portanet.fleet.stack import Stacks
from portanet.training.loop import Epoch, Ran

__all__ = ["Lockstep", "Scheduler", "note_alone"]

T = TypeVar("T")

_here = threading.local()


class Lockstep(SingleProcess):
    """Strategy that runs an epoch together with those of the scheduler's other threads; alone without a scheduler."""

    def run(self, epoch: Any) -> Any:
        scheduler: Scheduler | None = getattr(_here, "scheduler", None)
        if scheduler is None:
            return epoch.run()
        reason = _alone(epoch)
        if reason:
            scheduler.note_alone(reason, epoch.owner)
            return epoch.run()
        return scheduler.epoch(epoch)

    def batches(self, backend: Any, x: Any, y: Any, weight: Any, batch_size: int) -> Batches:
        scheduler: Scheduler | None = getattr(_here, "scheduler", None)
        if scheduler is None or not all(a is None or _is_plain(a) for a in (x, y, weight)):
            return Batches(backend, x, y, weight, batch_size)
        key = (backend.spec, batch_size, _digest(x, y, weight))
        return scheduler.shared(key, lambda: Batches(backend, x, y, weight, batch_size))


def _alone(epoch: Epoch) -> str:
    """Return why a fleet cannot hold this training; empty if it can."""
    program = epoch.engine.program
    odd = not_stackable(program.net)
    if odd:
        return f"{odd} takes no leading axes"
    own = next(
        (t for t in map(type, (program.loss, program.optimizer)) if not t.__module__.startswith("portanet.")), None
    )
    if own is not None:
        return f"{own.__name__} is not portanet's own, and may know nothing of leading axes"
    if not epoch.batches.resident:
        return "the samples are sparse, or do not fit into the device's memory"
    return "a callback is called after each batch" if epoch.watched else ""


class SchedulerOver(BaseException):
    """Raised in the waiting threads when the scheduler ends; not an error of these threads."""


@dataclass(eq=False)
class _Waiting:
    """A thread that waits for its epoch, and whether it runs the epoch for all threads."""

    epoch: Epoch
    ran: Ran | BaseException | None = None
    woken: threading.Event = field(default_factory=threading.Event)
    leads: bool = False


class Scheduler:
    """Scheduler of threads that run one at a time; when all of them wait for an epoch, their epochs run together.

    Parameters
    ----------
    most : int
        Maximum number of threads present at a time.

    Attributes
    ----------
    alone : Counter
        Reasons why trainings were not held by a fleet, and their number.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.alone: Counter[str] = Counter()
        self._stacks = Stacks()
        self._data: WeakValueDictionary[Any, Batches] = WeakValueDictionary()
        self._noted: WeakSet[Any] = WeakSet()
        self._lock = threading.Lock()
        self._free = False  # whether no thread has the turn; before open(), the caller has it
        self._ready: deque[threading.Event] = deque()
        self._waiting: list[_Waiting] = []
        self._announced = self._present = 0
        self._over = False

    @property
    def fleets(self) -> list[int]:
        """Number of trainings in each fleet, the largest first."""
        return self._stacks.sizes

    def shared(self, key: Any, make: Callable[[], Batches]) -> Batches:
        """Return the samples for a key; samples that several trainings share are on the device once."""
        found = self._data.get(key)
        if found is None:
            found = self._data[key] = make()
        return found

    def note_alone(self, reason: str, owner: Any = None) -> None:
        """Record why a training is not held by a fleet; once for each owner."""
        if owner is None or owner not in self._noted:
            self.alone[reason] += 1
        if owner is not None:
            self._noted.add(owner)

    def announce(self) -> None:
        """Announce one more thread; no epoch starts without it."""
        with self._lock:
            self._announced += 1

    def open(self) -> None:
        """Let the threads start, after the first ones have been announced."""
        with self._lock:
            self._pass_on()

    def end(self) -> None:
        """Raise :class:`SchedulerOver` in all waiting and later threads."""
        with self._lock:
            self._over = True
            self._wake_all()

    def run(self, task: Callable[[], T]) -> T:
        """Run an announced task in this thread when it has the turn."""
        turn = threading.Event()
        with self._lock:
            self._announced -= 1
            self._present += 1
            self._ready.append(turn)
            if self._free:
                self._pass_on()
        self._wait(turn)
        _here.scheduler = self
        try:
            return task()
        finally:
            _here.scheduler = None
            with self._lock:
                self._present -= 1
                self._pass_on()

    def epoch(self, epoch: Epoch) -> Ran:
        """Run an epoch of a trainer in this thread together with those of the other threads, and return its result."""
        own = _Waiting(epoch)
        with self._lock:
            self._waiting.append(own)
            self._pass_on()
        self._wait(own.woken)
        if own.leads:
            with self._lock:
                led, self._waiting = self._waiting, []
            try:
                found = self._stacks.run([other.epoch for other in led])
            except BaseException as error:  # the other threads wait for a result
                found = [error] * len(led)
            for other, ran in zip(led, found, strict=True):
                other.ran = ran
            with self._lock:
                self._ready.extend(other.woken for other in led if other is not own)
                if self._over:
                    self._wake_all()
        if not isinstance(own.ran, Ran):
            assert own.ran is not None
            raise own.ran
        return own.ran

    def _wait(self, turn: threading.Event) -> None:
        if not self._over:
            turn.wait()
        if self._over:
            raise SchedulerOver
        turn.clear()

    def _wake_all(self) -> None:
        for event in [*self._ready, *(own.woken for own in self._waiting)]:
            event.set()

    def _pass_on(self) -> None:
        """Give the turn to a ready thread; if all wait for an epoch, to one of them, which runs it for all."""
        self._free = False
        if self._ready:
            self._ready.popleft().set()
        elif self._waiting and len(self._waiting) == self._present and not self._one_more():
            self._waiting[0].leads = True
            self._waiting[0].woken.set()
        else:
            self._free = True

    def _one_more(self) -> bool:
        """Return whether an announced thread is about to start."""
        return self._announced > 0 and self._present < self.most


def note_alone(reason: str) -> None:
    """Record, in a thread of a scheduler, why a training is not held by a fleet."""
    scheduler: Scheduler | None = getattr(_here, "scheduler", None)
    if scheduler is not None:
        scheduler.note_alone(reason)


def _is_plain(a: Any) -> bool:
    """Return whether `a` is a host array that its bytes identify."""
    return isinstance(a, np.ndarray) and a.dtype.kind in "biuf"


def _digest(*arrays: Any) -> str:
    """Return a hash of the dtypes, shapes and contents of host arrays."""
    found = hashlib.blake2b(digest_size=16)
    for a in arrays:
        found.update(b"-" if a is None else f"{a.dtype.str}{a.shape}".encode())
        if a is not None and a.size:
            found.update(np.ascontiguousarray(a).data.cast("B"))
    return found.hexdigest()
