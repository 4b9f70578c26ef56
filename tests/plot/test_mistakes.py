"""The worst mistakes, for images of every form."""

from __future__ import annotations

import numpy as np
import pytest

from portanet import plot
from portanet.errors import DataError
from tests.plot.looks import boxes


def test_the_worst_mistakes_are_those_of_the_largest_loss(reader, digits):
    p = reader.predict(digits.x_test.reshape(-1, 64))
    loss = -np.log(p[np.arange(len(p)), digits.y_test].astype(np.float64))
    wrong = [i for i in np.argsort(-loss) if p[i].argmax() != digits.y_test[i]]
    assert len(wrong) > 7
    figure = plot.worst(digits.x_test, digits.y_test, p, digits.classes, count=7, scale=255)
    assert len(figure.axes) == 7
    for axes, i in zip(figure.axes, wrong, strict=False):
        np.testing.assert_allclose(axes.images[0].get_array(), digits.x_test[i] / 255)
        true, guess = digits.classes[digits.y_test[i]], digits.classes[p[i].argmax()]
        assert axes.get_title() == f"{true} → {guess},\np = {p[i].max():.2f}"
    assert figure.get_suptitle() == f"The 7 worst of {len(wrong)} mistakes among 90 samples"
    titles = [(t, b) for t, b in boxes(figure) if "→" in t]
    assert len(titles) == 7
    assert not any(b.overlaps(c) for i, (_, b) in enumerate(titles) for _, c in titles[:i])


@pytest.mark.parametrize("shape", [(6, 8, 8), (6, 8, 8, 1), (6, 8, 8, 3), (6, 64)])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_worst_takes_images_of_every_form(shape, dtype):
    rng = np.random.default_rng(0)
    images = (rng.integers(0, 256, shape) if dtype == "uint8" else rng.normal(size=shape)).astype(dtype)
    p = np.array([[0.9, 0.1], [0.2, 0.8], [1.0, 0.0], [0.4, 0.6], [0.3, 0.7], [1.0, 0.0]])
    figure = plot.worst(images, np.array([1, 1, 1, 0, 1, 0]), p)
    shown = [axes.images[0].get_array() for axes in figure.axes]
    assert [axes.get_title() for axes in figure.axes] == ["1 → 0, p = 1.00", "1 → 0, p = 0.90", "0 → 1, p = 0.60"]
    assert all(a.shape == ((8, 8, 3) if shape[-1] == 3 else (8, 8)) for a in shown)
    assert min(a.min() for a in shown) == 0
    assert max(a.max() for a in shown) == 1
    picture = images[2].reshape(shown[0].shape).astype(float)
    assert np.corrcoef(shown[0].ravel(), picture.ravel())[0, 1] == pytest.approx(1)


def test_worst_of_a_single_output():
    images = np.zeros((3, 4, 4))
    figure = plot.worst(images, np.array([1, 0, 1]), np.array([[0.2], [0.9], [0.7]]), ["no", "yes"])
    assert [axes.get_title() for axes in figure.axes] == ["no → yes, p = 0.90", "yes → no, p = 0.80"]


def test_no_mistakes_are_told():
    figure = plot.worst(np.zeros((2, 4, 4)), np.array([0, 1]), np.eye(2))
    assert not figure.axes
    assert "nothing was mistaken" in dict(boxes(figure))
    assert figure.get_suptitle() == "0 mistakes among 2 samples"


@pytest.mark.parametrize(
    ("images", "target", "classes", "told"),
    [
        (np.zeros((2, 5)), [0, 1], (), "rows of a square's pixels"),
        (np.zeros((2, 4, 4, 2)), [0, 1], (), "1 or 3"),
        (np.zeros((2, 4, 4)), [0], (), "each of 2 images"),
        (np.zeros((2, 4, 4)), [0, 2], (), "targets from 0 to 1, got 0 to 2"),
        (np.zeros((2, 4, 4)), [0, 1], ["a"], "expected 2 names"),
    ],
)
def test_worst_refuses_what_does_not_fit(images, target, classes, told):
    with pytest.raises(DataError, match=told):
        plot.worst(images, np.array(target), np.eye(2), classes)
