"""Run epochs of many networks of the same shape as one: arrays are stacked, each layer is one batched product."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import numpy as np

from portanet.backends.host import cache_budget
from portanet.engine.engine import Engine
from portanet.engine.meter import Meter
from portanet.engine.state import TrainState, map_slots
from portanet.fleet.stacked_batches import HostRows, StackedBatches
from portanet.layers.tree import output_shapes
from portanet.training.loop import Epoch, Ran, run_epoch
from portanet.typing import Params, Shape

LOOK = 10.0  # seconds between checks of the members within an epoch


class Stacks:
    """Run epochs of many trainings; those of the same kind, number of rows and number of steps form one stack.

    A stack is kept for the next epoch. It is rebuilt if a member's arrays have changed since.

    Parameters
    ----------
    most : int, optional
        Maximum number of members in a stack. By default as many as fit into the processor's cache with their arrays of
        a step, and all members on a GPU or with a compiler: :func:`group_size`.
    """

    def __init__(self, most: int | None = None) -> None:
        self.most = most
        self._kinds: WeakKeyDictionary[Engine, tuple[Any, ...]] = WeakKeyDictionary()
        self._engines: dict[Any, Engine] = {}
        self._stacks: dict[tuple[int, ...], _Stack] = {}
        self._held: Counter[Any] = Counter()
        self._seen: WeakSet[Any] = WeakSet()

    @property
    def sizes(self) -> list[int]:
        """Number of fits trained together, by kind, the largest first."""
        return sorted(self._held.values(), reverse=True)

    def run(self, epochs: Sequence[Epoch]) -> list[Ran | BaseException]:
        """Return the result of each epoch, or the error of its stack."""
        groups: dict[Any, list[int]] = {}
        for i, epoch in enumerate(epochs):
            groups.setdefault(self._key(epoch), []).append(i)
        found: dict[int, Ran | BaseException] = {}
        before, self._stacks = self._stacks, {}
        ended: BaseException | None = None
        for key, own in groups.items():
            own.sort(key=lambda i: id(epochs[i].batches.x))  # members that share their samples are adjacent
            size = self.most or _usual(epochs[own[0]]) or len(own)
            for part in np.array_split(own, -(-len(own) // size)):
                some = [epochs[i] for i in part]
                try:
                    if ended is not None and not isinstance(ended, Exception):  # a second Ctrl-C: stop at once
                        raise ended
                    ran = self._run(key, some, before)
                except BaseException as error:
                    ran, ended = [error] * len(some), error
                found |= dict(zip(map(int, part), ran, strict=True))
        return [found[i] for i in range(len(epochs))]

    def _key(self, epoch: Epoch) -> tuple[Any, ...]:
        """Return what the members of a stack must share; rate, decay, L2 penalty, seed and rows may differ."""
        engine, data = epoch.engine, epoch.batches
        kind = self._kinds.get(engine)
        if kind is None:
            p = engine.program
            plain = replace(p.optimizer, lr=0.0, weight_decay=0.0)
            kind = self._kinds[engine] = (
                *(repr(p.net), repr(p.loss), type(plain), repr(plain), repr(engine.function.metrics)),
                *(p.l1, p.penalty_per_sample, p.dtype, engine.backend.spec),
            )
        shapes = tuple(None if a is None else (a.shape[1:], str(a.dtype)) for a in (data.x, data.y, data.weight))
        kind = (*kind, shapes, data.batch_size, data.least, epoch.shuffle is not False)
        if epoch.owner not in self._seen:
            self._seen.add(epoch.owner)
            self._held[kind] += 1
        return kind, data.n, int(epoch.state.opt_state["t"]), epoch.state.step

    def _run(self, key: tuple[Any, ...], epochs: list[Epoch], before: dict[tuple[int, ...], _Stack]) -> list[Any]:
        programs = [epoch.engine.program for epoch in epochs]
        l2 = programs[0].l2 if alike([p.l2 for p in programs]) else 0.0  # else the counters have one for each
        about = (key[0], l2)
        if about not in self._engines:
            self._engines[about] = Engine(replace(programs[0], l2=l2, stack=1), epochs[0].engine.backend)
        engine, members = self._engines[about], tuple(id(epoch.engine) for epoch in epochs)
        with engine.backend.activate(engine.program.dtype):
            stack = before.get(members)
            if stack is None or not stack.holds(epochs):
                stack = _Stack(epochs, engine)
            found = stack.run(epochs)
        self._stacks[members] = stack
        return found


class _Stack:
    """The stacked arrays of some members, (members, ...), and the members' states after the last epoch."""

    def __init__(self, epochs: Sequence[Epoch], engine: Engine) -> None:
        self.engine, self.backend = engine, engine.backend
        self._join([epoch.state for epoch in epochs])

    def _join(self, states: Sequence[TrainState]) -> None:
        self.states, first, stack = list(states), states[0], self.backend.xp.stack
        params = {name: stack([s.params[name] for s in states]) for name in first.params}
        # Buffers have no sample axis; an axis of length 1 broadcasts them over the samples of each network.
        buffers = {name: stack([s.buffers[name] for s in states])[:, None, ...] for name in first.buffers}
        slots = {
            slot: int(own) if slot == "t" else {name: stack([s.opt_state[slot][name] for s in states]) for name in own}
            for slot, own in first.opt_state.items()
        }
        self.arrays = (params, buffers, slots)

    def holds(self, epochs: Sequence[Epoch]) -> bool:
        """Return whether the members still have the arrays of their last epoch here."""
        return len(self.states) == len(epochs) and all(
            now.state.params is own.params and now.state.buffers is own.buffers and now.state.opt_state is own.opt_state
            for now, own in zip(epochs, self.states, strict=True)
        )

    def run(self, epochs: Sequence[Epoch]) -> list[Ran]:
        """Run the members' epochs as one."""
        self.epochs, self.begun = list(epochs), [epoch.state for epoch in epochs]
        self.stopped: dict[int, TrainState] = {}
        self.data, self._looked = StackedBatches(self.backend, epochs), time.monotonic()
        programs, asarray = [epoch.engine.program for epoch in epochs], self.backend.asarray
        counters: dict[str, Any] = {"weight_decay": self._each([p.optimizer.weight_decay for p in programs])}
        if not alike([p.l2 for p in programs]):
            counters["l2"] = self._each([p.l2 for p in programs])
        first = self.begun[0]
        whole = _StackedEpoch(
            *(self.engine, self.engine.step),
            TrainState(*self.arrays, self._meter(), first.epoch, first.step),
            *(self.data, self._rate),
            one_by_one=True,
            on_batch=self._on_batch,
            counters=counters,
            words=asarray([[epoch.word] for epoch in epochs], "int32"),
        )
        n = len(self.data)
        try:
            run_epoch(whole)
        except BaseException:
            # The members get the state after the last complete step.
            self._part(whole.state, n, ended=False)
            raise
        state = whole.state
        self.arrays = (state.params, state.buffers, state.opt_state)
        self._part(state, n)
        self.states = [] if self.stopped else [epoch.state for epoch in epochs]
        rates = [epoch.rate(own, n - 1, n) for epoch, own in zip(epochs, self.begun, strict=True)]
        finite = self._finite(state)
        return [
            Ran(epoch.state, rate, None if j in self.stopped else bool(finite[j]))
            for j, (epoch, rate) in enumerate(zip(epochs, rates, strict=True))
        ]

    def _on_batch(self, state: TrainState, n: int) -> tuple[TrainState, bool]:
        """Call the callbacks that run after this batch; a member that stops keeps its current state."""
        look = time.monotonic() - self._looked >= LOOK
        called = [j for j, e in enumerate(self.epochs) if (look or e.watched) and j not in self.stopped]
        if not called:
            return state, False
        self._looked = time.monotonic() if look else self._looked
        self._part(state, n, ended=False)
        changed = False
        for j in called:
            epoch = self.epochs[j]
            given = epoch.state
            epoch.state, stop = epoch.on_batch(given, n)
            if epoch.state is not given:
                changed, factor = True, epoch.state.rate_factor
                self.begun[j] = self.begun[j]._replace(rate_factor=factor)
            if stop:
                self.stopped[j] = epoch.state.to_device(self.backend, self.engine.program.dtype)
        if changed:
            self._join([epoch.state for epoch in self.epochs])
            params, buffers, opt_state = self.arrays
            state = state.stepped(params, buffers, opt_state, 0)
        return state, len(self.stopped) == len(self.epochs)

    def _part(self, state: TrainState, n: int, *, ended: bool = True) -> None:
        """Give each member its arrays and metrics; `ended`: whether the stack has finished its epoch of `n` batches."""
        columns = state.meter.state()["columns"]
        for j, (epoch, begun) in enumerate(zip(self.epochs, self.begun, strict=True)):
            own = self.stopped.get(j)
            if own is None:
                meter = epoch.engine.meter()
                sizes = self.data.sizes[j][: len(state.meter.sizes)]
                meter.load_state({"sizes": sizes, "columns": [column[:, j, ...] for column in columns]})
                meter.seconds = begun.meter.seconds * bool(begun.step) + state.meter.seconds / len(self.epochs)
                buffers = {name: a[j, 0, ...] for name, a in state.buffers.items()}
                params = {name: a[j, ...] for name, a in state.params.items()}
                slots = map_slots(state.opt_state, lambda a: a[j, ...])  # noqa: B023  # called at once
                step = n if ended and not state.step else state.step
                own = begun._replace(params=params, buffers=buffers, opt_state=slots, meter=meter, step=step)
            if ended and own.step == n:
                own = own._replace(epoch=begun.epoch + 1, step=0)
            epoch.state = own

    def _meter(self) -> Meter:
        """Return a meter with the members' metrics of the epoch so far."""
        meter, states = self.engine.meter(), self.begun
        if states[0].step:
            measured = [state.meter.state() for state in states]
            columns = zip(*(own["columns"] for own in measured), strict=True)
            meter.load_state({"sizes": measured[0]["sizes"], "columns": [np.stack(c, axis=1) for c in columns]})
        return meter

    def _rate(self, state: TrainState, i: int, n: int) -> Any:
        return self._each([epoch.rate(own, i, n) for epoch, own in zip(self.epochs, self.begun, strict=True)])

    def _each(self, numbers: list[float]) -> Any:
        """Return the members' numbers as an array or, if all are equal, as one number, as a single trainer has it."""
        return numbers[0] if alike(numbers) else self.backend.asarray(numbers, self.engine.program.dtype)

    def _finite(self, state: TrainState) -> HostRows:
        """Return for each member whether its weights are all finite."""
        xp = self.backend.xp
        fine = [xp.all(xp.isfinite(p), axis=tuple(range(1, p.ndim))) for p in state.params.values()]
        found: HostRows = np.all(self.backend.fetch(fine), axis=0)
        return found


