"""An epoch of many trainers that know nothing of each other: those of one kind are stepped together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self
from weakref import WeakValueDictionary

import numpy as np

from portanet.data.batches import Batches
from portanet.fleet.group import Group, alike, stepped_together
from portanet.step import Step
from portanet.trainer import Trainer

__all__ = ["Request", "Together"]


@dataclass(eq=False)
class Request:
    """An epoch that a trainer asks for: its row, once it was run, or the error in its place."""

    trainer: Trainer
    data: Batches
    order: Any
    row: dict[str, float] = field(default_factory=dict)
    error: BaseException | None = None

    @property
    def kind(self) -> tuple[Any, ...]:
        """What the trainings of a fleet have in common; rate, decay, L2 penalty, seed and rows are their own."""
        t, data = self.trainer, self.data
        shapes = [None if a is None else (a.shape[1:], str(a.dtype)) for a in (data.x, data.y, data.weight)]
        return (
            *(repr(t.net), repr(t.loss), type(t.optimizer), repr(replace(t.optimizer, lr=0.0, weight_decay=0.0))),
            *(repr(t.metrics), t.l1, t.penalty_per_sample, t.dtype, t.backend.spec),
            *(data.batch_size, self.order is None, repr(shapes)),
        )


class Together:
    """Runs epochs, of all the trainers that ask for one at a time."""

    def __init__(self) -> None:
        self._data: WeakValueDictionary[Any, Batches] = WeakValueDictionary()
        self._steps: dict[Any, Any] = {}
        self._groups: dict[tuple[int, ...], _Kept] = {}
        self._held: Counter[Any] = Counter()

    @property
    def sizes(self) -> list[int]:
        """How many trainings each fleet held, the largest first."""
        return sorted(self._held.values(), reverse=True)

    def shared(self, key: Any, make: Callable[[], Batches]) -> Batches:
        """Return the samples of that key: once on the device, however many train on them."""
        found = self._data.get(key)
        if found is None:
            found = self._data[key] = make()
        return found

    def step(self, requests: Sequence[Request]) -> None:
        """Fill in the rows, or the errors, of an epoch for all of them."""
        kinds: dict[Any, list[Request]] = {}
        for request in requests:
            kinds.setdefault(request.kind, []).append(request)
        before, self._groups = self._groups, {}
        for kind, own in kinds.items():
            own.sort(key=lambda request: id(request.data))
            self._held[kind] += sum(not request.trainer.history.rows for request in own)  # once a fit
            rows = [np.arange(request.data.n) for request in own]
            trainers = [request.trainer for request in own]
            for part in stepped_together(trainers, range(len(own)), rows, own[0].data.batch_size, None):
                some = [own[i] for i in part]
                try:
                    self._step_some(kind, some, before)
                except BaseException as error:
                    for request in some:
                        request.error = error

    def _step_some(self, kind: Any, some: list[Request], before: dict[tuple[int, ...], _Kept]) -> None:
        trainers = [request.trainer for request in some]
        first, key = trainers[0], tuple(map(id, trainers))
        with first.backend.activate(first.dtype):
            kept = before.get(key)
            if kept is None or not kept.still_holds():
                group = Group(trainers, [np.arange(request.data.n) for request in some], self._compiled(kind, trainers))
                kept = _Kept(group, trainers)
            orders = False if some[0].order is None else [request.order for request in some]
            rows = kept.group.epoch([request.data for request in some], some[0].data.batch_size, shuffle=orders)
        self._groups[key] = kept.noted()
        for request, row in zip(some, rows, strict=True):
            request.row = row

    def _compiled(self, kind: Any, trainers: Sequence[Trainer]) -> Any:
        first = trainers[0]
        l2 = first.l2 if alike([t.l2 for t in trainers]) else 0.0  # else each has its own, among the counters
        if (kind, l2) not in self._steps:
            shared = first.penalty_per_sample
            step = Step(first.body, first.loss, first.optimizer, (), first.dtype, first.l1, l2, shared, stack=1)
            self._steps[kind, l2] = first.backend.compile(step, donate=(0, 2))
        return self._steps[kind, l2]


class _Kept:
    """A group, and the arrays that it left with its trainers: it goes on while they have these."""

    def __init__(self, group: Group, trainers: Sequence[Trainer]) -> None:
        self.group, self.trainers = group, trainers
        self.noted()

    def noted(self) -> Self:
        self._arrays = [(t.params, t.opt_state) for t in self.trainers]
        return self

    def still_holds(self) -> bool:
        pairs = zip(self.trainers, self._arrays, strict=True)
        return all(t.params is params and t.opt_state is state for t, (params, state) in pairs)
