"""y - a x in blocks gives what it gives as it is written, bit for bit, whatever its operands are."""

from __future__ import annotations

import numpy as np
import pytest

from portanet.backends.axpy import BLOCK, minus_scaled

rng = np.random.default_rng(0)
both = pytest.mark.parametrize("dtype", ["float32", "float64"])


def two(dtype, shape=(BLOCK // 64, 129)):
    return (rng.standard_normal(shape).astype(dtype) for _ in range(2))


@both
@pytest.mark.parametrize("shape", [(BLOCK + 1,), (BLOCK // 64, 129), (3, 5, BLOCK // 4), (BLOCK,), (4, 4)])
def test_it_agrees_with_what_is_written(dtype, shape):
    y, x = two(dtype, shape)
    kept, expected = x.copy(), y - 0.3 * x
    assert minus_scaled(y, 0.3, x) is y  # written over
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(x, kept)


RATES = [0.1, 0.0, 0.7, 0.2]


@both
@pytest.mark.parametrize(
    ("shape", "rates"),
    [((BLOCK // 8, 9), RATES), ((5, 7), RATES), ((9000,), RATES), ((BLOCK // 8, 9), [0.3]), ((5, 7), [0.3])],
)
def test_a_stack_is_each_by_itself(dtype, shape, rates):
    y, x = two(dtype, (4, *shape))
    each = rates * (4 // len(rates))
    alone = [minus_scaled(y[i].copy(), float(np.array(each[i], dtype)), x[i]) for i in range(4)]
    a = rates[0] if len(rates) == 1 else np.array(rates, dtype).reshape(4, *[1] * len(shape))
    expected = y - a * x
    np.testing.assert_array_equal(minus_scaled(y, a, x), np.stack(alone))
    np.testing.assert_array_equal(y, expected)


def test_what_does_not_lie_in_order():
    whole, x = two("float32", (BLOCK, 4))
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
@pytest.mark.parametrize("size", [8, 2 * BLOCK])
def test_what_is_not_finite_stays_so(dtype, size):
    y, x = np.ones((1, size), dtype), np.ones((1, size), dtype)
    x[0, :2], y[0, 2] = (np.nan, np.inf), np.nan
    with np.errstate(invalid="ignore"):
        for a, expected in ((0.5, [np.nan, -np.inf, np.nan, 0.5]), (0.0, [np.nan, np.nan, np.nan, 1.0])):
            np.testing.assert_array_equal(minus_scaled(y.copy(), a, x)[0, :4], expected)
