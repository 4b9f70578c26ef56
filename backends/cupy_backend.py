"""CuPy: NVIDIA GPUs. Written for CuPy 14 (CuPy 13 promotes dtypes by value)."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Iterator
from typing import Any, cast

import array_api_compat.cupy as xp
import cupy
import numpy as np
from array_api_compat import is_cupy_array

from portanet.backends.base import Backend, F, Memory
from portanet.backends.host import HostArray
from portanet.errors import PortanetError
from portanet.typing import Array

__all__ = ["CupyBackend"]

# Statuses after which CUDA refuses everything in this process (illegal address, launch timeout or failure, assertion…).
_FATAL = frozenset({700, 702, 709, 710, 714, 715, 716, 717, 718, 719})
_NO_MEMORY = 2
_FORKED = 3  # not initialised: a GPU that works otherwise says so in a fork alone
_CUBLAS_NO_MEMORY = 3


class CupyBackend(Backend):
    """Arrays of CuPy on one GPU; `place` is its number."""

    name = "cupy"
    xp = xp

    def __init__(self, place: str = "") -> None:
        self.index = int(place or 0)
        self.spec = f"cupy:{self.index}"
        self.device = cupy.cuda.Device(self.index)

    def _owns(self, x: Array) -> bool:
        return is_cupy_array(x)

    def _put(self, x: Array) -> Array:
        return cupy.asarray(x)  # on the current device, also from another GPU; no copy where it is here

    def _scope(self, dtype: str) -> contextlib.AbstractContextManager[Any]:
        # compat's creation functions ignore device=: the current device decides.
        return cast(contextlib.AbstractContextManager[Any], cupy.cuda.Device(self.index))

    def synchronize(self) -> None:
        """Wait until the GPU has done all it was given."""
        with self.activate():
            self.device.synchronize()

    def fuse(self, function: F) -> F:
        """Return `function` as one kernel.

        Notes
        -----
        Inside a fused function CuPy computes between two Python scalars in float16 and int8: ``1 - b`` with b = 0.999
        gives 0.00098, and ``t * t`` with t = 1000 gives 64. Scalar arguments are therefore handed over in the dtype of
        the arrays beside them.
        """
        fused = cupy.fuse(kernel_name="fused_" + re.sub(r"\W", "_", function.__name__))(function)

        @functools.wraps(function)
        def call(*args: Any) -> Any:
            dtypes = [x.dtype for x in args if isinstance(x, cupy.ndarray)]
            real = next((d for d in dtypes if d.kind == "f"), None)
            whole = next((d for d in dtypes if d.kind in "iu"), real)
            kinds = {float: real, int: whole}
            return fused(*(x if (d := kinds.get(type(x))) is None else d.type(x) for x in args))

        return cast(F, call)

    def compile(self, function: F, donate: tuple[int, ...] = ()) -> F:
        """Return `function` as it is, or, where it donates arrays as a step of training does, as a CUDA graph.

        Notes
        -----
        The latter where the environment's ``PORTANET_CUPY_GRAPHS`` is 1 (:mod:`portanet.backends.cuda_graphs.graph`);
        it is off by default: it was written without a GPU at hand and has never run on one.
        """
        if not donate or os.environ.get("PORTANET_CUPY_GRAPHS") != "1":
            return function
        from portanet.backends.cuda_graphs.graph import Graphed

        return cast(F, Graphed(function, donate))

    def upload(self, batches: Iterator[tuple[HostArray | None, ...]]) -> Iterator[tuple[Array | None, ...]]:
        """Yield tuples of host arrays as arrays on the GPU, each sent while the one before it is worked on.

        Notes
        -----
        That is done where the environment's ``PORTANET_DOUBLE_BUFFER`` is 1, and is off by default: it was written
        without a GPU at hand and has never run on one.
        """
        if os.environ.get("PORTANET_DOUBLE_BUFFER") != "1":
            yield from super().upload(batches)
            return
        with self._scope("float32"):
            copying, slots = cupy.cuda.Stream(non_blocking=True), (_Slot(), _Slot())
        waiting: tuple[_Slot, tuple[Array | None, ...]] | None = None
        for i, arrays in enumerate(batches):
            with self.activate():
                sent = slots[i % 2], slots[i % 2].send(arrays, copying)
            if waiting is not None:
                yield self._arrived(*waiting)
            waiting = sent
        if waiting is not None:
            yield self._arrived(*waiting)

    def _arrived(self, slot: _Slot, arrays: tuple[Array | None, ...]) -> tuple[Array | None, ...]:
        """Let what is computed from here on wait for the arrays; the host does not."""
        with self.activate():
            cupy.cuda.get_current_stream().wait_event(slot.done)
        return arrays

    def memory(self) -> Memory:
        """Free (also within CuPy's pool) and total memory of the GPU, in bytes."""
        with self._scope("float32"):
            free, total = cupy.cuda.runtime.memGetInfo()
            return Memory(free + cupy.get_default_memory_pool().free_bytes(), total)

    def _translate(self, error: Exception) -> PortanetError | None:
        status = getattr(error, "status", None)
        if isinstance(error, cupy.cuda.runtime.CUDARuntimeError | cupy.cuda.driver.CUDADriverError):
            if status in _FATAL:
                return self._dead(error)
            if status == _FORKED:
                return self._forked()
            if status == _NO_MEMORY:
                return self._out_of_memory(error)
        if isinstance(error, cupy.cuda.cublas.CUBLASError) and status == _CUBLAS_NO_MEMORY:  # its workspace did not fit
            return self._out_of_memory(error)
        return super()._translate(error)


class _Slot:
    """Page-locked host memory for one batch on its way; only from such does a copy run beside the host and the GPU."""

    def __init__(self) -> None:
        self.done = cupy.cuda.Event(disable_timing=True)
        self._memory: list[Any] = []

    def send(self, arrays: tuple[HostArray | None, ...], copying: Any) -> tuple[Array | None, ...]:
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
        while len(self._memory) <= i:
            self._memory.append(None)
        if self._memory[i] is None or self._memory[i].size() < host.nbytes:
            self._memory[i] = cupy.cuda.alloc_pinned_memory(host.nbytes)
        locked = np.frombuffer(self._memory[i], host.dtype, host.size).reshape(host.shape)
        locked[...] = host
        return cast(HostArray, locked)
