"""Trainings that start from a trained network, whole or in part."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import portanet as pn
from portanet.errors import DataError, ShapeError
from tests.small import blobs, same, trainer

X, Y = blobs()


def net(classes=3):
    return [pn.Dense(8), pn.BatchNorm(), pn.Tanh(), pn.Dense(classes)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


@pytest.fixture
def trained(path):
    """A trained network with buffers; its file is at `path`."""
    model = trainer(net(), seed=5)
    model.fit(X, Y, epochs=3, verbose=False)
    model.save(path)
    return model


def test_the_whole_network(trained, path, backend):
    model = trainer(net(), backend=backend)
    found = model.load_weights(path)
    assert found.taken == ("0.weight", "0.bias", "1.gamma", "1.beta", "3.weight", "3.bias", "1.mean", "1.variance")
    assert (found.left, found.unused) == ((), ())
    assert (model.epoch, len(model.history), model.input_shape) == (0, 0, (5,))
    np.testing.assert_allclose(model.predict(X), trained.predict(X), rtol=1e-12)
    for name, array in trained.snapshot()["buffers"].items():
        np.testing.assert_array_equal(model.snapshot()["buffers"][name], array)


def test_the_optimizer_is_fresh_and_the_training_before_is_forgotten(trained, path):
    used, new = trainer(net(), optimizer="adam"), trainer(net(), optimizer="adam")
    used.fit(X, Y, epochs=2, batch_size=8, verbose=False)
    for model in (used, new):
        model.load_weights(path)
        model.fit(X, Y, epochs=2, verbose=False)
    same(used, new)
    assert used.history["loss"] == new.history["loss"]
    assert (used.epoch, used.opt_state["t"]) == (2, new.opt_state["t"])


def test_in_part_by_name_and_shape(trained, path, caplog):
    model, fresh = trainer(net(7), seed=1), trainer(net(7), seed=1)
    fresh.init((5,))
    with caplog.at_level(logging.INFO, "portanet"):
        found = model.load_weights(path, strict=False)
    body = ("0.weight", "0.bias", "1.gamma", "1.beta", "1.mean", "1.variance")
    assert (found.taken, found.left, set(found.unused)) == (body, ("3.weight", "3.bias"), {"3.weight", "3.bias"})
    (line,) = (record.getMessage() for record in caplog.records if "took" in record.getMessage())
    taken = f"took 6 of 8 arrays: {', '.join(body)}; left as they were: 3.weight, 3.bias"
    assert line == f"{path}: {taken}; not used of the file: {', '.join(found.unused)}"
    got, old, initial = ({**m.snapshot()["params"], **m.snapshot()["buffers"]} for m in (model, trained, fresh))
    for name, array in got.items():
        np.testing.assert_array_equal(array, (old if name in body else initial)[name])
        assert not np.array_equal(initial[name], old[name])
    model.fit(X, Y, epochs=1, verbose=False)


def test_in_part_what_was_trained_stays(trained, path):
    model = trainer(net(7))
    model.fit(X, Y, epochs=1, verbose=False)
    head = model.snapshot()["params"]["3.weight"]
    assert model.load_weights(path, strict=False).left == ("3.weight", "3.bias")
    np.testing.assert_array_equal(model.snapshot()["params"]["3.weight"], head)


@pytest.mark.parametrize(
    ("layers", "offenders"),
    [
        (net(4), {"3.weight: expected (8, 4), got (8, 3)", "3.bias: expected (4,), got (3,)"}),
        ([*net(), pn.Dense(3)], {"4.weight: expected (3, 3), got none", "4.bias: expected (3,), got none"}),
        (
            [pn.Dense(8), pn.Tanh(), pn.Tanh(), pn.Dense(3)],
            {f"1.{name}: expected no such array, got (8,)" for name in ("gamma", "beta", "mean", "variance")},
        ),
    ],
)
def test_strictly_all_that_does_not_fit_is_listed(trained, path, layers, offenders):
    model = trainer(layers)
    with pytest.raises(DataError) as caught:
        model.load_weights(path)
    head, *listed, fix = str(caught.value).split("; ")
    head, _, first = head.partition(" arrays: ")
    assert head == f"{path}: it holds another network's"
    assert {first, *listed} == offenders
    assert fix == "strict=False takes the others"
    assert model.input_shape is None  # as it was


def test_a_long_list_is_cut(path):
    deep = trainer([pn.Dense(2) for _ in range(30)])
    deep.init((2,))
    deep.save(path)
    with pytest.raises(DataError, match=r"… and 37 more; strict=False takes the others$"):
        trainer([pn.Dense(2), pn.Dense(2, bias=False)]).load_weights(path)


def test_what_is_refused(trained, path, tmp_path):
    def load(layers, where=path, **options):
        trainer(layers).load_weights(where, **options)

    with pytest.raises(DataError, match=r"0\.weight: expected .* no array fits by name and shape"):
        load([pn.Dense(9), pn.Dense(2)], strict=False)
    with pytest.raises(DataError, match=r"missing\.safetensors: .* found nothing there"):
        load(net(), tmp_path / "missing.safetensors")
    with pytest.raises(DataError, match=r"best\.safetensors: .* found nothing there"):
        load(net(), tmp_path)
    with pytest.raises(ShapeError, match=r"samples of its shape \(5,\) do not fit this network .* call init"):
        load([pn.Conv2D(3), pn.Flatten(), pn.Dense(3)], strict=False)
    checkpoint = tmp_path / "training.safetensors"
    trained.fit(X, Y, epochs=1, callbacks=[pn.TrainingCheckpoint(checkpoint)], verbose=False)
    for strict in (True, False):
        with pytest.raises(DataError, match="expected the file of a saved network, got the checkpoint of a training"):
            load(net(), checkpoint, strict=strict)


def test_a_run_folder_means_its_best_weights(trained, path, tmp_path):
    path.rename(tmp_path / "best.safetensors")
    model = trainer(net())
    model.load_weights(tmp_path)
    same(model, trained)


def test_samples_of_another_size(path):
    # The weights of a convolution do not depend on the size of the images: the network keeps the size that it has.
    layers = [pn.Conv2D(3), pn.GlobalAvgPool2D(), pn.Dense(2)]
    first, second = trainer(layers), trainer(layers, seed=1, dtype="float32")
    first.init((6, 6, 1))
    first.save(path)
    second.init((9, 8, 1))
    assert second.load_weights(path).left == ()
    assert second.input_shape == (9, 8, 1)
    images = np.random.default_rng(0).normal(size=(4, 9, 8, 1))
    first.init((9, 8, 1))
    np.testing.assert_allclose(second.predict(images), first.predict(images), rtol=1e-4)
