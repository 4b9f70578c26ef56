"""The arithmetic of windows: sizes and paddings by hand, the bounds of what is taken, and tables without waste."""

from __future__ import annotations

import numpy as np
import pytest

import portanet as pn
from portanet.layers.windows import axis, check_padding, gather_table, holders_table, pair, whole, with_blank


@pytest.mark.parametrize(
    ("arguments", "out", "before", "after"),
    [
        ((5, 3, 1, "valid"), 3, 0, 0),
        ((5, 3, 2, "valid"), 2, 0, 0),
        ((5, 3, 1, "same"), 5, 1, 1),
        ((5, 2, 1, "same"), 5, 0, 1),
        ((5, 4, 1, "same"), 5, 1, 2),
        ((6, 3, 2, "same"), 3, 0, 1),
        ((5, 6, 1, "same"), 5, 2, 3),
        ((5, 2, 1, "same", 3), 5, 1, 2),
        ((4, 2, 2, "same"), 2, 0, 0),
        ((6, 1, 3, "same"), 2, 0, 0),
        ((5, 3, 2, 1), 3, 1, 1),
        ((1, 1, 1, "valid"), 1, 0, 0),
        ((1, 5, 1, 2), 1, 2, 2),
    ],
)
def test_axis(arguments, out, before, after):
    found = axis(*arguments)
    assert (found.size, found.kernel, found.stride) == arguments[:3]
    assert (found.out, found.before, found.after) == (out, before, after)


@pytest.mark.parametrize("arguments", [(2, 3, 1, "valid"), (0, 1, 1, "same"), (3, 2, 1, "valid", 3), (0, 1, 1, 2)])
def test_a_window_that_does_not_fit(arguments):
    with pytest.raises(pn.ShapeError, match="does not fit into"):
        axis(*arguments)


LARGEST = 2**31 - 1  # no axis of an array is longer


def test_the_bounds_of_numbers():
    assert pair(LARGEST, "it", 0) == (LARGEST, LARGEST)
    assert pair([1, 70], "it", 1) == (1, 70)
    assert whole(1, "it", 1) == 1
    for padding in ("valid", "same", 0, 70, LARGEST):
        check_padding(padding, "it")
    for refused in (LARGEST + 1, -1, True, 1.0):
        with pytest.raises(pn.ConfigError, match="it: expected a whole number of 0 or more, or two of them"):
            pair(refused, "it", 0)
        with pytest.raises(pn.ConfigError, match="it: expected 'valid', 'same' or one number of pixels"):
            check_padding(refused, "it")


def test_tables():
    rows, columns = axis(2, 2, 1, "valid"), axis(2, 2, 1, 1)  # one place, and three of which two reach over the edge
    table = gather_table(rows, columns, np, np.zeros(1))
    assert table.tolist() == [4, 0, 4, 2, 0, 1, 2, 3, 1, 4, 3, 4]  # row by row; 4 is the blank behind the last pixel
    assert table.dtype == np.int32
    for kernel, stride, most in ((2, 2, 1), (3, 2, 2), (3, 1, 3), (2, 3, 1)):
        across = axis(7, kernel, stride, "valid")
        table, held = holders_table(across, across, np, np.zeros(1))
        assert (held, table.shape) == (most**2, (49 * most**2,))  # as many places as can hold a pixel, and not more
    pixels = np.arange(6.0).reshape(1, 2, 3)
    np.testing.assert_array_equal(with_blank(pixels, np, 9.0), [[[0, 1, 2], [3, 4, 5], [9, 9, 9]]])
