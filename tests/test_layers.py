"""Every layer: its gradients, its agreement between backends, and that it writes on nothing."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from array_api_compat import array_namespace, device

from portanet.backends import get
from portanet.errors import CheckError, ShapeError
from portanet.layers import BatchNorm, Dense, Layer, ReLU, Residual, Sequential, Softmax, Tanh
from portanet.random import Key, Part, generator
from portanet.verify.agreement import TOLERANCE, _difference, run_layer
from portanet.verify.gradient_check import gradcheck
from tests.backends.at_hand import on_every_device
from tests.cases import LAYER_CASES

KEY = Key(5, 11)
every_layer = pytest.mark.parametrize("case", LAYER_CASES)


def _inputs(case, batch=4):
    rng = generator(3, "test_layers")
    params, out_shape = case.layer.init(rng, case.shape)
    return params, case.samples(rng, batch), rng.normal(size=(batch, *out_shape))


def _with_buffers(case, params):
    return {**params, **case.layer.init_buffers(case.shape)}


def _frozen(*arrays):
    for a in arrays:
        a.flags.writeable = False


@every_layer
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("train", [True, False])
def test_gradients_match_central_differences(case, seed, train):
    x = case.samples(generator(seed, "x"), 3) if case.whole_numbers else None
    checks = gradcheck(case.layer, case.shape, seed=seed, train=train, x=x)
    params, _ = case.layer.init(generator(0), case.shape)
    assert [check.array for check in checks] == ["x", *params]


@every_layer
@on_every_device
@pytest.mark.usefixtures("compiled_as_for_users")
def test_agrees_with_numpy_in_float64_and_stays_on_its_device(case, backend, dtype):
    """Values, shapes, dtype, device and namespace of one run: on JAX, compiling is most of the time."""
    expected = run_layer(case, get("numpy"), "float64", batch=5)
    params, out_shape = case.layer.init(generator(0), case.shape)
    with backend.activate(dtype):
        like = backend.asarray([0.0], dtype)
        got = run_layer(case, backend, dtype, batch=5, host=False)
        for result in got.values():
            assert array_namespace(result) is array_namespace(like)
            assert device(result) == device(like)
            assert result.dtype == like.dtype
        shapes = {name: tuple(result.shape) for name, result in got.items()}
        got = {name: backend.to_numpy(result) for name, result in got.items()}
    assert shapes == {"y": (5, *out_shape), "dx": (5, *case.shape), **{name: p.shape for name, p in params.items()}}
    assert set(got) == set(expected)
    assert _difference(got, expected) <= TOLERANCE[dtype]


def test_layers_say_what_they_are():
    cases = [case.values[0].layer for case in LAYER_CASES]
    names = {type(layer).__name__ for layer in cases}
    kept = {"BatchNorm"}
    holders = {"Sequential", "Residual", "Parallel", "Branches", "Committee"}
    assert {type(layer).__name__ for layer in cases if not layer.by_sample} - holders == kept
    one = {"Conv2D", "MaxPool2D", "AvgPool2D", "GlobalAvgPool2D", "Flatten", "Reshape", "LayerNorm", "Embedding"}
    one |= {"BatchNorm", "Augment", "Parallel"}  # the Parallel of the first case holds a Flatten
    one |= {"ConvTranspose2D", "ZeroPad2D", "UpSample2D", "AdaptiveAvgPool2D", "GlobalMaxPool2D", "Dropout2D"}
    one |= {"GroupNorm", "InstanceNorm", "RMSNorm"}
    one |= {"Resize2D", "Pad2D", "DepthToSpace2D", "SpaceToDepth2D", "LpPool2D"}
    one |= {"Conv1D", "MaxPool1D", "AvgPool1D", "GlobalAvgPool1D", "GlobalMaxPool1D"}
    assert {type(layer).__name__ for layer in cases if layer.stacks} == names - one


@every_layer
def test_looks_at_each_sample_alone_where_it_says_so(case):
    if not case.layer.by_sample:
        pytest.skip("it mixes samples")
    params, x, dy = _inputs(case)
    everything = _with_buffers(case, params)
    y, cache = case.layer.forward(everything, x, train=True, key=KEY)
    dx, grads = case.layer.backward(params, dy, cache)
    parts = []
    for part in (slice(0, 1), slice(1, 4)):
        key = KEY._replace(part=Part(part.start, 4, 1.0, 0.25))
        own, cache = case.layer.forward(everything, x[part], train=True, key=key)
        parts.append((own, *case.layer.backward(params, dy[part], cache)))
        assert not case.layer.updated_buffers(everything, cache)
    np.testing.assert_allclose(np.concatenate([own for own, _, _ in parts]), y, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(np.concatenate([own for _, own, _ in parts]), dx, rtol=1e-12, atol=1e-13)
    for name, g in grads.items():
        np.testing.assert_allclose(parts[0][2][name] + parts[1][2][name], g, rtol=1e-12, atol=1e-13)


@every_layer
def test_runs_on_read_only_arrays_and_leaves_them_as_they_are(case):
    params, x, dy = _inputs(case)
    everything = _with_buffers(case, params)
    _frozen(x, dy, *everything.values())
    before = pickle.dumps(case.layer) if type(case.layer).__name__ != "CustomActivation" else repr(case.layer)
    y, cache = case.layer.forward(everything, x, train=True, key=KEY)
    held = [a.copy() for a in (y, *_arrays(cache))]
    case.layer.backward(params, dy, cache)
    for a, b in zip(held, (y, *_arrays(cache)), strict=True):
        np.testing.assert_array_equal(a, b)  # backward writes on neither output nor cache
    after = pickle.dumps(case.layer) if type(case.layer).__name__ != "CustomActivation" else repr(case.layer)
    assert after == before


def _arrays(cache):
    if isinstance(cache, np.ndarray):
        yield cache
    elif isinstance(cache, tuple | list):
        for part in cache:
            yield from _arrays(part)
    elif isinstance(cache, dict):
        yield from _arrays(list(cache.values()))


@every_layer
def test_used_twice_with_an_evaluation_in_between(case):
    params, x, dy = _inputs(case)
    everything = _with_buffers(case, params)
    layer = case.layer
    alone = layer.backward(params, dy, layer.forward(everything, x, train=True, key=KEY)[1])
    _, first = layer.forward(everything, x, train=True, key=KEY)
    _, second = layer.forward(everything, x[::-1, ...], train=True, key=KEY.child(1))
    layer.forward(everything, 0 * x)
    layer.backward(params, dy, second)
    dx, grads = layer.backward(params, dy, first)
    np.testing.assert_array_equal(dx, alone[0])
    for name in grads:
        np.testing.assert_array_equal(grads[name], alone[1][name])


@every_layer
def test_without_need_dx_the_gradients_are_the_same(case):
    params, x, dy = _inputs(case)
    _, cache = case.layer.forward(_with_buffers(case, params), x, train=True, key=KEY)
    _, expected = case.layer.backward(params, dy, cache)
    _, got = case.layer.backward(params, dy, cache, need_dx=False)
    assert got.keys() == expected.keys()
    for name in got:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-12, atol=1e-14)  # perhaps another product


@every_layer
def test_copies_are_equal(case):
    twin = copy.deepcopy(case.layer)
    params, x, _ = _inputs(case)
    everything = _with_buffers(case, params)
    y = case.layer.forward(everything, x, train=True, key=KEY)[0]
    np.testing.assert_array_equal(twin.forward(everything, x, train=True, key=KEY)[0], y)


class _Wrong(Dense):
    def backward(self, params, dy, cache, *, need_dx=True):
        dx, grads = super().backward(params, dy, cache, need_dx=need_dx)
        grads["weight"] = grads["weight"] * 1.00001
        return dx, grads


class _Transposed(Dense):
    def backward(self, params, dy, cache, *, need_dx=True):
        dx, grads = super().backward(params, dy, cache, need_dx=need_dx)
        return dx, {**grads, "weight": grads["weight"].T}


def test_gradcheck_finds_a_small_mistake_and_names_its_place():
    with pytest.raises(CheckError, match=r"_Wrong, gradient of weight, seed 0: got .* expected .* relative error"):
        gradcheck(_Wrong(4), (3,))


def test_gradcheck_finds_a_wrong_shape():
    with pytest.raises(CheckError, match=r"gradient of weight: expected shape \(3, 4\), got \(4, 3\)"):
        gradcheck(_Transposed(4), (3,))


def test_a_layer_of_ones_own_is_one_class():
    class Cube(Layer):
        def forward(self, params, x, *, train=False, key=None):
            return x**3, x

        def backward(self, params, dy, cache, *, need_dx=True):
            return dy * 3 * cache**2, {}

    assert gradcheck(Cube(), (4,))[0].error < 1e-6


def test_a_stack_of_networks_is_each_of_them():
    net = Sequential([Dense(6), ReLU(), Residual([Dense(6), Tanh()]), Dense(3), Softmax()])
    rng = generator(0, "stack")
    members = [net.init(rng, (5,))[0] for _ in range(4)]
    stacked = {name: np.stack([m[name] for m in members]) for name in members[0]}
    x, dy = rng.normal(size=(7, 5)), rng.normal(size=(4, 7, 3))
    y, cache = net.forward(stacked, x)  # x is shared by the stack, the parameters have the leading axis
    dx, grads = net.backward(stacked, dy, cache)
    assert y.shape == (4, 7, 3)
    total = np.zeros_like(x)
    for i, params in enumerate(members):
        alone, own = net.forward(params, x)
        own_dx, own_grads = net.backward(params, dy[i], own)
        np.testing.assert_allclose(y[i], alone, rtol=1e-13)
        for name in own_grads:
            np.testing.assert_allclose(grads[name][i], own_grads[name], rtol=1e-11, atol=1e-14)
        total += own_dx
    np.testing.assert_allclose(dx, total, rtol=1e-11, atol=1e-14)


STACKING = [param for param in LAYER_CASES if param.values[0].layer.stacks and not param.values[0].whole_numbers]


@pytest.mark.parametrize("case", STACKING)
def test_a_stack_of_each_layer_that_takes_one(case):
    members = [_inputs(case)[0] for _ in range(3)]
    rng = generator(7, "stack of each")
    members = [{name: p + 0.1 * rng.normal(size=p.shape) for name, p in own.items()} for own in members]
    _, x, dy = _inputs(case)
    x, dy = np.stack([x, 2 * x, -x]), np.stack([dy, -dy, 3 * dy])
    buffers = case.layer.init_buffers(case.shape)
    stacked = {name: np.stack([m[name] for m in members]) for name in members[0]}
    y, cache = case.layer.forward({**stacked, **buffers}, x)
    dx, grads = case.layer.backward(stacked, dy, cache)
    for i, params in enumerate(members):
        alone, own = case.layer.forward({**params, **buffers}, x[i])
        own_dx, own_grads = case.layer.backward(params, dy[i], own)
        np.testing.assert_allclose(y[i], alone, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(dx[i], own_dx, rtol=1e-11, atol=1e-13)
        for name in own_grads:
            np.testing.assert_allclose(grads[name][i], own_grads[name], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("shape", [(1, 4), (1, 1, 1, 3)])
def test_batch_norm_of_a_single_value(shape):
    layer, x = BatchNorm(), np.zeros(shape)
    params = {**layer.init(None, shape[1:])[0], **layer.init_buffers(shape[1:])}
    assert layer.forward(params, x)[0].shape == shape  # evaluation knows mean and variance
    with pytest.raises(ShapeError, match=r"two values a channel or more, got a batch of shape .*LayerNorm"):
        layer.forward(params, x, train=True)


@pytest.mark.parametrize(("shape", "least"), [((4,), 2), ((1, 4), 2), ((2, 4), 1), ((1, 1, 3), 2), ((2, 1, 3), 1)])
def test_the_smallest_batch_that_a_batch_norm_trains_on(shape, least):
    """Two values a channel: as many as a variance needs."""
    layer = BatchNorm()
    params = {**layer.init(None, shape)[0], **layer.init_buffers(shape)}
    assert layer.least_batch(shape) == least
    layer.forward(params, np.zeros((least, *shape)), train=True)
    with pytest.raises(ShapeError, match="two values a channel or more"):
        layer.forward(params, np.zeros((least - 1, *shape)), train=True)
