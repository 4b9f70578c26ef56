"""All-reduce of CuPy arrays over processes. None of this has been run on a GPU so far."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from typing import Any

import cupy
import numpy as np

from portanet.backends.base import Backend
from portanet.backends.flat_sum import FlatSum
from portanet.typing import Array, Shape


class PinnedSum(FlatSum):
    """All-reduce through page-locked host memory, from and to which a GPU copies directly.

    The device is waited for once a step: loss and metrics come down with the gradients, and host numbers go up with
    the sums.
    """

    def _allocate(self, size: int, dtype: str) -> Any:
        kind = np.dtype(dtype)
        self.flat = cupy.zeros(size, kind)
        self._numbers: list[tuple[int, Sequence[float]]] = []
        return np.frombuffer(cupy.cuda.alloc_pinned_memory(size * kind.itemsize), kind, size)

    def clear(self, start: int) -> None:
        self.flat[start:].fill(0)
        self._numbers.clear()

    def write(self, start: int, array: Array) -> None:
        self.flat[start : start + array.size] = array.reshape(-1)

    def write_host(self, start: int, numbers: Sequence[float]) -> None:
        self._numbers.append((start, numbers))

    def read(self, start: int, shape: Shape) -> Array:
        return self.flat[start : start + int(np.prod(shape, dtype=int))].reshape(shape)

    def add_up(self) -> None:
        self.flat.get(out=self.host)  # one copy down, one sum, one copy up
        for start, numbers in self._numbers:
            super().write_host(start, numbers)
        self.ranks.add_up(self.host)
        self.flat.set(self.host)


class DirectSum(PinnedSum):
    """All-reduce on the GPU, with a function that sums a device array in place on the current stream."""

    late = True

    def __init__(self, backend: Backend, ranks: Any, size: int, dtype: str, add: Any) -> None:
        super().__init__(backend, ranks, size, dtype)
        self._add = add

    def _allocate(self, size: int, dtype: str) -> Any:
        self.flat = cupy.zeros(size, dtype)
        return None  # nothing is staged

    def clear(self, start: int) -> None:
        self.flat[start:].fill(0)

    def write_host(self, start: int, numbers: Sequence[float]) -> None:
        for i, number in enumerate(numbers, start):
            self.flat[i : i + 1].fill(number)  # an argument of a kernel: no copy to wait for

    def read_host(self, start: int, stop: int) -> Any:
        return self.flat[start:stop].get()

    def add_up(self) -> None:
        with self.ranks.timed():
            self._add(self.flat)


def cuda_sum(backend: Any, ranks: Any, size: int, dtype: str) -> FlatSum:
    """Return NCCL's sum if each process has a GPU, MPI's if it accepts device arrays, otherwise the sum on the host.

    The first two are used only if ``ranks.gpu`` is set.
    """
    if not ranks.gpu:
        return PinnedSum(backend, ranks, size, dtype)
    add = nccl_sum(backend, ranks) or _cuda_aware(ranks)
    return PinnedSum(backend, ranks, size, dtype) if add is None else DirectSum(backend, ranks, size, dtype, add)


def nccl_sum(backend: Any, ranks: Any) -> Any:
    """Return NCCL's sum over the processes of `ranks`; None if it is missing or two processes would share a GPU."""
    # Not by the GPU's number: each process may see one GPU alone, number 0.
    places = ranks.gather((platform.node(), cupy.cuda.Device(backend.index).pci_bus_id))
    if len(set(places)) < len(places):  # NCCL needs one GPU for each process
        return None
    from cupy.cuda import nccl

    if not all(ranks.gather(bool(nccl.available))):
        return None
    name = ranks.on_first(nccl.get_unique_id)
    with backend.activate():
        joined = nccl.NcclCommunicator(ranks.size, name, ranks.rank)  # waits for the others
    kinds = {"f": nccl.NCCL_FLOAT32, "d": nccl.NCCL_FLOAT64}

    def add(array: Any) -> None:
        place, stream = array.data.ptr, cupy.cuda.get_current_stream().ptr
        joined.allReduce(place, place, array.size, kinds[array.dtype.char], nccl.NCCL_SUM, stream)

    return add


def _cuda_aware(ranks: Any) -> Any:
    """Return MPI's sum of device arrays (CUDA-aware MPI), or None if the library does not report support."""
    said = ranks.mpi.Get_library_version()
    aware = os.environ.get("MPICH_GPU_SUPPORT_ENABLED") == "1" or "cuda" in said.lower()
    if not all(ranks.gather(aware)):
        return None

    def add(array: Any) -> None:
        cupy.cuda.get_current_stream().synchronize()  # MPI does not synchronize with CUDA streams
        ranks.comm.Allreduce(ranks.mpi.IN_PLACE, array, op=ranks.mpi.SUM)

    return add
