"""What is marked as elementwise: fused on CuPy it gives what it gives unfused; anywhere else nothing changes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import portanet as pn
from portanet.backends import elementwise
from portanet.layers import activations
from tests.backends.at_hand import require

rng = np.random.default_rng(0)


def arrays(backend, count, dtype, shape=(6, 5)):
    return [backend.asarray(rng.uniform(0.1, 2.0, size=shape), dtype) for _ in range(count)]


def layer_calls():
    for layer in (
        pn.ReLU(),
        pn.LeakyReLU(0.2),
        pn.ELU(0.7),
        pn.Sigmoid(),
        pn.Tanh(),
        pn.Softplus(),
        pn.GELU(),
        pn.GELU("none"),
        pn.Swish(),
        pn.Mish(),
        pn.SELU(),
        pn.SmoothClip(0.7),
        pn.CELU(0.7),
        pn.ReLU6(),
        pn.Hardsigmoid(),
        pn.Hardswish(),
        pn.Hardtanh(-0.5, 0.7),
        pn.ThresholdedReLU(0.3),
        pn.Softsign(),
    ):
        yield layer, "forward", lambda x, dy, layer=layer: (layer, {}, x - 1.0)
        yield layer, "backward", lambda x, dy, layer=layer: (layer, {}, dy, layer.forward({}, x - 1.0)[1])


def loss_calls():
    for loss in (pn.SoftmaxCrossEntropy(), pn.BinaryCrossEntropy()):
        yield loss, "backward", lambda x, dy, loss=loss: (loss, loss.forward(x, dy)[1])
        yield loss, "backward", lambda x, dy, loss=loss: (loss, loss.forward(x, dy, dy[:, 0])[1])


def rule_calls():
    sgd = (pn.SGD(0.1), pn.SGD(0.1, momentum=0.9), pn.SGD(0.1, momentum=0.9, nesterov=True))
    for rule in (*sgd, pn.RMSprop(), pn.Adagrad(), pn.Adam(), pn.AdamW(), pn.NAdam()):

        def state(x, dy, rule=rule):
            return rule, x + 0.0, dy, *(x * (0.5 + i) for i in range(len(rule.slots))), *rule.numbers(0.01, 3)

        yield rule, "rule", state


def table():
    """Yield what is marked as it was written, and a function that makes its arguments of two arrays."""
    for thing, name, arguments in (*layer_calls(), *loss_calls(), *rule_calls()):
        method = getattr(type(thing), name)
        method = getattr(method, "__wrapped__", method)
        if method in elementwise.MARKED:
            yield pytest.param(method, arguments, id=f"{thing} {name}")
    yield pytest.param(
        getattr(activations.sigmoid, "__wrapped__", activations.sigmoid), lambda x, dy: (x,), id="sigmoid"
    )


def test_all_that_is_marked_stands_in_the_table():
    assert {case.values[0] for case in table()} == set(elementwise.MARKED)


def flat(value):
    if isinstance(value, tuple):
        return [a for item in value for a in flat(item)]
    return [value] if hasattr(value, "shape") else []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("function", "arguments"), [*table()])
def test_fused_on_cupy_equals_unfused(function, arguments, dtype):
    backend = require("cupy")
    fused = elementwise.fused_on_cupy(function)
    with backend.activate(dtype):
        x, dy = arrays(backend, 2, dtype)
        for _ in range(2):  # the second call takes the kernel that the first one made
            got, expected = arguments(x, dy), arguments(x, dy)
            results = [flat(f(*a)) for f, a in ((fused, got), (function, expected))]
            assert len(results[0]) == len(results[1])
            for a, b in zip(
                [*results[0], *flat(got)], [*results[1], *flat(expected)], strict=True
            ):  # also written over
                assert a.dtype == b.dtype
                np.testing.assert_allclose(backend.to_numpy(a), backend.to_numpy(b), rtol=2e-6, atol=1e-7)


def test_what_is_written_over_is_what_comes_back():
    backend = require("cupy")
    with backend.activate():
        p, g, m, v = arrays(backend, 4, "float32")
        fused = elementwise.fused_on_cupy(getattr(pn.Adam.rule, "__wrapped__", pn.Adam.rule))
        results = fused(pn.Adam(), p, g, m, v, 0.01, 1e-8)
        assert all(a is b for a, b in zip(results, (p, m, v), strict=True))


def test_elsewhere_nothing_changes(backend):
    if backend.name == "cupy":
        pytest.skip("this is of all others")
    seen = []

    def double(x, *, key=None):
        seen.append(key)
        return 2.0 * x

    with backend.activate():
        x = backend.asarray([1.0, 2.0], "float32")
        got = elementwise.fused_on_cupy(double)(x, key=3)
        np.testing.assert_array_equal(backend.to_numpy(got), [2.0, 4.0])
    assert seen == [3]


def test_it_is_for_the_block_and_the_thread_alone(monkeypatch):
    monkeypatch.setattr(elementwise, "MARKED", [])
    monkeypatch.setattr(elementwise, "fused_on_cupy", lambda function: lambda x: ("fused", x))
    marked = elementwise.elementwise(lambda x: ("plain", x))
    with ThreadPoolExecutor() as pool, contextlib.suppress(KeyError), elementwise.fusing():
        assert marked(1) == ("fused", 1)
        assert pool.submit(marked, 2).result() == ("plain", 2)
        with elementwise.fusing():
            pass
        assert marked(3) == ("fused", 3)
        raise KeyError
    assert marked(4) == ("plain", 4)


TRAIN = """
import contextlib, sys, numpy as np, portanet as pn
from portanet.backends.elementwise import fusing
x = np.random.default_rng(0).normal(size=(60, 5))
y = np.arange(60) % 3
net = [pn.Dense(8), pn.GELU(), pn.Dense(8), pn.ReLU(), pn.Dropout(0.2), pn.Dense(3)]
trainer = pn.Trainer(net, optimizer="adam", backend="cupy", dtype="float64", seed=1)
with fusing() if sys.argv[-1] == "fused" else contextlib.nullcontext():
    trainer.fit(x, y, epochs=3, batch_size=16, verbose=False)
print(*trainer.history["loss"], *(float((p**2).sum()) for p in trainer.snapshot()["params"].values()))
"""


def test_a_training_fused_and_unfused():
    require("cupy")
    command = [sys.executable, *(["-c", "import fakecupy\n" + TRAIN] if "fakecupy" in sys.modules else ["-c", TRAIN])]
    said = [
        subprocess.run(
            [*command, how], env={**os.environ, "PORTANET_CUPY_GRAPHS": "0"}, capture_output=True, text=True, check=True
        ).stdout
        for how in ("plain", "fused")
    ]
    plain, fused = (np.array(line.split(), float) for line in said)
    np.testing.assert_allclose(fused, plain, rtol=1e-9)
