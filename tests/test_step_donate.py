"""What a step may write over: its own copies with donate=False; arrays that cannot be written over are named."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import portanet as pn
from portanet.errors import ConfigError
from tests.backends.at_hand import require
from tests.small import blobs, mlp, same, trainer

OPTIMIZERS = [pn.SGD(0.1), pn.SGD(0.1, momentum=0.9), pn.Adam(), pn.AdamW(weight_decay=0.1), pn.Lion(), pn.Adagrad()]


def parts(backend, optimizer, **options):
    """Return a step, and what it is called with, in arrays of the backend."""
    model = trainer(mlp(), backend=backend, optimizer=optimizer)
    model.init((5,))
    x, y = blobs(20)
    data = (backend.asarray(x, "float64"), backend.asarray(y, "int32"), None)
    step = dataclasses.replace(model.step, **options)
    return step, model.params, model.buffers, model.opt_state, data, {"lr": 0.1, "seed": 1, "step": 0}


def on_host(backend, params, state):
    arrays = {**params, **{f"{s} {n}": a for s, own in state.items() if s != "t" for n, a in own.items()}}
    return {name: backend.to_numpy(a).copy() for name, a in arrays.items()}


@pytest.mark.parametrize("name", ["numpy", "strict", "torch", "jax"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: repr(o)[:20])
def test_without_donating_nothing_is_written_over(name, optimizer):
    backend = require(name)
    with backend.activate("float64"):
        step, params, buffers, state, data, counters = parts(backend, optimizer, donate=False)
        before, t = on_host(backend, params, state), int(state["t"])
        first = step(params, buffers, state, *data, counters)
        again = step(params, buffers, state, *data, counters)
        for key, array in on_host(backend, params, state).items():
            np.testing.assert_array_equal(array, before[key], err_msg=key)
        assert int(state["t"]) == t
        found = on_host(backend, first[0], first[2])
        for key, array in on_host(backend, again[0], again[2]).items():
            np.testing.assert_array_equal(array, found[key], err_msg=key)
        assert any(not np.array_equal(found[key], before[key]) for key in before)
        # The same numbers as of the step that donates.
        step, params, buffers, state, data, counters = parts(backend, optimizer)
        donated = step(params, buffers, state, *data, counters)
        for key, array in on_host(backend, donated[0], donated[2]).items():
            np.testing.assert_array_equal(array, found[key], err_msg=key)


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_best_is_spoiled_by_a_step_that_donates(name):
    backend = require(name)
    with backend.activate("float64"):
        step, params, buffers, state, data, counters = parts(backend, pn.SGD(0.1))
        best, before = params, on_host(backend, params, {})
        step(params, buffers, state, *data, counters)
        assert not np.array_equal(backend.to_numpy(best["0.weight"]), before["0.weight"])


def fixed(backend, array):
    """Return an array that cannot be written over."""
    if backend.name == "torch":
        return array.detach().clone().requires_grad_(True)
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(("name", "why"), [("numpy", "is read-only"), ("torch", "requires grad")])
@pytest.mark.parametrize("of", ["params", "state"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS[1:4], ids=lambda o: repr(o)[:20])
def test_what_cannot_be_written_over_is_named(name, why, of, optimizer):
    backend = require(name)
    step, params, buffers, state, data, counters = parts(backend, optimizer)
    if of == "params":
        params = {**params, "2.bias": fixed(backend, params["2.bias"])}
    else:
        slot = next(key for key in state if key != "t")
        state = {**state, slot: {**state[slot], "2.bias": fixed(backend, state[slot]["2.bias"])}}
    with pytest.raises(ConfigError, match=rf"step: .*'2.bias', which {why}; .*donate=False") as told:
        step(params, buffers, state, *data, counters)
    assert told.value.__cause__ is not None


@pytest.mark.parametrize("name", ["numpy", "torch"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS[1:4], ids=lambda o: repr(o)[:20])
def test_without_donating_they_are_taken(name, optimizer):
    backend = require(name)
    step, params, buffers, state, data, counters = parts(backend, optimizer, donate=False)
    expected = step(params, buffers, state, *data, counters)
    given = {key: fixed(backend, p) for key, p in params.items()}
    found = step(given, buffers, state, *data, counters)
    for key, array in on_host(backend, expected[0], expected[2]).items():
        np.testing.assert_array_equal(on_host(backend, found[0], found[2])[key], array)
    # What torch would keep of every step before, were its graph built.
    assert not any(getattr(p, "requires_grad", False) for p in (*found[0].values(), found[3]))


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_a_trainer_that_is_given_them(name):
    backend = require(name)
    model, plain, copied = (trainer(mlp(), backend=backend) for _ in range(3))
    plain.fit(*blobs(), epochs=1, verbose=False)
    for own in (model, copied):
        own.init((5,))
    given = {key: fixed(backend, p) for key, p in model.params.items()}
    model.params = given
    if name == "torch":  # a trainer's steps build no graph
        model.fit(*blobs(), epochs=1, verbose=False)
        same(model, plain)
    else:
        with pytest.raises(ConfigError, match=r"'0\.weight', which is read-only"):
            model.fit(*blobs(), epochs=1, verbose=False)
    copied.restore({"params": {key: fixed(backend, p) for key, p in copied.params.items()}, "buffers": {}})
    copied.fit(*blobs(), epochs=1, verbose=False)  # restore copies
    same(copied, plain)
