"""Augmentation: beside scipy's interpolation, only while training, another for each image and step."""

from __future__ import annotations

import math

import numpy as np
import pytest

import portanet as pn
from portanet.random import Key, generator, uniform
from tests.backends.at_hand import BACKENDS, require


def images(*shape):
    return generator(0, "augment").normal(size=shape)


def augmented(layer, x, step=3):
    return layer.forward({}, x, train=True, key=Key(5, step))


@pytest.mark.parametrize("shape", [(4, 9, 7, 3), (4, 8, 8), (2, 1, 5, 1)])
def test_it_is_interpolation_at_the_places(shape):
    ndimage = pytest.importorskip("scipy.ndimage", reason="scipy is the oracle of this test: pip install scipy")
    x = images(*shape)
    y, (rows, columns) = augmented(pn.Augment(shift=2.5, rotate=40, flip=True), x)
    pictures, out = x.reshape(*shape[:3], -1), y.reshape(*shape[:3], -1)
    for i, picture in enumerate(pictures):
        for channel in range(picture.shape[-1]):
            expected = ndimage.map_coordinates(picture[..., channel], [rows[i], columns[i]], order=1, mode="nearest")
            np.testing.assert_allclose(out[i, ..., channel].ravel(), expected, rtol=1e-12, atol=1e-12)


def test_places_are_rotated_and_shifted_ones():
    x = images(6, 3, 4, 1)
    _, (rows, columns) = augmented(pn.Augment(shift=0.7, rotate=50, flip=True), x)
    draws = 2 * uniform(x, (4, 6, 1), Key(5, 3))[..., 0] - 1  # of each image: down, along, the angle, mirrored or not
    assert {draw < 0 for draw in draws[3]} == {True, False}
    for i in range(6):
        down, along, angle = 0.7 * draws[0, i], 0.7 * draws[1, i], math.radians(50 * draws[2, i])
        for p in range(12):
            row, column = p // 4 - 1.0, p % 4 - 1.5  # from the middle
            column = -column if draws[3, i] < 0 else column
            down_at = math.cos(angle) * row - math.sin(angle) * column + down + 1.0
            along_at = math.sin(angle) * row + math.cos(angle) * column + along + 1.5
            assert rows[i, p] == pytest.approx(min(max(down_at, 0.0), 2.0), abs=1e-12)
            assert columns[i, p] == pytest.approx(min(max(along_at, 0.0), 3.0), abs=1e-12)


def test_shifts_and_angles_stay_within_their_bounds():
    x = images(500, 5, 5, 1)
    _, (rows, _) = augmented(pn.Augment(shift=1.5), x)
    moved = rows[:, 12] - 2.0  # the pixel in the middle
    assert -1.5 <= moved.min() < -1.4
    assert 1.4 < moved.max() <= 1.5
    assert abs(moved.mean()) < 0.1
    _, (rows, columns) = augmented(pn.Augment(rotate=30), x)
    angle = np.degrees(np.arctan2(rows[:, 13] - 2.0, columns[:, 13] - 2.0))  # the pixel right of it
    assert -30 <= angle.min() < -28
    assert 28 < angle.max() <= 30


def test_half_of_the_images_are_mirrored_exactly():
    x = images(400, 3, 4, 2)
    y, _ = augmented(pn.Augment(flip=True), x)
    mirrored = (y == x[:, :, ::-1]).all(axis=(1, 2, 3))
    assert ((y == x).all(axis=(1, 2, 3)) | mirrored).all()
    assert 150 < mirrored.sum() < 250


def test_it_leaves_images_alone_unless_it_trains():
    x = images(2, 4, 4)
    layer = pn.Augment(shift=1, rotate=10, flip=True)
    y, cache = layer.forward({}, x)
    assert y is x
    assert layer.backward({}, x, cache)[0] is x
    assert augmented(pn.Augment(), x)[0] is x


def test_every_step_and_image_has_its_own():
    x = np.repeat(images(1, 6, 6), 3, axis=0)
    layer = pn.Augment(shift=1)
    first, again, later = (augmented(layer, x, step)[0] for step in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, later)
    assert not np.array_equal(first[0], first[1])


@pytest.mark.parametrize("shape", [(12,), (2, 3, 4, 5)])
def test_what_is_no_image(shape):
    with pytest.raises(pn.ShapeError, match=r"expected images \(height, width\).*Reshape"):
        pn.Augment(shift=1).init(None, shape)


def test_training_without_a_key():
    with pytest.raises(pn.ConfigError, match="Augment: training needs a key"):
        pn.Augment(shift=1).forward({}, images(1, 2, 2), train=True)


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_numbers_are_the_same_everywhere(name, dtype):
    backend = require(name)
    with backend.activate(dtype):
        found = backend.to_numpy(uniform(backend.asarray([0.0], dtype), (50, 40), Key(9, 4)))
    host = uniform(np.zeros(1, dtype), (50, 40), Key(9, 4))
    np.testing.assert_array_equal(found, host)
    assert found.dtype == dtype
    assert 0 <= found.min() < 0.01
    assert 0.99 < found.max() < 1
    counts = np.histogram(found, 20, (0, 1))[0]
    assert np.sum((counts - 100) ** 2 / 100) < 43.8  # χ²(19) at 0.1 %


def test_a_network_learns_what_was_moved():
    """Trained on one place of a bar, it knows the bar's neighbours only if it saw them shifted."""
    x = np.zeros((2, 9, 9, 1), "float32")
    x[0, 4, 2:7], x[1, 2:7, 4] = 1, 1
    y = np.array([0, 1])
    moved = np.concatenate([np.roll(x, by, axis=axis) for axis in (1, 2) for by in (-2, 2)])

    def loss(front):
        net = [*front, pn.Flatten(), pn.Dense(32), pn.ReLU(), pn.Dense(2)]
        trainer = pn.Trainer(net, optimizer=pn.Adam(lr=0.01), backend="numpy", seed=0)
        trainer.fit(x, y, epochs=300, batch_size=2, verbose=False)
        return trainer.evaluate(moved, np.tile(y, 4))["loss"]

    assert loss([pn.Augment(shift=2)]) < 0.5 * loss([])
