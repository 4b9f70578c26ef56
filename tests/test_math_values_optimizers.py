"""Values of the optimizers beside plain Python, number by number: see test_math_values.py."""

from __future__ import annotations

import math

import numpy as np
import pytest

import portanet as pn

RNG = np.random.default_rng(0)
STEPS = 60
GRADIENTS = RNG.normal(size=STEPS) * np.exp(RNG.normal(size=STEPS))


def _descent(momentum=0.0, nesterov=False):
    def rule(p, g, t, s):
        v = s.get("v", 0.0) * momentum + g
        s["v"] = v
        return p - 0.05 * (g + momentum * v if nesterov else v)

    return rule


def _rmsprop(p, g, t, s):
    s["v"] = 0.8 * s.get("v", 0.0) + 0.2 * g * g
    return p - 0.05 * g / (math.sqrt(s["v"]) + 0.01)


def _adagrad(p, g, t, s):
    s["v"] = s.get("v", 0.0) + g * g
    return p - 0.05 * g / (math.sqrt(s["v"]) + 0.01)


def _adam(decay=0.0):
    def rule(p, g, t, s):
        p *= 1 - 0.05 * decay
        s["m"] = 0.7 * s.get("m", 0.0) + 0.3 * g
        s["v"] = 0.8 * s.get("v", 0.0) + 0.2 * g * g
        return p - 0.05 * (s["m"] / (1 - 0.7**t)) / (math.sqrt(s["v"] / (1 - 0.8**t)) + 0.01)

    return rule


def _nadam(p, g, t, s):
    now, later = (0.7 * (1 - 0.5 * 0.96 ** (0.1 * i)) for i in (t, t + 1))
    s["u"] = s.get("u", 1.0) * now
    s["m"] = 0.7 * s.get("m", 0.0) + 0.3 * g
    s["v"] = 0.8 * s.get("v", 0.0) + 0.2 * g * g
    along = later * s["m"] / (1 - s["u"] * later) + (1 - now) * g / (1 - s["u"])
    return p - 0.05 * along / (math.sqrt(s["v"] / (1 - 0.8**t)) + 0.01)


def _lion(p, g, t, s):
    m = s.get("m", 0.0)
    s["m"] = 0.8 * m + 0.2 * g
    return p - 0.05 * math.copysign(1.0, 0.7 * m + 0.3 * g)


OPTIMIZERS = {
    "descent": (pn.SGD(), _descent()),
    "momentum": (pn.SGD(momentum=0.6), _descent(0.6)),
    "Nesterov": (pn.SGD(momentum=0.6, nesterov=True), _descent(0.6, nesterov=True)),
    "RMSprop": (pn.RMSprop(rho=0.8, eps=0.01), _rmsprop),
    "Adagrad": (pn.Adagrad(eps=0.01), _adagrad),
    "Adam": (pn.Adam(beta1=0.7, beta2=0.8, eps=0.01), _adam()),
    "AdamW": (pn.AdamW(beta1=0.7, beta2=0.8, eps=0.01, weight_decay=0.4), _adam(0.4)),
    "NAdam": (pn.NAdam(beta1=0.7, beta2=0.8, eps=0.01, momentum_decay=0.1), _nadam),
    "Lion": (pn.Lion(beta1=0.7, beta2=0.8), _lion),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    optimizer, rule = OPTIMIZERS[name]
    params = {"weight": np.array([1.0])}
    state = optimizer.init(params)
    expected = 1.0
    kept: dict[str, float] = {}
    for t, g in enumerate(GRADIENTS, 1):
        params, state = optimizer.update(params, {"weight": np.array([g])}, state, 0.05)
        expected = rule(expected, g, t, kept)
        assert float(params["weight"][0]) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "AdamW"])
def test_no_gradient_is_no_step(name):
    optimizer, _ = OPTIMIZERS[name]
    params = {"weight": np.ones(2)}
    params, state = optimizer.update(params, {"weight": np.zeros(2)}, optimizer.init(params), 0.1)
    np.testing.assert_array_equal(params["weight"], 1.0)
    assert state["t"] == 1


def test_what_optimizers_begin_with():
    assert [
        (o.lr, o.weight_decay) for o in (pn.SGD(), pn.RMSprop(), pn.Adagrad(), pn.Adam(), pn.AdamW(), pn.Lion())
    ] == [
        (0.01, 0.0),
        (0.001, 0.0),
        (0.01, 0.0),
        (0.001, 0.0),
        (0.001, 0.01),
        (0.0001, 0.0),
    ]


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (pn.SGD, "momentum"),
        (pn.RMSprop, "rho"),
        (pn.Adam, "beta1"),
        (pn.Adam, "beta2"),
        (pn.Lion, "beta1"),
        (pn.Lion, "beta2"),
    ],
)
@pytest.mark.parametrize("value", [1.0, -0.1, math.nan])
def test_shares_of_optimizers(kind, field, value):
    with pytest.raises(pn.ConfigError, match=f"{kind.__name__}: {field} must be"):
        kind(**{field: value})


@pytest.mark.parametrize("kind", [pn.SGD, pn.RMSprop, pn.Adagrad, pn.Adam, pn.AdamW, pn.Lion])
def test_every_optimizer_checks_its_numbers(kind):
    with pytest.raises(pn.ConfigError, match=f"{kind.__name__}: lr must be a finite number"):
        kind(lr=math.nan)
