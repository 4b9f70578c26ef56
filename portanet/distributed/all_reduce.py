"""All-reduce between backward pass and update: sum the gradients and metrics of all processes in one flat array."""

from __future__ import annotations

import math
from typing import Any

from portanet.backends import Backend
from portanet.backends.collective import FlatSum, flat_sum
from portanet.backends.namespace import namespace
from portanet.distributed.ranks import Ranks
from portanet.engine.step import Step
from portanet.errors import ConfigError
from portanet.layers import BatchNorm
from portanet.layers.tree import walk
from portanet.typing import Array, Params, Shape

FLAGS = 2  # whether a process wants to stop; whether one wants to check for NaN


class Exchange:
    """A training step with several processes: each computes gradients, they are summed, and each updates its copy.

    Called like :class:`~portanet.Step`, with ``counters["part"]``. Returns the loss and each metric as arrays with an
    entry for each process, (ranks, ...), because the metric of a batch need not be the mean of its parts' metrics. They
    are host arrays where the sums are on the host, else they stay on the device until somebody looks.

    Attributes
    ----------
    sizes : array, shape (ranks,)
        The sum of weights for each of these entries.
    wanted : list of bool
        Set before a step: whether this process wants to stop, and to check for NaN.
    agreed : list of bool
        Set after a step: whether any process does.
    """

    def __init__(self, step: Step, ranks: Ranks, backend: Backend) -> None:
        self.ranks, self.backend, self.dtype = ranks, backend, step.dtype
        self.sizes: Array = ()
        self.wanted, self.agreed = [False] * FLAGS, [False] * FLAGS
        self.flat: FlatSum | None = None  # created in the first step, when the size of the metrics is known
        self._places: dict[str, tuple[int, Shape]] = {}
        self._averaged: list[str] = []
        self._tail = 0
        norms = [f"{path}." if path else "" for path, layer in walk(step.net) if isinstance(layer, BatchNorm)]
        self._gradients = backend.compile(step.before_update)
        self._traced = self._gradients != step.before_update
        if self._traced and norms and ranks.batch_norm == "global" and ranks.size > 1:
            message = (
                f"several processes cannot add up BatchNorm's statistics within a step that {backend.name} compiles; "
                f"take ranks=Ranks(batch_norm='local') (--batch-norm local), or the backend numpy or torch"
            )
            raise ConfigError(message)
        if ranks.batch_norm == "local":
            self._averaged = [f"{place}{name}" for place in norms for name in ("mean", "variance")]
        self._update = backend.compile(step.update, donate=(0, 2))

    def __call__(
        self,
        params: Params,
        buffers: Params,
        opt_state: dict[str, Any],
        x: Array,
        y: Array,
        weight: Array | None,
        counters: dict[str, Any],
    ) -> tuple[Params, Params, dict[str, Any], Any, tuple[Any, ...]]:
        known = {name: counters[name] for name in ("lr", "seed", "step", "part")}
        if self._traced:
            known["part"] = known["part"]._replace(add=None)  # a compiled step cannot take a function
        grads, buffers, loss, measured = self._gradients(params, buffers, x, y, weight, known)
        own = [loss, *measured]
        if self.flat is None:
            self._lay_out(grads, buffers, 1 + sum(_size(a) for a in own))
        grads, buffers, table = self._summed(grads, buffers, counters["size"], own)
        params, opt_state = self._update(params, grads, opt_state, counters["lr"])
        self.sizes, at = table[:, 0], 1
        found = []
        for a in own:
            found.append(namespace(table).reshape(table[:, at : at + _size(a)], (-1, *a.shape)))
            at += _size(a)
        return params, buffers, opt_state, found[0], tuple(found[1:])

    def _lay_out(self, grads: Params, buffers: Params, numbers: int) -> None:
        """Assign each gradient, and each averaged buffer, a position that is the same in all processes."""
        self._tail = 0
        for name, a in (*sorted(grads.items()), *((n, buffers[n]) for n in self._averaged)):
            self._places[name] = (self._tail, tuple(a.shape))
            self._tail += math.prod(a.shape)
        self.flat = flat_sum(self.backend, self.ranks, self._tail + FLAGS + self.ranks.size * numbers, self.dtype)

    def _summed(self, grads: Params, buffers: Params, size: float, own: list[Array]) -> tuple[Params, Params, Any]:
        """Return the summed gradients, the averaged buffers, and the table of losses and metrics, (ranks, numbers)."""
        flat, ranks = self.flat, self.ranks
        assert flat is not None
        for name, a in grads.items():
            flat.write(self._places[name][0], a)
        for name in self._averaged:
            flat.write(self._places[name][0], buffers[name] * (1.0 / ranks.size))
        numbers, first = 1 + sum(_size(a) for a in own), self._tail + FLAGS
        flat.clear(self._tail)  # in the sum, the other processes' numbers take the place of these zeros
        at = first + ranks.rank * numbers
        flat.write_host(at, [size])
        for a in own:
            flat.write(at + 1, a)
            at += _size(a)
        if flat.late:  # a look at the sums would wait for the device
            self.agreed = ranks.any_of(self.wanted)
            flat.add_up()
            table = self.backend.xp.asarray(flat.read(first, (ranks.size, numbers)), copy=True)
        else:
            flat.write_host(self._tail, [float(flag) for flag in self.wanted])
            flat.add_up()
            tail = flat.read_host(self._tail, first + ranks.size * numbers)
            self.agreed = [bool(flag > 0) for flag in tail[:FLAGS]]
            table = tail[FLAGS:].reshape((ranks.size, numbers))
        xp = self.backend.xp
        buffers = {**buffers, **{name: xp.asarray(self._read(name), copy=True) for name in self._averaged}}
        return {name: self._read(name) for name in grads}, buffers, table

    def _read(self, name: str) -> Array:
        assert self.flat is not None
        return self.flat.read(*self._places[name])


def _size(array: Array) -> int:
    return math.prod(array.shape)
