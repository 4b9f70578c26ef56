"""Callbacks that write: what is in their files, and when it is written."""

from __future__ import annotations

import csv
import json
import shutil

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
    [({}, [1, 2, 3, 4, 5, 6]), ({"every": 2}, [2, 4, 6]), ({"monitor": "lr", "mode": "max"}, [1, 3, 6])],
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
    model.fit(x, y, epochs=3, callbacks=[recorder, pn.Checkpoint(path, "lr", mode="max")], verbose=False)
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


class Copied(pn.Callback):
    """Keeps the checkpoint behind epoch 2, as a process leaves it that is killed later."""

    runs_last = True

    def __init__(self, path):
        self.path = path

    def on_epoch_end(self, trainer, row):
        if trainer.epoch == 2:
            shutil.copy(self.path, self.path.with_name("kept"))


def killed_and_resumed(logger, folder):
    """Train for 4 epochs, go on from the checkpoint behind the second, to epoch 5; return the resumed trainer."""
    x, y = blobs()
    saved = pn.TrainingCheckpoint(folder / "checkpoint")
    trainer().fit(x, y, epochs=4, callbacks=[logger(), saved, Copied(saved.path)], verbose=False)
    again = trainer()
    again.resume(folder / "kept")
    again.fit(x, y, epochs=3, callbacks=[logger(), pn.TrainingCheckpoint(folder / "checkpoint")], verbose=False)
    assert again.epoch == 5
    return again


def logged(path):
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return [int(row["epoch"]) for row in csv.DictReader(file)]
    return [json.loads(line)["epoch"] for line in path.read_text().splitlines()]


@pytest.mark.parametrize(("kind", "name"), [(pn.JSONLLogger, "log.jsonl"), (pn.CSVLogger, "log.csv")])
def test_a_resumed_training_writes_no_epoch_twice(tmp_path, kind, name):
    path = tmp_path / name
    killed_and_resumed(lambda: kind(path), tmp_path)
    assert logged(path) == [1, 2, 3, 4, 5]
    x, y = blobs()
    trainer().fit(x, y, epochs=2, callbacks=[kind(path)], verbose=False)  # another training is written as it comes
    assert logged(path) == [1, 2, 3, 4, 5, 1, 2]


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
