"""JAX backend: CPU, GPU or TPU, with the step compiled by XLA."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import jax
import jax.numpy as xp
import numpy as np
from array_api_compat import is_jax_array

from portanet.backends.base import WIDE, Backend, F
from portanet.backends.forks import lost_threads
from portanet.backends.host import HostArray, Memory
from portanet.errors import PortanetError
from portanet.typing import Array

_FATAL = ("CUDA_ERROR_ILLEGAL_ADDRESS", "CUDA_ERROR_LAUNCH_FAILED", "CUDA_ERROR_LAUNCH_TIMEOUT", "CUDA_ERROR_ASSERT")
_NO_MEMORY = "RESOURCE_EXHAUSTED"

_untyped: Any = jax  # parts of JAX have no type annotations
# It was in jax.experimental before JAX 0.8.
_enable_x64 = jax.enable_x64 if hasattr(jax, "enable_x64") else _untyped.experimental.enable_x64


@dataclass(frozen=True)
class _Scan:
    """Many calls of a function in one; JAX compiles those of equal functions once."""

    function: Callable[[Any, Any, Any], tuple[Any, Any]]

    def __call__(self, carry: Any, shared: Any, items: Any) -> Any:
        return _untyped.lax.scan(lambda carry, item: self.function(carry, shared, item), carry, items)


class JaxBackend(Backend):
    """Arrays of JAX on one device; `place` is ``cpu``, ``gpu``, ``gpu:1``, ``tpu:0``; JAX's default device if empty."""

    name = "jax"
    xp = xp

    def __init__(self, place: str = "") -> None:
        platform, _, index = place.partition(":")
        self.device = jax.devices(platform or None)[int(index or 0)]
        self.spec = f"jax:{platform or self.device.platform}:{index or 0}"

    def _owns(self, x: Array) -> bool:
        # One that was donated is refused on its way through the host; a traced one has no memory to lose.
        return is_jax_array(x) and not getattr(x, "is_deleted", lambda: False)()

    def _put(self, x: Array) -> Array:
        # device_put would wrap the same buffer in a new array; traced arrays have no device yet.
        return x if getattr(x, "device", None) == self.device else jax.device_put(x, self.device)

    def copied(self, x: Array, dtype: str) -> Array:
        """Return a copy of `x` on this device; ``xp.asarray(x, copy=True)`` would compile a program for its shape."""
        with self.activate(dtype):
            return jax.device_put(self.asarray(x, dtype), self.device, may_alias=False)

    def count(self, n: int) -> Any:
        """Return an array on this device: for a Python number a function would be compiled once more."""
        return jax.device_put(np.int32(n), self.device)

    @contextlib.contextmanager
    def _scope(self, dtype: str) -> Iterator[None]:
        if lost_threads("jax"):
            msg = "had loaded JAX, whose threads a fork does not copy"
            raise self._forked(msg)
        wide = _enable_x64(True) if dtype in WIDE else contextlib.nullcontext()
        with jax.default_device(self.device), wide, self._precision():
            yield

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        # On a GPU JAX's default uses TF32 for float32 products, unlike CuPy and torch; a setting of the user is kept.
        if self.device.platform == "cpu" or _untyped.config.jax_default_matmul_precision is not None:
            return contextlib.nullcontext()
        return cast(contextlib.AbstractContextManager[Any], jax.default_matmul_precision("highest"))

    def synchronize(self) -> None:
        """Wait until the device has finished all queued work.

        Notes
        -----
        ``jax.effects_barrier`` waits for side effects, not for arrays. On the CPU independent computations run in
        parallel, so this waits for every live array; on a GPU the last one queued would be enough.
        """
        with self.activate():
            last = jax.device_put(0.0, self.device) + 0
            _untyped.block_until_ready([*_untyped.live_arrays(self.device.platform), last])

    def fuse(self, function: F) -> F:
        """Return `function` compiled; Python numbers are arguments, not constants, of the compiled function."""
        return cast(F, jax.jit(function))

    def compile(self, function: F, donate: tuple[int, ...] = ()) -> F:
        """Return `function` compiled; XLA may reuse the memory of donated arguments for its results."""
        return cast(F, jax.jit(function, donate_argnums=donate))

    def scan(self, function: Callable[[Any, Any, Any], tuple[Any, Any]]) -> Callable[[Any, Any, Any], Any]:
        """Return a compiled ``lax.scan``: the host overhead of a call, as long as a small step, occurs only once."""
        return cast(Callable[[Any, Any, Any], Any], jax.jit(_Scan(function), donate_argnums=0))

    def fetch(self, arrays: Sequence[Array]) -> HostArray:
        """Return arrays of one shape as one host array; copied singly, because a stack is compiled for every length."""
        if self.device.platform != "cpu":
            arrays = jax.device_get(list(arrays))  # starts all copies before waiting for one
        return np.asarray([np.asarray(a) for a in arrays])  # on the CPU, a tenth of the time of device_get

    def memory(self) -> Memory | None:
        """Return free and total memory of the device (of the part that JAX has reserved, if any), in bytes."""
        stats = self.device.memory_stats()
        if stats and "bytes_limit" in stats:
            return Memory(stats["bytes_limit"] - stats["bytes_in_use"], stats["bytes_limit"])
        return super().memory() if self.device.platform == "cpu" else None

    def _translate(self, error: Exception) -> PortanetError | None:
        if isinstance(error, jax.errors.JaxRuntimeError):
            said = str(error)
            if any(words in said for words in _FATAL):
                return self._dead(error)
            if _NO_MEMORY in said:
                return self._out_of_memory(error)
        return super()._translate(error)
