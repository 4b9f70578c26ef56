"""The members of a fleet that are stepped together: one stack of arrays, a batched product for each layer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portanet.backends.host import cache_budget
from portanet.data.batches import Batches, of_samples
from portanet.layers import Sequential
from portanet.meter import Meter
from portanet.random import epoch_word, generator
from portanet.trainer import Trainer
from portanet.typing import Array

HostRows = np.ndarray[Any, Any]


class Group:
    """Trainers whose arrays are one stack, (members, ...), for an epoch at a time.

    Parameters
    ----------
    trainers : sequence of Trainer
        Of one network, loss and optimizer, with as many steps behind them; seeds, rates and decays are their own.
    rows : sequence of host arrays, shape (n,)
        Which rows of the samples each of them is trained on, as many each.
    step : callable
        A compiled :class:`~portanet.step.Step` of that network.
    """

    def __init__(self, trainers: Sequence[Trainer], rows: Sequence[HostRows], step: Callable[..., Any]) -> None:
        self.trainers, self.rows, self.step = list(trainers), np.stack(rows), step
        first = self.trainers[0]
        self.backend, self.xp = first.backend, first.backend.xp
        self.params = self._stacked([t.params for t in trainers])
        # A buffer is of no sample of its own: its axis of samples lets it meet those of each network.
        buffers = self._stacked([t.buffers for t in trainers])
        self.buffers = {name: a[:, None, ...] for name, a in buffers.items()}
        slots = [name for name in first.opt_state if name != "t"]
        own = {slot: self._stacked([t.opt_state[slot] for t in trainers]) for slot in slots}
        self.opt_state: dict[str, Any] = {"t": int(first.opt_state["t"]), **own}

    def epoch(
        self, data: Sequence[Batches], batch_size: int, *, shuffle: bool | Sequence[HostRows]
    ) -> list[dict[str, float]]:
        """Train for an epoch, hand the arrays to the trainers, and return a row of the history for each.

        A member whose loss or weights are no longer finite is back where the epoch began, its ``epoch`` unchanged.

        Parameters
        ----------
        data : sequence of Batches
            What each member's rows are of; those that share theirs stand beside each other.
        batch_size : int
        shuffle : bool or sequence of host arrays
            Whether each member draws an order by its seed; or the orders that they drew, each a permutation of
            range(n).
        """
        kept = self._state(copy=True)
        try:
            rows = self._run(data, batch_size, shuffle=shuffle)
        except BaseException:
            self._hand_out(kept, range(len(self.trainers)))
            raise
        self._hand_out(self._state(), range(len(self.trainers)))
        fine = self._finite() & np.asarray([math.isfinite(row["loss"]) for row in rows])
        self._hand_out(kept, np.flatnonzero(~fine))
        for trainer in np.asarray(self.trainers)[fine]:
            trainer.epoch, trainer.position = trainer.epoch + 1, 0
        return rows

    def _run(
        self, data: Sequence[Batches], batch_size: int, *, shuffle: bool | Sequence[HostRows]
    ) -> list[dict[str, float]]:
        began, n = time.perf_counter(), self.rows.shape[1]
        trainers, backend, first = self.trainers, self.backend, self.trainers[0]
        order = self.rows
        if shuffle is not False and batch_size < n:  # the order of a full batch changes nothing
            drawn = (
                [generator(t.seed, "shuffle", t.epoch).permutation(n) for t in trainers] if shuffle is True else shuffle
            )
            order = np.take_along_axis(order, np.stack(drawn), axis=1)
        shared = _shared(data)
        starts = range(0, n, batch_size)
        rows = backend.asarray(order.astype(np.int32))
        words = [[epoch_word(t.seed, t.epoch)] for t in trainers]
        counters: dict[str, Any] = {"seed": backend.asarray(words, "int32")}
        counters["weight_decay"] = self._of_each([t.optimizer.weight_decay for t in trainers])
        if not alike([t.l2 for t in trainers]):
            counters["l2"] = self._of_each([t.l2 for t in trainers])
        meter = Meter(backend, first.metrics)
        rates: list[float] = []
        for i, start in enumerate(starts):
            rates = [t._rate(i, len(starts)) for t in trainers]
            counters["lr"], counters["step"] = self._of_each(rates), i
            stop = min(start + batch_size, n)
            x, y, weight = self._batch(shared, rows[:, start:stop], order[:, start:stop])
            self.params, self.buffers, self.opt_state, loss, measured = self.step(
                self.params, self.buffers, self.opt_state, x, y, weight, counters
            )
            meter.add(stop - start, loss, measured)
        found = meter.state()["columns"]
        sizes = np.concatenate([_sizes(own, order[members], starts) for own, members in shared])
        seconds = (time.perf_counter() - began) / len(trainers)
        history = []
        for j, trainer in enumerate(trainers):
            own = Meter(backend, first.metrics)
            own.load_state({"sizes": sizes[j], "columns": [column[:, j, ...] for column in found]})
            trainer.meter = own
            history.append({"epoch": trainer.epoch + 1, **own.result(), "lr": rates[j], "seconds": seconds})
        return history

    def _batch(
        self, shared: Sequence[tuple[Batches, slice]], rows: Array, host_rows: HostRows
    ) -> tuple[Array, Array, Array | None]:
        """Return each member's samples, targets and weights, (members, n, ...)."""
        parts = [self._taken(data, rows[members, :], host_rows[members]) for data, members in shared]
        x, y, weight = ([part[i] for part in parts] for i in range(3))
        return self._joined(x), self._joined(y), None if weight[0] is None else self._joined(weight)

    def _taken(self, data: Batches, rows: Array, host_rows: HostRows) -> tuple[Array, Array, Array | None]:
        xp, shape = self.xp, tuple(rows.shape)
        flat = xp.reshape(rows, (-1,))

        def of_each(a: Array) -> Array:
            if data.resident or a is data.weight:
                taken = xp.take(a, flat, axis=0)
            else:
                taken = self.backend.asarray(a[host_rows.reshape(-1)])
            return xp.reshape(taken, (*shape, *taken.shape[1:]))

        return of_each(data.x), of_each(data.y), None if data.weight is None else of_each(data.weight)

    def _joined(self, parts: list[Array]) -> Array:
        return parts[0] if len(parts) == 1 else self.xp.concat(parts)

    def _of_each(self, numbers: list[float]) -> Any:
        """Return a number of each member: an array, or where all are alike the number, as a lone trainer has it."""
        return numbers[0] if alike(numbers) else self.backend.asarray(numbers, self.trainers[0].dtype)

    def _stacked(self, each: Sequence[dict[str, Array]]) -> dict[str, Array]:
        return {name: self.xp.stack([own[name] for own in each]) for name in each[0]}

    def _state(self, *, copy: bool = False) -> tuple[Any, Any]:
        """Return parameters and the optimizer's state; `copy` lets them outlive the next step, which takes them."""
        if not copy:
            return self.params, self.opt_state

        def copied(arrays: dict[str, Array]) -> dict[str, Array]:
            return {name: self.xp.asarray(a, copy=True) for name, a in arrays.items()}

        state = {slot: own if slot == "t" else copied(own) for slot, own in self.opt_state.items()}
        return copied(self.params), state

    def _hand_out(self, state: tuple[Any, Any], members: Any) -> None:
        params, opt_state = state
        for j in map(int, members):
            trainer = self.trainers[j]
            trainer.params = {name: a[j, ...] for name, a in params.items()}
            trainer.opt_state = {
                slot: int(own) if slot == "t" else {name: a[j, ...] for name, a in own.items()}
                for slot, own in opt_state.items()
            }

    def _finite(self) -> HostRows:
        """Return which members' weights are all finite."""
        xp = self.xp
        fine = [xp.all(xp.isfinite(p), axis=tuple(range(1, p.ndim))) for p in self.params.values()]
        found: HostRows = np.all(self.backend.fetch(fine), axis=0)
        return found


