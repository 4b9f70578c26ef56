"""Callbacks that write: what is in their files, and when it is written."""

from __future__ import annotations

import csv
import json

import pytest

import portanet as pn
from portanet.errors import ConfigError, DataError
from tests.small import Recorder, Scripted, blobs, same, trainer


class Saves(pn.Callback):
    """Notes behind which epochs the file was written anew."""

    def __init__(self, path):
        self.path, self.epochs = path, []

    def on_epoch_end(self, trainer, row):
        if self.path.exists():
            self.epochs.append(trainer.epoch)
            self.path.unlink()


@pytest.mark.parametrize(
    ("options", "epochs"),
    [({}, [1, 2, 3, 4, 5, 6]), ({"every": 2}, [2, 4, 6]), ({"monitor": "lr"}, [1, 3, 6])],
)
def test_checkpoint(tmp_path, options, epochs):
    x, y = blobs()
    path = tmp_path / "net.safetensors"
    saves = Saves(path)
    model = trainer(schedule=Scripted([2, 1, 3, 3, 2, 4]))
    model.fit(x, y, epochs=6, callbacks=[pn.Checkpoint(path, **options), saves], verbose=False)
    assert saves.epochs == epochs


def test_checkpoint_holds_the_best_weights(tmp_path):
    x, y = blobs()
    recorder = Recorder()
    model = trainer(schedule=Scripted([1, 3, 2]))
    path = tmp_path / "best.safetensors"
    model.fit(x, y, epochs=3, callbacks=[recorder, pn.Checkpoint(path, "lr")], verbose=False)
    found = pn.load(path)
    model.restore(recorder.weights[1])
    same(found, model)
    assert found.epoch == 2


@pytest.mark.parametrize("kind", [pn.JSONLLogger, pn.CSVLogger])
def test_loggers_parse_back(tmp_path, kind):
    x, y = blobs()
    path = tmp_path / "log"
    model = trainer(metrics=["accuracy"])
    for _ in range(2):  # the second fit goes on in the same file
        model.fit(x, y, epochs=2, validation_fraction=0.2, callbacks=[kind(path)], verbose=False)
    if kind is pn.JSONLLogger:
        found = [json.loads(line) for line in path.read_text().splitlines()]
    else:
        with path.open(newline="") as file:
            found = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert found == model.history.rows  # all digits of a float are written
    assert list(found[0]) == list(model.history[0])
    assert b"\r\r" not in path.read_bytes()


def test_csv_logger_does_not_write_below_the_wrong_names(tmp_path):
    x, y = blobs()
    log = pn.CSVLogger(tmp_path / "log.csv")
    model = trainer()
    model.fit(x, y, epochs=1, callbacks=[log], verbose=False)
    before = log.path.read_text()
    with pytest.raises(ConfigError, match=r"log\.csv has the columns epoch, loss, lr, seconds, got .*val_loss"):
        model.fit(x, y, epochs=1, validation_fraction=0.2, callbacks=[log], verbose=False)
    assert log.path.read_text() == before


@pytest.mark.parametrize("kind", [pn.JSONLLogger, pn.CSVLogger, pn.Checkpoint])
def test_a_file_that_cannot_be_written(tmp_path, kind):
    x, y = blobs()
    with pytest.raises(DataError, match=r"missing/log: cannot be written \(No such file or directory\)"):
        trainer().fit(x, y, epochs=1, callbacks=[kind(tmp_path / "missing" / "log")], verbose=False)
