"""Trainings in several threads that meet behind each epoch: networks of one shape are stepped together, as a fleet is.

Whoever trains needs to know nothing of it: what is called in a thread of a :class:`Meeting`, a pipeline's fit or a
scikit-learn search, runs as it would alone, until a :class:`MeetingTrainer` in it comes to an epoch.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from portanet.callbacks.base import Callback
from portanet.data.batching.batches import Batches, Order
from portanet.fleet.checks import not_stackable
from portanet.fleet.together import Request, Together
from portanet.training.trainer import Trainer

__all__ = ["Meeting", "MeetingTrainer", "note_alone"]

T = TypeVar("T")

_here = threading.local()


class MeetingTrainer(Trainer):
    """A :class:`~portanet.Trainer` that trains its epochs with those of the others, in a thread of a meeting."""

    def _run_epoch(
        self, train: Batches, validation: Batches | None, *, shuffle: bool | Order, read: bool = True
    ) -> dict[str, float]:
        meeting: Meeting | None = getattr(_here, "meeting", None)
        if meeting is None:
            return super()._run_epoch(train, validation, shuffle=shuffle, read=read)
        reason = self._alone(train, validation)
        if reason:
            if not self.history.rows:  # once a fit
                note_alone(reason)
            return super()._run_epoch(train, validation, shuffle=shuffle, read=read)
        order: Any = None
        if shuffle and train.batch_size < train.n:  # the order of a full batch changes nothing
            order = train.order(self.seed, self.epoch, shuffle)
        row = meeting.epoch(Request(self, train, order))
        if self.epoch < row["epoch"]:  # it is back where the epoch began; what follows goes by the loss
            row["loss"] = float("nan")
        return row

    def _alone(self, train: Batches, validation: Batches | None) -> str:
        """Return why a fleet cannot hold this training; empty where it can."""
        odd = not_stackable(self.net)
        if odd:
            return f"{odd} takes no leading axes"
        own = next(
            (t for t in map(type, (self.loss, self.optimizer)) if not t.__module__.startswith("portanet.")), None
        )
        if own is not None:
            return f"{own.__name__} is not portanet's own, and may know nothing of leading axes"
        if not train.resident:
            return "the samples are sparse, or do not fit into the device's memory"
        if validation is not None or self.position:
            return "the trainer validates by itself, or begins within an epoch"
        if any(type(hook).on_batch_end is not Callback.on_batch_end for hook in self._hooks):
            return "a callback is called behind each batch"
        return ""

    def _batches(self, x: Any, y: Any, weight: Any, *args: Any, **options: Any) -> Batches:
        meeting: Meeting | None = getattr(_here, "meeting", None)
        make = super()._batches
        if meeting is None or not all(a is None or _is_plain(a) for a in (x, y, weight)):
            return make(x, y, weight, *args, **options)
        return meeting.shared(
            (self.backend.spec, self.dtype, repr(self.loss), self.outputs, args, repr(options), _digest(x, y, weight)),
            lambda: make(x, y, weight, *args, **options),
        )


class MeetingOver(BaseException):
    """Raised in the threads that wait when the meeting is ended; no error of theirs."""


@dataclass(eq=False)
class _Waiting:
    """A thread that waits for its epoch, and whether it is to run it for all."""

    request: Request
    woken: threading.Event = field(default_factory=threading.Event)
    leads: bool = False


class Meeting:
    """Threads of which one runs at a time; when all that are there wait for an epoch, it is run for all of them.

    Parameters
    ----------
    most : int
        How many threads there are at a time.

    Attributes
    ----------
    alone : Counter
        Why trainings were not held by a fleet, and how many.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.alone: Counter[str] = Counter()
        self._together = Together()
        self._lock = threading.Lock()
        self._free = False  # whether nobody has the turn; the first has who opens the meeting
        self._ready: deque[threading.Event] = deque()
        self._waiting: list[_Waiting] = []
        self._announced = self._present = 0
        self._over = False

    @property
    def fleets(self) -> list[int]:
        """How many trainings each fleet held, the largest first."""
        return self._together.sizes

    def shared(self, key: Any, make: Callable[[], Batches]) -> Batches:
        """Return the samples of that key: once on the device, however many train on them."""
        return self._together.shared(key, make)

    def announce(self) -> None:
        """Say that one more thread will come: nobody is to begin without it."""
        with self._lock:
            self._announced += 1

    def open(self) -> None:
        """Let the threads begin: all of the first ones are announced."""
        with self._lock:
            self._pass_on()

    def end(self) -> None:
        """Let all threads that wait, and those that come, end by :class:`MeetingOver`."""
        with self._lock:
            self._over = True
            self._wake_all()

    def run(self, task: Callable[[], T]) -> T:
        """Run an announced task in this thread, when it is its turn."""
        turn = threading.Event()
        with self._lock:
            self._announced -= 1
            self._present += 1
            self._ready.append(turn)
            if self._free:
                self._pass_on()
        self._wait(turn)
        _here.meeting = self
        try:
            return task()
        finally:
            _here.meeting = None
            with self._lock:
                self._present -= 1
                self._pass_on()

    def epoch(self, request: Request) -> dict[str, float]:
        """Return the row of the epoch that a trainer of this thread asks for."""
        own = _Waiting(request)
        with self._lock:
            self._waiting.append(own)
            self._pass_on()
        self._wait(own.woken)
        if own.leads:
            with self._lock:
                led, self._waiting = self._waiting, []
            self._together.step([other.request for other in led])
            with self._lock:
                self._ready.extend(other.woken for other in led if other is not own)
                if self._over:
                    self._wake_all()
        if request.error is not None:
            raise request.error
        return request.row

    def _wait(self, turn: threading.Event) -> None:
        if not self._over:
            turn.wait()
        if self._over:
            raise MeetingOver
        turn.clear()

    def _wake_all(self) -> None:
        for event in [*self._ready, *(own.woken for own in self._waiting)]:
            event.set()

    def _pass_on(self) -> None:
        """Give the turn to a thread that is ready; where all wait, to one of them, which runs the epoch for all."""
        self._free = False
        if self._ready:
            self._ready.popleft().set()
        elif self._waiting and len(self._waiting) == self._present and not self._one_more():
            self._waiting[0].leads = True
            self._waiting[0].woken.set()
        else:
            self._free = True

    def _one_more(self) -> bool:
        """Whether a thread is about to come."""
        return self._announced > 0 and self._present < self.most


def note_alone(reason: str) -> None:
    """Note, in a thread of a meeting, why a training is not held by a fleet."""
    meeting: Meeting | None = getattr(_here, "meeting", None)
    if meeting is not None:
        meeting.alone[reason] += 1


def _is_plain(a: Any) -> bool:
    """Whether `a` is a host array that its bytes tell from others."""
    return isinstance(a, np.ndarray) and a.dtype.kind in "biuf"


def _digest(*arrays: Any) -> str:
    """Return what tells host arrays from others: dtypes, shapes and content."""
    found = hashlib.blake2b(digest_size=16)
    for a in arrays:
        found.update(b"-" if a is None else f"{a.dtype.str}{a.shape}".encode())
        if a is not None and a.size:
            found.update(np.ascontiguousarray(a).data.cast("B"))
    return found.hexdigest()
