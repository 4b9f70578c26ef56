"""What every backend offers: the few things that the Array API standard cannot express. No math."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from portanet.typing import Array

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Memory:
    """Memory of a device, in bytes."""

    free: int
    total: int


class Backend:
    """Where arrays live and how they get there. A backend has no global state: two can be used side by side.

    Attributes
    ----------
    name : str
        What :func:`portanet.backends.get` was asked for: ``"numpy"``, ``"cupy"``, ``"torch"``, ``"jax"``, ``"strict"``.
    device : Any
        The device in the library's own terms, as its ``asarray(..., device=)`` takes it.
    xp : Any
        The library's namespace as array-api-compat gives it.
    """

    name: str
    device: Any
    xp: Any

    def asarray(self, x: Array, dtype: str | None = None) -> Array:
        """Return `x` (host array, list, or array already here) on this backend's device, as `dtype` (a standard name).

        An array that is already here in that dtype is returned as it is, without a copy.
        """
        raise NotImplementedError

    def to_numpy(self, x: Array) -> np.ndarray[Any, Any]:
        """Return `x` as a NumPy array on the host; waits for the device."""
        raise NotImplementedError

    def synchronize(self) -> None:
        """Wait until the device has done all it was given (nothing to wait for on the CPU)."""

    def fuse(self, function: F) -> F:
        """Return `function` (elementwise, pure) with its operations joined into one kernel where the library can."""
        return function

    def compile(self, step: F) -> F:
        """Return the pure `step` compiled where the library can; its first three arguments are donated."""
        return step

    def memory(self) -> Memory | None:
        """Free and total memory of the device in bytes, or None where it cannot be told."""
        return None

    @contextlib.contextmanager
    def activate(self, dtype: str = "float32") -> Iterator[None]:
        """Make the device current for the block, allow `dtype` in it, and translate the library's errors into ours."""
        yield

    def __repr__(self) -> str:
        return f"<portanet backend {self.name} on {self.device}>"
