"""Progress on stderr: plain lines in a log, a bar in a terminal, nothing when asked."""

from __future__ import annotations

import io
import re
import sys
from types import SimpleNamespace

import pytest

from portanet.callbacks import progress
from tests.small import blobs, trainer


class Terminal(io.StringIO):
    def isatty(self):
        return True


def terminal(monkeypatch):
    """Make stderr one that says it is a terminal of 120 columns, and return it."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    found = Terminal()
    monkeypatch.setattr(sys, "stderr", found)
    monkeypatch.setattr(progress.Progress, "interval", 0.0)
    return found


def test_a_plain_line_an_epoch(capsys):
    x, y = blobs()
    history = trainer(metrics=["accuracy"]).fit(x, y, epochs=11, validation_fraction=0.2)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 11
    row = history[0]
    numbers = [f"{name} {row[name]:#.4g}" for name in ("loss", "accuracy", "val_loss", "val_accuracy")]
    assert lines[0].startswith("epoch  1/11  " + "  ".join(numbers))
    assert lines[10].startswith("epoch 11/11  ")
    assert re.search(r"  \d+\.\d\d s$", lines[10])
    assert "\x1b" not in err


def test_goes_on_counting(capsys):
    x, y = blobs()
    model = trainer()
    model.fit(x, y, epochs=2, verbose=False)
    assert capsys.readouterr() == ("", "")
    model.fit(x, y, epochs=1)
    assert capsys.readouterr().err.startswith("epoch 3/3  ")


@pytest.mark.parametrize("epochs", [0, 2])
def test_a_bar_in_a_terminal(monkeypatch, epochs):
    x, y = blobs()
    stderr = terminal(monkeypatch)
    trainer().fit(x, y, epochs=epochs, batch_size=30)
    shown = stderr.getvalue()
    if not epochs:
        assert shown == ""
        return
    assert "epoch 1/2  loss " in shown  # the epochs' lines stay above the bar
    assert "epoch 2/2  loss " in shown
    assert "━" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1  # the cursor comes back


def test_the_bar_goes_away_when_training_breaks(monkeypatch):
    x, y = blobs()
    stderr = terminal(monkeypatch)

    class Broken(progress.Progress):
        def on_epoch_end(self, trainer, row):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        trainer().fit(x, y, epochs=1, callbacks=[Broken()], verbose=False)
    assert "\x1b[?25h" in stderr.getvalue()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"epoch": 1, "loss": 1.25e-7, "lr": 0.1, "seconds": 2.0}, "loss 1.250e-07"),
        ({"loss": 123456.0, "val_accuracy": 1.0}, "loss 1.235e+05  val_accuracy 1.000"),
        ({"loss": 0.0, "accuracy": 0.97125}, "loss 0.000  accuracy 0.9712"),
    ],
)
def test_numbers(row, said):
    assert progress.in_words(row) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(1.4, "0:01"), (59.6, "1:00"), (61, "1:01"), (3599, "59:59"), (3600, "1:00:00"), (36061, "10:01:01")],
)
def test_clock(seconds, said):
    assert progress.clock(seconds) == said


def test_the_time_left(capsys, monkeypatch):
    now = iter([0.0, 10.0, 40.0])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(now)))

    class Model:
        epoch = 0

    shown, model = progress.Progress(), Model()
    shown.on_fit_begin(model, 4)
    for model.epoch in (1, 2):
        shown.on_epoch_end(model, {"epoch": model.epoch, "loss": 1.0, "seconds": 9.0})
    assert capsys.readouterr().err.splitlines() == [
        "epoch 1/4  loss 1.000  9.00 s  0:30 left",
        "epoch 2/4  loss 1.000  9.00 s  0:40 left",
    ]
