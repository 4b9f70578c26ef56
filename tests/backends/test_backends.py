"""What every backend at hand makes of functions, dtypes and devices."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest

from portanet.backends import get
from portanet.backends.base import dtype_name
from portanet.errors import ConfigError
from tests.backends.at_hand import require


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


def test_mps_has_no_float64():
    require("torch")
    from portanet.backends.torch_backend import TorchBackend

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
