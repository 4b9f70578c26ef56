"""The flat array that is summed over processes: on every backend what the host's own gives."""

from __future__ import annotations

import contextlib
import sys

import numpy as np
import pytest

from portanet.backends.collective import flat_sum
from tests.backends.at_hand import require


class Two:
    """Stands for two processes with the same numbers: their sum is twice the array."""

    gpu, size, rank = False, 2, 0

    def add_up(self, array):
        array *= 2

    @contextlib.contextmanager
    def timed(self):
        yield


@pytest.mark.parametrize("steps", [1, 3])
def test_arrays_and_numbers_are_summed(backend, dtype, steps):
    with backend.activate(dtype):
        flat = flat_sum(backend, Two(), 11, dtype)
        for step in range(steps):
            weight, loss = np.arange(6.0).reshape(2, 3) + step, np.asarray(0.25 * (step + 1))
            flat.write(0, backend.asarray(weight, dtype))
            flat.clear(6)  # what was summed before is gone
            flat.write_host(6, [1.0, 0.0])
            flat.write(9, backend.asarray(loss, dtype))
            flat.add_up()
            got = flat.read(0, (2, 3))
            assert type(got) is type(backend.asarray(weight, dtype))
            np.testing.assert_array_equal(backend.to_numpy(got), 2 * weight)
            np.testing.assert_array_equal(flat.read_host(6, 11), [2.0, 0.0, 0.0, 2 * loss, 0.0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_on_the_gpu_itself(dtype):
    """With a sum that doubles in the place of NCCL's: numbers of the host are written without a copy."""
    backend = require("cupy")
    from portanet.backends import collective_cupy as cuda

    with backend.activate(dtype):
        flat = cuda.DirectSum(backend, Two(), 11, dtype, lambda array: array.__imul__(2))
        assert flat.late
        for step in range(2):
            flat.write(0, backend.asarray(np.arange(6.0) + step, dtype))
            flat.clear(6)
            flat.write_host(6, [3.0, 0.5])
            flat.add_up()
        np.testing.assert_array_equal(backend.to_numpy(flat.read(0, (6,))), 2 * np.arange(6.0) + 2)
        np.testing.assert_array_equal(flat.read_host(6, 11), [6.0, 1.0, 0.0, 0.0, 0.0])


class Library:
    """A stand-in for cupy.cuda.nccl that notes what it was asked for: which calls, in which order, and on what."""

    NCCL_FLOAT32, NCCL_FLOAT64, NCCL_SUM = 7, 8, 0

    def __init__(self, available=True):
        self.available, self.calls = available, []

    def get_unique_id(self):
        return b"name"

    def NcclCommunicator(self, *about):  # CuPy's name
        self.calls.append(about)
        return self

    def allReduce(self, *about):
        self.calls.append(about)


class Places(Two):
    """Two processes, of which the other one sits on the GPU with `other` as its PCI bus id."""

    gpu, rank = True, 1

    def __init__(self, other):
        self.other = other

    def gather(self, value):
        return [(value[0], self.other), value] if isinstance(value, tuple) else [value, value]

    def on_first(self, function):
        return function()


@pytest.mark.parametrize(
    ("other", "available", "joined"), [("0000:17:00.0", True, True), (None, True, False), ("a", False, False)]
)
def test_nccl_joins_the_processes_of_these_ranks_if_each_has_a_gpu(monkeypatch, other, available, joined):
    backend = require("cupy")
    import cupy

    from portanet.backends import collective_cupy as cuda

    nccl = Library(available)
    monkeypatch.setattr(cupy.cuda, "nccl", nccl, raising=False)
    monkeypatch.setitem(sys.modules, "cupy.cuda.nccl", nccl)
    own = cupy.cuda.Device(0).pci_bus_id
    add = cuda.nccl_sum(backend, Places(own if other is None else other))
    assert (add is not None) == joined
    if add is not None:
        with backend.activate():
            array = cupy.ones(3, "float32")
            add(array)
            stream = cupy.cuda.get_current_stream().ptr
        assert nccl.calls == [(2, b"name", 1), (array.data.ptr, array.data.ptr, 3, 7, 0, stream)]
