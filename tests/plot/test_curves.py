"""The curves of trainings: what is drawn in them, and that all of it can be read."""

from __future__ import annotations

import numpy as np
import pytest

from portanet import plot
from portanet.errors import DataError
from portanet.plot.style import COLOURS
from portanet.training.history import History
from tests.plot.looks import ROWS, boxes, legend_of


def test_curves_of_one_run():
    figure = plot.curves(ROWS)
    loss, accuracy = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Loss", "Accuracy"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["epoch", "epoch"]
    assert loss.get_ylabel() == "loss (mean per sample)"
    assert accuracy.get_ylabel() == "accuracy (% of samples)"
    training, validation, best = loss.lines
    np.testing.assert_array_equal(training.get_xydata(), [(r["epoch"], r["loss"]) for r in ROWS])
    np.testing.assert_array_equal(validation.get_ydata(), [r["val_loss"] for r in ROWS])
    assert (training.get_linestyle(), validation.get_linestyle()) == ("-", "--")
    assert training.get_color() != validation.get_color()
    # The lowest validation loss is in epoch 2, though the training loss falls on; the star stands there in both panels.
    assert best.get_marker() == "*"
    np.testing.assert_array_equal(best.get_xydata(), [(2, 0.6)])
    np.testing.assert_allclose(accuracy.lines[2].get_xydata(), [(2, 0.65)])
    assert legend_of(loss) == ["training", "validation", "best epoch 2: 0.6"]
    assert legend_of(accuracy)[2] == "best epoch 2: 65.0%"
    boxes(figure)
    ticks = [t.get_text() for t in loss.get_xticklabels()]
    assert [t for t in ticks if t in "1234"] == list("1234")


@pytest.mark.parametrize("runs", [[3], [3, 3]])
def test_a_single_epoch_has_one_tick(runs):
    rows = {str(i): [{"epoch": epoch, "loss": 1.0}] for i, epoch in enumerate(runs)}
    figure = plot.curves(rows if len(runs) > 1 else rows["0"])
    figure.canvas.draw()
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["3"]
    low, high = figure.axes[0].get_xlim()
    assert low < 3 < high


def test_curves_of_a_training(reader):
    figure = plot.curves(reader.history)
    assert isinstance(reader.history, History)
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), reader.history["loss"])
    assert legend_of(figure.axes[0])[:1] == ["training"]
    assert len(figure.axes[0].lines) == 2  # no validation: the line and the star


@pytest.mark.parametrize(("last", "scale"), [(0.011, "linear"), (0.009, "log")])
def test_a_loss_over_two_decades_is_on_a_logarithmic_scale(last, scale):
    figure = plot.curves([{"epoch": 1, "loss": 1.0, "mae": 1.0}, {"epoch": 2, "loss": last, "mae": last}])
    assert figure.axes[0].get_yscale() == scale
    assert figure.axes[1].get_yscale() == "linear"


def test_a_loss_of_zero_has_no_logarithm():
    assert plot.curves([{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 0.0}]).axes[0].get_yscale() == "linear"


def test_values_that_are_not_finite_are_left_out():
    rows = [{"epoch": 1, "loss": 2.0, "val_loss": 3.0}, {"epoch": 2, "loss": float("inf"), "val_loss": None}]
    training, validation, best = plot.curves(rows).axes[0].lines
    np.testing.assert_array_equal(training.get_ydata(), [2.0, np.nan])
    np.testing.assert_array_equal(validation.get_ydata(), [3.0, np.nan])
    np.testing.assert_array_equal(best.get_xydata(), [(1, 3.0)])
    diverged = plot.curves([{"epoch": 1, "loss": float("nan")}])
    assert not diverged.axes[0].lines
    boxes(diverged)


def test_what_validation_alone_measures_has_its_panel():
    rows = [{"epoch": e, "loss": 1 / e, "val_loss": 2 / e, "val_f1_score": e / 10} for e in range(1, 40)]
    figure = plot.curves(rows)
    (line, star) = figure.axes[1].lines
    assert figure.axes[1].get_title(loc="left") == "F1 score"
    assert line.get_linestyle() == "--"
    np.testing.assert_allclose(star.get_xydata(), [(39, 3.9)])


def test_runs_are_compared_by_colour():
    names = ["_first", "second $run$", "one with a very long name " + "x" * 60 + " end"]
    runs = {name: [{**row, "loss": row["loss"] * (i + 1)} for row in ROWS] for i, name in enumerate(names)}
    figure = plot.curves(runs)
    lines = figure.axes[0].lines
    assert len(lines) == 9
    assert [line.get_color() for line in lines] == [c for c in COLOURS[:3] for _ in range(3)]
    assert [line.get_linestyle() for line in lines[:2]] == ["-", "--"]
    for i in range(3):
        np.testing.assert_allclose(lines[3 * i].get_ydata(), [row["loss"] * (i + 1) for row in ROWS])
    texts = legend_of(figure)
    assert texts[:2] == names[:2]  # neither dropped for its underscore nor set as a formula
    assert texts[2] == f"one with a very long nam…{'x' * 19} end"
    assert legend_of(figure.axes[0]) == ["training", "validation", "epoch of the lowest loss"]
    boxes(figure)


def test_many_runs_have_colours_of_their_own():
    figure = plot.curves({f"run {i}": [{"epoch": 1, "loss": 1.0}] for i in range(12)})
    assert len({line.get_color() for line in figure.axes[0].lines}) == 12
    boxes(figure)


@pytest.mark.parametrize("rows", [[], {"a": ROWS, "b": []}, {}, [{"epoch": 1, "lr": 0.1}]])
def test_no_epoch_no_curve(rows):
    with pytest.raises(DataError, match="at least one epoch"):
        plot.curves(rows)
