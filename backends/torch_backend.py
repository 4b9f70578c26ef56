"""torch backend: CPU, CUDA and Apple's MPS, without autograd."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import array_api_compat.torch as xp
import numpy as np
import torch
from array_api_compat import is_torch_array

from portanet.backends.base import Backend
from portanet.backends.forks import lost_threads
from portanet.backends.host import Memory
from portanet.errors import ConfigError, PortanetError
from portanet.typing import Array

_FATAL = ("illegal memory access", "unspecified launch failure", "device-side assert", "launch timed out")
_FORKED = "in forked subprocess"
_NO_MEMORY = ("can't allocate memory", "out of memory")


class TorchBackend(Backend):
    """Torch tensors on one device; `place` is ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or empty (torch's default)."""

    name = "torch"
    xp = xp

    def __init__(self, place: str = "") -> None:
        place = "cuda:0" if place == "cuda" else place  # tensors have the index, so that devices compare equal
        self.device = torch.device(place) if place else torch.get_default_device()
        self.spec = f"torch:{self.device}"

    def _owns(self, x: Array) -> bool:
        # Sparse and nested tensors, and those without values, are refused on their way through the host.
        return is_torch_array(x) and x.layout is torch.strided and not x.is_nested and not x.is_meta

    def _put(self, x: Array) -> Array:
        if isinstance(x, np.ndarray):
            # from_numpy shares the memory; it warns about read-only arrays, and refuses strides such as those of
            # reversed arrays and of a table's columns.
            if not x.flags.writeable or any(stride < 0 or stride % x.itemsize for stride in x.strides):
                x = x.copy()
            x = torch.from_numpy(x)
        elif x.requires_grad:
            x = x.detach()
        return x.resolve_neg().to(self.device)

    @contextlib.contextmanager
    def _scope(self, dtype: str) -> Iterator[None]:
        if self.device.type == "cpu" and lost_threads("torch"):
            msg = "had loaded torch, whose threads a fork does not copy"
            raise self._forked(msg)
        if self.device.type == "mps" and dtype == "float64":
            message = f"{self.spec} has no {dtype}; use float32, or the backend torch:cpu"
            raise ConfigError(message)
        with torch.no_grad():
            if self.device.type == "cuda":
                with torch.cuda.device(self.device):
                    yield
            else:
                yield

    def synchronize(self) -> None:
        with self.activate():
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            elif self.device.type == "mps":
                torch.mps.synchronize()

    def memory(self) -> Memory | None:
        """Return free (including torch's cache) and total memory of the device, in bytes."""
        if self.device.type == "cuda":
            free, total = torch.cuda.mem_get_info(self.device)
            cached = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
            return Memory(free + cached, total)
        if self.device.type == "mps":
            total = torch.mps.recommended_max_memory()
            return Memory(total - torch.mps.driver_allocated_memory(), total)
        return super().memory()

    def _translate(self, error: Exception) -> PortanetError | None:
        # These errors differ only in their messages; the GPU's OutOfMemoryError is a RuntimeError as well.
        if isinstance(error, RuntimeError):
            said = str(error)
            if any(words in said for words in _FATAL):
                return self._dead(error)
            if _FORKED in said:
                return self._forked()
            if isinstance(error, torch.OutOfMemoryError) or any(words in said for words in _NO_MEMORY):
                return self._out_of_memory(error)
        return super()._translate(error)
