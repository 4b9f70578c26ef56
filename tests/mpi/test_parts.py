"""Parts of a batch, without MPI: their gradients add up to the whole's, and their rows have the whole's masks."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import portanet as pn
from portanet import metrics
from portanet.distributed import launch
from portanet.engine.step import Step
from portanet.random import Key, Part, bernoulli, uniform
from tests.small import blobs

NET = pn.Sequential([pn.Dense(6), pn.Tanh(), pn.Dropout(0.3), pn.Dense(3)])


@pytest.mark.parametrize("rows", [0, 1])
def test_rows_have_the_masks_of_the_whole(backend, rows):
    like = backend.asarray([0.0], "float32")
    shape = (4, 10, 3) if rows else (10, 4, 3)
    draws = {"uniform": lambda shape, key: uniform(like, shape, key, **({"rows": rows} if rows else {}))}
    if not rows:
        draws["bernoulli"] = lambda shape, key: bernoulli(like, shape, 0.4, key)
    for name, draw in draws.items():
        whole = backend.to_numpy(draw(shape, Key(9, 4).child(2)))
        for first, n in ((0, 10), (0, 3), (3, 4), (7, 3)):
            own = tuple(n if axis == rows else size for axis, size in enumerate(shape))
            found = backend.to_numpy(draw(own, Key(9, 4, part=Part(first, 10, n / 10, 0.1)).child(2)))
            expected = np.take(whole, range(first, first + n), axis=rows)
            np.testing.assert_array_equal(found, expected, err_msg=name)


@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_add_up(backend, weighted):
    step = Step(NET, pn.SoftmaxCrossEntropy(), pn.SGD(), (metrics.Accuracy(),), "float64", 0.01, 0.02, per_sample=True)
    x, y = blobs(n=20)
    weight = np.linspace(0, 1, 20) if weighted else None
    size = 20.0 if weight is None else float(weight.sum())
    with backend.activate("float64"):
        params = {n: backend.asarray(a, "float64") for n, a in NET.init(np.random.default_rng(0), (5,))[0].items()}
        before_update = backend.compile(step.before_update)

        def gradients(a, b, part):
            own = None if weight is None else backend.asarray(weight[a:b], "float64")
            counters = {"lr": 0.1, "seed": 7, "step": 2, "part": part}
            xs, ys = backend.asarray(x[a:b], "float64"), backend.asarray(y[a:b], "int32")
            grads, _, loss, _ = before_update(params, {}, xs, ys, own, counters)
            return {name: backend.to_numpy(g) for name, g in grads.items()}, float(loss)

        whole, loss = gradients(0, 20, None)
        sums, mean = dict.fromkeys(whole, 0.0), 0.0
        for a, b in ((0, 7), (7, 8), (8, 20)):
            own = (b - a if weight is None else float(weight[a:b].sum())) / size
            grads, value = gradients(a, b, Part(a, 20, own, 1 / size))
            sums = {name: sums[name] + g for name, g in grads.items()}
            mean += own * value
    assert mean == pytest.approx(loss, rel=1e-13)
    for name, g in whole.items():
        np.testing.assert_allclose(sums[name], g, rtol=1e-11, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("shape", [(9, 4), (9, 3, 5, 4)])
def test_batch_norm_takes_the_statistics_of_the_whole(shape):
    """Two threads have a part each, and add up as processes do."""
    layer, rng = pn.BatchNorm(), np.random.default_rng(0)
    x, dy = rng.normal(2, 3, size=shape), rng.normal(size=shape)
    params = {**layer.init(rng, shape[1:])[0], **layer.init_buffers(shape[1:])}
    params["gamma"] = rng.normal(size=4)
    barrier, sums = threading.Barrier(2), [np.zeros(0)] * 2

    def run(i, rows):
        def add(a):
            sums[i] = a
            barrier.wait(30)
            total = sums[0] + sums[1]
            barrier.wait(30)
            return total

        part = Part(rows.start, 9, len(x[rows]) / 9, 1 / 9, add)
        y, cache = layer.forward(params, x[rows], train=True, key=Key(0, 0, part=part))
        dx, grads = layer.backward(params, dy[rows], cache)
        return y, dx, grads, layer.updated_buffers(params, cache)

    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(run, range(2), (slice(0, 4), slice(4, 9))))
    y, cache = layer.forward(params, x, train=True)
    dx, grads = layer.backward(params, dy, cache)
    np.testing.assert_allclose(np.concatenate([part[0] for part in parts]), y, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(np.concatenate([part[1] for part in parts]), dx, rtol=1e-11, atol=1e-13)
    for name, g in grads.items():
        np.testing.assert_allclose(parts[0][2][name] + parts[1][2][name], g, rtol=1e-12, atol=1e-13)
    for name, buffer in layer.updated_buffers(params, cache).items():
        for part in parts:
            np.testing.assert_allclose(part[3][name], buffer, rtol=1e-12)


@pytest.fixture
def bare(monkeypatch):
    for name in (*(name for names in launch._NAMES for name in names), *launch._THREADS, "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_not_started_by_mpiexec(bare):
    assert (launch.rank(), launch.size()) == (0, 1)
    launch.divide_threads()
    assert not launch.chosen_by_user()


def test_batch_norm_without_a_sum_over_processes_takes_the_statistics_of_its_rows():
    x = np.random.default_rng(5).normal(size=(4, 3))
    layer = pn.BatchNorm()
    params = {**layer.init(None, (3,))[0], **layer.init_buffers((3,))}
    found, cache = layer.forward(params, x, train=True, key=Key(0, 0, part=Part(0, 9, 4 / 9, 1 / 9)))
    expected, alone = layer.forward(params, x, train=True)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(layer.backward(params, x, cache)[0], layer.backward(params, x, alone)[0])


@pytest.mark.parametrize("names", launch._NAMES)
def test_started_by_mpiexec(bare, names):
    for name, value in zip(names, ("5", "8", "1", "1000"), strict=True):
        bare.setenv(name, value)
    bare.setenv("CUDA_VISIBLE_DEVICES", "3,7")
    bare.setenv("OMP_NUM_THREADS", "")  # so that what is set is taken back
    bare.delenv("OMP_NUM_THREADS")
    assert (launch.rank(), launch.size(), launch.threads()) == (5, 8, 1)
    with bare.context() as inner:
        inner.setattr("os.environ", dict(__import__("os").environ))
        launch.divide_threads()
        launch.divide_gpus()
        import os

        assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "7"


def test_wrong_arguments():
    with pytest.raises(pn.ConfigError, match="batch_norm"):
        pn.Ranks(batch_norm="each")
    with pytest.raises(pn.ConfigError, match="ranks must be None, 'mpi' or"):
        pn.Trainer([pn.Dense(2)], ranks="all")