@dataclass
class _StackedEpoch(Epoch):
    """The epochs of all members, with the random words of each, (members, 1)."""

    words: Any = None

    @property
    def word(self) -> Any:
        return self.words


def alike(numbers: Sequence[float]) -> bool:
    """Return whether all numbers are equal."""
    return all(number == numbers[0] for number in numbers)


def _usual(epoch: Epoch) -> int | None:
    data = epoch.batches
    return group_size(epoch.engine, epoch.state.params, tuple(data.x.shape[1:]), min(data.batch_size, data.n))


def group_size(engine: Engine, params: Params, in_shape: Shape, rows: int) -> int | None:
    """Return the number of members whose arrays of a step on `rows` rows fit into the processor's cache.

    None if all members at once are fastest.

    A step uses each parameter, its gradient, the optimizer's arrays and two temporary arrays, and for each sample the
    input of each layer and its gradient.
    """
    program = engine.program
    budget: int | None = cache_budget(next(iter(params.values())))
    if budget is None:
        return None
    weights = sum(math.prod(p.shape) for p in params.values()) * (4 + len(program.optimizer.slots))
    samples = 2 * rows * sum(map(math.prod, [in_shape, *output_shapes(program.net, in_shape)]))
    itemsize = 8 if program.dtype == "float64" else 4
    fits: int = budget // ((weights + samples) * itemsize)
    return max(1, fits)
