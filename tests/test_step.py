"""The step: pure, the same compiled, and its update that of a gradient worked out by differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import portanet as pn
from portanet import metrics
from portanet.engine.penalties import acts, penalised, penalty, sample_share
from portanet.engine.step import Drawn, Step, as_float
from tests.backends.at_hand import require
from tests.small import blobs

NET = pn.Sequential([pn.Standardize.of(blobs()[0]), pn.Dense(6), pn.Tanh(), pn.Dropout(0.3), pn.Dense(3)])
COUNTERS = {"lr": 0.05, "seed": 77, "step": 3}


def state(backend, optimizer, dtype="float64"):
    """Return the step's arguments on the device, new ones each time."""
    x, y = blobs(n=20)
    params, _ = NET.init(np.random.default_rng(0), (5,))
    own = {name: backend.xp.asarray(backend.asarray(a, dtype), copy=True) for name, a in params.items()}
    buffers = {name: backend.asarray(a, dtype) for name, a in NET.init_buffers((5,)).items()}
    weight = backend.asarray(np.linspace(0, 1, 20), dtype)
    return own, buffers, optimizer.init(own), backend.asarray(x, dtype), backend.asarray(y, "int32"), weight, COUNTERS


def flat(backend, found):
    params, buffers, opt_state, loss, measured = found
    slots = {f"{slot} {n}": a for slot, own in opt_state.items() if isinstance(own, dict) for n, a in own.items()}
    arrays = {**params, **buffers, **slots, "loss": loss, **{str(i): m for i, m in enumerate(measured)}}
    return {name: backend.to_numpy(a) for name, a in arrays.items()}


def test_pure(backend):
    optimizer = pn.Adam(lr=0.05)
    step = Step(NET, pn.SoftmaxCrossEntropy(), optimizer, (metrics.Accuracy(), metrics.R2()), "float64", 0.01, 0.02)
    with backend.activate("float64"):
        first, second = state(backend, optimizer), state(backend, optimizer)
        kept = [backend.to_numpy(a).copy() for a in (*first[1].values(), *first[3:6])]
        expected = {*first[0], *first[1], "loss", "0", "1"}
        found = [flat(backend, step(*arguments)) for arguments in (first, second)]
        assert expected <= set(found[0])  # buffers that nothing changes are handed on
        # What is not given away is left as it was, the same call gives the same, and nothing of it is NaN.
        for a, before in zip((*first[1].values(), *first[3:6]), kept, strict=True):
            np.testing.assert_array_equal(backend.to_numpy(a), before)
        for name, array in found[0].items():
            np.testing.assert_array_equal(array, found[1][name], err_msg=name)
            assert np.isfinite(array).all(), name
        compiled = backend.compile(step, donate=(0, 2))
        for name, array in flat(backend, compiled(*state(backend, optimizer))).items():
            np.testing.assert_allclose(array, found[0][name], rtol=1e-9, atol=1e-13, err_msg=name)


def test_the_step_number_draws_another_mask():
    backend = pn.backends.get("numpy")
    step = Step(NET, pn.SoftmaxCrossEntropy(), pn.SGD(), dtype="float64")
    losses = set()
    for counters in ({"step": 3, "seed": 77}, {"step": 4, "seed": 77}, {"step": 3, "seed": 78}):
        *arguments, _ = state(backend, pn.SGD())
        arguments.append({"lr": 0.1, **counters})
        losses.add(float(step(*arguments)[3]))
    assert len(losses) == 3


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.0), (0.1, 0.0), (0.0, 0.2), (0.1, 0.2)])
def test_the_update_is_the_gradient_of_the_loss(l1, l2, per_sample):
    # Plain descent at rate 1 moves by minus the gradient; the loss of a step at rate 0 is what is differentiated.
    backend = pn.backends.get("numpy")
    step = Step(NET, pn.SoftmaxCrossEntropy(), pn.SGD(), (), "float64", l1, l2, per_sample)

    def run(params, lr):
        arguments = list(state(backend, pn.SGD()))
        arguments[0] = {name: a.copy() for name, a in params.items()}
        arguments[-1] = {**COUNTERS, "lr": lr}
        return step(*arguments)

    params = state(backend, pn.SGD())[0]
    direction = {name: np.random.default_rng(1).normal(size=a.shape) for name, a in params.items()}
    moved = run(params, 1.0)[0]
    expected = sum(((params[name] - moved[name]) * direction[name]).sum() for name in params)
    eps = 1e-6
    up, down = (run({n: a + sign * eps * direction[n] for n, a in params.items()}, 0.0)[3] for sign in (1, -1))
    assert (up - down) / (2 * eps) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("weighted", [False, True])
