"""The host's side of every transfer: NumPy arrays out of any library's arrays, and the host's memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from array_api_compat import device, is_cupy_array, is_jax_array, is_torch_array

from portanet.errors import DataError
from portanet.typing import Array

__all__ = ["HostArray", "cache_budget", "host_array", "host_memory", "is_strict_array", "to_host"]

HostArray = np.ndarray[Any, Any]


def is_strict_array(x: object) -> bool:
    """Tell whether `x` is an array of array-api-strict, without importing it."""
    return type(x).__module__.startswith("array_api_strict")


def to_host(x: Array) -> HostArray:
    """Return `x` (an array of any library, a list, a number) as a NumPy array; no copy where it lies on the host."""
    if is_torch_array(x):
        return np.asarray(x.detach().cpu().numpy())
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
    mend = "convert it to a NumPy array of numbers first"
    try:
        array = to_host(x)
    except (TypeError, ValueError, RuntimeError) as error:
        message = f"cannot read this {kind} as an array ({error}); {mend}"
        raise DataError(message) from error
    if array.dtype.kind not in "biuf":
        message = f"expected an array of real numbers, got a {kind} of dtype {array.dtype}; {mend}"
        raise DataError(message)
    if not array.dtype.isnative:  # big-endian files: no device takes them
        array = array.astype(array.dtype.newbyteorder("="))
    if dtype is not None and np.dtype(dtype).itemsize < array.dtype.itemsize:
        array = array.astype(dtype)
    return array


def cache_budget(x: Array) -> int | None:
    """Return how many bytes of working memory math on `x` shall take at a time; None where whole arrays are best.

    On a processor what stays in its cache is several times as fast; on a GPU, and where a compiler sees the whole, one
    large piece is.
    """
    if is_cupy_array(x) or is_jax_array(x) or (is_torch_array(x) and device(x).type != "cpu"):
        return None
    return 1 << 22  # some 15 images of 28×28×32, three of each pixel: an eighth to sixteen times as much is no faster


def host_memory() -> tuple[int, int] | None:
    """Return the host's free and total memory in bytes, or None where the system does not tell.

    That is what this process may have of it: a container's limit and that of ``ulimit -v`` count.
    """
    found = _system_memory()
    if found is None:
        return None
    free, total = found
    for left, limit in (_container_memory(), _address_space()):
        free, total = min(free, max(left, 0)), min(total, limit)
    return free, total


def _system_memory() -> tuple[int, int] | None:
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = (line.split() for line in meminfo.read_text().splitlines())
        kibibytes = {words[0]: int(words[1]) for words in lines if len(words) > 1}
        if "MemAvailable:" in kibibytes:  # what can be had without swapping, unlike MemFree
            return kibibytes["MemAvailable:"] * 1024, kibibytes["MemTotal:"] * 1024
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        return os.sysconf("SC_AVPHYS_PAGES") * page, os.sysconf("SC_PHYS_PAGES") * page
    except (AttributeError, ValueError, OSError):  # no sysconf on Windows, no such name on macOS
        return None


def _container_memory() -> tuple[int, int]:
    """Return what the control group leaves and allows, as a container sees its own (version 2, else version 1)."""
    for folder, most, now, cache in (
        ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            limit, used = (int((Path(folder) / name).read_text()) for name in (most, now))
            lines = (line.split() for line in (Path(folder) / "memory.stat").read_text().splitlines())
            return limit - used + next((int(n) for name, n in lines if name == cache), 0), limit
        except (OSError, ValueError):  # no such file, or "max": no limit
            continue
    return _ENDLESS


def _address_space() -> tuple[int, int]:
    """Return what the limit of the process's addresses leaves and allows."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return _ENDLESS
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError, ValueError):  # Windows, macOS
        return _ENDLESS
    return limit - used, limit


_ENDLESS = (1 << 63, 1 << 63)
