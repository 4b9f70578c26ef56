"""Every optimizer: its rule in plain Python, its agreement between backends, decay, clipping, and its errors."""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np
import pytest

from portanet import optimizers
from portanet.backends import get
from portanet.errors import ConfigError
from portanet.optimizers import SGD, Adagrad, Adam, AdamW, Lion, RMSprop
from portanet.optimizers.rules import one_minus_power
from portanet.verify.agreement import TOLERANCE, _difference, run_optimizer
from tests.backends.at_hand import on_every_device
from tests.cases import OPTIMIZER_CASES

every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZER_CASES)


@every_optimizer
@on_every_device
@pytest.mark.usefixtures("compiled_as_for_users")
def test_agrees_with_numpy_in_float64(optimizer, backend, dtype):
    expected = run_optimizer(optimizer, get("numpy"), "float64")
    assert _difference(run_optimizer(optimizer, backend, dtype), expected) <= TOLERANCE[dtype]


@every_optimizer
@on_every_device
def test_state_and_parameters_keep_dtype_and_shape(optimizer, backend, dtype):
    with backend.activate(dtype):
        params = {"0.weight": backend.xp.asarray(backend.asarray(np.ones((2, 3)), dtype), copy=True)}
        state = optimizer.init(params)
        for _ in range(2):
            grads = {"0.weight": backend.asarray(np.full((2, 3), 0.5), dtype)}
            params, state = optimizer.update(params, grads, state, optimizer.lr)
        assert int(state["t"]) == 2
        for array in (params["0.weight"], *(state[slot]["0.weight"] for slot in optimizer.slots)):
            assert tuple(array.shape) == (2, 3)
            assert str(array.dtype).endswith(dtype)


@every_optimizer
def test_gradients_are_left_as_they_are(optimizer):
    g = np.linspace(-1, 1, 6).reshape(2, 3)
    g.flags.writeable = False
    params = {"0.weight": np.ones((2, 3))}
    optimizer.update(params, {"0.weight": g}, optimizer.init(params), 0.1)


@every_optimizer
def test_finds_the_minimum_of_a_quadratic(optimizer):
    params = {"0.weight": np.array([3.0, -2.0])}
    curvature = np.array([1.0, 3.0])
    state = optimizer.init(params)
    for i in range(3000):
        grads = {"0.weight": curvature * params["0.weight"]}
        params, state = optimizer.update(params, grads, state, 0.2 / (1 + i / 300))
    assert np.abs(params["0.weight"]).max() < 0.1  # Lion ends within its last steps of it


def _one(optimizer, gradients, start=1.0, lr=0.1):
    params = {"0.weight": np.array([start])}
    state = optimizer.init(params)
    for g in gradients:
        params, state = optimizer.update(params, {"0.weight": np.array([g])}, state, lr)
    return float(params["0.weight"][0])


G = [0.5, -1.0, 2.0]


def _sgd_momentum():
    p, v = 1.0, 0.0
    for g in G:
        v = 0.9 * v + g
        p -= 0.1 * v
    return p


def _rmsprop():
    p, s = 1.0, 0.0
    for g in G:
        s = 0.9 * s + 0.1 * g * g
        p -= 0.1 * g / (math.sqrt(s) + 1e-8)
    return p


def _adagrad():
    p, s = 1.0, 0.0
    for g in G:
        s += g * g
        p -= 0.1 * g / (math.sqrt(s) + 1e-10)
    return p


def _adam(decay=0.0):
    p, m, v = 1.0, 0.0, 0.0
    for t, g in enumerate(G, 1):
        p *= 1 - 0.1 * decay
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        p -= 0.1 * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return p


def _lion():
    p, m = 1.0, 0.0
    for g in G:
        p -= 0.1 * math.copysign(1.0, 0.9 * m + 0.1 * g)
        m = 0.99 * m + 0.01 * g
    return p


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (SGD(), 1.0 - 0.1 * sum(G)),
        (SGD(momentum=0.9), _sgd_momentum()),
        (RMSprop(), _rmsprop()),
        (Adagrad(), _adagrad()),
        (Adam(), _adam()),
        (AdamW(weight_decay=0.3), _adam(0.3)),
        (Lion(), _lion()),
    ],
    ids=lambda v: type(v).__name__,
)
def test_rule_in_plain_python(optimizer, expected):
    assert _one(optimizer, G) == pytest.approx(expected, rel=1e-12)


