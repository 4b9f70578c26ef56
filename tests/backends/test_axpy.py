"""y - a x by the BLAS gives what it gives as it is written, but for a rounding, and leaves to NumPy what is no case."""

from __future__ import annotations

import numpy as np
import pytest

from portanet.backends.diagnosis import blas
from portanet.backends.primitives import axpy
from portanet.backends.primitives.axpy import LARGE, minus_scaled

rng = np.random.default_rng(0)
both = pytest.mark.parametrize("dtype", ["float32", "float64"])


def two(dtype, shape=(LARGE // 64, 129)):
    return (rng.standard_normal(shape).astype(dtype) for _ in range(2))


def reached(dtype):
    if axpy._axpy(np.dtype(dtype).char) is None:
        pytest.skip(f"NumPy's BLAS here ({blas.describe().library}) cannot be reached by its symbols")


def test_numpys_own_wheels_are_reached():
    if "openblas" not in blas.describe().library:
        pytest.skip(f"NumPy runs on {blas.describe().library}")
    assert axpy._axpy("f") is not None
    assert axpy._axpy("d") is not None


@both
def test_the_blas_agrees_with_what_is_written(dtype):
    reached(dtype)
    y, x = two(dtype)
    expected = y - 0.3 * x
    assert axpy._by_blas(y, 0.3, x)
    bound = np.finfo(dtype).eps * (np.abs(y) + np.abs(0.3 * x))  # of one rounding or two
    assert (np.abs(y - expected) <= bound).all()
    assert np.abs(y - expected).max() < 1e-5


@both
def test_it_is_written_over(dtype):
    y, x = two(dtype)
    kept = x.copy()
    assert minus_scaled(y, 0.3, x) is y
    np.testing.assert_array_equal(x, kept)


RATES = [0.1, 0.0, 0.7, 0.2]


@both
@pytest.mark.parametrize(
    ("shape", "rates"),
    [((LARGE // 8, 9), RATES), ((5, 7), RATES), ((9000,), RATES), ((LARGE // 8, 9), [0.3]), ((5, 7), [0.3])],
)
def test_a_stack_is_each_by_itself(dtype, shape, rates):
    y, x = two(dtype, (4, *shape))
    each = rates * (4 // len(rates))
    alone = [minus_scaled(y[i].copy(), float(np.array(each[i], dtype)), x[i]) for i in range(4)]
    a = rates[0] if len(rates) == 1 else np.array(rates, dtype).reshape(4, *[1] * len(shape))
    np.testing.assert_array_equal(minus_scaled(y, a, x), np.stack(alone))


def test_what_does_not_lie_in_order():
    whole, x = two("float32", (LARGE, 4))
    y, left = whole[:, ::2], whole[:, 1::2].copy()
    expected = y - np.float32(0.3) * x[:, ::2]
    np.testing.assert_array_equal(minus_scaled(y, 0.3, x[:, ::2]), expected)
    np.testing.assert_array_equal(whole[:, 1::2], left)
    turned = np.asfortranarray(x)
    np.testing.assert_array_equal(minus_scaled(x.copy(), 0.3, turned), x - np.float32(0.3) * x)


def test_another_dtype_or_shape():
    y, x = two("float32")
    np.testing.assert_array_equal(minus_scaled(y.copy(), 0.3, x[:1]), y - np.float32(0.3) * x[:1])
    halves = x.astype("float16")
    np.testing.assert_array_equal(minus_scaled(y.copy(), 0.3, halves), y - np.float16(0.3) * halves)


@both
@pytest.mark.parametrize("size", [8, LARGE])
def test_what_is_not_finite_stays_so(dtype, size):
    y, x = np.ones((1, size), dtype), np.ones((1, size), dtype)
    x[0, :2], y[0, 2] = (np.nan, np.inf), np.nan
    with np.errstate(invalid="ignore"):
        for a, expected in ((0.5, [np.nan, -np.inf, np.nan, 0.5]), (0.0, [np.nan, np.nan, np.nan, 1.0])):
            np.testing.assert_array_equal(minus_scaled(y.copy(), a, x)[0, :4], expected)
