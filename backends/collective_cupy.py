"""All-reduce of CuPy arrays over processes. None of this has been run on a GPU so far."""

from __future__ import annotations

import contextlib
import os
import platform
from typing import Any

import cupy
import numpy as np

from portanet.backends.base import Backend
from portanet.backends.flat_sum import FlatSum
from portanet.typing import Array, Shape


class PinnedSum(FlatSum):
    """All-reduce through page-locked host memory, from and to which a GPU copies directly."""

    def _allocate(self, size: int, dtype: str) -> Any:
        kind = np.dtype(dtype)
        self.flat = cupy.zeros(size, kind)
        return np.frombuffer(cupy.cuda.alloc_pinned_memory(size * kind.itemsize), kind, size)

    def write(self, start: int, array: Array) -> None:
        self.flat[start : start + array.size] = array.reshape(-1)

    def write_host(self, start: int, numbers: list[float]) -> None:
        self.flat[start : start + len(numbers)] = cupy.asarray(numbers, self.flat.dtype)

    def read(self, start: int, shape: Shape) -> Array:
        return self.flat[start : start + int(np.prod(shape, dtype=int))].reshape(shape)

    def read_host(self, start: int, stop: int) -> Any:
        return self.flat[start:stop].get()

    def add_up(self) -> None:
        self.flat.get(out=self.host)  # one copy down, one sum, one copy up
        self.ranks.add_up(self.host)
        self.flat.set(self.host)


class _DirectSum(PinnedSum):
    """All-reduce on the GPU, with a function that sums a device array in place."""

    def __init__(self, backend: Backend, ranks: Any, size: int, dtype: str, add: Any) -> None:
        super().__init__(backend, ranks, size, dtype)
        self._add = add

    def add_up(self) -> None:
        with self.ranks.timed():
            self._add(self.flat)
            self.backend.synchronize()


def cuda_sum(backend: Any, ranks: Any, size: int, dtype: str) -> FlatSum:
    """Return NCCL's sum if each process has a GPU, MPI's if it accepts device arrays, otherwise the sum on the host.

    The first two are used only if ``ranks.gpu`` is set.
    """
    if not ranks.gpu:
        return PinnedSum(backend, ranks, size, dtype)
    add = _nccl(backend, ranks) or _cuda_aware(ranks)
    return PinnedSum(backend, ranks, size, dtype) if add is None else _DirectSum(backend, ranks, size, dtype, add)


def _nccl(backend: Any, ranks: Any) -> Any:
    """Return NCCL's sum (cupyx.distributed), or None if it is missing or two processes would share a GPU."""
    places = ranks.gather((platform.node(), backend.index))
    if len(set(places)) < len(places):  # NCCL needs one GPU for each process
        return None
    found: Any = None
    with contextlib.suppress(ImportError, RuntimeError):
        from cupyx.distributed import init_process_group

        found = init_process_group(ranks.size, ranks.rank, backend="nccl", use_mpi=True)
    if not all(ranks.gather(found is not None)):
        return None
    return lambda array: found.all_reduce(array, array)


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
