"""The confusion matrix: counts, shares, and that all of it can be read."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import portanet as pn
from portanet import plot
from portanet.errors import DataError
from tests.plot.looks import boxes


def test_confusion_shows_counts_and_shares():
    counts = np.array([[8, 2, 0], [1, 9, 0], [0, 0, 0]])
    figure = plot.confusion(counts, ["cat", "dog", "a class with a long name"], of="test samples")
    axes = figure.axes[0]
    assert axes.get_title(loc="left") == "Accuracy 85.0% of 20 test samples"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.8, 0.2, 0], [0.1, 0.9, 0], [0, 0, 0]])
    cells = {t.get_position(): t.get_text() for t in axes.texts}
    assert cells == {(c, r): str(counts[r, c]) for r in range(3) for c in range(3)}  # x is the predicted class
    assert [t.get_text() for t in axes.get_yticklabels()] == ["cat", "dog", "a class …ng name"]
    assert figure.axes[1].get_ylabel() == "share of the true class (%)"
    boxes(figure)


def test_confusion_of_two_classes_shows_recall_and_precision():
    figure = plot.confusion(np.array([[8, 2], [6, 0]]), ["cat", "dog"])
    ticks = [[t.get_text() for t in axis.get_ticklabels()] for axis in (figure.axes[0].yaxis, figure.axes[0].xaxis)]
    assert ticks == [["cat\nrecall 80.0%", "dog\nrecall 0.0%"], ["cat\nprecision 57.1%", "dog\nprecision 0.0%"]]
    boxes(figure)


@pytest.mark.parametrize("n", [2, 30, 70])
def test_confusion_is_readable_for_any_number_of_classes(n):
    counts = np.diag(np.full(n, 1234)) + 3
    names = [f"class number {i:02}" for i in range(n)]
    figure = plot.confusion(counts, names)
    found = dict(boxes(figure))
    assert len(figure.axes[0].texts) == (n * n if n <= 30 else 0)
    cell = figure.axes[0].bbox.width / n
    assert all(text.get_window_extent().width < cell for text in figure.axes[0].texts[:n])
    share = f"\nrecall {100 * 1237 / 1240:.1f}%" if n == 2 else ""
    shown = [found[name + share] for name in names if name + share in found]
    assert len(shown) == (n if n <= 60 else 35)
    for first, second in itertools.pairwise(shown):  # of the vertical axis, as those are found last
        assert not first.overlaps(second)


def test_confusion_has_no_room_for_the_counts_of_many_classes():
    assert not plot.confusion(np.eye(31)).axes[0].texts


def test_confusion_agrees_with_the_metric(reader, digits):
    guess = reader.predict_classes(digits.x.reshape(-1, 64))
    figure = plot.confusion(pn.metrics.confusion_matrix(digits.y, guess, 3))
    assert f"{100 * np.mean(guess == digits.y):.1f}%" in figure.axes[0].get_title(loc="left")
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("matrix", "classes"), [(np.ones((2, 3)), ()), (np.ones(3), ()), (np.ones((0, 0)), ()), (np.eye(2), ["a"]), (3, ())]
)
def test_confusion_refuses_what_is_no_matrix(matrix, classes):
    with pytest.raises(DataError, match="confusion: expected"):
        plot.confusion(matrix, classes)
