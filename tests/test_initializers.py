"""Initializers: limits, moments, orthogonality, the forms in which one is named, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

import portanet as pn
from portanet.errors import ConfigError
from portanet.initializers import INITIALIZERS, ShapesOnly, fans, initializer
from portanet.random import generator

IN, OUT = 400, 250


def drawn(spec, shape=(IN, OUT), seed=0):
    return initializer(spec)(generator(seed), shape)


@pytest.mark.parametrize(
    ("shape", "expected"), [((3, 5), (3, 5)), ((5,), (1, 5)), ((3, 3, 8, 16), (72, 144)), ((2, 4, 6), (8, 12))]
)
def test_fans(shape, expected):
    assert fans(shape) == expected


@pytest.mark.parametrize(
    ("spec", "variance"),
    [
        ("glorot_uniform", 2 / (IN + OUT)),
        ("glorot_normal", 2 / (IN + OUT)),
        ("he_uniform", 2 / IN),
        ("he_normal", 2 / IN),
        ("lecun_uniform", 1 / IN),
        ("lecun_normal", 1 / IN),
        ("normal", 1.0),
        ("normal:0.05", 0.05**2),
        ("uniform:-0.3,0.3", 0.3),
        ("orthogonal", 1 / IN),
    ],
)
def test_moments(spec, variance):
    w = drawn(spec)
    if "uniform" in spec:
        limit = 0.3 if ":" in spec else math.sqrt(3 * variance)
        variance = limit**2 / 3
        assert 0.999 * limit < np.abs(w).max() <= limit
        # The fourth moment of a uniform number is 1.8 σ⁴, of a normal one 3 σ⁴.
        assert np.mean(w**4) == pytest.approx(1.8 * variance**2, rel=0.03)
    elif spec != "orthogonal":
        assert np.mean(w**4) == pytest.approx(3 * variance**2, rel=0.05)
    assert w.dtype == np.float64
    assert w.var() == pytest.approx(variance, rel=0.02)
    assert abs(w.mean()) < 5 * math.sqrt(variance / w.size)


@pytest.mark.parametrize(
    ("spec", "low", "high"),
    [("uniform", 0, 1), ("uniform:0.5", 0.5, 1), ("uniform:2,5", 2, 5), ("uniform:-1,-0.5", -1, -0.5)],
)
def test_uniform(spec, low, high):
    w = drawn(spec)
    assert low <= w.min() < low + 1e-3 * (high - low)
    assert high - 1e-3 * (high - low) < w.max() < high


@pytest.mark.parametrize(("spec", "value"), [("zeros", 0), ("ones", 1), ("constant", 0), ("constant:-2.5", -2.5)])
def test_constants(spec, value):
    np.testing.assert_array_equal(drawn(spec, (3, 2)), np.full((3, 2), float(value)))


@pytest.mark.parametrize("spec", ["ones", "constant:-2.5", "he_normal"])
def test_where_shapes_alone_are_wanted_no_memory_is_taken(spec):
    assert initializer(spec)(ShapesOnly(), (2**24, 2**24)).shape == (2**24, 2**24)
    assert drawn(spec, (3, 2)).flags.writeable  # an array of its own


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (3, 3, 2, 8), (7,)])
@pytest.mark.parametrize(("spec", "gain"), [("orthogonal", 1.0), ("orthogonal:1.4", 1.4)])
def test_orthogonal(shape, spec, gain):
    w = drawn(spec, shape)
    assert w.shape == shape
    w = w.reshape(-1, shape[-1])
    product = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
    np.testing.assert_allclose(product, gain**2 * np.eye(len(product)), atol=1e-12)


def test_orthogonal_has_no_preferred_sign():
    # A decomposition left as it comes gives the same signs on the diagonal each time.
    signs = [np.sign(drawn("orthogonal", (4, 4), seed)[0, 0]) for seed in range(200)]
    assert abs(np.mean(signs)) < 0.3


@pytest.mark.parametrize("name", INITIALIZERS)
def test_the_seed_names_the_numbers(name):
    np.testing.assert_array_equal(drawn(name, (4, 3)), drawn(name, (4, 3)))
    if name not in ("zeros", "ones", "constant"):
        assert not np.array_equal(drawn(name, (4, 3)), drawn(name, (4, 3), seed=1))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("he_norml", "unknown initializer 'he_norml'; did you mean 'he_normal'?"),
        (None, "unknown initializer 'None'"),
        ("normal:a", "expected numbers after the colon, such as 'normal:0.05', got 'a'"),
        ("normal:0.1,0.2", "normal takes at most 1 numbers, got 2"),
        ("zeros:1", "zeros takes at most 0 numbers, got 1"),
        ("normal:-1", "initializer 'normal:-1': "),
        ("normal:nan", "expected finite numbers after the colon, got 'nan'"),
        ("constant:inf", "expected finite numbers"),
        ("uniform:0,inf", "initializer 'uniform:0,inf': "),
        ("uniform:2,1", "initializer 'uniform:2,1': "),
    ],
)
def test_refused(spec, said):
    with pytest.raises(ConfigError) as caught:
        pn.Dense(3, weight_init=spec)  # told where it is written, not when it is drawn
    assert said in str(caught.value)


def test_a_function():
    layer = pn.Dense(
        3, weight_init=lambda rng, shape: rng.integers(0, 9, shape), bias_init=lambda rng, shape: np.arange(3)
    )
    params, _ = layer.init(generator(0), (4,))
    np.testing.assert_array_equal(params["weight"], generator(0).integers(0, 9, (4, 3)))
    assert params["weight"].dtype == params["bias"].dtype == np.float64


def test_a_function_whose_result_has_another_shape():
    layer = pn.Dense(3, weight_init=lambda rng, shape: np.zeros(shape[::-1]))
    with pytest.raises(
        ConfigError, match=r"expected an array of shape \(4, 3\) from the function, got one of \(3, 4\)"
    ):
        layer.init(generator(0), (4,))


@pytest.mark.parametrize(("n_in", "units"), [(1000, 10), (10, 1000)])
def test_dense_gives_the_fan_in_its_inputs(n_in, units):
    params, _ = pn.Dense(units, weight_init="he_normal", bias_init="constant:0.1").init(generator(0), (n_in,))
    assert params["weight"].std() == pytest.approx(math.sqrt(2 / n_in), rel=0.05)
    np.testing.assert_array_equal(params["bias"], np.full(units, 0.1))
