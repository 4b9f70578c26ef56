"""Values of the layers beside plain Python: formulas written anew, number by number, from the papers' text.

Gradient checks compare a backward with its own forward, and backends are compared with NumPy's run of the same lines:
neither would see a formula that is wrong in both. These do.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import portanet as pn
from portanet.random import Key

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(5, 3)) * 2
POINTS = [-300.0, -3.0, -0.5, 0.0, 0.5, 3.0, 300.0]


def _logistic(x):
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def _gelu(x):
    return 0.5 * x * (1 + math.tanh(0.7978845608028654 * (x + 0.044715 * x**3)))


ACTIVATIONS = {
    pn.ReLU(): (lambda x: max(x, 0.0), 0.0),
    pn.LeakyReLU(): (lambda x: x if x > 0 else 0.01 * x, 0.01),
    pn.LeakyReLU(0.3): (lambda x: x if x > 0 else 0.3 * x, 0.3),
    pn.ELU(): (lambda x: x if x > 0 else math.expm1(x), 1.0),
    pn.ELU(2.0): (lambda x: x if x > 0 else 2 * math.expm1(x), 2.0),
    pn.Sigmoid(): (_logistic, 0.25),
    pn.Tanh(): (math.tanh, 1.0),
    pn.Softplus(): (lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))), 0.5),
    pn.GELU(): (_gelu, 0.5),
    pn.GELU("none"): (lambda x: 0.5 * x * math.erfc(-x / math.sqrt(2)), 0.5),
    pn.CELU(): (lambda x: x if x > 0 else math.expm1(x), 1.0),
    pn.CELU(0.4): (lambda x: x if x > 0 else 0.4 * math.expm1(x / 0.4), 1.0),
    pn.ReLU6(): (lambda x: min(max(x, 0.0), 6.0), 0.0),
    pn.Hardsigmoid(): (lambda x: min(max(x / 6 + 0.5, 0.0), 1.0), 1 / 6),
    pn.Hardswish(): (lambda x: x * min(max(x / 6 + 0.5, 0.0), 1.0), 0.5),
    pn.Softsign(): (lambda x: x / (1 + abs(x)), 1.0),
    pn.Swish(): (lambda x: x * _logistic(x), 0.5),
    pn.Mish(): (lambda x: x * math.tanh(max(x, 0.0) + math.log1p(math.exp(-abs(x)))), 0.6),
    pn.SELU(): (
        lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x)),
        1.7580993408473766,
    ),
    pn.SmoothClip(): (lambda x: x / math.sqrt(1 + (x / 3) ** 2), 1.0),
    pn.SmoothClip(0.5): (lambda x: x / math.sqrt(1 + (2 * x) ** 2), 1.0),
}


@pytest.mark.parametrize("layer", ACTIVATIONS, ids=str)
def test_activations(layer):
    formula, slope_at_0 = ACTIVATIONS[layer]
    x = np.array([POINTS])
    y, cache = layer.forward({}, x)
    atol = 1e-14 if layer == pn.GELU("none") else 1e-30  # erf's own error, times x
    np.testing.assert_allclose(y[0], [formula(v) for v in POINTS], rtol=1e-12, atol=atol)
    dx, grads = layer.backward({}, np.ones_like(x), cache)
    assert (dx[0, 3], grads) == (pytest.approx(slope_at_0), {})  # at a kink the slope from the left, as everywhere
    assert np.isfinite(dx).all()
    kinks = {"ReLU6": (0.0, 6.0), "Hardsigmoid": (-3.0, 3.0), "Hardswish": (-3.0, 3.0)}
    kinks |= dict.fromkeys(("ReLU", "LeakyReLU", "ELU", "SELU"), (0.0,))
    assert layer.kinks == kinks.get(type(layer).__name__, ())


@pytest.mark.parametrize("layer", ACTIVATIONS, ids=str)
def test_activations_of_far_inputs_overflow_in_no_precision(layer):
    y, _ = layer.forward({}, np.array([POINTS], "float32"))  # a warning of NumPy would be an error here
    assert np.isfinite(y).all()


@pytest.mark.parametrize("shift", [-1000.0, 0.0, 1000.0])
def test_softmax(shift):
    exps = [math.exp(v) for v in (0.5, -1.0, 2.0)]
    y, _ = pn.Softmax().forward({}, np.array([[0.5, -1.0, 2.0]]) + shift)
    np.testing.assert_allclose(y[0], [e / sum(exps) for e in exps], rtol=1e-12)


def test_dense():
    params = {"weight": RNG.normal(size=(3, 2)), "bias": RNG.normal(size=2)}
    y, cache = pn.Dense(2).forward(params, Z)
    for row, out in zip(Z, y, strict=True):
        for j in range(2):
            products = sum(row[i] * params["weight"][i, j] for i in range(3))
            assert out[j] == pytest.approx(products + params["bias"][j], rel=1e-12)
    dy = RNG.normal(size=y.shape)
    dx, grads = pn.Dense(2).backward(params, dy, cache)
    np.testing.assert_allclose(grads["bias"], [sum(dy[:, 0]), sum(dy[:, 1])], rtol=1e-12)
    assert grads["weight"][1, 0] == pytest.approx(sum(Z[n, 1] * dy[n, 0] for n in range(5)), rel=1e-12)
    assert dx[4, 2] == pytest.approx(sum(dy[4, j] * params["weight"][2, j] for j in range(2)), rel=1e-12)
    # Inputs with axes of their own in front share the parameters, whose gradients are the sums over these.
    stacked = np.stack([Z, 3 * Z])
    dys = np.stack([dy, dy])
    _, of_all = pn.Dense(2).backward(params, dys, pn.Dense(2).forward(params, stacked)[1])
    np.testing.assert_allclose(of_all["bias"], 2 * grads["bias"], rtol=1e-12)
    np.testing.assert_allclose(of_all["weight"], 4 * grads["weight"], rtol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("units", [1, 2])
@pytest.mark.parametrize("features", [1, 4])
def test_dense_of_few_rows_features_and_units(n, features, units):
    # Sums over a single number are no matrix products: alone, and in a stack of three networks.
    x, dy, w = (RNG.normal(size=(3, *shape)) for shape in ((n, features), (n, units), (features, units)))
    params, layer = {"weight": w, "bias": np.zeros((3, units))}, pn.Dense(units)
    y, cache = layer.forward(params, x)
    dx, grads = layer.backward(params, dy, cache)
    np.testing.assert_allclose(y, np.einsum("knf,kfu->knu", x, w), rtol=1e-12)
    np.testing.assert_allclose(dx, np.einsum("knu,kfu->knf", dy, w), rtol=1e-12)
    np.testing.assert_allclose(grads["weight"], np.einsum("knf,knu->kfu", x, dy), rtol=1e-12)
    np.testing.assert_allclose(grads["bias"], np.einsum("knu->ku", dy), rtol=1e-12)
    for k in range(3):
        own = {"weight": w[k], "bias": np.zeros(units)}
        alone, of_own = layer.backward(own, dy[k], layer.forward(own, x[k])[1])
        np.testing.assert_allclose(alone, dx[k], rtol=1e-12)
        assert {name: g.shape for name, g in of_own.items()} == {"weight": (features, units), "bias": (units,)}
        for name in own:
            np.testing.assert_allclose(of_own[name], grads[name][k], rtol=1e-12)


def test_embedding():
    layer, params = pn.Embedding(4, 2), {"weight": RNG.normal(size=(4, 2))}
    x = np.array([[3.0, 0.0, 3.0], [2.0, 4.0, -1.0]])  # the last two are beyond the categories
    y, cache = layer.forward(params, x)
    w, zero = params["weight"], np.zeros(2)
    np.testing.assert_array_equal(y, [[w[3], w[0], w[3]], [w[2], zero, zero]])
    dy = RNG.normal(size=y.shape)
    dx, grads = layer.backward(params, dy, cache)
    np.testing.assert_allclose(grads["weight"], [dy[0, 1], zero, dy[1, 0], dy[0, 0] + dy[0, 2]], rtol=1e-12)
    np.testing.assert_array_equal(dx, np.zeros((2, 3)))


def test_dropout2d_drops_whole_channels():
    layer = pn.Dropout2D(0.5)
    with pytest.raises(pn.ShapeError, match="expected images"):
        layer.init(None, (4,))
    y, _ = layer.forward({}, np.ones((6, 3, 2, 5)), train=True, key=Key(1, 2))
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1, :1], y.shape))
    assert set(np.unique(y)) == {0.0, 2.0}


def test_rescale():
    assert pn.Rescale(3.0) == pn.Rescale(3.0, 0.0)
    for layer, scale, offset in ((pn.Rescale(0.5, -2.0), 0.5, -2.0), (pn.Rescale(4.0), 4.0, 0.0)):
        np.testing.assert_allclose(layer.forward({}, Z)[0], [[scale * v + offset for v in row] for row in Z])
    numbers = Z.ravel().tolist()
    mean = sum(numbers) / 15
    deviation = math.sqrt(sum((v - mean) ** 2 for v in numbers) / 15)
    of = pn.Rescale.of(Z)
    assert [of.scale, of.offset] == pytest.approx([1 / deviation, -mean / deviation])
    assert pn.Rescale.of(np.full((2, 3), 5.0)) == pn.Rescale(1.0, -5.0)  # what never changes is only centred


def test_standardize():
    x = np.column_stack([Z, np.full(5, 7.0)])
    layer = pn.Standardize.of(x)
    buffers = layer.init_buffers((4,))
    assert {name: array.shape for name, array in buffers.items()} == layer.buffer_shapes((4,))
    assert repr(layer) == "Standardize()"
    y, cache = layer.forward(buffers, 2 * x)
    dx, _ = layer.backward({}, np.ones_like(x), cache)
    for j in range(4):
        mean = sum(x[:, j]) / 5
        deviation = math.sqrt(sum((v - mean) ** 2 for v in x[:, j]) / 5) or 1.0
        np.testing.assert_allclose(y[:, j], [(2 * v - mean) / deviation for v in x[:, j]], rtol=1e-12)
        np.testing.assert_allclose(dx[:, j], 1 / deviation, rtol=1e-12)


def test_dropout_scales_what_it_keeps():
    x = np.ones((400, 50))
    y, cache = pn.Dropout(0.2).forward({}, x, train=True, key=Key(0, 0))
    assert set(np.unique(y)) == {0.0, 1.25}
    assert np.mean(y) == pytest.approx(1.0, abs=0.02)
    np.testing.assert_array_equal(pn.Dropout(0.2).backward({}, x, cache)[0], y)
    assert pn.Dropout(0.2).forward({}, x)[0] is x  # off unless it is told to train
    assert pn.Dropout(0).forward({}, x, train=True)[0] is x


@pytest.mark.parametrize("shape", [(5, 3), (2, 3), (2, 2, 2, 3), (1, 2, 2, 3)])
def test_batch_norm(shape):
    layer = pn.BatchNorm(momentum=0.7, eps=0.1)
    x = RNG.normal(size=shape) * 3 + 1
    params = {"scale": np.array([2.0, 1.0, 0.5]), "shift": np.array([0.0, 1.0, -1.0])}
    buffers = {"mean": np.array([5.0, 6.0, 7.0]), "variance": np.array([1.0, 2.0, 3.0])}
    names = list(layer.init(None, shape[1:])[0])
    everything = {**dict(zip(names, params.values(), strict=True)), **buffers}
    y, cache = layer.forward(everything, x, train=True)
    still, _ = layer.forward(everything, x)
    new = layer.updated_buffers(everything, cache)
    for j in range(3):
        values = x[..., j].reshape(-1)
        mean = sum(values) / len(values)
        squares = sum((v - mean) ** 2 for v in values)
        scale, shift = params["scale"][j], params["shift"][j]
        z = (values - mean) / math.sqrt(squares / len(values) + 0.1)
        np.testing.assert_allclose(y[..., j].reshape(-1), scale * z + shift, rtol=1e-12)
        z = (values - buffers["mean"][j]) / math.sqrt(buffers["variance"][j] + 0.1)
        np.testing.assert_allclose(still[..., j].reshape(-1), scale * z + shift, rtol=1e-12)
        assert new["mean"][j] == pytest.approx(0.7 * buffers["mean"][j] + 0.3 * mean, rel=1e-12)
        variance = squares / (len(values) - 1)  # the unbiased one, as torch and Keras keep it
        assert new["variance"][j] == pytest.approx(0.7 * buffers["variance"][j] + 0.3 * variance, rel=1e-12)


def test_layer_norm():
    layer = pn.LayerNorm(eps=0.1)
    params = dict(zip(layer.init(None, (3,))[0], (np.array([2.0, 1.0, 0.5]), np.array([0.0, 1.0, -1.0])), strict=True))
    y, _ = layer.forward(params, Z)
    for row, out in zip(Z, y, strict=True):
        mean = sum(row) / 3
        deviation = math.sqrt(sum((v - mean) ** 2 for v in row) / 3 + 0.1)
        np.testing.assert_allclose(out, np.array([2, 1, 0.5]) * (row - mean) / deviation + np.array([0, 1, -1]))


def test_what_layers_begin_with():
    assert (pn.BatchNorm().momentum, pn.BatchNorm().eps, pn.LayerNorm().eps) == (0.9, 1e-5, 1e-5)
    assert (pn.ELU().alpha, pn.LeakyReLU().slope) == (1.0, 0.01)
    assert pn.BatchNorm(momentum=0.0).momentum == 0.0
    for make in (lambda: pn.BatchNorm(eps=math.nan), lambda: pn.Dense(3, bias="yes")):
        with pytest.raises(pn.ConfigError, match="must be"):
            make()
