"""A wall clock that jumps, as it is set or summer time ends, changes nothing: time is measured by one that does not."""

from __future__ import annotations

import json
import time
from itertools import cycle
from pathlib import Path

import pytest

import portanet as pn
from tests.cli.conftest import cli  # noqa: F401  # a fixture
from tests.small import blobs, trainer


@pytest.fixture(params=[10 * 365 * 86400, -86400], ids=["ten years ahead", "a day back"])
def jumps(request, monkeypatch):
    """Let the wall clock jump at every look at it."""
    real, real_ns, by = time.time, time.time_ns, cycle([0, request.param])
    monkeypatch.setattr(time, "time", lambda: real() + next(by))
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + next(by) * 10**9)


class Slow(pn.Callback):
    """Lets another clock go on by a minute with each batch."""

    def __init__(self, monkeypatch):
        self.now, self.patch = time.monotonic(), monkeypatch

    def on_batch_end(self, trainer, batch, batches):
        self.now += 60
        self.patch.setattr(time, "monotonic", lambda: self.now)


def fit(*callbacks):
    x, y = blobs()
    model = trainer()
    model.fit(x, y, epochs=4, batch_size=30, callbacks=list(callbacks), verbose=False)
    return model


def test_time_limits(jumps, monkeypatch):
    assert fit(pn.TimeLimit(3600)).history.stopped == "epochs"
    model = fit(Slow(monkeypatch), pn.TimeLimit(330))
    assert (model.history.stopped, model.epoch, model.position) == ("time limit of 330 s", 1, 2)


def test_checkpoints_by_minutes(jumps, monkeypatch, tmp_path):
    places = []
    keep = pn.Trainer.save_checkpoint

    def save(trainer, path):
        places.append((trainer.epoch, trainer.position))
        keep(trainer, path)

    monkeypatch.setattr(pn.Trainer, "save_checkpoint", save)
    fit(pn.TrainingCheckpoint(tmp_path / "a", minutes=5))
    assert places == [(4, 0)]  # the end alone
    places.clear()
    fit(Slow(monkeypatch), pn.TrainingCheckpoint(tmp_path / "a", minutes=4.5))
    assert places == [(1, 1), (2, 2), (3, 3), (4, 0)]


def test_a_run(jumps, cli):  # noqa: F811
    words = ("train", "moons", "--epochs", "3", "--layers", "6", "--time-limit", "1h", "--checkpoint-every", "5m")
    done = cli(*words, "--out", "run")
    assert done.code == 0
    report = json.loads(Path("run/report.json").read_text())
    rows = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    assert (report["stopped"], report["epochs"]) == ("epochs", 3)
    assert all(0 <= row["seconds"] < 600 for row in (report, *rows))
