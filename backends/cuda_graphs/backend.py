"""CuPy with steps as CUDA graphs, and batches that are sent while the one before is worked on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import cupy
import numpy as np

from portanet.backends.base import F
from portanet.backends.cuda_graphs.graph import Graphed
from portanet.backends.cupy_backend import CupyBackend
from portanet.backends.host import HostArray
from portanet.typing import Array

_Batch = tuple[Array | None, ...]


class GraphBackend(CupyBackend):
    """The backend of CuPy, unless the environment's ``PORTANET_CUPY_GRAPHS`` is 0."""

    def compile(self, function: F, donate: tuple[int, ...] = ()) -> F:
        """Return `function` as a CUDA graph if it donates arrays, as a step of training does, else as it is."""
        return cast(F, Graphed(function, donate)) if donate else function

    def upload(self, batches: Iterator[tuple[HostArray | None, ...]]) -> Iterator[_Batch]:
        """Yield tuples of host arrays as arrays on the GPU, each sent while the one before it is worked on."""
        with self._scope("float32"):
            copying, slots = cupy.cuda.Stream(non_blocking=True), (_Slot(), _Slot())
        waiting: tuple[_Slot, _Batch] | None = None
        try:
            for i, arrays in enumerate(batches):
                with self.activate():
                    sent = slots[i % 2], slots[i % 2].send(arrays, copying)
                if waiting is not None:
                    yield self._arrived(*waiting)
                waiting = sent
            if waiting is not None:
                yield self._arrived(*waiting)
        finally:  # where it is closed early, a copy may be under way into memory that is about to be free
            for slot in slots:
                slot.done.synchronize()

    def _arrived(self, slot: _Slot, arrays: _Batch) -> _Batch:
        """Let what is computed from here on wait for the arrays; the host does not."""
        with self.activate():
            cupy.cuda.get_current_stream().wait_event(slot.done)
        return arrays


class _Slot:
    """Page-locked host memory for one batch on its way; only from such does a copy run beside the host and the GPU."""

    def __init__(self) -> None:
        self.done = cupy.cuda.Event(disable_timing=True)
        self._memory: dict[int, Any] = {}

    def send(self, arrays: tuple[HostArray | None, ...], copying: Any) -> _Batch:
        """Start the copies of a batch, and return the arrays on the GPU that they will be in."""
        self.done.synchronize()  # the batch before the last one, which was in this memory, has gone
        # Allocated on the stream that computes: memory freed there may still be read by it, so the copies wait for all
        # that it has been given so far, which is the step before the one that is about to run.
        there = [None if a is None else cupy.empty(a.shape, a.dtype) for a in arrays]
        copying.wait_event(cupy.cuda.get_current_stream().record())
        for i, (host, device) in enumerate(zip(arrays, there, strict=True)):
            if host is not None and device is not None and host.size:
                device.set(self._locked(i, host), stream=copying)
        self.done.record(copying)
        return tuple(there)

    def _locked(self, i: int, host: HostArray) -> HostArray:
        """Return a copy of an array in the memory kept for the `i`-th of a batch."""
        if i not in self._memory or self._memory[i].size() < host.nbytes:
            self._memory[i] = cupy.cuda.alloc_pinned_memory(host.nbytes)
        locked = np.frombuffer(self._memory[i], host.dtype, host.size).reshape(host.shape)
        locked[...] = host
        return cast(HostArray, locked)
