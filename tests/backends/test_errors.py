"""The libraries' errors, told as ours by every backend at hand."""

from __future__ import annotations

from functools import partial

import pytest

from portanet.errors import BackendError, OutOfMemoryError, ShapeError
from tests.backends.at_hand import require


def test_running_out_of_memory(backend):
    def fill():
        backend.xp.empty(2**60, dtype=backend.xp.uint8, device=backend.device)
        backend.synchronize()  # JAX may tell only now

    with pytest.raises(OutOfMemoryError) as caught, backend.activate():
        fill()
    assert caught.value.exit_code == 6
    assert caught.value.__cause__ is not None
    said = str(caught.value)
    assert said.startswith(f"[{backend.spec}] out of memory: ")
    assert "llocat" in said  # what was asked for
    assert "GiB free" in said
    assert "smaller batch" in said


def test_errors_are_translated_once_and_others_pass(backend):
    with pytest.raises(OutOfMemoryError) as caught, backend.activate(), backend.activate("float64"):
        raise MemoryError
    assert type(caught.value.__cause__) is MemoryError
    errors: tuple[Exception, ...] = ShapeError("ours"), KeyError("another's")
    for error in errors:
        with pytest.raises(type(error)) as passed, backend.activate():
            raise error
        assert passed.value is error


def _torch_dead():
    return RuntimeError("CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be …")


def _jax_dead():
    import jax

    return jax.errors.JaxRuntimeError("INTERNAL: CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access")


def _cupy_error(kind, status):
    import cupy

    return {"runtime": cupy.cuda.runtime.CUDARuntimeError, "cublas": cupy.cuda.cublas.CUBLASError}[kind](status)


CUPY_DEAD = [("runtime", 214), ("runtime", 220), ("runtime", 226), ("runtime", 700), ("runtime", 721)]
CUPY_DEAD += [("cublas", 13), ("cublas", 14)]


@pytest.mark.parametrize(("kind", "status"), [("runtime", 2), ("cublas", 1), ("cublas", 3)])
def test_memory_that_cuda_or_cublas_lacks(kind, status):
    backend = require("cupy")
    with pytest.raises(OutOfMemoryError, match="GiB free"), backend.activate():
        raise _cupy_error(kind, status)


@pytest.mark.parametrize(
    ("name", "dead"),
    [("torch", _torch_dead), ("jax", _jax_dead), *(("cupy", partial(_cupy_error, *case)) for case in CUPY_DEAD)],
)
def test_a_dead_context_asks_for_a_restart(name, dead):
    backend = require(name)
    with pytest.raises(BackendError, match=r"context is dead: .* must be restarted"), backend.activate():
        raise dead()


def test_cublas_without_memory_is_out_of_memory():
    backend = require("cupy")
    import cupy

    with pytest.raises(OutOfMemoryError), backend.activate():
        raise cupy.cuda.cublas.CUBLASError(3)


def _torch_forked():
    return RuntimeError("Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, you must …")


def _cupy_forked():
    import cupy

    return cupy.cuda.runtime.CUDARuntimeError(3)


@pytest.mark.parametrize(("name", "forked"), [("torch", _torch_forked), ("cupy", _cupy_forked)])
def test_a_fork_of_a_process_that_used_the_gpu_is_told_to_be_spawned(name, forked):
    backend = require(name)
    with (
        pytest.raises(BackendError, match=r"forked from one that used the GPU.*get_context\('spawn'\)"),
        backend.activate(),
    ):
        raise forked()