def test_pieces_give_what_the_whole_batch_gives(backend, weighted):
    net = pn.Sequential([pn.Dense(6), pn.Tanh(), pn.Residual([pn.Dense(6), pn.ReLU()]), pn.Dropout(0.4), pn.Dense(3)])
    assert net.by_sample
    x, y = blobs(n=20)
    start, _ = net.init(np.random.default_rng(0), (5,))
    optimizer, shown = pn.Adam(lr=0.05), (metrics.Accuracy(), metrics.R2())
    found = []
    with backend.activate("float64"):
        weight = np.linspace(0, 1, 20) * (np.arange(20) >= 7) if weighted else None  # one piece weighs nothing
        # JAX compiles all pieces one after another: 20 of them take seconds.
        for rows in (None, 20, 19, 7, *((1,) if backend.name != "jax" else ())):
            step = Step(net, pn.SoftmaxCrossEntropy(), optimizer, shown, "float64", 0.01, 0.02, True, rows)
            step = backend.compile(step)
            params = {n: backend.xp.asarray(backend.asarray(a, "float64"), copy=True) for n, a in start.items()}
            w = None if weight is None else backend.asarray(weight, "float64")
            arrays = (backend.asarray(x, "float64"), backend.asarray(y, "int32"), w)
            found.append(flat(backend, step(params, {}, optimizer.init(params), *arrays, COUNTERS)))
    for other in found[1:]:
        for name, array in found[0].items():
            np.testing.assert_allclose(other[name], array, rtol=1e-9, atol=1e-13, err_msg=name)


