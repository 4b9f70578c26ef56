"""CUDA graphs on CuPy: what is captured gives what the plain step gives, and what cannot be captured harms nothing.

On CuPy's own front end without a GPU these show what CuPy refuses and takes during a capture, and its numbers. Where
that front end does not run a graph when it is launched, the tests of launches are skipped, and say so.
"""

from __future__ import annotations

import logging
import sys

import numpy as np
import pytest

import portanet as pn
from portanet.backends import select
from portanet.engine.step import Step
from tests.backends.at_hand import require

rng = np.random.default_rng(0)
ROWS = rng.normal(size=(50, 5)), np.arange(50) % 3
IMAGES = rng.normal(size=(20, 8, 8, 2)), np.arange(20) % 3

NETS = {
    "sgd": ([pn.Dense(6), pn.ReLU(), pn.Dense(3)], pn.SGD(0.1), {}),
    "momentum, batch norm": (
        [pn.Dense(6), pn.BatchNorm(), pn.ReLU(), pn.Dense(3)],
        pn.SGD(0.1, momentum=0.9, nesterov=True, clip_norm=1.0),
        {},
    ),
    "adam, dropout": ([pn.Dense(6), pn.GELU(), pn.Dropout(0.2), pn.Dense(3)], pn.Adam(0.01), {}),
    "adamw, l2": ([pn.Dense(6), pn.Tanh(), pn.Dense(3)], pn.AdamW(0.01, clip_value=0.1), {"l2": 0.01}),
    "lion, l1": ([pn.Dense(6), pn.Tanh(), pn.Dense(3)], pn.Lion(0.01), {"l1": 0.01}),
    "cnn": (
        [pn.Conv2D(4, 3), pn.ReLU(), pn.Conv2D(4, 3), pn.MaxPool2D(2), pn.Dropout(0.25), pn.Flatten(), pn.Dense(3)],
        pn.Adam(0.01),
        {},
    ),
}


def switched(monkeypatch, value):
    """Return the backend where the switch has this value; it is looked at when a backend is first made."""
    monkeypatch.setenv("PORTANET_CUPY_GRAPHS", value)
    select.forget()
    return require("cupy")


@pytest.fixture
def backend(monkeypatch):
    backend = switched(monkeypatch, "1")
    from portanet.backends.cuda_graphs import cublas

    if "fakecupy" in sys.modules and not hasattr(cublas.library(), "cublasSetWorkspace_v2"):
        monkeypatch.setattr(cublas, "set_workspace", lambda handle, workspace: None)  # it has no such function
    yield backend
    monkeypatch.undo()
    select.forget()


def needs_launches():
    """Skip the test where a graph that is launched does nothing."""
    import cupy

    x, stream = cupy.zeros(1), cupy.cuda.Stream(non_blocking=True)
    x += 1
    cupy.cuda.get_current_stream().synchronize()
    with stream:
        stream.begin_capture()
        x += 1
        graph = stream.end_capture()
    before = float(x[0])
    graph.launch()
    if (before, float(x[0])) != (1.0, 2.0):
        pytest.skip("CuPy's front end without a GPU runs what is captured at once, and nothing at a launch")


def arguments(backend, name, dtype, counters=True):
    """Return a step, and new arrays as its arguments."""
    layers, optimizer, options = NETS[name]
    net = pn.Sequential(layers)
    x, y = IMAGES if name == "cnn" else ROWS
    own, _ = net.init(np.random.default_rng(0), x.shape[1:])
    xp = backend.xp
    params = {n: xp.asarray(backend.asarray(a, dtype), copy=True) for n, a in own.items()}
    buffers = {n: backend.asarray(a, dtype) for n, a in net.init_buffers(x.shape[1:]).items()}
    step = Step(net, pn.SoftmaxCrossEntropy(), optimizer, (pn.metrics.Accuracy(),), dtype, **options)
    rest = backend.asarray(x, dtype), backend.asarray(y, "int32"), None, {"lr": 0.05, "seed": 77, "step": 3}
    return step, (params, buffers, optimizer.init(params), *rest)


