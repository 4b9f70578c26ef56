"""Values of the layers for tables beside plain Python: formulas written again, number by number."""

from __future__ import annotations

import math

import numpy as np
import pytest

import portanet as pn
from portanet.random import generator

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 3)) * 2


def test_scale():
    scale = np.array([2.0, -1.0, 0.5])
    y, cache = pn.Scale().forward({"scale": scale}, X)
    dy = RNG.normal(size=X.shape)
    dx, grads = pn.Scale().backward({"scale": scale}, dy, cache)
    assert y[3, 1] == -X[3, 1]
    assert dx[3, 0] == 2 * dy[3, 0]
    assert grads["scale"][2] == pytest.approx(sum(dy[n, 2] * X[n, 2] for n in range(5)), rel=1e-12)
    assert pn.Scale().init(generator(0), (3,))[0]["scale"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("places", [(), (4,)])
def test_ntk_dense(places):
    layer, params = pn.NTKDense(2, bias_factor=0.3), {"weight": RNG.normal(size=(3, 2)), "bias": RNG.normal(size=2)}
    x = RNG.normal(size=(5, *places, 3))
    y, cache = layer.forward(params, x)
    dy = RNG.normal(size=y.shape)
    dx, grads = layer.backward(params, dy, cache)
    rows, outs, dys = x.reshape(-1, 3), y.reshape(-1, 2), dy.reshape(-1, 2)
    for row, out in zip(rows, outs, strict=True):
        for j in range(2):
            product = sum(row[i] * params["weight"][i, j] for i in range(3)) / math.sqrt(3)
            assert out[j] == pytest.approx(product + 0.3 * params["bias"][j], rel=1e-12)
    assert grads["bias"][1] == pytest.approx(0.3 * sum(dys[:, 1]), rel=1e-12)
    assert grads["weight"][2, 0] == pytest.approx(sum(rows[:, 2] * dys[:, 0]) / math.sqrt(3), rel=1e-12)
    expected = sum(dys[4, j] * params["weight"][1, j] for j in range(2)) / math.sqrt(3)
    assert dx.reshape(-1, 3)[4, 1] == pytest.approx(expected, rel=1e-12)


def test_ntk_weights_are_drawn_with_variance_1():
    params, _ = pn.NTKDense(300).init(generator(0), (400,))
    assert params["weight"].std() == pytest.approx(1, abs=0.01)
    assert params["bias"].std() == pytest.approx(1, abs=0.1)


def test_parametric():
    a = np.array([0.0, 1.0, 0.25])
    y, _ = pn.Parametric(pn.ReLU()).forward({"strength": a}, np.array([[-2.0, -2.0, -2.0], [4.0, 4.0, 4.0]]))
    assert y.tolist() == [[-2, 0, -1.5], [4, 4, 4]]
    assert pn.Parametric(pn.Mish()).init(generator(0), (3,))[0]["strength"].tolist() == [1, 1, 1]
    with pytest.raises(pn.ShapeError, match=r"expected an activation without parameters .*got Dense"):
        pn.Parametric(pn.Dense(3)).init(generator(0), (3,))


@pytest.mark.parametrize(("phase", "skip"), [(True, True), (False, False), (False, True)])
def test_periodic_embedding(phase, skip):
    layer = pn.PeriodicEmbedding(2, 4, phase=phase, skip=skip)
    params, shape = layer.init(generator(1), (3,))
    y, _ = layer.forward(params, X)
    assert shape == (3 * 2 + 3 * skip,) == y.shape[1:]
    for n in range(5):
        for f in range(3):
            turns = [2 * math.pi * params["frequency"][f, k] * X[n, f] for k in range(4)]
            if phase:
                waves = [math.cos(turn + params["phase"][f, k]) for k, turn in enumerate(turns)]
            else:
                waves = [*map(math.cos, turns), *map(math.sin, turns)]
            for u in range(2):
                product = sum(w * params["weight"][f, i, u] for i, w in enumerate(waves))
                assert y[n, 2 * f + u] == pytest.approx(product + params["bias"][f, u], rel=1e-11, abs=1e-13)
    if skip:
        np.testing.assert_array_equal(y[:, 6:], X)


def test_what_periodic_embeddings_are_drawn_from():
    params, _ = pn.PeriodicEmbedding(3, 16, sigma=0.2).init(generator(0), (200,))
    assert params["frequency"].std() == pytest.approx(0.2, rel=0.05)
    for name, limit in (("phase", math.pi), ("weight", 0.25), ("bias", 0.25)):
        assert 0.98 * limit < abs(params[name]).max() < limit, name
    with pytest.raises(pn.ShapeError, match="expected rows of features, got samples of shape"):
        pn.PeriodicEmbedding().init(generator(0), (2, 3))


def test_one_hot():
    x = np.array([[0.0, 1.0], [2.0, -1.0], [3.0, 0.0]])
    y, cache = pn.OneHot((3, 2)).forward({}, x)
    assert y.tolist() == [[1, 0, 0, 0, 1], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0]]
    assert not pn.OneHot((3, 2)).backward({}, np.ones(y.shape), cache)[0].any()
    with pytest.raises(pn.ShapeError, match="expected 2 features"):
        pn.OneHot((3, 2)).init(generator(0), (3,))


def test_robust_scale():
    x = np.array([[0.0, 5, 1, 0], [1, 5, 1, 0], [2, 5, 1, 0], [3, 5, 1, 0], [1000, 5, 1, 8]])
    layer = pn.RobustScale.of(x.astype("float32"))
    assert layer.median.tolist() == [2, 5, 1, 0]
    # Quartiles 1 and 3; two columns that never change; one whose quartiles are equal, scaled by half of its range.
    assert layer.factor.tolist() == [0.5, 0, 0, 0.25]
    y, _ = layer.forward(layer.init_buffers((4,)), x)
    assert y[:, 0].tolist() == [-1, -0.5, 0, 0.5, 499]
    lower, _, upper = np.quantile(X, [0.25, 0.5, 0.75], axis=0)
    np.testing.assert_allclose(pn.RobustScale.of(X).factor, 1 / (upper - lower), rtol=1e-12)
    with pytest.raises(pn.ShapeError, match=r"made of samples of shape \(4,\), got \(3,\).*RobustScale.of\(x\)"):
        layer.init_buffers((3,))
    with pytest.raises(pn.ShapeError, match=r"no median and factor yet; make it by RobustScale.of\(x\)"):
        pn.RobustScale().init_buffers((3,))
