"""Values of layers made of layers beside what these make by themselves: in a row, around, and side by side."""

from __future__ import annotations

import numpy as np
import pytest

import portanet as pn
from portanet.random import Key

RNG = np.random.default_rng(3)


def test_parallel_of_a_stack():
    net = pn.Parallel([pn.Dense(2), pn.ReLU()], sizes=[3, 4])
    params, out_shape = net.init(RNG, (7,))
    x, dy = RNG.normal(size=(5, 6, 7)), RNG.normal(size=(5, 6, 6))
    y, cache = net.forward(params, x)
    assert out_shape == (6,)
    np.testing.assert_allclose(y[..., :2], x[..., :3] @ params["0.weight"] + params["0.bias"], rtol=1e-12)
    np.testing.assert_array_equal(y[..., 2:], np.where(x[..., 3:] > 0, x[..., 3:], 0))
    dx, grads = net.backward(params, dy, cache)
    np.testing.assert_allclose(dx[..., :3], dy[..., :2] @ params["0.weight"].T, rtol=1e-12)
    np.testing.assert_array_equal(dx[..., 3:], np.where(x[..., 3:] > 0, dy[..., 2:], 0))
    np.testing.assert_allclose(grads["0.bias"], dy[..., :2].sum(axis=(0, 1)), rtol=1e-12)
    assert net.backward(params, dy, cache, need_dx=False)[0] is None


def test_residual_and_what_nobody_asks_for():
    params = {"0.weight": RNG.normal(size=(3, 3)), "0.bias": RNG.normal(size=3)}
    x, dy = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3))
    y, cache = pn.Residual([pn.Dense(3)]).forward(params, x)
    np.testing.assert_allclose(y, x + x @ params["0.weight"] + params["0.bias"], rtol=1e-12)
    dx, _ = pn.Residual([pn.Dense(3)]).backward(params, dy, cache)
    np.testing.assert_allclose(dx, dy + dy @ params["0.weight"].T, rtol=1e-12)
    for net in (pn.Residual([pn.ReLU()]), pn.Sequential([pn.Dense(3)])):
        _, cache = net.forward(params if net.init(RNG, (3,))[0] else {}, x)
        assert net.backward(net.init(RNG, (3,))[0], dy, cache, need_dx=False)[0] is None


@pytest.mark.parametrize("kind", [pn.Sequential, pn.Residual, lambda layers: pn.Parallel(layers, [2])])
def test_buffers_and_training_reach_the_inner_layers(kind):
    x = RNG.normal(size=(6, 2))
    net, alone = kind([pn.BatchNorm()]), pn.BatchNorm()
    params = {name: 2 * array + 1 for name, array in {**alone.init(None, (2,))[0], **alone.init_buffers((2,))}.items()}
    inner = {f"0.{name}": array for name, array in params.items()}
    for name, buffer in alone.init_buffers((2,)).items():
        np.testing.assert_array_equal(net.init_buffers((2,))[f"0.{name}"], buffer)
    assert net.buffer_shapes((2,)) == {"0.mean": (2,), "0.variance": (2,)}
    expected = alone.updated_buffers(params, alone.forward(params, x, train=True)[1])
    found = net.updated_buffers(inner, net.forward(inner, x, train=True)[1])
    assert sorted(found) == ["0.mean", "0.variance"]
    for name, buffer in expected.items():
        np.testing.assert_array_equal(found[f"0.{name}"], buffer)
    drop = kind([pn.Dropout(0.5)])  # off unless it is told to train
    still, trained = drop.forward({}, x)[0], drop.forward({}, x, train=True, key=Key(0, 0))[0]
    np.testing.assert_array_equal(still, kind([pn.Flatten()]).forward({}, x)[0])
    assert not np.array_equal(still, trained)


def test_any_iterable_of_layers_does():
    assert pn.Sequential(iter([pn.ReLU()])) == pn.Sequential((pn.ReLU(),))
    assert pn.Residual(iter([pn.ReLU()])) == pn.Residual((pn.ReLU(),))
    assert pn.Parallel(iter([pn.ReLU()]), [2]) == pn.Parallel((pn.ReLU(),), (2,))


@pytest.mark.parametrize("sizes", [3, [0], [2.0], [1, 2], []])
def test_sizes_that_cannot_be(sizes):
    with pytest.raises(pn.ConfigError, match=r"Parallel: sizes must be .*, each a whole number of 1 or more, got"):
        pn.Parallel([pn.ReLU()], sizes)
