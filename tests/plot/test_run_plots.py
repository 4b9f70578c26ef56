"""The pictures of a run, in files; and what cannot be drawn."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import portanet as pn
from portanet import data, plot
from portanet.errors import ConfigError, DataError
from portanet.plot.style import percent, short
from tests.plot.looks import ROWS, legend_of, moons_net, png_size, run_folder


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
    with pytest.raises(DataError, match="expected a folder of the run's own, found a file"):
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