def test_a_trainer_takes_large_batches_in_pieces_where_its_network_lets_it(monkeypatch):
    rows = pn.backends.get("numpy").rows
    assert rows is not None
    for each in (pn.LayerNorm(), pn.Dropout(0.5)):
        assert pn.Trainer([pn.Dense(3), each], backend="numpy").step.rows == rows
    for layer in (pn.BatchNorm(), pn.Residual([pn.Dense(3), pn.BatchNorm()])):
        assert pn.Trainer([pn.Dense(3), layer], backend="numpy").step.rows is None
    x, y = blobs(n=rows + 5)
    trainers = []
    for most in (rows, None):
        monkeypatch.setattr(type(pn.backends.get("numpy")), "rows", most)
        trainers += [pn.Trainer([pn.Dense(3)], optimizer=pn.SGD(lr=0.1), backend="numpy", dtype="float64")]
    for trainer in trainers:
        trainer.fit(x, y, epochs=2, batch_size=None, verbose=False)
    np.testing.assert_allclose(trainers[0].params["0.weight"], trainers[1].params["0.weight"], rtol=1e-9)
    assert (trainers[0].params["0.weight"] != trainers[1].params["0.weight"]).any()  # rounding: so it went in pieces


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize(("l1", "l2"), [(0.1, 0.0), (0.0, 0.2), (0.1, 0.2)])
def test_the_loss_holds_the_penalties(l1, l2, per_sample):
    backend = pn.backends.get("numpy")
    arguments = state(backend, pn.SGD())
    weights = [a for name, a in arguments[0].items() if name.endswith("weight")]
    penalised_by = sum(l1 * np.abs(w).sum() + l2 / 2 * (w**2).sum() for w in weights)
    share = 1 / arguments[5].sum() if per_sample else 1.0
    plain = Step(NET, pn.SoftmaxCrossEntropy(), pn.SGD(), dtype="float64")(*arguments)[3]
    assert (plain.shape, Step(NET, pn.SoftmaxCrossEntropy(), pn.SGD()).per_sample) == ((), False)
    step = Step(NET, pn.SoftmaxCrossEntropy(), pn.SGD(), (), "float64", l1, l2, per_sample)
    assert step(*state(backend, pn.SGD()))[3] == pytest.approx(plain + share * penalised_by, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_drawn_takes_its_rows_from_all_samples(backend, weighted):
    step = Step(NET, pn.SoftmaxCrossEntropy(), pn.SGD(lr=0.1), (metrics.Accuracy(),), "float64")
    with backend.activate("float64"):
        params, buffers, own, x, y, weight, _ = state(backend, step.optimizer)
        rows = backend.asarray([3, 0, 17], "int32")
        item = (rows, backend.asarray(0.05, "float64"), backend.asarray(3, "int32"))
        shared = (x, y, weight if weighted else None, 77)
        carry, measured = backend.compile(Drawn(step))((params, buffers, own), shared, item)
        found = {name: backend.to_numpy(a) for name, a in carry[0].items()}
        seen = [float(backend.to_numpy(a)) for a in measured]
        params, buffers, own, x, y, weight, counters = state(backend, step.optimizer)
        part = [backend.asarray(backend.to_numpy(a)[[3, 0, 17]]) for a in (x, y, weight)]
        if not weighted:
            part[2] = None
        expected = backend.compile(step)(params, buffers, own, part[0], part[1], part[2], counters)
    for name, array in expected[0].items():
        np.testing.assert_allclose(found[name], backend.to_numpy(array), rtol=1e-12)
    assert seen == pytest.approx([float(expected[3]), *(float(m) for m in expected[4])])


@dataclass(frozen=True)
class Counted(pn.Layer):
    """Counts how often its forward pass is called from Python: by JAX once for each compilation."""

    calls: ClassVar[list[int]] = []

    def forward(self, params, x, *, train=False, key=None):
        self.calls.append(1)
        return 2 * x, None

    def backward(self, params, dy, cache, *, need_dx=True):
        return 2 * dy, {}


@pytest.mark.parametrize("callbacks", [(), (pn.TimeLimit(1e6),)], ids=["blocks of steps", "step by step"])
def test_equal_trainings_are_compiled_once(callbacks):
    calls, alive = [], []
    for rate in (0.3, 0.3, 0.4):
        net = [pn.Dense(3), Counted(), pn.Dropout(rate), pn.Dense(3)]
        trainer = pn.Trainer(net, backend=require("jax"))
        trainer.fit(*blobs(n=32), epochs=2, batch_size=16, callbacks=callbacks, verbose=False)
        trainer.predict(blobs(n=32)[0])
        alive.append(trainer)  # what was compiled for it is kept as long
        calls.append(len(Counted.calls))
    assert calls[0] == calls[1] < calls[2]


def test_penalties_are_of_the_weights_alone():
    params = {"0.weight": np.asarray([[1.0, -2.0]]), "0.bias": np.asarray([5.0, 5.0])}
    assert penalty(params, 0.1, 0.0) == pytest.approx(0.3)
    assert penalty(params, 0.0, 0.1) == pytest.approx(0.25)
    assert penalty({"0.bias": params["0.bias"]}, 0.1, 0.1) == 0.0
    g = np.zeros((1, 2))
    np.testing.assert_allclose(penalised("0.weight", params["0.weight"], g, 0.1, 0.5), [[0.6, -1.1]])
    np.testing.assert_array_equal(penalised("0.weight", np.zeros((1, 2)), g, 0.1, 0.5), g)  # sign(0) is 0
    assert penalised("0.bias", params["0.bias"], g, 0.1, 0.5) is g
    np.testing.assert_array_equal(g, 0)  # a gradient may be an array of the cache: it is not written on


def test_penalties_per_sample_are_shared_by_the_weights_of_the_batch(backend):
    with backend.activate("float64"):
        assert sample_share(4, None) == 0.25
        for weight, expected in (([0.5, 0.5, 3.0], 0.25), ([0.0, 0.0, 0.0], 0.0), ([1e-6, 0.0, 0.0], 1e6)):
            found = backend.to_numpy(sample_share(3, backend.asarray(np.asarray(weight), "float64")))
            assert float(found) == pytest.approx(expected)


def test_as_float(backend):
    with backend.activate():
        small = backend.asarray(np.arange(3, dtype="uint8"))
        large = as_float(small, "float32")
        assert backend.to_numpy(large).dtype == np.float32
        assert as_float(large, "float32") is large
        np.testing.assert_array_equal(backend.to_numpy(large), [0, 1, 2])


@pytest.mark.parametrize("own", [(), ("l2",), ("weight_decay",), ("l2", "weight_decay")])
def test_a_stack_of_networks_steps_as_each_of_them_alone(own):
    net, loss = pn.Sequential([pn.Dense(6), pn.Tanh(), pn.Dense(3)]), pn.SoftmaxCrossEntropy()
    x, y = blobs(n=24)
    x, y, weight = x.reshape(3, 8, 5), y.reshape(3, 8), np.linspace(0, 1, 24).reshape(3, 8)
    members = [net.init(np.random.default_rng(i), (5,))[0] for i in range(3)]
    stacked = {name: np.stack([params[name] for params in members]) for name in members[0]}
    numbers = {"l2": np.array([0.0, 0.3, 0.5]), "weight_decay": np.array([0.0, 0.1, 0.7])}
    lr, chosen = np.array([0.1, 0.2, 0.3]), {name: numbers[name] for name in own}
    step = Step(net, loss, pn.SGD(), (), "float64", per_sample=True, stack=1)
    together = step(stacked, {}, {"t": 0}, x, y, weight, {**COUNTERS, **chosen, "lr": lr})
    for k, start in enumerate(members):
        l2, decay = (float(numbers[name][k]) if name in own else 0.0 for name in ("l2", "weight_decay"))
        step = Step(net, loss, pn.SGD(weight_decay=decay), (), "float64", 0.0, l2, per_sample=True)
        alone = step(start, {}, {"t": 0}, x[k], y[k], weight[k], {**COUNTERS, "lr": lr[k]})
        assert together[3][k] == pytest.approx(alone[3], rel=1e-12)
        for name, array in alone[0].items():
            np.testing.assert_allclose(together[0][name][k], array, rtol=1e-10, atol=1e-14, err_msg=name)


def test_whether_a_penalty_acts():
    assert [acts(l2) for l2 in (0.0, 0, 0.1, np.zeros(2))] == [False, False, True, True]


def test_any_other_error_of_an_update_is_raised_as_it_is():
    step = Step(NET, pn.SoftmaxCrossEntropy(), pn.SGD())
    params = {"0.weight": np.ones((2, 3))}
    with pytest.raises(ValueError, match="broadcast") as told:
        step.update(params, {"0.weight": np.ones((4, 5))}, step.optimizer.init(params), 0.1)
    assert type(told.value) is ValueError
