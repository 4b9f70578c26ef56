"""The plane of two inputs and its classes."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import portanet as pn
from portanet import plot
from portanet.errors import DataError
from portanet.plot.style import COLOURS, percent
from tests.plot.looks import boxes, legend_of, moons_net


@pytest.mark.parametrize("outputs", [1, 2])
def test_regions_are_the_classes_that_the_network_gives(points, outputs):
    trainer = moons_net(points, outputs)
    figure = plot.decision_boundary(trainer, points.x, points.y, points.classes, features=("width", "height"))
    axes = figure.axes[0]
    shade = np.asarray(axes.images[0].get_array())
    left, right, bottom, top = axes.images[0].get_extent()
    h, w, _ = shade.shape
    x, y = np.meshgrid(np.linspace(left, right, w), np.linspace(bottom, top, h))
    grid = np.stack([x.ravel(), y.ravel()], axis=1)
    # White mixed with a colour: what is missing to white points in the direction of what the colour misses.
    missing, palette = 1 - shade.reshape(-1, 3), 1 - np.array([to_rgb(c) for c in COLOURS[:2]])
    assert (np.linalg.norm(missing, axis=1) > 0.05).all()  # nowhere white
    like = missing @ (palette / np.linalg.norm(palette, axis=1, keepdims=True)).T
    np.testing.assert_array_equal(like.argmax(axis=1), trainer.predict_classes(grid))
    # Surer is deeper: the strength of the colour is a growing function of the probability.
    p = trainer.predict(grid)
    sure = np.maximum(p, 1 - p)[:, 0] if outputs == 1 else p.max(axis=1)
    first = trainer.predict_classes(grid) == 0
    assert np.corrcoef(np.linalg.norm(missing, axis=1)[first], sure[first])[0, 1] > 0.999
    for c in (0, 1):
        np.testing.assert_array_equal(axes.lines[c].get_xydata(), points.x[points.y == c])
        assert axes.lines[c].get_color() == COLOURS[c]
    assert axes.lines[0].get_marker() != axes.lines[1].get_marker()
    right_ones = np.mean(trainer.predict_classes(points.x) == points.y)
    assert axes.get_title(loc="left") == f"Accuracy {percent(right_ones)} of {len(points.x)} points"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("width", "height")
    assert legend_of(axes) == ["0", "1"]
    boxes(figure)


def test_boundaries_of_more_classes_than_colours():
    rng = np.random.default_rng(0)
    trainer = pn.Trainer([pn.Dense(9)], backend="numpy")
    trainer.init((2,))
    x = rng.normal(size=(50, 2)) * (1, 1000)
    figure = plot.decision_boundary(trainer, x, rng.integers(0, 9, 50))
    axes = figure.axes[0]
    assert len({line.get_color() for line in axes.lines}) == 9
    assert axes.get_aspect() == "auto"  # axes of such different spans cannot share a scale
    assert axes.get_xlabel() == "input 1"
    boxes(figure)


def test_points_on_one_spot_have_a_plane_too():
    trainer = pn.Trainer([pn.Dense(2)], backend="numpy")
    trainer.init((2,))
    boxes(plot.decision_boundary(trainer, np.ones((3, 2), np.uint8), np.array([0, 1, 1])))


@pytest.mark.parametrize("shape", [(5, 3), (5,), (0, 2)])
def test_a_plane_has_two_inputs(shape):
    with pytest.raises(DataError, match=r"points of shape \(n, 2\)"):
        plot.decision_boundary(None, np.zeros(shape), np.zeros(5))
