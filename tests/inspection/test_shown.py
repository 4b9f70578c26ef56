"""Histories and trainers as pictures and frames; what a notebook shows while it trains."""

from __future__ import annotations

import base64
import re
import subprocess
import sys

import numpy as np
import pandas  # type: ignore[import-untyped]
import pytest

import portanet as pn
from portanet.callbacks.notebook import Shown
from portanet.callbacks.progress import Progress
from portanet.errors import MissingPackageError
from tests.small import blobs, trainer


@pytest.fixture(scope="module")
def fitted():
    x, y = blobs()
    model = trainer(metrics=["accuracy"])
    model.fit(x, y, epochs=3, validation_data=(x, y), verbose=False)
    return model


def test_a_history_is_a_frame(fitted):
    frame = fitted.history.to_pandas()
    assert list(frame.index) == [1, 2, 3]
    assert frame.index.name == "epoch"
    assert frame["val_loss"].tolist() == fitted.history["val_loss"]
    assert len(pn.History().to_pandas()) == 0


def test_a_frame_needs_pandas(fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(
        MissingPackageError, match=r"History.to_pandas needs pandas, .*; install it: pip install pandas"
    ):
        fitted.history.to_pandas()


def test_a_history_is_a_picture(fitted):
    figure = fitted.history.plot()
    loss, accuracy = figure.axes
    assert loss.lines[0].get_ydata().tolist() == fitted.history["loss"]
    assert accuracy.lines[1].get_ydata().tolist() == fitted.history["val_accuracy"]
    assert figure._repr_png_()[:4] == b"\x89PNG"  # what notebooks call


def test_a_trainer_shows_what_it_mistakes(fitted, tmp_path):
    x, y = blobs(seed=1)
    pictures = fitted.plot((x, y))
    assert list(pictures) == ["curves", "confusion"]
    right = float((fitted.predict_classes(x) == y).mean())
    assert f"Accuracy {100 * right:.1f}% of 120 samples" in pictures["confusion"].axes[0].get_title(loc="left")
    names = tuple("abc")
    data = pn.data.Dataset("own", x, y, x[:50], y[:50], classes=names)
    fitted.classes = names
    assert "of 50 test samples" in fitted.plot(data)["confusion"].axes[0].get_title(loc="left")
    assert [path.name for path in pictures.save(tmp_path / "plots")] == ["curves.png", "confusion.png"]
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', pictures._repr_html_())
    assert [base64.b64decode(image)[:4] for image in found] == 2 * [b"\x89PNG"]
    assert repr(pictures) == "<Figures: curves, confusion>"


def test_a_regression_shows_its_curves():
    x, _ = blobs()
    model = trainer([pn.Dense(1)], loss="mean_squared_error")
    model.fit(x, x[:, 0], epochs=1, verbose=False)
    assert list(model.plot((x, x[:, 0]))) == ["curves"]


def test_a_network_of_a_frame_shows_what_it_mistakes_in_frames():
    frame = pandas.DataFrame({"a": [1.0, 2.0, None, 4.0] * 10, "kind": ["x", "y", "y", "z"] * 10})
    model = trainer([pn.Dense(2)])
    model.fit(frame, np.array(["no", "yes", "yes", "no"] * 10), epochs=1, verbose=False)
    pictures = model.plot((frame, np.array(["no", "yes", "yes", "no"] * 10)))
    assert [text.get_text().partition("\n")[0] for text in pictures["confusion"].axes[0].get_xticklabels()] == [
        "no",
        "yes",
    ]


def test_what_the_display_shows():
    rows = [{"epoch": 1, "loss": 2.0, "val_loss": 3.0}, {"epoch": 2, "loss": 1.0, "val_loss": 2.5}]
    shown = Shown(0.5, "epoch 2/4  loss 1 <", rows)
    page = shown._repr_html_()
    assert repr(shown) == "epoch 2/4  loss 1 <"
    assert '<progress value="0.5000" max="1"' in page
    assert "loss 1 &lt;" in page
    assert re.findall(r'points="([^"]*)"', page) == ["0.0,45.0 360.0,88.0", "0.0,2.0 360.0,23.5"]
    assert "svg" not in Shown(0.25, "epoch 1/4", rows[:1])._repr_html_()
    assert "88.0" not in Shown(1.0, "", [{"loss": 1.0}, {"loss": 1.0}])._repr_html_()  # a level line


def test_outside_of_a_notebook_progress_is_printed(monkeypatch):
    from portanet.callbacks.notebook import progress

    assert type(progress()) is Progress


CELL = """
import portanet as pn
data = pn.data.load("digits")
trainer = pn.Trainer([pn.Flatten(), pn.Dense(10)], backend="numpy")
trainer.fit(data.x, data.y, epochs=3, validation_fraction=0.1)
trainer.summary()
"""


def test_a_notebook_has_one_display_for_a_fit(tmp_path):
    nbformat = pytest.importorskip("nbformat", reason="pip install nbclient ipykernel")
    nbclient = pytest.importorskip("nbclient", reason="pip install nbclient ipykernel")
    pytest.importorskip("ipykernel", reason="pip install nbclient ipykernel")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    nbclient.NotebookClient(book, timeout=120).execute(cwd=str(tmp_path))
    shown = [one for one in book.cells[0].outputs if one.output_type == "display_data"]
    assert len(shown) == 1
    assert shown[0].data["text/plain"].startswith("epoch 3/3  loss ")
    assert '<progress value="1.0000"' in shown[0].data["text/html"]
    assert "<table>" in book.cells[0].outputs[-1].data["text/html"]


def test_ipython_without_a_notebook_is_a_terminal():
    pytest.importorskip("IPython", reason="pip install ipython")
    code = "from portanet.callbacks.notebook import progress; print(type(progress()).__name__)"
    done = subprocess.run([sys.executable, "-m", "IPython", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Progress"
