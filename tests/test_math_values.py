"""Values of the math beside plain Python: formulas written anew, number by number, from the papers' text.

Gradient checks compare a backward with its own forward, and backends are compared with NumPy's run of the same lines:
neither would see a formula that is wrong in both. These do.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import portanet as pn
from portanet.losses.base import aligned
from portanet.random import Key

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


LOSSES = {
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
    }


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (lambda: pn.SoftmaxCrossEntropy(label_smoothing=1.0), "label_smoothing must be at least 0 and below 1"),
        (lambda: pn.BinaryCrossEntropy(label_smoothing=1.0), "label_smoothing must be at least 0 and below 1"),
        (lambda: pn.BinaryCrossEntropy(label_smoothing=math.nan), "label_smoothing must be a finite number"),
        (lambda: pn.SoftmaxCrossEntropy(label_smoothing="x"), "label_smoothing must be a finite number"),
        (lambda: pn.Huber(math.inf), "delta must be a finite number"),
        (lambda: pn.Huber(0.0), "delta must be above 0"),
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
    pn.Swish(): (lambda x: x * _logistic(x), 0.5),
}


@pytest.mark.parametrize("layer", ACTIVATIONS, ids=str)
def test_activations(layer):
    formula, slope_at_0 = ACTIVATIONS[layer]
    x = np.array([POINTS])
    y, cache = layer.forward({}, x)
    np.testing.assert_allclose(y[0], [formula(v) for v in POINTS], rtol=1e-12, atol=1e-30)
    dx, grads = layer.backward({}, np.ones_like(x), cache)
    assert (dx[0, 3], grads) == (pytest.approx(slope_at_0), {})  # at a kink the slope from the left, as everywhere
    assert np.isfinite(dx).all()
    assert layer.kinks == ((0.0,) if type(layer).__name__ in ("ReLU", "LeakyReLU", "ELU") else ())


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


def test_embedding():
    layer, params = pn.Embedding(4, 2), {"weight": RNG.normal(size=(4, 2))}
    x = np.array([[3.0, 0.0, 3.0], [2.0, 7.0, -1.0]])  # the last two are beyond the categories
    y, cache = layer.forward(params, x)
    w, zero = params["weight"], np.zeros(2)
    np.testing.assert_array_equal(y, [[w[3], w[0], w[3]], [w[2], zero, zero]])
    dy = RNG.normal(size=y.shape)
    dx, grads = layer.backward(params, dy, cache)
    np.testing.assert_allclose(grads["weight"], [dy[0, 1], zero, dy[1, 0], dy[0, 0] + dy[0, 2]], rtol=1e-12)
    np.testing.assert_array_equal(dx, np.zeros((2, 3)))


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
