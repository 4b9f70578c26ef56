"""array-api-strict: a minimal implementation of the standard, which tests use in place of a GPU.

Arrays on its second device cannot be mixed with host arrays. Its flags forbid boolean masks and data-dependent shapes,
which make a GPU wait for the host.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import array_api_strict as xp
import numpy as np

from portanet.backends.base import Backend
from portanet.backends.host import is_strict_array
from portanet.typing import Array


class StrictBackend(Backend):
    """Arrays of array-api-strict; `place` is one of its devices, ``device1`` or ``device2``; its CPU by default."""

    name = "strict"
    xp = xp

    def __init__(self, place: str = "") -> None:
        self.device = xp.Device(place or "CPU_DEVICE")
        self.spec = f"strict:{place}" if place else "strict"

    def _owns(self, x: Array) -> bool:
        return is_strict_array(x)

    def _put(self, x: Array) -> Array:
        if not is_strict_array(x):
            return xp.asarray(x, device=self.device)
        return x if x.device == self.device else x.to_device(self.device)

    @contextlib.contextmanager
    def _scope(self, dtype: str) -> Iterator[None]:
        # Overflow is silent, as in every other library (see backends/numpy_backend.py).
        with xp.ArrayAPIStrictFlags(boolean_indexing=False, data_dependent_shapes=False), np.errstate(all="ignore"):
            yield
