"""The arithmetic of windows: sizes and paddings by hand, the bounds of what is taken, and tables without waste."""

from __future__ import annotations

import numpy as np
import pytest

import portanet as pn
from portanet.backends.primitives.axes import padded, spread, way_back
from portanet.checks import COUNT, check
from portanet.layers.windows import SIZES, axis, holders_table, padding_field, pair, places_counted, with_blank


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
        ((3, 1, 1, "valid", 5), 3, 0, 0),  # one pixel is not dilated
        ((3, 2, 1, "valid", 2), 1, 0, 0),
    ],
)
def test_axis(arguments, out, before, after):
    found = axis(*arguments)
    assert (found.size, found.kernel, found.stride) == arguments[:3]
    assert (found.out, found.before, found.after) == (out, before, after)


@pytest.mark.parametrize("arguments", [(2, 3, 1, "valid"), (0, 1, 1, "same"), (3, 2, 1, "valid", 3), (0, 1, 1, 2)])
def test_a_window_that_does_not_fit(arguments):
    with pytest.raises(pn.ShapeError, match=r"does not fit into|lets no window hold two"):
        axis(*arguments)


LARGEST = 2**31 - 1  # no axis of an array is longer


@pytest.mark.parametrize(
    ("size", "kernel", "dilation", "fix"),
    [(1, 2, 2, "take a kernel of 1"), (3, 2, 3, "take a dilation below 3, or a kernel of 1"), (2, 3, 4, "below 2")],
)
def test_a_dilation_beyond_the_image(size, kernel, dilation, fix):
    with pytest.raises(
        pn.ShapeError, match=f"a dilation of {dilation} lets no window hold two of {size} pixels.*{fix}"
    ):
        axis(size, kernel, 1, 16, dilation)


def test_pixels_that_a_window_holds():
    own, like = axis(5, 3, 2, 1), np.zeros(1)  # windows from -1, 1 and 3
    np.testing.assert_array_equal(places_counted(own, like, padding=False), [2, 3, 2])
    np.testing.assert_array_equal(places_counted(own, like, padding=True), [3, 3, 3])
    np.testing.assert_array_equal(places_counted(axis(6, 2, 3, 0), like, padding=False), [2, 2])


def test_the_bounds_of_numbers():
    assert SIZES(LARGEST) == LARGEST
    assert SIZES([1, 70]) == (1, 70)
    assert pair(LARGEST) == (LARGEST, LARGEST)
    assert pair((1, 70)) == (1, 70)
    assert COUNT(1) == 1
    for taken in ("valid", "same", 0, 70, LARGEST):
        assert padding_field(taken) == taken
    for refused in (LARGEST + 1, 0, -1, True, 1.0, (1,), (1, 0), (1, 2, 3)):
        with pytest.raises(
            pn.ConfigError, match=r"it must be a whole number of 1 or more(, and at most 2147483647)?, or 2"
        ):
            check("it", refused, SIZES)
    assert padding_field([1, (0, 70)]) == (1, (0, 70))
    for other in (LARGEST + 1, -1, True, 1.0, "smae", (1, 2, 3), (1, -1), ((1, 2, 3), 0)):
        with pytest.raises(pn.ConfigError, match="it must be 'valid' or 'same', or a whole number of 0 or more"):
            check("it", other, padding_field)


@pytest.mark.parametrize("where", [0, 1])
def test_what_lies_under_each_tap(where):
    x = np.expand_dims(np.arange(1, 6), 1 - where)

    def under(a):
        lines = np.moveaxis(padded(x, a, where), where, 0)
        return [lines[a.under(tap)].ravel().tolist() for tap in range(a.kernel)]

    assert under(axis(5, 2, 1, "valid")) == [[1, 2, 3, 4], [2, 3, 4, 5]]
    assert under(axis(5, 2, 1, "same")) == [[1, 2, 3, 4, 5], [2, 3, 4, 5, 0]]
    assert under(axis(5, 3, 2, 1)) == [[0, 2, 4], [1, 3, 5], [2, 4, 0]]
    assert under(axis(5, 2, 2, 1, 3)) == [[0, 2], [3, 5]]
    assert under(axis(5, 2, 3, "valid")) == [[1, 4], [2, 5]]  # the pixel between them is under none
    assert padded(x, axis(5, 2, 1, "valid"), where) is x
    assert padded(x, axis(5, 2, 1, 1), where, -7).ravel().tolist() == [-7, 1, 2, 3, 4, 5, -7]


@pytest.mark.parametrize(
    "arguments", [(5, 2, 1, "valid"), (6, 3, 2, "same"), (5, 3, 1, 2), (4, 1, 1, 2), (7, 2, 3, 1, 2)]
)
def test_the_way_back_is_the_adjoint(arguments):
    a = axis(*arguments)
    rng = np.random.default_rng(0)
    x, kernel, dy = (rng.integers(-9, 9, size).astype(float) for size in (a.size, a.kernel, a.out))
    y = sum(kernel[k] * padded(x, a, 0)[a.under(k)] for k in range(a.kernel))
    back, places = way_back(a), spread(dy, a, 0, np)
    assert (back.size, back.out) == (len(places), a.size)
    assert back.before + back.size + back.after == back.out + back.reach - 1  # what its windows see, one pixel apart
    lines = padded(places, back, 0)
    dx = sum(kernel[a.kernel - 1 - k] * lines[back.under(k)] for k in range(a.kernel))
    assert dx.shape == x.shape
    assert y @ dy == x @ dx


def test_spread():
    y = np.arange(1, 7).reshape(2, 3)
    assert spread(y, axis(3, 1, 1, 0), 1, np) is y
    assert spread(y, axis(5, 1, 2, 0), 1, np).tolist() == [[1, 0, 2, 0, 3, 0], [4, 0, 5, 0, 6, 0]]
    assert spread(y, axis(4, 1, 3, 0), 0, np)[:, 0].tolist() == [1, 0, 0, 4, 0, 0]


def test_tables():
    for kernel, stride, most in ((2, 2, 1), (3, 2, 2), (3, 1, 3), (2, 3, 1)):
        across = axis(7, kernel, stride, "valid")
        table, held = holders_table(across, across, np, np.zeros(1))
        assert (held, table.shape) == (most**2, (49 * most**2,))  # as many places as can hold a pixel, and not more
    pixels = np.arange(6.0).reshape(1, 2, 3)
    np.testing.assert_array_equal(with_blank(pixels, np, 9.0), [[[0, 1, 2], [3, 4, 5], [9, 9, 9]]])
