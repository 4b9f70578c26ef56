"""A stand-in for CuPy that fails at any stage. It proves messages and selection, nothing about CuPy."""

from __future__ import annotations

import contextlib
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import numpy as np

from portanet.backends.diagnosis import probe_cupy


class CUDARuntimeError(RuntimeError):
    def __init__(self, status):
        super().__init__(f"cudaError {status}: as CUDA says it")
        self.status = status


class CUBLASError(RuntimeError):
    def __init__(self, status):
        super().__init__("CUBLAS_STATUS_ALLOC_FAILED")
        self.status = status


class CompileException(Exception):
    pass


def install(
    monkeypatch,
    *,
    wheels=("cupy-cuda13x",),
    driver=13000,
    devices=1,
    count=None,
    kernel=None,
    matmul=None,
    wrong=False,
    version="14.2.0",
    hardware=True,
):
    """Put the stand-in into ``sys.modules``; `count`, `kernel` and `matmul` are errors that those stages raise."""
    calls = []

    def fail_or(error, value, call):
        calls.append(call)
        if error is not None:
            raise error
        return value

    class NdArray:
        def __init__(self, data):
            self.data = data

        def __add__(self, other):
            return NdArray(fail_or(kernel, self.data + other.data + wrong, "kernel"))

        def __matmul__(self, other):
            return NdArray(fail_or(matmul, self.data @ other.data, "matmul"))

    cupy = ModuleType("cupy")
    cupy.__spec__ = ModuleSpec("cupy", None)
    names = {
        "__version__": version,
        "ndarray": NdArray,
        "asarray": NdArray,
        "asnumpy": lambda x: np.asarray(x.data),
        "cuda": SimpleNamespace(
            Device=lambda index: contextlib.nullcontext(),
            runtime=SimpleNamespace(
                CUDARuntimeError=CUDARuntimeError,
                driverGetVersion=lambda: fail_or(None, driver, "driver"),
                getDeviceCount=lambda: fail_or(count, devices, "count"),
                getDeviceProperties=lambda index: {"name": b"Stand-in"},
            ),
        ),
    }
    for name, value in names.items():
        setattr(cupy, name, value)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    surroundings(monkeypatch, wheels=wheels, driver=driver, hardware=hardware)
    return calls


def surroundings(monkeypatch, *, wheels=(), driver=0, hardware=True):
    """Let the wheels that are installed, the driver's version and the GPU be these, whatever the machine has."""
    found = [SimpleNamespace(name=name) for name in ("numpy", "cupy-xarray", None, *wheels)]
    # In the probe alone: a library that is imported meanwhile looks for its plug-ins among those there are.
    monkeypatch.setattr(probe_cupy, "distributions", lambda: found)
    monkeypatch.setattr(probe_cupy, "driver_version", lambda: driver)
    monkeypatch.setattr(probe_cupy, "has_hardware", lambda: hardware)