def host(backend, value):
    """Return the arrays and numbers of nested results, on the host."""
    if isinstance(value, dict):
        return [a for item in value.values() for a in host(backend, item)]
    if isinstance(value, tuple | list):
        return [a for item in value for a in host(backend, item)]
    return [np.asarray(value) if isinstance(value, float | int) else backend.to_numpy(value).copy()]


def agree(backend, got, expected, rtol):
    pairs = zip(host(backend, got), host(backend, expected), strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol / 100)


@pytest.mark.parametrize("name", NETS)
def test_a_step_is_captured_whole(backend, dtype, name):
    import cupy

    from portanet.backends.cuda_graphs.graph import Call, Graph

    with backend.activate(dtype):
        step, args = arguments(backend, name, dtype)
        before = host(backend, args[:3])
        call = Call.of(args, (0, 2))
        graph = Graph(step, call)  # raises where anything is refused
        for a, b in zip(before, host(backend, args[:3]), strict=True):
            np.testing.assert_array_equal(a, b)  # it was made of copies
        cupy.get_default_memory_pool().free_all_blocks()
        others = [cupy.full(2**i, np.nan) for i in range(6, 15) for _ in range(20)]
        graph.graph.launch()
        assert all(bool(cupy.isnan(a).all()) for a in others)  # it writes on no memory but its own
        results = graph.results(call)
        step(*args)
        expected = arguments(backend, name, dtype)
        agree(backend, results, step(*expected[1]), 1e-9 if dtype == "float64" else 2e-5)
        assert not any(isinstance(a, float) for a in graph.outputs)  # nothing was worked out by the host and baked in


def fitted(name, dtype, **options):
    layers, optimizer, own = NETS[name]
    trainer = pn.Trainer(layers, optimizer=optimizer, backend="cupy", dtype=dtype, seed=1, schedule="cosine", **own)
    trainer.fit(*(IMAGES if name == "cnn" else ROWS), epochs=3, batch_size=8, verbose=False, **options)
    return trainer


@pytest.mark.parametrize("name", NETS)
def test_a_training_of_launches_equals_the_plain_one(backend, dtype, name, monkeypatch, caplog):
    needs_launches()
    trainer = fitted(name, dtype)
    graph = trainer.engine.compiled.graph
    assert graph is not None, trainer.engine.compiled.refused
    assert not caplog.records
    # The last batch of an epoch is smaller: it was trained on the graph's own arrays, and the graph went on.
    assert {id(p) for p in trainer.params.values()} <= {id(a) for a in graph.inputs}
    assert int(trainer.state.opt_state["t"]) == 3 * (3 if name == "cnn" else 7)
    switched(monkeypatch, "0")
    plain = fitted(name, dtype)
    rtol = 1e-9 if dtype == "float64" else 2e-4
    np.testing.assert_allclose(trainer.history["loss"], plain.history["loss"], rtol=rtol)
    agree(backend, trainer.snapshot()["params"], plain.snapshot()["params"], rtol)


