"""The stages in which CuPy can fail, from the wheel to cuBLAS."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from importlib.metadata import distributions
from typing import Any

import numpy as np

from portanet.backends.diagnosis import stages
from portanet.backends.diagnosis.nvidia import driver_version, has_hardware
from portanet.backends.diagnosis.stages import Unusable, check_index, check_product, said, stop

_NO_DRIVER = "no NVIDIA driver was found"
_NO_GPU = "this machine has no NVIDIA GPU"

# What CUDA's statuses mean to a user: the reason, and the command that fixes it.
_STATUSES = {
    2: ("the GPU's memory is full", "nvidia-smi"),
    3: ("CUDA cannot be initialised, as in a process forked from one that used it: spawn it instead", ""),
    46: ("the GPU is held by another process (exclusive mode) or is unavailable", "nvidia-smi"),
    209: ("this CuPy has no code for this GPU", "pip install --upgrade {package}"),
    802: ("the GPUs' fabric is not ready", "sudo systemctl start nvidia-fabricmanager"),
    803: ("the NVIDIA driver was updated and its kernel module is still the old one", "sudo reboot"),
    804: ("CUDA's compatibility libraries do not support this GPU: take them off the path", "unset LD_LIBRARY_PATH"),
    999: ("CUDA failed for an unknown reason, often after a suspend: reload the driver's module",
          "sudo modprobe -r nvidia_uvm && sudo modprobe nvidia_uvm"),
}  # fmt: skip


def look(place: str) -> tuple[str, ...]:
    """Go through all stages for the GPU number `place` (empty: 0), and return the names of all GPUs.

    Raises
    ------
    Unusable
        At the first stage that fails.
    """
    index = int(place or 0)
    wheel = _wheel()
    cupy = stages.load("cupy", "ndarray", lambda error: _not_imported(error, wheel))
    _check_version(str(getattr(cupy, "__version__", "")), wheel)
    n = _count(cupy, wheel)
    check_index("cupy", index, n)
    with _stage("kernel", wheel), cupy.cuda.Device(index):
        x = cupy.asarray(np.ones((2, 2), np.float32))
        y = x + x
        check_product(cupy.asnumpy(y))
    with _stage("matmul", wheel), cupy.cuda.Device(index):
        check_product(cupy.asnumpy(x @ x))
    names = (cupy.cuda.runtime.getDeviceProperties(i)["name"] for i in range(n))
    return tuple(f"cupy:{i} ({name.decode()})" for i, name in enumerate(names))


def _wheel() -> str:
    """Return the package that is installed, such as ``cupy-cuda13x``; ``cupy`` for a build from source."""
    if not stages.installed("cupy"):
        if not has_hardware():
            stop("installed", f"CuPy is not installed, and {_NO_GPU}")
        driver = "" if driver_version() else f", and {_NO_DRIVER}"
        stop("installed", f"CuPy is not installed{driver}", f"pip install {_fitting()}")
    names = {d.name.lower() for d in distributions() if d.name}
    wheels = sorted(name for name in names if re.fullmatch(r"cupy(-cuda\d+x?|-rocm.*)?", name))
    if len(wheels) > 1:
        # Removing one deletes files of the other: all go, and one comes back.
        fix = f"pip uninstall -y {' '.join(wheels)} && pip install {_fitting()}"
        stop("wheels", f"{' and '.join(wheels)} are installed over each other", fix)
    return wheels[0] if wheels else "cupy"


def _not_imported(error: BaseException, wheel: str) -> Unusable:
    cause: BaseException | None = error
    while cause is not None:  # CuPy wraps what it met in an ImportError of its own
        if isinstance(cause, ModuleNotFoundError) and (cause.name or "").partition(".")[0] == "cuda":
            reason = f"the package cuda-pathfinder, which CuPy needs, is missing ({cause})"
            return Unusable(stage="import", reason=reason, fix="pip install cuda-pathfinder")
        cause = cause.__cause__
    fix = f"pip install --force-reinstall {wheel}"
    return Unusable(stage="import", reason=f"CuPy cannot be imported: {said(error)}", fix=fix)


def _check_version(version: str, wheel: str) -> None:
    major = re.match(r"\d+", version)
    if major and int(major[0]) < 14:
        reason = f"CuPy {version} is too old: before CuPy 14 the dtype of a result depended on values"
        stop("version", reason, f'pip install --upgrade "{wheel}>=14.2"')


def _count(cupy: Any, wheel: str) -> int:
    runtime = cupy.cuda.runtime
    version = runtime.driverGetVersion()
    if version == 0:  # an old driver gives the same status 35 further down: only this tells them apart
        get = "get it from https://www.nvidia.com/drivers, or start the container with --gpus all"
        stop("driver", f"{_NO_DRIVER}: {get}" if has_hardware() else f"{_NO_DRIVER}, and {_NO_GPU}")
    try:
        n = int(runtime.getDeviceCount())
    except runtime.CUDARuntimeError as error:
        if error.status == 35:
            reason = f"the NVIDIA driver supports CUDA {_dotted(version)} at most, too old for this CuPy"
            fix = f"pip uninstall -y {wheel} && pip install cupy-cuda12x"
            if version < 12000 or wheel == "cupy-cuda12x":
                reason, fix = f"{reason}: update it (https://www.nvidia.com/drivers)", ""
            stop("driver", reason, fix)
        raise _explained(error, "devices", wheel) from error
    if n == 0:
        raise _none_visible()
    return n


@contextlib.contextmanager
def _stage(stage: str, wheel: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise _explained(error, stage, wheel) from error


def _explained(error: Exception, stage: str, wheel: str) -> Unusable:
    # cuBLAS and NVRTC number their statuses otherwise.
    status = getattr(error, "status", 0) if type(error).__name__ in {"CUDARuntimeError", "CUDADriverError"} else 0
    if status == 100:
        return _none_visible()
    if status in _STATUSES or isinstance(error, MemoryError):
        reason, fix = _STATUSES[status or 2]
        number = f" (CUDA status {status})" if status else ""
        return Unusable(stage=stage, reason=f"{reason}{number}", fix=fix.format(package=wheel))
    if isinstance(error, OSError) and error.filename is not None:
        reason = f"CuPy cannot keep its compiled kernels in {error.filename} ({error.strerror})"
        return Unusable(stage=stage, reason=reason, fix="export CUPY_CACHE_DIR=$(mktemp -d)")
    headers = "open source file" in str(error)  # a CompileException, which is a plain Exception
    if headers or (isinstance(error, ImportError | RuntimeError) and not hasattr(error, "status")):
        missing = {"kernel": "CUDA's compiler NVRTC or its headers", "matmul": "cuBLAS"}.get(stage, "a CUDA library")
        package = _fitting() if wheel == "cupy" else wheel
        fix = f'pip install "{package}[ctk]"'
        return Unusable(stage=stage, reason=f"CuPy does not find {missing}: {said(error)}", fix=fix)
    what = {"devices": "the GPUs cannot be counted", "kernel": "a kernel failed", "matmul": "a matrix product failed"}
    return Unusable(stage=stage, reason=f"{what[stage]}: {said(error)}", fix="nvidia-smi")


def _none_visible() -> Unusable:
    why, fix = "no NVIDIA GPU is visible", "nvidia-smi"
    if (hidden := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        why, fix = f"{why} (CUDA_VISIBLE_DEVICES={hidden!r})", "unset CUDA_VISIBLE_DEVICES"
    return Unusable(stage="devices", reason=why, fix=fix)


def _fitting() -> str:
    """Return the package that fits the driver; the newer one if there is no driver."""
    return "cupy-cuda12x" if 0 < driver_version() < 13000 else "cupy-cuda13x"


def _dotted(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"
