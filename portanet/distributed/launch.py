"""What mpiexec tells a process before any library is loaded; a machine's processors and GPUs, divided among ranks."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["chosen_by_user", "divide_gpus", "divide_threads", "rank", "size", "threads"]

# (rank, size, rank on this machine, ranks there): MPICH and Intel MPI; Open MPI.
_NAMES = (
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"),
)

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def size() -> int:
    """Return how many processes mpiexec has started together; 1 where it has not started this one."""
    return max(_number(names[1], 1) for names in _NAMES)


def rank() -> int:
    """Return which of them this one is; 0 where mpiexec has not started it."""
    return max(_number(names[0], 0) for names in _NAMES)


def threads() -> int:
    """Return how many threads a product may take here: the machine's processors divided among its ranks."""
    local = max(_number(names[3], 1) for names in _NAMES)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, usable // local)


def divide_threads() -> None:
    """Give this process its share of the threads, where the user has not; to be called before NumPy is loaded."""
    if size() > 1 and not any(name in os.environ for name in _THREADS):
        os.environ.update(dict.fromkeys(_THREADS, str(threads())))


def chosen_by_user() -> bool:
    """Return whether the environment says how many threads a product takes."""
    return any(name in os.environ for name in _THREADS)


def divide_gpus() -> None:
    """Let this process see one of the machine's NVIDIA GPUs, where it has one; before any library looks for them."""
    if size() < 2:
        return
    driver = Path("/proc/driver/nvidia/gpus")
    known = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(len(list(driver.glob("*")))))))
    places = [place for place in known.split(",") if place]
    if places:
        os.environ["CUDA_VISIBLE_DEVICES"] = places[max(_number(names[2], 0) for names in _NAMES) % len(places)]


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    return max(int(text), default) if text.isdecimal() else default
