"""All-reduce for a backend: on the host, staged through the host, or directly on the GPU."""

from __future__ import annotations

from typing import Any

from portanet.backends.base import Backend
from portanet.backends.flat_sum import FlatSum

__all__ = ["FlatSum", "flat_sum"]


def flat_sum(backend: Backend, ranks: Any, size: int, dtype: str) -> FlatSum:
    """Return the all-reduce for a backend: on the GPU if possible and allowed by `ranks`, otherwise on the host."""
    if backend.name == "cupy":
        from portanet.backends.collective_cupy import cuda_sum

        return cuda_sum(backend, ranks, size, dtype)
    return FlatSum(backend, ranks, size, dtype)
