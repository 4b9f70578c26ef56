"""Training on rows that are read meanwhile: the same as in memory, and what cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import portanet as pn
from portanet.data import NpySamples, Readable
from tests.data.own import Own, rows


def trainer(backend: Any = "numpy", **options):
    net = [pn.Dense(5), pn.Tanh(), pn.Dropout(0.2), pn.Dense(2)]
    return pn.Trainer(net, metrics=["accuracy"], backend=backend, seed=3, **options)


def same(a, b):
    for name, expected in a.snapshot()["params"].items():
        np.testing.assert_array_equal(b.snapshot()["params"][name], expected)


def without_time(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history.rows]


def test_the_interface():
    x, y = rows(4)
    assert isinstance(Own(x, y), Readable)
    assert isinstance(pn.data.Dataset("a", x, y), Readable)
    assert not isinstance(x, Readable)
    assert len(pn.data.Dataset("a", x, y)) == 4
    np.testing.assert_array_equal(pn.data.Dataset("a", x, y).read(1, 3)[0], x[1:3])


def test_as_in_memory(backend, tmp_path):
    """Unshuffled, the steps are the same ones, bit for bit; and so are evaluation and prediction."""
    x, y = rows(230)
    np.save(tmp_path / "X.npy", x)
    trained = []
    for data in ((x, y), (Own(x, y, 17),), (NpySamples(tmp_path / "X.npy"), y)):
        net = trainer(backend)
        net.fit(
            *data,
            epochs=2,
            batch_size=16,
            shuffle=False,
            validation_data=data if len(data) > 1 else data[0],
            verbose=False,
        )
        trained.append(
            (net, without_time(net.history), net.evaluate(*data), net.predict(data[0]), net.predict_classes(data[0]))
        )
    for net, history, scores, outputs, classes in trained[1:]:
        same(trained[0][0], net)
        assert (history, scores) == trained[0][1:3]
        np.testing.assert_array_equal(outputs, trained[0][3])
        np.testing.assert_array_equal(classes, trained[0][4])


def test_weights_and_a_part_for_validation_as_in_memory(tmp_path):
    x, y = rows(230)
    np.save(tmp_path / "X.npy", x)
    weight = np.random.default_rng(1).random(230)
    trained = []
    for samples in (x, NpySamples(tmp_path / "X.npy")):
        net = trainer(class_weight="balanced")
        net.fit(
            samples,
            y,
            epochs=2,
            batch_size=16,
            shuffle=False,
            validation_fraction=0.2,
            sample_weight=weight,
            verbose=False,
        )
        trained.append(net)
    same(*trained)
    assert without_time(trained[0].history) == without_time(trained[1].history)


def test_a_part_of_a_data_set_of_ones_own():
    x, y = rows(100)
    net = trainer()
    net.fit(Own(x, y, 7), epochs=1, validation_fraction=0.2, verbose=False)
    assert "val_loss" in net.history.rows[0]
    assert net.fit_info.samples == 80


def test_all_rows_in_memory_are_trained_on_as_well_when_shuffled(backend):
    x, y = rows(400)
    net = trainer(backend, optimizer=pn.Adam(lr=0.05))
    assert net.fit(Own(x, y, 10), epochs=8, batch_size=32, verbose=False).rows[-1]["accuracy"] > 0.9


@pytest.mark.parametrize("blocks", [None, 13])
def test_batch_size_auto_and_classes(blocks):
    x, y = rows(2000)
    source = Own(x, y, blocks)
    source.classes = ("no", "yes")
    net = trainer()
    net.fit(source, epochs=1, batch_size="auto", verbose=False)
    assert net.classes == ("no", "yes")
    assert net.fit_info.batch_size == 16


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"y": np.zeros(30, int)}, pn.ConfigError, "brings its own targets"),
        ({"shuffle": lambda n: np.arange(n)}, pn.ConfigError, "come in blocks"),
        ({"sample_weight": np.ones(3)}, pn.ShapeError, "a weight for each of the 30 samples"),
    ],
)
def test_arguments_that_cannot_be(options, error, words):
    x, y = rows(30)
    with pytest.raises(error, match=words):
        trainer().fit(Own(x, y), epochs=1, batch_size=4, verbose=False, **options)


def test_class_weights_need_targets_in_memory():
    x, y = rows(30)
    with pytest.raises(pn.ConfigError, match="give sample_weight in its place"):
        trainer(class_weight="balanced").fit(Own(x, y), epochs=1, verbose=False)


def test_an_empty_data_set():
    with pytest.raises(pn.DataError, match="Own: expected at least one row, got none; look where its rows"):
        trainer().fit(Own(*rows(0)), epochs=1, verbose=False)


def test_a_fleet_takes_arrays_alone():
    x, y = rows(30)
    with pytest.raises(pn.ConfigError, match="share samples in memory"):
        pn.Fleet([pn.Dense(2)], 2, backend="numpy").fit(Own(x, y), epochs=1)


def test_upload_is_the_same_arrays_in_their_order(backend):
    sent = [(np.full((3, 2), i, "float32"), np.arange(3) + i, None) for i in range(5)]
    with backend.activate():
        found = [
            tuple(None if a is None else backend.to_numpy(a) for a in arrays) for arrays in backend.upload(iter(sent))
        ]
    for a, b in zip(found, sent, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])
        assert a[2] is None
