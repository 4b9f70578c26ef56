"""The pictures: what is drawn in them, and that all of it can be read."""

from __future__ import annotations

import itertools
import json
import struct
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import portanet as pn
from portanet import data, plot
from portanet.errors import ConfigError, DataError
from portanet.history import History
from portanet.plot.style import COLOURS, percent, short

ROWS = [
    {"epoch": e, "loss": loss, "accuracy": a, "val_loss": v, "val_accuracy": a - 0.05, "lr": 0.1, "seconds": 0.2}
    for e, loss, a, v in [(1, 0.9, 0.5, 0.95), (2, 0.5, 0.7, 0.6), (3, 0.3, 0.8, 0.7), (4, 0.2, 0.9, 0.8)]
]


def pictures_of(count=90, seed=0):
    """Return images (n, 8, 8) in uint8 of three classes, told apart by where they are bright, with much noise."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    x = rng.uniform(0, 160, (count, 8, 8))
    for i, label in enumerate(y):
        x[i, :, 2 * label : 2 * label + 3] += 25
    return x.astype(np.uint8), y


@pytest.fixture(scope="module")
def digits():
    x, y = pictures_of()
    x_test, y_test = pictures_of(seed=1)
    return data.Dataset("blocks", x, y, x_test, y_test, classes=("left", "middle", "right"), scale=255.0)


@pytest.fixture(scope="module")
def reader(digits):
    """Return a network trained on rows of pixels: too little to be without mistakes."""
    trainer = pn.Trainer(
        [pn.Rescale(1 / 255), pn.Dense(3)],
        optimizer=pn.Adam(lr=0.01),
        metrics=["accuracy"],
        backend="numpy",
        classes=digits.classes,
    )
    trainer.fit(digits.x.reshape(-1, 64), digits.y, epochs=5, batch_size=10, verbose=False)
    return trainer


def moons_net(points, outputs):
    loss = "binary_cross_entropy" if outputs == 1 else "softmax_cross_entropy"
    trainer = pn.Trainer(
        [pn.Dense(16), pn.Tanh(), pn.Dense(outputs)], loss, pn.Adam(lr=0.03), backend="numpy", classes=("up", "down")
    )
    trainer.fit(points.x, points.y, epochs=8, batch_size=20, verbose=False)
    return trainer


@pytest.fixture(scope="module")
def points():
    return data.moons(300, seed=3)


def run_folder(path, history):
    path.mkdir()
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in history))
    return path


def legend_of(place):
    legend = place.get_legend() if hasattr(place, "get_legend") else place.legends[0]
    return [text.get_text() for text in legend.get_texts()]


def texts_of(axes):
    """Return the texts that are seen of axes, but for those within."""
    found = [axes.title, axes._left_title]
    if axes.axison:
        found += [axes.xaxis.label, axes.yaxis.label]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            found += [
                label
                for tick in axis.get_major_ticks()
                if low <= tick.get_loc() <= high
                for label in (tick.label1, tick.label2)
                if label.get_visible()
            ]
    return found + (axes.get_legend().get_texts() if axes.get_legend() else [])


def boxes(figure):
    """Draw a figure and return the place of each text on it; assert that none is cut or too small to be read."""
    figure.canvas.draw()
    texts = [t for axes in figure.axes for t in texts_of(axes)] + figure.texts
    texts += [t for legend in figure.legends for t in legend.get_texts()]
    texts = [t for t in texts if t.get_text().strip()]
    assert min(t.get_fontsize() for t in texts) >= 7
    found = [(t.get_text(), t.get_window_extent()) for t in texts]
    width, height = figure.bbox.width, figure.bbox.height
    assert not [t for t, b in found if b.x0 < 0 or b.y0 < 0 or b.x1 > width or b.y1 > height]
    return found


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


@pytest.mark.parametrize("n", [2, 30, 70])
def test_confusion_is_readable_for_any_number_of_classes(n):
    counts = np.diag(np.full(n, 1234)) + 3
    names = [f"class number {i:02}" for i in range(n)]
    figure = plot.confusion(counts, names)
    found = dict(boxes(figure))
    assert len(figure.axes[0].texts) == (n * n if n <= 30 else 0)
    cell = figure.axes[0].bbox.width / n
    assert all(text.get_window_extent().width < cell for text in figure.axes[0].texts[:n])
    shown = [found[name] for name in names if name in found]
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


def png_size(path):
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", content[16:24])


def test_save_writes_the_format_of_the_suffix(tmp_path):
    figure = plot.curves(ROWS[:1])
    for suffix, start in (("PNG", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        plot.save(figure, tmp_path / f"a.{suffix}")
        assert (tmp_path / f"a.{suffix}").read_bytes().startswith(start)
    assert png_size(tmp_path / "a.PNG") == (1560, 600)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.PNG", "a.pdf", "a.svg"]


def test_save_refuses(tmp_path):
    figure = plot.curves(ROWS)
    with pytest.raises(ConfigError, match=r"ends in \.png, \.svg, \.pdf, got 'jpg'"):
        plot.save(figure, tmp_path / "a.jpg")
    with pytest.raises(ConfigError, match="no suffix"):
        plot.save(figure, tmp_path / "a")
    with pytest.raises(DataError, match="cannot be written"):
        plot.save(figure, tmp_path / "missing" / "a.png")


def test_the_plots_of_images(tmp_path, reader, digits):
    run = run_folder(tmp_path / "run", reader.history)
    found = plot.run_plots(run, reader, digits)  # images (8, 8) for a network of 64 inputs
    assert [p.relative_to(run).as_posix() for p in found] == [
        "plots/curves.png",
        "plots/confusion.png",
        "plots/worst.png",
    ]
    for path in found:
        width, height = png_size(path)
        assert 500 < width < 2500
        assert 400 < height < 2500
    figures = plot.draw(reader, digits)
    right = np.mean(reader.predict_classes(digits.x_test.reshape(-1, 64)) == digits.y_test)
    assert figures["confusion"].axes[0].get_title(loc="left") == f"Accuracy {percent(right)} of 90 test samples"
    labels = [t.get_text() for t in figures["confusion"].axes[0].get_yticklabels()]
    assert labels == ["left", "middle", "right"]
    assert "among 90 test samples" in figures["worst"].get_suptitle()
    # The format's scale makes white: 8×8 digits are bytes of 0 … 16 and would be black as bytes of 0 … 255.
    darker = plot.draw(reader, replace(digits, scale=510.0))["worst"]
    pairs = zip(darker.axes, figures["worst"].axes, strict=True)
    assert all(np.allclose(2 * np.asarray(a.images[0].get_array()), b.images[0].get_array()) for a, b in pairs)


def test_without_a_test_part_the_samples_are_drawn(reader, digits):
    rows = replace(digits.flat(), x_test=None, y_test=None)
    figures = plot.draw(reader, rows)
    assert list(figures) == ["confusion", "worst"]  # rows of pixels, told by their scale
    assert figures["confusion"].axes[0].get_title(loc="left").endswith("of 90 samples")
    assert list(plot.draw(reader, replace(rows, scale=None))) == ["confusion"]


def test_what_no_screen_can_show_is_no_picture():
    x = np.random.default_rng(0).normal(size=(10, 2, 2, 5))  # five channels
    trainer = pn.Trainer([pn.Flatten(), pn.Dense(2)], backend="numpy")
    trainer.init((2, 2, 5))
    dataset = data.Dataset("spectra", x, np.arange(10) % 2, classes=("a", "b"))
    assert list(plot.draw(trainer, dataset)) == ["confusion"]


def test_the_plots_of_points(tmp_path, points):
    trainer = moons_net(points, 2)
    run = run_folder(tmp_path / "run", trainer.history)
    found = plot.run_plots(str(run), trainer, points)
    assert [p.name for p in found] == ["curves.png", "confusion.png", "decision_boundary.png"]
    axes = plot.draw(trainer, points)["decision_boundary"].axes[0]
    assert len(np.concatenate([line.get_xydata() for line in axes.lines])) == len(points.x_test)
    assert legend_of(axes) == ["up", "down"]
    assert axes.get_xlabel() == "x"


def test_a_regression_has_curves_alone(tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 2))
    trainer = pn.Trainer([pn.Dense(1)], "mean_squared_error", metrics=["mae"], backend="numpy")
    history = trainer.fit(x, x[:, 0], epochs=2, verbose=False)
    found = plot.run_plots(run_folder(tmp_path / "run", history), trainer, data.Dataset("line", x, x[:, 0]))
    assert [p.name for p in found] == ["curves.png"]


def test_data_of_another_size_are_refused(reader, points):
    with pytest.raises(DataError, match=r"expected samples of shape \(64,\), got \(2,\)"):
        plot.draw(reader, points)


def test_rows_are_read_as_they_were_written(tmp_path, reader):
    run = run_folder(tmp_path / "run", reader.history)
    assert plot.read_rows(run) == reader.history.rows


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"epoch": 1, "loss": 1.0}\n{"epoch": 2, "lo', r"metrics\.jsonl, line 2: expected a JSON object"),
        ("[1, 2]\n", "line 1"),
        ("\n\n", "an empty file"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_a_broken_history_is_told_by_its_line(tmp_path, content, told):
    (tmp_path / "metrics.jsonl").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=told):
        plot.read_rows(tmp_path)


def test_no_history_is_told(tmp_path):
    with pytest.raises(DataError, match=r"a run folder with metrics\.jsonl in it, got none"):
        plot.read_rows(tmp_path)
    with pytest.raises(DataError, match="got no such folder"):
        plot.read_rows(tmp_path / "nowhere")


def test_a_folder_that_cannot_be_made(tmp_path, points):
    trainer = moons_net(points, 2)
    run = run_folder(tmp_path / "run", trainer.history)
    (run / "plots").write_text("a file in its place")
    with pytest.raises(DataError, match="cannot be made a folder"):
        plot.run_plots(run, trainer, points)


def test_without_matplotlib_the_mend_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for draw in (lambda: plot.curves(ROWS), lambda: plot.confusion(np.eye(2))):
        with pytest.raises(ConfigError, match=r'pip install "portanet\[plot\]"'):
            draw()


def test_matplotlib_is_imported_late_and_pyplot_never():
    code = """
import sys
from portanet import plot
assert not any(m.startswith("matplotlib") for m in sys.modules)
plot.curves([{"epoch": 1, "loss": 1.0}]).canvas.draw()
assert "matplotlib.figure" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("share", "text"), [(1.0, "100.0%"), (0.99999, "> 99.9%"), (0.0, "0.0%"), (1e-6, "< 0.1%"), (0.5, "50.0%")]
)
def test_percent_is_never_rounded_to_all_or_none(share, text):
    assert percent(share) == text


def test_short_keeps_both_ends():
    assert short("abcdefghij", 10) == "abcdefghij"
    assert short("abcdefghijk", 10) == "abcde…hijk"
    assert short(" two\n lines ", 20) == "two lines"
