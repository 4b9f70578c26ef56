"""Values of the losses beside plain Python, number by number: see test_math_values.py."""

from __future__ import annotations

import math

import numpy as np
import pytest

import portanet as pn
from portanet.losses.base import aligned

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(5, 3)) * 2
NUMBERS = RNG.normal(size=(5, 3)) * 2
CLASSES = np.array([2, 0, 1, 1, 0])
ONE_HOT = np.eye(3)[CLASSES]
YES_NO = (NUMBERS > 0).astype(float)
COUNTS = np.floor(np.abs(NUMBERS) * 3)
WEIGHT = np.array([1.0, 0.0, 2.5, 0.5, 3.0])


def _cross_entropy(z, t):
    exps = [math.exp(v) for v in z]
    return -sum(share * math.log(e / sum(exps)) for share, e in zip(t, exps, strict=True))


def _binary(z, t):
    return -sum(
        y * math.log(1 / (1 + math.exp(-v))) + (1 - y) * math.log(1 - 1 / (1 + math.exp(-v)))
        for v, y in zip(z, t, strict=True)
    )


def _each(function):
    return lambda z, t: sum(function(v, y) for v, y in zip(z, t, strict=True)) / len(z)


def _huber(delta):
    return lambda v, y: 0.5 * (v - y) ** 2 if abs(v - y) <= delta else delta * (abs(v - y) - 0.5 * delta)


def _focal(z, t, gamma=2.0):
    exps = [math.exp(v) for v in z]
    shares = [e / sum(exps) for e in exps]
    return -sum(y * (1 - p) ** gamma * math.log(p) for p, y in zip(shares, t, strict=True))


LOSSES = {
    "focal": (pn.FocalCrossEntropy(), ONE_HOT, _focal),
    "focal, mild": (pn.FocalCrossEntropy(0.5), ONE_HOT, lambda z, t: _focal(z, t, 0.5)),
    "cross-entropy": (pn.SoftmaxCrossEntropy(), ONE_HOT, _cross_entropy),
    "smoothed": (
        pn.SoftmaxCrossEntropy(label_smoothing=0.3),
        ONE_HOT,
        lambda z, t: _cross_entropy(z, [0.7 * y + 0.1 for y in t]),
    ),
    "binary": (pn.BinaryCrossEntropy(), YES_NO, _binary),
    "binary, smoothed": (
        pn.BinaryCrossEntropy(label_smoothing=0.3),
        YES_NO,
        lambda z, t: _binary(z, [0.7 * y + 0.15 for y in t]),
    ),
    "half squares": (
        pn.SumSquaredError(),
        NUMBERS,
        lambda z, t: 0.5 * sum((v - y) ** 2 for v, y in zip(z, t, strict=True)),
    ),
    "squares": (pn.MeanSquaredError(), NUMBERS, _each(lambda v, y: (v - y) ** 2)),
    "absolute": (pn.MeanAbsoluteError(), NUMBERS, _each(lambda v, y: abs(v - y))),
    "Huber": (pn.Huber(), NUMBERS, _each(_huber(1.0))),
    "Huber, wide": (pn.Huber(2.5), NUMBERS, _each(_huber(2.5))),
    "quantiles": (
        pn.Quantile((0.1, 0.5, 0.8), unit=2.0),
        NUMBERS,
        lambda z, t: (
            sum((tau if y > v else tau - 1) * (y - v) / 2 for v, y, tau in zip(z, t, (0.1, 0.5, 0.8), strict=True)) / 3
        ),
    ),
    "log-likelihood": (
        pn.NegativeLogLikelihood(),
        ONE_HOT,
        lambda z, t: -sum(v * y for v, y in zip(z, t, strict=True)),
    ),
    "Poisson": (pn.Poisson(), COUNTS, _each(lambda v, y: math.exp(v) - y * v)),
}


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, weight):
    loss, target, of_a_sample = LOSSES[name]
    w = [1.0] * 5 if weight is None else weight
    expected = sum(s * of_a_sample(z, t) for s, z, t in zip(w, Z, target, strict=True)) / sum(w)
    value, cache = loss.forward(Z, target, weight)
    assert value == pytest.approx(expected, rel=1e-12)
    stack = np.stack([Z, 2 * Z])  # the loss of each network of a stack, and its gradient
    values, caches = loss.forward(stack, target, weight)
    assert values[0] == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(loss.backward(caches)[0], loss.backward(cache), rtol=1e-12)
    if weight is not None:  # each network may have targets and weights of its own
        values, caches = loss.forward(stack, np.stack([target, target]), np.stack([weight[::-1], weight]))
        second, cache = loss.forward(2 * Z, target, weight)
        assert values[1] == pytest.approx(second, rel=1e-12)
        np.testing.assert_allclose(loss.backward(caches)[1], loss.backward(cache), rtol=1e-12)
    alone, _ = loss.forward(stack[:, :1], target[:1])  # of a single sample
    assert alone[0] == pytest.approx(of_a_sample(Z[0], target[0]), rel=1e-12)


