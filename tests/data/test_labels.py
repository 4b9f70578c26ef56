"""What labels are told to be: classes with their names, or numbers to regress."""

from __future__ import annotations

import numpy as np
import pytest

from portanet.data.readers.labels import encode


def place(i: int) -> str:
    return f"sample {i}"


@pytest.mark.parametrize(
    ("n", "distinct", "classes"),
    [
        (20, 20, True),  # few samples, each of its own class
        (30, 21, False),  # more than 20, in more than half of the samples
        (60, 30, True),
        (1000, 150, False),  # more than 100, in more than a tenth
        (1000, 100, True),
        (2000, 150, True),
    ],
)
def test_whole_numbers_are_classes_unless_they_are_too_many(n, distinct, classes):
    y = np.arange(n) % distinct
    for labels in (y, [str(label) for label in y], y.astype(np.float64)):
        assert bool(encode(labels, None, task=None, where=place)[2]) is classes


def test_names_of_numbers_and_their_order():
    y, y_test, classes = encode(["10", "9", "-1", "9.0", "2.5"], ["9", "10"], task="classification", where=place)
    assert classes == ("-1", "2.5", "9", "10")
    assert y_test is not None
    assert (y.tolist(), y_test.tolist()) == ([3, 2, 0, 2, 1], [2, 3])


def test_a_mixture_of_numbers_and_text_is_text():
    y, y_test, classes = encode(["10", "9", "b"], np.array([9, 10]), task=None, where=place)
    assert classes == ("10", "9", "b")
    assert y_test is not None
    assert (y.tolist(), y_test.tolist()) == ([0, 1, 2], [1, 0])


def test_rows_of_several_numbers_are_classes_where_they_are_one_hot():
    y, y_test, classes = encode(np.eye(3)[[2, 0]], np.eye(3)[[1]], task=None, where=place)
    assert y_test is not None
    assert (y.tolist(), y_test.tolist(), classes) == ([2, 0], [1], ("0", "1", "2"))
    y, _, classes = encode(np.array([[1, 1, 0], [0, 0, 1]]), None, task=None, where=place)
    assert (y.tolist(), classes) == ([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], ())
