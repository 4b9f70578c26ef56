"""Conversion of any library's arrays to NumPy arrays on the host, and the host's free memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import device, is_cupy_array, is_jax_array, is_torch_array

from portanet.errors import DataError
from portanet.typing import Array

HostArray = np.ndarray[Any, Any]

_CONVERT = "convert it to a NumPy array of numbers first"


class Memory(NamedTuple):
    """Memory of a device, in bytes."""

    free: int
    total: int

    def __str__(self) -> str:
        return f"{self.free / 2**30:.1f} of {self.total / 2**30:.1f} GiB free"


def is_strict_array(x: object) -> bool:
    """Return whether `x` is an array of array-api-strict, without importing it."""
    return type(x).__module__.startswith("array_api_strict")


def to_host(x: Array) -> HostArray:
    """Return `x` (an array of any library, a list, a number) as a NumPy array, without a copy if it is on the host."""
    if is_torch_array(x):
        x = x.detach().cpu().resolve_conj().resolve_neg()  # NumPy has no views that change the sign as they are read
        if x.is_floating_point() and str(x.dtype).rpartition(".")[2] not in ("float16", "float32", "float64"):
            x = x.float()  # bfloat16 and the floats of 8 bits: NumPy has none
        return np.asarray(x.numpy())
    if is_cupy_array(x):
        return np.asarray(x.get())
    if is_strict_array(x):  # NumPy is refused everywhere but on the strict library's own CPU
        x = x.to_device(type(x.device)("CPU_DEVICE"))
    return np.asarray(x)


def host_array(x: Array, dtype: str | None = None) -> HostArray:
    """Return `x` as a NumPy array of real numbers that is ready to be sent to a device.

    It is cast to `dtype` here only where that makes it smaller: the cheaper of the two forms travels, and a wider dtype
    is made on the device.

    Raises
    ------
    DataError
        Where `x` has no form as an array of real numbers.
    """
    kind = f"{type(x).__module__}.{type(x).__qualname__}"
    try:
        array = to_host(x)
    except (TypeError, ValueError, RuntimeError) as error:
        message = f"cannot read this {kind} as an array ({error}); {_CONVERT}"
        raise DataError(message) from error
    check_real(x, str(array.dtype), array.dtype.kind)
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        message = "expected numbers only, got an array with masked entries; fill them first: x.filled(0), for example"
        raise DataError(message)
    if array.dtype.itemsize < 4 and array.dtype.kind not in "biu":  # half floats, and those that JAX adds to NumPy
        array = array.astype(np.float32)
    if array.dtype.itemsize > 8:  # long double: no device takes it
        array = array.astype(np.float64)
    if not array.dtype.isnative:  # big-endian files: no device takes them
        array = array.astype(array.dtype.newbyteorder("="))
    if dtype is not None and np.dtype(dtype).itemsize < array.dtype.itemsize:
        array = array.astype(dtype)
    return array


def check_real(x: Array, dtype: str, kind: str = "V") -> None:
    """Raise DataError if `x`, of this dtype and NumPy's kind of it, holds no real numbers.

    NumPy knows the floats of 16 and fewer bits that other libraries have as "void" alone.
    """
    if kind not in "biuf" and not (kind == "V" and dtype.startswith(("float", "bfloat"))):
        message = (
            f"expected an array of real numbers, got a {type(x).__module__}.{type(x).__qualname__} of dtype {dtype}; "
            f"{_CONVERT}"
        )
        raise DataError(message)


def cache_budget(x: Array) -> int | None:
    """Return the bytes of working memory to use at a time in math on `x`; None if whole arrays are fastest.

    On a CPU, arrays that fit into the cache are several times as fast. On a GPU, and with a compiler, one large piece
    is faster.
    """
    if is_cupy_array(x) or is_jax_array(x) or (is_torch_array(x) and device(x).type != "cpu"):
        return None
    return 1 << 22  # about 15 images of 28×28×32, three numbers a pixel; 1/8 to 16 times as much is no faster


def host_memory() -> Memory:
    """Return the host's memory available to this process: container limits and ``ulimit -v`` are included."""
    import psutil

    found = psutil.virtual_memory()
    free, total = found.available, found.total
    for left, limit in (_container_memory(), _address_space()):
        free, total = min(free, max(left, 0)), min(total, limit)
    return Memory(free, total)


def _container_memory() -> tuple[int, int]:
    """Return free memory and limit of the container's control group (version 2, else version 1)."""
    for folder, most, now, cache in (
        ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            limit, used = (int((Path(folder) / name).read_text("ascii")) for name in (most, now))
            lines = (line.split() for line in (Path(folder) / "memory.stat").read_text("ascii").splitlines())
            return limit - used + next((int(n) for name, n in lines if name == cache), 0), limit
        except (OSError, ValueError):  # no such file, or "max": no limit
            continue
    return _ENDLESS


def _address_space() -> tuple[int, int]:
    """Return free address space and its limit (``ulimit -v``)."""
    try:
        import resource
    except ImportError:  # Windows
        return _ENDLESS
    import psutil

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    endless = limit == resource.RLIM_INFINITY
    return _ENDLESS if endless else (limit - psutil.Process().memory_info().vms, limit)


_ENDLESS = (1 << 63, 1 << 63)