@pytest.mark.parametrize("loss", [pn.SoftmaxCrossEntropy(), pn.FocalCrossEntropy()])
def test_two_logits_far_apart(loss):
    value, cache = loss.forward(np.array([[1000.0, 0.0]]), np.array([1]))  # exp(1000) is infinite
    assert value == 1000.0
    np.testing.assert_array_equal(loss.backward(cache), [[1.0, -1.0]])


def test_what_the_losses_say_of_themselves():
    infinite = (-math.inf, math.inf)
    said = {type(loss): (loss.threshold, loss.target_range) for loss, _, _ in LOSSES.values()}
    assert said == {
        pn.SoftmaxCrossEntropy: (0.0, (0.0, 1.0)),
        pn.BinaryCrossEntropy: (0.0, (0.0, 1.0)),
        pn.SumSquaredError: (0.5, infinite),
        pn.MeanSquaredError: (0.5, infinite),
        pn.MeanAbsoluteError: (0.5, infinite),
        pn.Huber: (0.5, infinite),
        pn.Poisson: (0.5, (0.0, math.inf)),
        pn.Quantile: (0.5, infinite),
        pn.FocalCrossEntropy: (0.0, (0.0, 1.0)),
        pn.NegativeLogLikelihood: (0.0, (0.0, 1.0)),
    }


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (
            lambda: pn.SoftmaxCrossEntropy(label_smoothing=1.0),
            "label_smoothing must be a number from 0 to 1 (1 excluded), got 1.0",
        ),
        (
            lambda: pn.BinaryCrossEntropy(label_smoothing=1.0),
            "label_smoothing must be a number from 0 to 1 (1 excluded), got 1.0",
        ),
        (
            lambda: pn.BinaryCrossEntropy(label_smoothing=math.nan),
            "label_smoothing must be a number from 0 to 1 (1 excluded)",
        ),
        (
            lambda: pn.SoftmaxCrossEntropy(label_smoothing="x"),
            "label_smoothing must be a number from 0 to 1 (1 excluded)",
        ),
        (lambda: pn.Quantile((0.5, 1.0)), "taus must be one or more entries, each a number from 0 to 1"),
        (lambda: pn.Quantile((0.5,)).forward(Z, NUMBERS), "expected 1 outputs, one for each of taus, got 3"),
        (lambda: pn.Huber(math.inf), "delta must be a finite number"),
        (lambda: pn.Huber(0.0), "delta must be a finite number above 0, got 0.0"),
        (lambda: pn.SoftmaxCrossEntropy().forward(Z[:, :1], CLASSES), "expected at least 2 outputs, got 1"),
    ],
)
def test_losses_that_cannot_be(loss, said):
    with pytest.raises((pn.ConfigError, pn.ShapeError)) as caught:
        loss()
    assert said in str(caught.value)


@pytest.mark.parametrize(("outputs", "told"), [(1, False), (2, True)])
def test_targets_that_do_not_fit_are_told_what_would(outputs, told):
    with pytest.raises(pn.ShapeError) as caught:
        pn.MeanSquaredError().forward(Z[:, :outputs], NUMBERS[:4])
    assert ("or one class index" in str(caught.value)) is told


def test_targets_of_another_dtype_are_cast_and_those_of_the_same_are_not():
    prediction = Z.astype("float32")
    value, _ = pn.MeanSquaredError().forward(prediction, NUMBERS)
    assert value.dtype == np.float32
    assert aligned(Z, NUMBERS, np) is NUMBERS


def test_by_name_or_as_it_is():
    loss, optimizer = pn.Huber(3.0), pn.Lion()
    assert pn.losses.get(loss) is loss
    assert pn.losses.get("poisson") == pn.Poisson()
    assert pn.optimizers.get(optimizer) is optimizer
    assert pn.optimizers.get("adam", lr=0.5) == pn.Adam(lr=0.5)
