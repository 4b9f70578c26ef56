"""The primitives that the standard lacks: on every backend what the portable reference gives on NumPy in float64."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import portanet as pn
from portanet.backends.primitives import convolution_portable as portable
from portanet.backends.primitives.axes import Axis
from portanet.backends.primitives.convolution import convolve, convolve_dw, convolve_dx
from portanet.backends.primitives.index_add import index_add, index_add_portable
from portanet.layers.windows import axis
from tests.backends.at_hand import require

RNG = np.random.default_rng(3)
TOLERANCE = {"float32": 2e-6, "float64": 1e-14}

# Of each axis: size, kernel, stride, padding, dilation; then channels, units and groups.
WINDOWS = {
    "plain": ((6, 3, 1, "valid"), (5, 3, 1, "valid"), 3, 4, 1),
    "one pixel": ((3, 1, 1, "valid"), (4, 1, 1, "valid"), 2, 3, 1),
    "padded": ((5, 3, 1, 1), (5, 2, 1, 1), 2, 3, 1),
    "strided": ((7, 3, 2, 1), (6, 2, 3, "valid"), 2, 3, 1),
    "pixels after the last window": ((8, 3, 3, "valid"), (9, 2, 4, "valid"), 2, 3, 1),
    "more padding on one side": ((6, 4, 1, "same"), (5, 3, 1, "same"), 2, 3, 1),
    "more padding on one side, strided": ((6, 3, 2, "same"), (7, 4, 3, "same"), 2, 3, 1),
    "dilated": ((8, 3, 1, "same", 2), (9, 2, 1, "valid", 3), 2, 3, 1),
    "in groups": ((5, 3, 1, 1), (5, 3, 2, 1), 4, 6, 2),
    "depthwise": ((5, 3, 1, "same"), (4, 2, 1, "same"), 3, 3, 3),
    "wider than its image": ((1, 5, 1, 2), (2, 3, 1, "same"), 2, 3, 1),
    "padded beyond the kernel": ((3, 1, 1, 2), (3, 1, 2, 1), 2, 3, 1),
    # As a transposed convolution has them whose output_padding is its stride or more.
    "a stride and more of pixels after the last window": (
        Axis(9, 4, 2, 1, 3, 0, -2),
        Axis(9, 3, 2, 2, 4, 1, -1),
        2,
        3,
        1,
    ),
}


def arrays(name, n=3):
    rows, columns, channels, units, groups = WINDOWS[name]
    rows, columns = (own if isinstance(own, Axis) else axis(*own) for own in (rows, columns))
    x = RNG.normal(size=(n, rows.size, columns.size, channels))
    weight = RNG.normal(size=(rows.kernel, columns.kernel, channels // groups, units))
    dy = RNG.normal(size=(n, rows.out, columns.out, units))
    return (x, weight, dy), (rows, columns, groups)


def by_reference(given, how):
    x, weight, dy = given
    return [
        portable.convolve(x, weight, *how),
        portable.convolve_dx(dy, weight, *how),
        portable.convolve_dw(x, dy, *how),
    ]


def agree(got, expected, dtype):
    assert got.shape == expected.shape
    scale = np.abs(expected).max() or 1.0
    np.testing.assert_allclose(got / scale, expected / scale, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", WINDOWS)
def test_convolution(backend, name, dtype):
    given, how = arrays(name)
    x, weight, dy = given
    expected = by_reference(given, how)

    def run(x, weight, dy):
        return convolve(x, weight, *how), convolve_dx(dy, weight, *how), convolve_dw(x, dy, *how)

    if backend.name == "jax" and name != "plain":
        run = backend.compile(run)  # as in a step; call by call each would be compiled in many parts
    with backend.activate(dtype):
        x, weight, dy = (backend.asarray(a, dtype) for a in given)
        got = run(x, weight, dy)
        for mine, its in zip(got, expected, strict=True):
            assert mine.dtype == x.dtype
            agree(backend.to_numpy(mine), its, dtype)
        for mine, its in zip((x, weight, dy), given, strict=True):  # nothing was written over
            np.testing.assert_array_equal(backend.to_numpy(mine), its.astype(dtype))


@pytest.mark.parametrize("name", WINDOWS)
def test_convolution_by_lax(name):
    """What runs on GPUs and TPUs, on whatever JAX runs on here."""
    backend = require("jax")
    from portanet.backends.primitives.convolution_jax import lax_convolve, lax_convolve_dw, lax_convolve_dx

    given, how = arrays(name)
    x, weight, dy = given
    expected = by_reference(given, how)
    with backend.activate("float64"):
        x, weight, dy = (backend.asarray(a, "float64") for a in given)
        got = [lax_convolve(x, weight, *how), lax_convolve_dx(dy, weight, *how), lax_convolve_dw(x, dy, *how)]
        for mine, its in zip(got, expected, strict=True):
            agree(backend.to_numpy(mine), its, "float64")


def test_a_traced_convolution_is_placed_by_the_compiler(monkeypatch):
    backend = require("jax:cpu")
    import jax

    from portanet.backends.primitives import convolution_jax

    given, how = arrays("plain")
    x, weight, _ = given
    expected = portable.convolve(x, weight, *how)
    called: list[str] = []

    def watch(place, name):
        function = getattr(place, name)

        def watched(*arguments, **settings):
            called.append(name)
            return function(*arguments, **settings)

        monkeypatch.setattr(place, name, watched)

    watch(convolution_jax, "lax_convolve")
    watch(portable, "convolve")
    with backend.activate("float64"):
        x, weight = (backend.asarray(a, "float64") for a in (x, weight))
        for default, traced in (("cpu", {"convolve"}), ("gpu", {"convolve", "lax_convolve"})):
            monkeypatch.setattr(jax, "default_backend", lambda default=default: default)
            called.clear()
            got = jax.jit(lambda x, w: convolve(x, w, *how))(x, weight)
            assert set(called) == traced
            agree(backend.to_numpy(got), expected, "float64")


INDICES = {
    "some": [4, 0, 4, 4, 1, 0],
    "one row": [2],
    "all equal": [3] * 7,
    "none": [],
    "in order": [0, 1, 2, 3, 4, 5],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", INDICES)
def test_index_add(backend, name, dtype):
    index = np.asarray(INDICES[name], np.int32)
    values = RNG.normal(size=(len(index), 3))
    expected = index_add_portable(6, index, values)
    for i in range(6):
        np.testing.assert_allclose(expected[i], values[index == i].sum(axis=0), rtol=1e-14, atol=1e-15)
    with backend.activate(dtype):
        there, rows = backend.asarray(index), backend.asarray(values, dtype)
        for function in (index_add, index_add_portable):
            got = function(6, there, rows)
            assert got.dtype == rows.dtype
            agree(backend.to_numpy(got), expected, dtype)


def test_index_add_is_traced():
    backend = require("jax")
    import jax

    index, values = np.array([1, 0, 1], np.int32), RNG.normal(size=(3, 2)).astype(np.float32)
    got = jax.jit(lambda i, v: index_add(4, i, v))(backend.asarray(index), backend.asarray(values))
    agree(backend.to_numpy(got), index_add_portable(4, index, values), "float32")


def test_an_embedding_of_many_words_takes_little_memory():
    """One-hot rows of 20,000 words by 1,024 places would be 80 MB, the weight and its gradient are 2.5 MB each."""
    import tracemalloc

    layer = pn.Embedding(20_000, 32)
    params, _ = layer.init(np.random.default_rng(0), (8,))
    params = {"weight": params["weight"].astype(np.float32)}
    x = RNG.integers(0, 20_000, (128, 8)).astype(np.float32)
    tracemalloc.start()
    y, cache = layer.forward(params, x)
    dx, grads = layer.backward(params, y, cache)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert grads["weight"].shape == (20_000, 32)
    assert dx.shape == x.shape
    assert peak < 8e6


ROUNDED = """
import sys
from types import SimpleNamespace
import torch
from portanet.backends.primitives.convolution_torch import precision
there = torch.backends
exec(sys.argv[1])
before = there.cudnn.conv.fp32_precision, there.cudnn.benchmark, there.cudnn.deterministic
with precision(SimpleNamespace(device=torch.device("cuda"))):
    print(there.cudnn.conv.fp32_precision, there.cudnn.benchmark, there.cudnn.deterministic)
    torch.nn.functional.conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2))
assert (there.cudnn.conv.fp32_precision, there.cudnn.benchmark, there.cudnn.deterministic) == before
"""


@pytest.mark.parametrize(
    ("setting", "rounding"),
    [
        ("pass", "ieee"),
        ("torch.set_float32_matmul_precision('high')", "tf32"),
        ("there.cuda.matmul.fp32_precision = 'tf32'", "tf32"),
        (
            "there.fp32_precision = 'ieee'; there.cudnn.conv.fp32_precision = 'tf32'; there.cudnn.benchmark = True",
            "ieee",
        ),
    ],
)
def test_convolutions_on_cudnn_are_rounded_as_products_are(setting, rounding):
    """However the user has set it: by torch's old names, or by its new ones, which the old ones then refuse to read."""
    require("torch")
    import torch

    if not hasattr(torch.backends.cudnn, "conv"):
        pytest.skip("this torch has no fp32_precision")
    done = subprocess.run([sys.executable, "-c", ROUNDED, setting], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [rounding, "False", "True"]
