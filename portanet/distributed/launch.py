"""Read rank and size from mpiexec's environment variables; divide processors and GPUs among the ranks of a machine."""

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
    """Return the number of processes started by mpiexec; 1 without mpiexec."""
    return max(_number(names[1], 1) for names in _NAMES)


def rank() -> int:
    """Return the rank of this process; 0 without mpiexec."""
    return max(_number(names[0], 0) for names in _NAMES)


def threads() -> int:
    """Return the number of BLAS threads for this process: the machine's processors divided among its ranks."""
    local = max(_number(names[3], 1) for names in _NAMES)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, usable // local)


def divide_threads() -> None:
    """Set the number of BLAS threads for this process, unless the user has; call it before NumPy is imported."""
    if size() > 1 and not any(name in os.environ for name in _THREADS):
        os.environ.update(dict.fromkeys(_THREADS, str(threads())))


def chosen_by_user() -> bool:
    """Return whether an environment variable sets the number of BLAS threads."""
    return any(name in os.environ for name in _THREADS)


def divide_gpus() -> None:
    """Assign one of the machine's NVIDIA GPUs, if any, to this process; call it before any library uses them."""
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
