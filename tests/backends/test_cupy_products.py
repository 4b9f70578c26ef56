"""Matrix products by cuBLAS without CuPy: what ``@`` gives, of operands that lie in memory in every way."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.backends.at_hand import require

rng = np.random.default_rng(0)


@pytest.fixture
def backend():
    return require("cupy")


FORMS = {
    "rows": lambda x: x,
    "columns": lambda x: np.swapaxes(np.ascontiguousarray(np.swapaxes(x, -1, -2)), -1, -2),
    "part of rows": lambda x: np.concatenate([x, x], axis=-1)[..., : x.shape[-1]],
    "every other": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "backwards": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
    "one row for all": lambda x: np.broadcast_to(x[..., :1, :], x.shape),
}

SHAPES = [
    *(((3, 4), (4, 5)), ((1, 4), (4, 1)), ((3, 1), (1, 5)), ((1, 1), (1, 1))),
    *(((0, 4), (4, 2)), ((3, 0), (0, 5)), ((4,), (4, 5)), ((3, 4), (4,)), ((4,), (4,))),
    *(((2, 3, 4), (4, 5)), ((3, 4), (2, 4, 5)), ((2, 3, 4), (2, 4, 5)), ((1, 3, 4), (2, 4, 5)), ((0, 3, 4), (4, 5))),
    *(((2, 1, 3, 4), (5, 4, 6)), ((2, 4), (3, 2, 4, 5)), ((2, 3, 1, 4), (2, 3, 4, 1))),
]


def in_memory(backend, x):
    """Return a host array on the device with the same strides."""
    import cupy

    base = x
    while base.base is not None:
        base = base.base
    there = cupy.asarray(base)
    start = there.data + (x.__array_interface__["data"][0] - base.__array_interface__["data"][0])
    return cupy.ndarray(x.shape, x.dtype, start, x.strides)


@pytest.mark.parametrize(("first", "second"), SHAPES)
def test_products(backend, dtype, first, second):
    from portanet.backends.cuda_graphs.cublas import product

    for form, other in itertools.product(FORMS.values(), repeat=2):
        a, b = (rng.normal(size=shape).astype(dtype) for shape in (first, second))
        a = form(a) if a.size and a.ndim > 1 else a
        b = other(b) if b.size and b.ndim > 1 else b
        got = product(in_memory(backend, a), in_memory(backend, b))
        assert got.dtype == dtype
        assert got.shape == (a @ b).shape
        rtol = 1e-12 if dtype == "float64" else 1e-5
        np.testing.assert_allclose(backend.to_numpy(got), a @ b, rtol=rtol, atol=rtol)


def test_products_obey_the_setting_of_tf32(backend):
    from cupy._core import _routines_linalg as linalg
    from cupy_backends.cuda.libs import cublas

    from portanet.backends.cuda_graphs import cublas as own

    for setting, computing in (
        (linalg.COMPUTE_TYPE_DEFAULT, cublas.CUBLAS_COMPUTE_32F),
        (linalg.COMPUTE_TYPE_TF32, cublas.CUBLAS_COMPUTE_32F_FAST_TF32),
        (linalg.COMPUTE_TYPE_PEDANTIC, cublas.CUBLAS_COMPUTE_32F_PEDANTIC),
    ):
        before = linalg.get_compute_type("f")
        linalg.set_compute_type("f", setting)
        try:
            assert own._kinds(np.dtype("f"))[2] == computing
        finally:
            linalg.set_compute_type("f", before)


def test_products_that_do_not_fit_are_refused(backend):
    from portanet.backends.cuda_graphs.cublas import product

    with backend.activate():
        x = backend.asarray(np.ones((2, 3)), "float32")
        with pytest.raises(ValueError, match=r"shapes \(2, 3\) and \(2, 3\) do not fit"):
            product(x, x)