def group_size(trainer: Trainer, batch_size: int) -> int | None:
    """Return how many members' arrays of a step stay in the processor's cache; None where all at once are best.

    A step touches each parameter, its gradient, the optimizer's arrays and two of its temporaries, and for each sample
    what goes into each layer and the gradient of that.
    """
    assert trainer.input_shape is not None
    some = next(iter(trainer.params.values()))
    budget: int | None = cache_budget(some)
    if budget is None:
        return None
    weights = sum(math.prod(p.shape) for p in trainer.params.values()) * (4 + len(trainer.optimizer.slots))
    shapes = trainer.net.shapes(trainer.input_shape) if isinstance(trainer.net, Sequential) else []
    samples = 2 * batch_size * sum(math.prod(shape) for shape in [trainer.input_shape, *shapes])
    itemsize = 8 if trainer.dtype == "float64" else 4
    fits: int = budget // ((weights + samples) * itemsize)
    return max(1, fits)


def alike(numbers: Sequence[float]) -> bool:
    """Whether all numbers are one and the same."""
    return all(number == numbers[0] for number in numbers)


def stepped_together(
    members: Sequence[Trainer], left: Sequence[int], rows: Sequence[HostRows], batch_size: int, most: int | None
) -> list[list[int]]:
    """Return the members that are stepped together: as many rows and steps each, and no more than `most`, or fit."""
    found, equal = [], dict[tuple[int, int], list[int]]()
    for i in left:
        equal.setdefault((len(rows[i]), int(members[i].opt_state["t"])), []).append(i)
    for (n, _), own in equal.items():
        size = most or group_size(members[0], min(batch_size, n)) or len(own)
        found += [[int(i) for i in part] for part in np.array_split(own, -(-len(own) // size))]
    return found


def _sizes(data: Batches, order: HostRows, starts: range) -> HostRows:
    """Return the sum of the weights in each batch of each member, (members, batches)."""
    if data.host_weight is None:
        stops = [*starts[1:], order.shape[1]]
        return np.tile(np.subtract(stops, starts).astype(float), (len(order), 1))
    return np.add.reduceat(of_samples(data.host_weight)[order], list(starts), axis=1, dtype="float64")


def _shared(data: Sequence[Batches]) -> list[tuple[Batches, slice]]:
    """Return the members' samples, each with those beside each other that share it."""
    starts = [i for i, own in enumerate(data) if i == 0 or own is not data[i - 1]]
    return [(data[i], slice(i, stop)) for i, stop in zip(starts, [*starts[1:], len(data)], strict=True)]
