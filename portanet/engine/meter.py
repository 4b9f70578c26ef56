"""Running loss and metrics of an epoch, kept on the device until read."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from portanet.backends import Backend
from portanet.checks import Number, check
from portanet.metrics import Metric, ScikitMetric
from portanet.typing import Array


class Meter:
    """Collects each batch's loss and metrics, and reads them from the device together.

    Attributes
    ----------
    sizes : list of float
        The sum of the weights of each batch; of each part of it where several processes share a batch.
    steps : int
        Number of batches.
    seconds : float
        What the epoch has taken so far.
    """

    def __init__(self, backend: Backend, metrics: Sequence[Metric]) -> None:
        self.backend = backend
        self.metrics = [m for m in metrics if not isinstance(m, ScikitMetric)]
        self._sizes: list[float] = []
        self.steps = 0
        self.seconds = 0.0
        self._waiting: list[tuple[Array, ...]] = []
        self._stacked: list[tuple[Array, ...]] = []
        self._late: list[Array] = []
        self._read: list[list[np.ndarray]] = [[] for _ in range(1 + len(self.metrics))]

    @property
    def sizes(self) -> list[float]:
        if self._late:
            self._fetch()
        return self._sizes

    def add(self, size: float, loss: Array, measured: tuple[Array, ...]) -> None:
        """Take a batch's numbers as they are, arrays on the device."""
        self._sizes.append(size)
        self.steps += 1
        self._waiting.append((loss, *measured))
        if len(self._waiting) >= 4096:  # small arrays by the thousand are a memory of their own
            self._fetch()

    def add_many(self, sizes: Sequence[float] | Array, measured: tuple[Array, ...], steps: int) -> None:
        """Take the loss and the metrics of several batches, stacked, or those of the parts of one.

        The sizes may be an array on the device as well, then in all calls.
        """
        if self._waiting or len(self._stacked) >= 4096:
            self._fetch()
        if isinstance(sizes, list | np.ndarray):
            self._sizes += list(map(float, sizes))
        else:
            self._late.append(sizes)
        self.steps += steps
        self._stacked.append(measured)

    def result(self) -> dict[str, float]:
        """Return the loss and the metrics over all batches so far; waits for the device."""
        self._fetch()
        sizes = np.asarray(self.sizes)
        values = [np.concatenate(column).astype(np.float64) for column in self._read]
        loss = float((values[0] * sizes).sum() / max(sizes.sum(), 1e-30))
        found = zip(self.metrics, values[1:], strict=True)
        return {"loss": loss, **{metric.name: metric.merge(column, sizes) for metric, column in found}}

    def copy(self) -> Meter:
        """Return a meter of its own with the same numbers, on the host."""
        found = Meter(self.backend, self.metrics)
        found.load_state(self.state())
        found.seconds = self.seconds
        return found

    def state(self) -> dict[str, Any]:
        """Return what was taken so far, as host arrays."""
        self._fetch()
        return {
            "sizes": np.asarray(self.sizes, np.float64),
            "steps": self.steps,
            "columns": [np.concatenate(column) for column in self._read if column],
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take back what :meth:`state` returned.

        Raises
        ------
        ValueError, KeyError, TypeError, AttributeError
            If it is something else.
        """
        sizes, columns = np.asarray(state["sizes"]), list(state["columns"])
        rows = [np.shape(column)[0] for column in columns]
        if sizes.dtype.kind not in "if" or sizes.ndim != 1 or rows not in ([], [len(sizes)] * len(self._read)):
            message = f"measured are {len(columns)} columns of {rows[:3]} numbers, of {sizes.shape} batches"
            raise ValueError(message)
        self._sizes, self._late = [float(size) for size in sizes], []
        # Files of 0.2.0 lack the steps.
        self.steps = check("steps", state.get("steps", len(sizes)), Number(0, len(sizes), whole=True))
        self._read = [[column] for column in columns] or self._read

    def _fetch(self) -> None:
        for size in self._together(self._late):
            self._sizes += size.tolist()
        for column, arrays in zip(self._read, zip(*self._stacked, strict=True), strict=bool(self._stacked)):
            column += self._together(arrays)
        self._stacked.clear()
        self._late.clear()
        if self._waiting:
            for column, arrays in zip(self._read, zip(*self._waiting, strict=True), strict=True):
                column.append(self.backend.fetch(arrays))
            self._waiting.clear()

    def _together(self, arrays: Sequence[Array]) -> list[np.ndarray]:
        """Return stacks of numbers on the host, in as few transfers as there are shapes in a row."""
        found = []
        for shape, own in itertools.groupby(arrays, lambda array: tuple(array.shape)):
            some = list(own)
            stack = np.stack(some) if isinstance(some[0], np.ndarray) else self.backend.fetch(some)
            found.append(stack.reshape((-1, *shape[1:])))
        return found
