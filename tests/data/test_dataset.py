"""The data set itself: its checks, fingerprint and classes; synthetic sets, and the part that is held out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from portanet.data import Dataset, circles, fingerprint, hold_out, load, moons, spirals
from portanet.errors import ConfigError, DataError

DATA = Dataset("d", np.arange(12.0).reshape(6, 2), np.array([0, 1, 0, 1, 0, 1]), classes=("a", "b"))


def test_fingerprint_tells_values_shapes_dtypes_and_parts_apart():
    variants = [
        DATA,
        replace(DATA, x=DATA.x + 1),
        replace(DATA, x=DATA.x.reshape(6, 1, 2)),
        replace(DATA, x=DATA.x.view(np.int64)),
        replace(DATA, y=DATA.y[::-1]),
        replace(DATA, x_test=DATA.x, y_test=DATA.y),
        replace(DATA, x_test=DATA.x[:1], y_test=DATA.y[:1]),
    ]
    assert len({fingerprint(data) for data in variants}) == len(variants)
    assert fingerprint(replace(DATA, x=np.asfortranarray(DATA.x), name="other")) == fingerprint(DATA)
    assert len(fingerprint(DATA)) == 64


def test_with_classes_numbers_labels_as_a_network_knows_them():
    data = replace(DATA, x_test=DATA.x[:2], y_test=DATA.y[:2]).with_classes(["z", "b", "a"])
    assert data.y.tolist() == [2, 1, 2, 1, 2, 1]
    assert data.y_test is not None
    assert data.y_test.tolist() == [2, 1]
    assert data.classes == ("z", "b", "a")
    with pytest.raises(DataError, match="expected labels among a, c, got the class 'b'"):
        DATA.with_classes(["a", "c"])
    with pytest.raises(DataError, match="targets that are no classes"):
        replace(DATA, classes=()).with_classes(["a"])


def test_parts_that_do_not_fit():
    with pytest.raises(DataError, match="6 samples and 5 targets"):
        replace(DATA, y=DATA.y[1:])
    with pytest.raises(DataError, match="the test part has samples alone"):
        replace(DATA, x_test=DATA.x)
    with pytest.raises(DataError, match="one sample in the test part, got none; give it samples, or leave it out"):
        replace(DATA, x_test=DATA.x[:0], y_test=DATA.y[:0])


def test_hold_out_keeps_the_shares_of_the_classes_and_every_sample_once():
    x = np.arange(100.0)[:, None]
    data = Dataset("d", x, np.repeat([0, 1], [80, 20]), classes=("a", "b"))
    held = hold_out(data, 0.25, seed=3)
    assert held.x_test is not None
    assert held.y_test is not None
    assert np.bincount(held.y_test).tolist() == [20, 5]
    np.testing.assert_array_equal(np.sort(np.concatenate([held.x, held.x_test]), axis=0), x)
    assert (np.diff(held.y) != 0).sum() > 10  # shuffled
    for rows, labels in ((held.x, held.y), (held.x_test, held.y_test)):
        np.testing.assert_array_equal(labels, rows[:, 0] >= 80)  # each sample with its own label
    assert fingerprint(hold_out(data, 0.25, seed=3)) == fingerprint(held) != fingerprint(hold_out(data, 0.25, seed=4))
    regression = hold_out(Dataset("d", x, x[:, 0]))
    assert regression.x_test is not None
    assert len(regression.x_test) == 20
    with pytest.raises(DataError, match="without a test part"):
        hold_out(held)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        hold_out(data, 1.0)
    with pytest.raises(DataError, match="one sample in the test part, got none; give it samples, or leave it out"):
        hold_out(DATA, 0.01)


@pytest.mark.parametrize(("make", "classes"), [(moons, 2), (circles, 2), (spirals, 3)])
def test_synthetic_sets(make, classes):
    data = make(600, seed=1)
    assert data.x_test is not None
    assert data.y_test is not None
    assert (data.x.shape, data.x_test.shape) == ((480, 2), (120, 2))
    assert data.x.dtype == np.float64
    assert np.bincount(data.y).tolist() == [480 // classes] * classes
    assert len(data.classes) == classes
    assert data.scale is None
    assert fingerprint(make(600, seed=1)) == fingerprint(data) != fingerprint(make(600, seed=2))
    assert fingerprint(load(data.name)) == fingerprint(make())
    # Points lie near the curve of their own class: the nearest neighbour knows the class.
    distance = np.sum((data.x_test[:, None] - data.x[None]) ** 2, axis=-1)
    assert np.mean(data.y[np.argmin(distance, axis=1)] == data.y_test) > 0.95


def test_curves_without_noise():
    data = circles(200, noise=0.0, factor=0.25)
    np.testing.assert_allclose(np.hypot(*data.x.T), np.where(data.y == 0, 1.0, 0.25))
    data = moons(200, noise=0.0)
    np.testing.assert_allclose(np.hypot(*(data.x - np.where(data.y[:, None] == 0, 0.0, [1.0, 0.5])).T), 1.0)
    assert data.x[data.y == 0, 1].min() >= 0
    assert len(spirals(500, classes=5).classes) == 5


@pytest.mark.parametrize("call", [lambda: moons(5), lambda: circles(100, noise=-1), lambda: spirals(classes=1)])
def test_synthetic_sets_that_cannot_be(call):
    with pytest.raises(ConfigError, match="expected"):
        call()