def test_decay_shrinks_weights_and_leaves_biases():
    params = {"0.weight": np.ones(2), "0.bias": np.ones(2)}
    optimizer = SGD(weight_decay=0.5)
    zero = {name: np.zeros(2) for name in params}
    params, _ = optimizer.update(params, zero, optimizer.init(params), 0.1)
    np.testing.assert_allclose(params["0.weight"], 0.95)
    np.testing.assert_array_equal(params["0.bias"], 1.0)


def test_clip_norm_takes_all_gradients_together_and_keeps_their_direction():
    grads = {"a": np.array([3.0, 0.0]), "b": np.array([4.0])}
    clipped = SGD(clip_norm=1.0).clipped(grads)
    np.testing.assert_allclose(clipped["a"], [0.6, 0.0])
    np.testing.assert_allclose(clipped["b"], [0.8])
    inside = SGD(clip_norm=10.0).clipped(grads)
    np.testing.assert_array_equal(inside["a"], grads["a"])


def test_clip_value_holds_each_entry():
    clipped = SGD(clip_value=1.0).clipped({"a": np.array([3.0, -0.5, -2.0])})
    np.testing.assert_array_equal(clipped["a"], [1.0, -0.5, -1.0])


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.999, 0.999999])
def test_bias_correction_does_not_cancel(beta, backend):
    with backend.activate("float32"):
        for t in (1, 3, 1000):
            exact = float(-np.expm1(t * np.log(np.longdouble(beta)))) if beta else 1.0
            assert one_minus_power(beta, t) == pytest.approx(exact, rel=1e-14)
            on_device = one_minus_power(beta, backend.asarray(np.float32(t)))
            assert float(np.asarray(backend.to_numpy(on_device)) if beta else on_device) == pytest.approx(
                exact, rel=1e-6
            )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(lr=-1), "lr must be a finite number of 0 or more, got -1"),
        (lambda: Adam(lr=float("nan")), "lr must be a finite number"),
        (lambda: SGD(momentum=1.0), "momentum must be a number from 0 to 1 (1 excluded), got 1.0"),
        (lambda: SGD(nesterov=True), "nesterov needs a momentum"),
        (lambda: Adam(beta2=1.0), "beta2 must be"),
        (lambda: SGD(clip_norm=0), "clip_norm must be a finite number above 0, or None, got 0"),
        (lambda: optimizers.get("adm"), "did you mean 'adam'"),
        (lambda: optimizers.get("adam", momentun=0.9), "optimizer 'adam': unknown option 'momentun'"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        make()


@pytest.mark.parametrize("clip", [{}, {"clip_norm": 0.5}, {"clip_value": 0.3}])
@every_optimizer
def test_a_stack_moves_as_each_of_its_networks_alone(optimizer, clip):
    optimizer = dataclasses.replace(optimizer, **clip)
    rng = np.random.default_rng(0)
    start = {"0.weight": rng.normal(size=(3, 4, 2)), "0.bias": rng.normal(size=(3, 2))}
    steps = [{name: scale * rng.normal(size=p.shape) for name, p in start.items()} for scale in (1.0, 0.1, 5.0)]
    rates, decays = np.array([0.1, 0.01, 0.3]), np.array([0.0, 0.5, 0.1])
    params = {name: p.copy() for name, p in start.items()}
    state = optimizer.init(params)
    for grads in steps:
        params, state = optimizer.update(params, grads, state, rates, stacked=True, weight_decay=decays)
    for i in range(3):
        own = dataclasses.replace(optimizer, weight_decay=float(decays[i]))
        alone = {name: p[i].copy() for name, p in start.items()}
        state = own.init(alone)
        for grads in steps:
            alone, state = own.update(alone, {name: g[i] for name, g in grads.items()}, state, float(rates[i]))
        for name, p in alone.items():
            np.testing.assert_allclose(params[name][i], p, rtol=1e-12, atol=1e-14)
