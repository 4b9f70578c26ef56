"""CuPy backend with training steps as CUDA graphs, and batches copied while the previous one is computed."""

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
    """The CuPy backend, unless the environment variable ``PORTANET_CUPY_GRAPHS`` is 0."""

    def compile(self, function: F, donate: tuple[int, ...] = ()) -> F:
        """Return `function` as a CUDA graph if it donates arrays, as a training step does, otherwise unchanged."""
        return cast(F, Graphed(function, donate)) if donate else function

    def upload(self, batches: Iterator[tuple[HostArray | None, ...]]) -> Iterator[_Batch]:
        """Yield tuples of host arrays as arrays on the GPU; each is copied while the previous is used (prefetch)."""
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
        finally:  # if closed early, a copy to memory that is about to be freed may be running
            for slot in slots:
                slot.done.synchronize()

    def _arrived(self, slot: _Slot, arrays: _Batch) -> _Batch:
        """Make the current stream wait for the arrays, without blocking the host."""
        with self.activate():
            cupy.cuda.get_current_stream().wait_event(slot.done)
        return arrays


class _Slot:
    """Page-locked host memory for one batch in transfer; only copies from such memory are asynchronous."""

    def __init__(self) -> None:
        self.done = cupy.cuda.Event(disable_timing=True)
        self._memory: dict[int, Any] = {}

    def send(self, arrays: tuple[HostArray | None, ...], copying: Any) -> _Batch:
        """Start copying a batch, and return its destination arrays on the GPU."""
        self.done.synchronize()  # wait until the earlier batch in this memory has been copied
        # The arrays are allocated on the computing stream, which may still read memory freed there. The copies
        # therefore wait for the work queued so far, which ends with the step before the one that is about to run.
        there = [None if a is None else cupy.empty(a.shape, a.dtype) for a in arrays]
        copying.wait_event(cupy.cuda.get_current_stream().record())
        for i, (host, device) in enumerate(zip(arrays, there, strict=True)):
            if host is not None and device is not None and host.size:
                device.set(self._locked(i, host), stream=copying)
        self.done.record(copying)
        return tuple(there)

    def _locked(self, i: int, host: HostArray) -> HostArray:
        """Return a copy of the `i`-th array of a batch in page-locked memory that is reused."""
        if i not in self._memory or self._memory[i].size() < host.nbytes:
            self._memory[i] = cupy.cuda.alloc_pinned_memory(host.nbytes)
        locked = np.frombuffer(self._memory[i], host.dtype, host.size).reshape(host.shape)
        locked[...] = host
        return cast(HostArray, locked)