def test_two_trainings_by_one_step_keep_their_own(backend):
    needs_launches()
    with backend.activate("float64"):
        step, first = arguments(backend, "sgd", "float64")
        second = arguments(backend, "sgd", "float64")[1]
        compiled = backend.compile(step, donate=(0, 2))
        expected = host(backend, step(*arguments(backend, "sgd", "float64")[1])[0])
        counters = first[-1]

        def train(state, steps):
            for _ in range(steps):
                state = compiled(*state[:3], *first[3:6], counters)
            return state

        first = (*train(first, 4)[:3], *first[3:])
        assert compiled.graph is not None
        kept = host(backend, first[0])
        for a, b in zip(host(backend, train(second, 1)[0]), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)
        train(arguments(backend, "sgd", "float64")[1], 3)
        for a, b in zip(host(backend, first[0]), kept, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_fleet(backend, monkeypatch):
    needs_launches()

    def histories():
        fleet = pn.Fleet([pn.Dense(6), pn.ReLU(), pn.Dense(3)], 3, optimizer="adam", backend="cupy", dtype="float64")
        return [h["loss"] for h in fleet.fit(*ROWS, epochs=3, batch_size=16)]

    got = histories()
    switched(monkeypatch, "0")
    np.testing.assert_allclose(got, histories(), rtol=1e-9)


def reads(p, x):
    p -= 0.1 * x
    return p, float(x[0])


def uploads(p, x):
    import cupy

    p -= 0.1 * cupy.asarray(np.ones(3, "float32"))
    return (p,)


def multiplies_whole_numbers_with_floats(p, x):
    p -= 0.1 * (p @ (x[:, None] > 0) * x)
    return (p,)


def returns_what_is_no_array(p, x):
    p -= 0.1 * x
    return p, np.float32(1.0)


@pytest.mark.parametrize("function", [reads, uploads, multiplies_whole_numbers_with_floats, returns_what_is_no_array])
def test_what_cannot_be_captured_runs_as_it_is(backend, function, caplog):
    import cupy

    with backend.activate():
        compiled = backend.compile(function, donate=(0,))
        p, q, x = (backend.asarray([1.0, 2.0, 3.0], "float32") for _ in range(3))
        with caplog.at_level(logging.WARNING, "portanet"):
            for _ in range(4):
                p = compiled(p, x)[0]
                q = function(q, x)[0]
                np.testing.assert_array_equal(backend.to_numpy(p), backend.to_numpy(q))  # each step once, and whole
        (record,) = caplog.records
        assert f"{function.__name__} is no CUDA graph" in record.getMessage()
        assert compiled.graph is None
        assert "__matmul__" not in vars(cupy.ndarray)  # the operator is CuPy's own again
        cupy.asarray(np.ones(3))  # and so are uploads
        np.testing.assert_allclose(backend.to_numpy(x @ x), 14.0)


def test_an_argument_that_is_no_array_is_told(backend, caplog):
    with backend.activate():
        compiled = backend.compile(lambda p, x: p + x.item(), donate=(0,))
        p = compiled(backend.asarray([1.0], "float32"), np.float32(2.0))
        np.testing.assert_array_equal(backend.to_numpy(p), [3.0])
    (record,) = caplog.records
    assert "an argument or a result is of the type float32" in record.getMessage()


def test_an_array_that_stands_twice_is_one(backend, caplog):
    def both(p, q):
        p += 1.0
        q += 1.0
        return p, q

    with backend.activate():
        compiled = backend.compile(both, donate=(0,))
        p = backend.asarray([1.0], "float32")
        for _ in range(3):
            compiled(p, p)
        np.testing.assert_array_equal(backend.to_numpy(p), [7.0])
    (record,) = caplog.records
    assert "stands twice among the arguments" in record.getMessage()


def test_it_is_for_steps_alone_and_can_be_switched_off(backend, monkeypatch):
    def function(p):
        return p

    assert backend.compile(function, donate=(0,)) is not function
    assert backend.compile(function) is function  # what donates nothing is no step
    assert switched(monkeypatch, "0").compile(function, donate=(0,)) is function
    monkeypatch.delenv("PORTANET_CUPY_GRAPHS")
    select.forget()
    assert require("cupy").compile(function, donate=(0,)) is not function


def test_an_upload_that_is_closed_early_waits_for_what_is_under_way(backend, monkeypatch):
    import cupy

    waited = []

    class Noted(cupy.cuda.Event):  # type: ignore[misc]
        def synchronize(self):
            waited.append(self)
            super().synchronize()

    monkeypatch.setattr(cupy.cuda, "Event", Noted)
    sending = backend.upload((np.full((4, 3), i), None) for i in range(9))
    next(sending)
    before = len(waited)
    sending.close()
    assert len(set(waited[before:])) == 2  # of both halves of the memory that is sent from


def test_batches_that_are_sent_ahead_arrive_whole_and_in_order(backend):
    batches = [(rng.normal(size=(n, 3)), None, np.arange(n)) for n in (4, 4, 7, 2, 0)]  # the memory grows, and is kept
    got = [
        tuple(None if a is None else backend.to_numpy(a) for a in arrays) for arrays in backend.upload(iter(batches))
    ]
    for given, arrived in zip(batches, got, strict=True):
        assert arrived[1] is None
        for a, b in zip(given[::2], arrived[::2], strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype
