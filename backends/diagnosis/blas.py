"""Which BLAS computes NumPy's matrix products, with which kernels, and whether a setting holds it back."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Blas:
    """The BLAS that NumPy runs on."""

    library: str  # such as openblas
    version: str  # such as 0.3.31
    architecture: str  # the processor that its kernels are written for, such as SkylakeX; empty if unknown
    threads: int | None  # how many threads a product may take; None if unknown
    warning: str  # what holds it back and how to fix it; empty if nothing does


_AVX2, _AVX512 = 2, 3
_LEVEL_NAMES = ("", "SSE", "AVX2", "AVX-512")

# OpenBLAS's names for its x86 kernels; those that are not here are older than AVX2.
_OPENBLAS = {"skylakex": _AVX512, "cooperlake": _AVX512, "sapphirerapids": _AVX512}
_OPENBLAS |= {"haswell": _AVX2, "zen": _AVX2, "excavator": _AVX2}
_MKL = {"avx2": _AVX2, "avx2_e1": _AVX2}
_MKL |= {f"avx512{suffix}": _AVX512 for suffix in ("", "_e1", "_e2", "_e3", "_e4", "_e5", "_mic", "_mic_e1")}

_SETTINGS = {"openblas": ("OPENBLAS_CORETYPE", _OPENBLAS), "mkl": ("MKL_ENABLE_INSTRUCTIONS", _MKL)}


def describe() -> Blas:
    """Return what NumPy's BLAS is here. Kernels and threads are known where threadpoolctl is installed."""
    name, version, kernels, threads = _from_threadpoolctl() or _from_numpy()
    library, architecture = str(name).lower(), str(kernels or "")
    return Blas(library, str(version or ""), architecture, threads, held_back(library, architecture, processor_flags()))


def held_back(library: str, architecture: str, flags: frozenset[str]) -> str:
    """Return a warning where the environment forces slower kernels than a processor with `flags` can run, or nothing.

    Kernels that the library chose by itself are never warned of: a processor with AVX2 but no AVX-512 rightly runs
    those called Haswell or Zen.
    """
    variable, levels = next((_SETTINGS[name] for name in _SETTINGS if name in library), ("", {}))
    forced = os.environ.get(variable, "") if variable else ""
    can = _AVX512 if {"avx512f", "avx512vl"} <= flags else _AVX2 if {"avx2", "fma"} <= flags else 1
    runs = levels.get((architecture or forced).lower(), 1)
    if not forced or not flags or runs >= can:
        return ""
    kernels = architecture or forced
    return (
        f"{variable}={forced} makes NumPy's matrix products run on kernels for {kernels} ({_LEVEL_NAMES[runs]}), "
        f"slower than this processor's {_LEVEL_NAMES[can]}; unset {variable}"
    )


def processor_flags() -> frozenset[str]:
    """Return what an x86 processor under Linux says that it can do; empty elsewhere."""
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text("utf-8").splitlines() if cpuinfo.exists() else ():
        if line.startswith("flags"):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


def _from_threadpoolctl() -> tuple[Any, ...] | None:
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return None
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    if not pools:
        return None  # Apple's Accelerate, for one, is not known to it
    # SciPy has another BLAS: NumPy's is meant.
    pool = min(pools, key=lambda pool: "numpy" not in pool["filepath"])
    return pool["internal_api"], pool["version"], pool.get("architecture"), pool["num_threads"]


def _from_numpy() -> tuple[Any, ...]:
    # The architecture in NumPy's own configuration is the builder's, not the one that runs.
    built: Any = np.show_config(mode="dicts")
    blas = (built or {}).get("Build Dependencies", {}).get("blas", {})
    return blas.get("name", ""), blas.get("version"), None, None
