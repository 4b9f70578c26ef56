"""docs/library.md: each snippet runs as it is printed. train_batch: what it does, what it refuses, what it costs."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import portanet as pn
from portanet.verify.cases import LAYERS, LOSSES, OPTIMIZERS
from tests.backends.at_hand import BACKENDS, require
from tests.small import blobs

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "library.md").read_text(encoding="utf-8")


def sections():
    """Return the snippets under each heading, those that need another library with its name."""
    for heading, text in re.findall(r"^## (.+?)$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL):
        snippets = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        library = next((name for name in ("jax", "torch") if any(f"import {name}\n" in s for s in snippets)), "numpy")
        yield heading, library, snippets


SECTIONS = list(sections())
FIRST = SECTIONS[0][2]


def test_the_page_has_its_sections():
    assert [heading for heading, *_ in SECTIONS] == [
        *("One step", "Layers without a step", "A trainer in your own loop", "JAX", "torch"),
        *("Other libraries", "Arrays of several libraries"),
    ]
    assert PAGE.count("```python") == sum(len(snippets) for *_, snippets in SECTIONS) == 16


@pytest.mark.parametrize(("heading", "library", "snippets"), SECTIONS, ids=[heading for heading, *_ in SECTIONS])
def test_snippets_run(heading, library, snippets):
    require(library)
    if "import dask" in snippets[0]:
        pytest.importorskip("dask.array", reason="dask is not installed")
    names: dict[str, object] = {}
    for number, text in enumerate([*([] if snippets is FIRST else FIRST), *snippets]):
        with warnings.catch_warnings():
            if library == "torch":
                warnings.simplefilter("ignore")  # torch.compile warns of its own parts
            exec(compile(text, f"docs/library.md, {heading}, snippet {number}", "exec"), names)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_batch_is_a_step_of_fit(name):
    backend = require(name)
    x, y = blobs(24, features=5, classes=3)
    net = [pn.Dense(7), pn.Tanh(), pn.Dense(3)]
    fitted, looped = (pn.Trainer(net, "softmax_cross_entropy", "adam", backend=backend, seed=3) for _ in range(2))
    history = fitted.fit(x, y, epochs=2, batch_size=8, shuffle=False, verbose=False)
    values = []
    for _ in range(2):
        for i in range(0, 24, 8):
            values.append(float(looped.train_batch(x[i : i + 8], y[i : i + 8])))
    mine, its = looped.snapshot()["params"], fitted.snapshot()["params"]
    for key in its:
        np.testing.assert_allclose(mine[key], its[key], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.reshape(values, (2, 3)).mean(axis=1), history["loss"], rtol=1e-5)


def test_masks_differ_from_step_to_step_and_not_from_run_to_run():
    x, y = blobs(16, features=5, classes=3)

    def losses(net, n=4):
        trainer = pn.Trainer(net, optimizer=pn.SGD(0.1), backend="numpy", seed=1)
        return trainer, [float(trainer.train_batch(x, y, lr=0.0)) for _ in range(n)]

    first, values = losses([pn.Dropout(0.5), pn.Dense(3)])
    assert len(set(values)) == 4  # no weight moves, so the masks do
    assert losses([pn.Dropout(0.5), pn.Dense(3)])[1] == values
    assert len(set(losses([pn.Dense(3)])[1])) == 1
    other, short = losses([pn.Dropout(0.5), pn.Dense(3)], 2)
    other.restore_state(other.copy_state())  # the count of steps comes with the state
    assert [*short, *(float(other.train_batch(x, y, lr=0.0)) for _ in range(2))] == values
    assert int(first.opt_state["t"]) == 4


def test_it_goes_with_fit_copies_and_files(tmp_path):
    import copy
    import pickle

    x, y = blobs(16, features=5, classes=3)
    trainer = pn.Trainer([pn.Dense(3)], backend="numpy", seed=1)
    trainer.train_batch(x, y)
    trainer.fit(x, y, epochs=1, batch_size=4, verbose=False)
    for other in (copy.deepcopy(trainer), pickle.loads(pickle.dumps(trainer))):
        before = trainer.snapshot()["params"]["0.weight"]
        other.train_batch(x, y)
        np.testing.assert_array_equal(trainer.snapshot()["params"]["0.weight"], before)
        assert not np.array_equal(other.snapshot()["params"]["0.weight"], before)
    assert (trainer.epoch, trainer.position, len(trainer.history["loss"])) == (1, 0, 1)
    trainer.train_batch(x, y)
    trainer.fit(x, y, epochs=1, batch_size=4, verbose=False)
    assert (trainer.epoch, trainer.position, len(trainer.history["loss"])) == (2, 0, 2)
    trainer.save(tmp_path / "net.safetensors")
    pn.load(tmp_path / "net.safetensors").train_batch(x, y)


def test_weights_and_rates():
    x, y = blobs(16, features=5, classes=3)
    weight = np.array([0.0] * 8 + [1.0] * 8)
    found = []
    for arguments in ((x, y, weight), (x[8:], y[8:])):
        trainer = pn.Trainer([pn.Dense(3)], optimizer=pn.SGD(0.5), backend="numpy", seed=1, dtype="float64")
        found.append((float(trainer.train_batch(*arguments)), trainer.snapshot()["params"]["0.weight"]))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-12)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-12)
    moves = []
    for lr in (None, 0.5, 0.25):
        trainer = pn.Trainer([pn.Dense(3)], optimizer=pn.SGD(0.5), backend="numpy", seed=1, dtype="float64")
        trainer.init((5,))
        before = trainer.snapshot()["params"]["0.weight"]
        trainer.train_batch(x, y, lr=lr)
        moves.append(trainer.snapshot()["params"]["0.weight"] - before)
    np.testing.assert_array_equal(moves[0], moves[1])
    np.testing.assert_allclose(moves[0], 2 * moves[2], rtol=1e-12)


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (np.ones((2, 5)), [0, 3], "y: expected class indices 0 … 2"),
        (np.ones((2, 5)), [0], "y: expected one target for each of the 2 samples"),
        (np.ones((2, 4)), [0, 1], r"x: expected samples of shape \(5,\), got \(4,\)"),
        (np.ones((2, 5)), np.array([0, 3]), "y: expected class indices 0 … 2"),
        (np.ones((2, 5)), np.array([-1, 0]), "y: expected class indices 0 … 2"),
        (np.ones((2, 5)), np.array([0.5, 1.0]), "y: expected class indices .whole numbers."),
        ([[1.0] * 4] * 2, [0, 1], r"x: expected samples of shape \(5,\), got \(4,\)"),
        ([["a"] * 5] * 2, [0, 1], "x: expected real numbers, got text"),
    ],
)
def test_wrong_batches(x, y, words):
    trainer = pn.Trainer([pn.Dense(3)], backend="numpy")
    trainer.init((5,))
    before = trainer.snapshot()["params"]["0.weight"]
    with pytest.raises(pn.DataError, match=words):
        trainer.train_batch(x, y)
    np.testing.assert_array_equal(trainer.snapshot()["params"]["0.weight"], before)


def test_a_step_takes_names_and_leaves_the_output_layer_to_the_loss():
    net = [pn.Dense(3), pn.Softmax()]
    step = pn.Step(net, "softmax_cross_entropy", "sgd")
    assert step.net == pn.Sequential([pn.Dense(3)])
    assert (step.loss, step.optimizer) == (pn.SoftmaxCrossEntropy(), pn.SGD())
    with pytest.raises(pn.ConfigError, match="takes logits and contains the Softmax"):
        pn.Step([pn.Dense(1), pn.Sigmoid()], "softmax_cross_entropy", "sgd")


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_step_draws_the_weights_of_a_trainer(name, dtype):
    backend = require(name)
    net = [pn.Dense(3), pn.BatchNorm(), pn.Dense(2)]
    params, buffers, state = pn.Step(net, "softmax_cross_entropy", "adam", dtype=dtype).init(
        (4,), seed=5, backend=backend
    )
    trainer = pn.Trainer(net, backend=backend, seed=5, dtype=dtype)
    trainer.init((4,))
    for own, its in ((params, trainer.params), (buffers, trainer.buffers)):
        assert own.keys() == its.keys()
        for key in own:
            assert own[key].dtype == its[key].dtype
            np.testing.assert_array_equal(backend.to_numpy(own[key]), backend.to_numpy(its[key]))
    assert state.keys() == trainer.opt_state.keys()


def test_layers_losses_and_optimizers_take_arrays_of_a_library_without_a_backend():
    """Forward and backward use functions of the standard and operators; Dask's arrays have no ``mT``, for one."""
    da = pytest.importorskip("dask.array", reason="dask is not installed")

    def lazy(a):
        return {name: lazy(own) for name, own in a.items()} if isinstance(a, dict) else da.from_array(np.asarray(a))

    def agree(found, expected):
        for a, b in zip(found, expected, strict=True):
            assert isinstance(a, da.Array)
            np.testing.assert_allclose(np.asarray(a), b, rtol=1e-9, atol=1e-11)

    for case in (cases[0] for cases in LAYERS.values()):
        rng = np.random.default_rng(3)
        params, out = case.layer.init(rng, case.shape)
        x, dy, own = case.samples(rng, 4), rng.normal(size=(4, *out)), case.layer.init_buffers(case.shape)
        found = []
        for arrays in ((params, own, x, dy), tuple(map(lazy, (params, own, x, dy)))):
            weights, buffers, samples, gradient = arrays
            y, cache = case.layer.forward({**weights, **buffers}, samples, train=True, key=pn.Key(5, 11))
            dx, grads = case.layer.backward(weights, gradient, cache)
            found.append([y, dx, *(grads[name] for name in sorted(params))])
        agree(found[1], found[0])
    for scored in (cases[0] for cases in LOSSES.values()):
        given = scored.arrays()
        value, cache = scored.loss.forward(*given)
        other, lazy_cache = scored.loss.forward(*map(lazy, given))
        agree([other, scored.loss.backward(lazy_cache)], [value, scored.loss.backward(cache)])
    for optimizer in (cases[0] for cases in OPTIMIZERS.values()):
        params, grads = ({"weight": np.random.default_rng(i).normal(size=(3, 4))} for i in range(2))
        other, _ = optimizer.update(lazy(params), lazy(grads), optimizer.init(lazy(params)), 0.1)
        expected, _ = optimizer.update(params, grads, optimizer.init(params), 0.1)
        agree(other.values(), expected.values())


def test_every_optimizer_is_vectorised_by_torch():
    """A boolean mask, as array-api-compat's sign has it, cannot be."""
    require("torch")
    import torch

    for optimizer in (cases[0] for cases in OPTIMIZERS.values()):
        params, grads = ({"weight": torch.arange(24.0).reshape(2, 3, 4).sin() * i} for i in (1, 2))
        slots = {slot: {"weight": torch.zeros(2, 3, 4)} for slot in optimizer.slots}

        def update(p, g, own, optimizer=optimizer):
            return optimizer.update(p, g, {"t": 0, **own}, 0.1)[0]

        alone = []
        for i in range(2):
            own = {slot: {"weight": torch.zeros(3, 4)} for slot in optimizer.slots}
            p, g = ({"weight": arrays["weight"][i].clone()} for arrays in (params, grads))
            alone.append(update(p, g, own))
        found = torch.func.vmap(update)(params, grads, slots)
        for i, expected in enumerate(alone):
            torch.testing.assert_close(found["weight"][i], expected["weight"])
