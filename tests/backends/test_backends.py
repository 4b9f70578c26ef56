"""Every backend at hand keeps the interface's promises."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest

from portanet.backends import get
from portanet.backends.base import DTYPES, dtype_name
from portanet.backends.host import host_array, to_host
from portanet.errors import BackendError, ConfigError, DataError, OutOfMemoryError, ShapeError
from tests.backends.at_hand import BACKENDS, require


@pytest.fixture(params=BACKENDS)
def backend(request):
    return require(request.param)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "float32", "float64"])
def test_round_trip_keeps_values_and_dtype(backend, dtype):
    host = np.arange(24).reshape(2, 3, 4).astype(dtype)
    for there in (backend.asarray(host), backend.asarray(host, dtype), backend.asarray(host.tolist(), dtype)):
        assert dtype_name(there) == dtype
        back = backend.to_numpy(there)
        assert type(back) is np.ndarray
        assert back.dtype == dtype
        np.testing.assert_array_equal(back, host)


def test_what_is_here_already_is_not_copied(backend):
    x = backend.asarray([[1.0, 2.0]], "float32")
    assert backend.asarray(x) is x
    assert backend.asarray(x, "float32") is x


@pytest.mark.parametrize(("source", "target"), [("float64", "float32"), ("uint8", "float32"), ("float32", "float64")])
def test_asarray_casts(backend, source, target):
    host = np.asarray([0, 1, 200], source)
    for x in (host, backend.asarray(host)):
        got = backend.asarray(x, target)
        assert dtype_name(got) == target
        np.testing.assert_array_equal(backend.to_numpy(got), host.astype(target))


def test_awkward_host_arrays(backend):
    straight = np.arange(6, dtype=np.float32)
    frozen = straight.copy()
    frozen.flags.writeable = False
    for host in (straight[::-1], frozen, straight.astype(">f4"), straight[::2], np.float32(3), straight[:0]):
        got = backend.to_numpy(backend.asarray(host))
        assert got.shape == np.shape(host)
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, host)


def test_arrays_lie_on_the_device(backend):
    x = backend.asarray([1.0, 2.0], "float32")
    assert x.device == backend.device
    assert type(backend.xp.asarray(x)) is type(x)


@pytest.mark.parametrize("source", BACKENDS)
def test_arrays_of_another_library_come_by_way_of_the_host(backend, source):
    foreign = require(source).asarray([[1.5, -2.0]], "float32")
    got = backend.asarray(foreign, "float32")
    assert type(got) is type(backend.asarray([0.0], "float32"))
    assert got.device == backend.device
    np.testing.assert_array_equal(to_host(got), [[1.5, -2.0]])


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (["a", "b"], "expected an array of real numbers, got a builtins.list of dtype <U1"),
        (object(), "got a builtins.object of dtype object"),
        (np.ones(2) * 1j, "of dtype complex128"),
        ([[1, 2], [3]], "cannot read this builtins.list as an array"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(backend, x, words):
    with pytest.raises(DataError, match=words) as caught:
        backend.asarray(x)
    assert "convert it to a NumPy array" in str(caught.value)


def test_an_unknown_dtype_is_refused(backend):
    with pytest.raises(ConfigError, match="unknown dtype 'flaot32'; did you mean 'float32'"):
        backend.asarray([1.0], "flaot32")


def test_every_dtype_of_the_standard(backend):
    for dtype in DTYPES:
        assert dtype_name(backend.asarray([1, 0], dtype)) == dtype


def test_float64_is_float64_under_activate(backend):
    with backend.activate("float64"):
        x = backend.asarray([0.1, 0.7], "float64")
        y = x * 3.0 + backend.xp.ones(2, dtype=backend.xp.float64, device=backend.device)
        assert dtype_name(y) == "float64"
        with backend.activate("float32"):  # an inner block takes nothing away
            assert dtype_name(y * 2.0) == "float64"
    np.testing.assert_allclose(backend.to_numpy(y), np.asarray([0.1, 0.7]) * 3.0 + 1.0, rtol=1e-15)


def test_float32_stays_float32_under_activate(backend):
    with backend.activate():
        x = backend.asarray([0.1, 0.7], "float32")
        assert dtype_name(x * 3.0 + 1.0) == "float32"


def decay(x, rate, step):
    # Two Python scalars meet before they meet the array: CuPy's fuse would take float16 and int8 for that.
    return x * (1.0 - rate) + step * step


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fused_equals_unfused(backend, dtype):
    host = np.linspace(0.5, 2, 7).astype(dtype)
    with backend.activate(dtype):
        x = backend.asarray(host)
        for function in (decay, lambda x, rate, step: x * (1.0 - rate) + step * step):
            fused = backend.fuse(function)
            for rate, step in ((0.999, 3), (0.9, 1000)):
                got = fused(x, rate, step)
                assert dtype_name(got) == dtype
                expected = host.astype("float64") * (1.0 - rate) + step * step
                np.testing.assert_allclose(backend.to_numpy(got), expected, rtol=1e-6)
                np.testing.assert_allclose(backend.to_numpy(got), backend.to_numpy(function(x, rate, step)), rtol=1e-6)


def test_fused_integers_keep_their_dtype(backend):
    host = np.arange(1, 6, dtype=np.int32)
    with backend.activate():
        got = backend.fuse(lambda x, a: (x ^ (x >> 1)) * a)(backend.asarray(host), 70001)
    assert dtype_name(got) == "int32"
    np.testing.assert_array_equal(backend.to_numpy(got), (host ^ (host >> 1)) * 70001)


def test_a_compiled_step_with_python_counters(backend):
    def step(params, buffers, state, x, lr):
        gradient = 2.0 * (params["w"] - x)
        momentum = state["m"] * 0.5 + gradient
        mean = buffers["mean"] * 0.5 + x * 0.5
        return {"w": params["w"] - lr * momentum}, {"mean": mean}, {"m": momentum, "t": state["t"] + 1}

    def run(backend, step):
        with backend.activate():
            first = w = backend.asarray([1.0, 2.0], "float32")
            x = backend.asarray([3.0, -1.0], "float32")
            trees = {"w": w}, {"mean": backend.asarray([0.0, 0.0], "float32")}, {"m": x * 0.0, "t": 0}
            for i in range(4):
                trees = step(*trees, x, 0.1 / (i + 1))
            params, buffers, state = trees
            host = [backend.to_numpy(a) for a in (params["w"], buffers["mean"], state["m"])]
            return [*host, int(state["t"])], first

    got, first = run(backend, backend.compile(step, donate=(0, 1, 2)))
    expected, _ = run(get("numpy"), step)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    if backend.name == "jax":
        assert first.is_deleted()  # donated


def test_nothing_is_donated_unasked(backend):
    x = backend.asarray([1.0, 2.0], "float32")
    with backend.activate():
        y = backend.compile(lambda x: x + x)(x)
        np.testing.assert_array_equal(backend.to_numpy(y + x), [3.0, 6.0])


@pytest.mark.parametrize("shape", [(), (2, 2)])
def test_fetch_reads_arrays_of_one_shape_at_once(backend, shape):
    host = np.arange(3 * np.prod(shape, dtype=int), dtype=np.float32).reshape(3, *shape)
    got = backend.fetch([backend.asarray(part) for part in host])
    assert type(got) is np.ndarray
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, host)


def test_synchronize_waits(backend):
    with backend.activate():
        x = backend.asarray(np.ones((300, 300)), "float32")
        y = x @ x
        backend.synchronize()
        if backend.name == "jax":
            assert y.is_ready()
        assert float(y[0, 0]) == 300.0


def test_memory(backend):
    memory = backend.memory()
    assert memory is not None
    assert 0 < memory.free <= memory.total
    assert str(memory).endswith("GiB free")


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


def _cupy_dead():
    import cupy

    return cupy.cuda.runtime.CUDARuntimeError(700)


@pytest.mark.parametrize(("name", "dead"), [("torch", _torch_dead), ("jax", _jax_dead), ("cupy", _cupy_dead)])
def test_a_dead_context_asks_for_a_restart(name, dead):
    backend = require(name)
    with pytest.raises(BackendError, match=r"context is dead: .* must be restarted"), backend.activate():
        raise dead()


def test_cublas_without_memory_is_out_of_memory():
    backend = require("cupy")
    import cupy

    with pytest.raises(OutOfMemoryError), backend.activate():
        raise cupy.cuda.cublas.CUBLASError(3)


def test_a_second_gpu():
    require("cupy")
    second = require("cupy:1")
    there = get("cupy:0").asarray([1.0, 2.0], "float32")
    moved = second.asarray(there)
    assert moved.device.id == 1
    with second.activate():
        assert second.xp.zeros(3).device.id == 1
        np.testing.assert_array_equal(second.to_numpy(moved + moved), [2.0, 4.0])


def test_numpy_takes_host_arrays_without_a_copy():
    host = np.ones((3, 4), np.float32)
    assert np.shares_memory(get("numpy").asarray(host, "float32"), host)


def test_the_smaller_form_travels():
    assert host_array(np.ones(3), "float32").dtype == np.float32
    assert host_array(np.ones(3, np.uint8), "float32").dtype == np.uint8


def test_the_strict_backend_forbids_what_would_make_a_gpu_wait():
    backend = require("strict:device1")
    x = backend.asarray([1.0, 2.0], "float32")
    with backend.activate(), pytest.raises(RuntimeError, match="boolean"):
        x[x > 1.0]
    with backend.activate(), pytest.raises(RuntimeError, match="data-dependent"):
        backend.xp.nonzero(x)
    with pytest.raises(ValueError, match="different devices"):
        x + get("strict").asarray([1.0, 2.0], "float32")


def test_torch_keeps_its_autograd_out():
    backend = require("torch")
    import torch

    leaf = torch.ones(2, requires_grad=True)
    assert not backend.asarray(leaf).requires_grad
    with backend.activate():
        assert not (leaf * 2).requires_grad


def test_a_tensor_without_a_numpy_form_is_refused():
    require("torch")
    import torch

    with pytest.raises(DataError, match=r"torch\.Tensor .*BFloat16"):
        get("numpy").asarray(torch.ones(2, dtype=torch.bfloat16))


def test_mps_has_no_float64():
    require("torch")
    from portanet.backends.torch import TorchBackend

    with pytest.raises(ConfigError, match="torch:mps has no float64"), TorchBackend("mps").activate("float64"):
        pass


def test_a_backend_is_pickled_by_its_name(backend):
    copy = pickle.loads(pickle.dumps(backend))
    assert copy.spec == backend.spec
    assert type(copy) is type(backend)
    assert backend.name in repr(backend)


def test_importing_the_backends_imports_no_array_library_but_numpy():
    code = "import sys, portanet.backends; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert {"numpy", "portanet"} <= loaded
    assert not loaded & {"cupy", "torch", "jax", "jaxlib", "array_api_strict", "threadpoolctl"}
