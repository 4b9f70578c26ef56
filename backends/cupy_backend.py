"""CuPy backend: NVIDIA GPUs. Written for CuPy 14 (CuPy 13 promotes dtypes by value)."""

from __future__ import annotations

import contextlib
import functools
import re
from typing import Any, cast

import array_api_compat.cupy as xp
import cupy
from array_api_compat import is_cupy_array

from portanet.backends.base import Backend, F
from portanet.backends.host import Memory
from portanet.errors import PortanetError
from portanet.typing import Array

# Status codes after which CUDA cannot be used in this process (uncorrectable memory, a lost link, an illegal address, a
# failed or timed-out launch, an assertion…), and those with which cuBLAS reports such a failure.
_FATAL = frozenset({214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 721})
_CUBLAS_FATAL = frozenset({13, 14})
_NO_MEMORY = 2
_FORKED = 3  # not initialised: for a working GPU, only in a forked process
_CUBLAS_NO_MEMORY = frozenset({1, 3})  # no memory for its handle, or for its workspace
_SLICE = 1 << 26
"""Bytes copied at a time. On an H100, 2 GB take 0.3 s in slices of this size, and 1.1 s in one copy."""


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
        if is_cupy_array(x) or x.nbytes <= _SLICE:
            return cupy.asarray(x)  # on the current device, also from another GPU; no copy if it is already there
        # In slices: cupy.asarray would copy the whole array to page-locked memory and keep that memory.
        there, host = cupy.empty(x.shape, x.dtype), x.reshape(-1)
        numbers, flat = _SLICE // x.itemsize, there.reshape(-1)
        for start in range(0, x.size, numbers):
            flat[start : start + numbers].set(host[start : start + numbers])
        return there

    def _scope(self, dtype: str) -> contextlib.AbstractContextManager[Any]:
        # The creation functions of array-api-compat ignore device= and use the current device.
        return cast(contextlib.AbstractContextManager[Any], cupy.cuda.Device(self.index))

    def synchronize(self) -> None:
        with self.activate():
            self.device.synchronize()

    def fuse(self, function: F) -> F:
        """Return `function` as one kernel.

        Notes
        -----
        Inside a fused function CuPy computes between two Python scalars in float16 and int8: ``1 - b`` with b = 0.999
        gives 0.00098, and ``t * t`` with t = 1000 gives 64. Scalar arguments are therefore passed in the dtype of the
        array arguments.
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

    def memory(self) -> Memory:
        """Return free (including CuPy's pool) and total memory of the GPU, in bytes."""
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
        if isinstance(error, cupy.cuda.cublas.CUBLASError):
            if status in _CUBLAS_FATAL:
                return self._dead(error)
            if status in _CUBLAS_NO_MEMORY:
                return self._out_of_memory(error)
        return super()._translate(error)
