"""Checkpoints that were edited or damaged where their arrays lie: refused, and the trainer stays as it was."""

from __future__ import annotations

import numpy as np
import pytest

import portanet as pn
from portanet import backends
from portanet.errors import DataError
from portanet.files.checkpoint import read_checkpoint, write_checkpoint
from tests.small import blobs


def _parts():
    callbacks = [pn.EarlyStopping("loss", patience=9, restore_best=True), pn.LowerRate()]
    net = [pn.Dense(5), pn.BatchNorm(), pn.ReLU(), pn.Dense(3)]
    return pn.Trainer(net, "softmax_cross_entropy", pn.Adam(0.01), backend="numpy", seed=3), callbacks


def _fit(trainer, callbacks, epochs):
    x, y = blobs()
    trainer.fit(x, y, epochs=epochs, batch_size=16, callbacks=callbacks, verbose=False)


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint within an epoch, so that LowerRate holds arrays too."""

    class Stop(pn.Callback):
        def on_batch_end(self, trainer, batch, batches):
            if (trainer.epoch, batch) == (2, 2):
                trainer.stop("asked")

    trainer, callbacks = _parts()
    path = tmp_path / "training.safetensors"
    _fit(trainer, [*callbacks, Stop(), pn.TrainingCheckpoint(path)], 4)
    about, noted = read_checkpoint(path)
    noted["callbacks"] = noted["callbacks"][:2]
    assert noted["callbacks"][1]["state"]["kept"] is not None
    return path, about, noted


def _renamed(part):
    part["other"] = part.pop(next(iter(part)))


def _dropped(part):
    part.popitem()


def _cut(part):
    name = next(iter(part))
    part[name] = part[name][:1]


@pytest.mark.parametrize("edit", [_renamed, _dropped, _cut])
@pytest.mark.parametrize("part", ["params", "buffers", "mean"])
@pytest.mark.parametrize("place", ["training", "EarlyStopping", "LowerRate"])
def test_arrays_that_are_not_the_networks(checkpoint, place, part, edit):
    path, about, noted = checkpoint
    early, lower = (hook["state"] for hook in noted["callbacks"])
    holder = {"training": noted, "EarlyStopping": early["weights"], "LowerRate": lower["kept"]}[place]
    edit(holder["optimizer"]["mean"] if part == "mean" else holder[part])
    _refused(path, about, noted)


@pytest.mark.parametrize(("name", "value"), [("epoch", -1), ("position", -1), ("epoch", 1.5), ("position", "2")])
@pytest.mark.parametrize("place", ["training", "LowerRate"])
def test_places_that_are_none(checkpoint, place, name, value):
    path, about, noted = checkpoint
    holder = noted if place == "training" else noted["callbacks"][1]["state"]["kept"]
    holder[name] = value
    _refused(path, about, noted)


def test_as_written_it_goes_on(checkpoint):
    path, about, noted = checkpoint
    write_checkpoint(path, about, noted, backends.get("numpy"))
    trainer, callbacks = _parts()
    assert trainer.resume(path) == 2
    _fit(trainer, callbacks, 2)
    assert trainer.epoch == 4


def _refused(path, about, noted):
    """A network's arrays are looked at by resume, those that callbacks keep by the fit."""
    write_checkpoint(path, about, noted, backends.get("numpy"))
    trainer, callbacks = _parts()
    _fit(trainer, [], 1)
    kept = []

    def go_on():
        kept.append(trainer.copy_state())
        trainer.resume(path)
        kept.append(trainer.copy_state())
        _fit(trainer, callbacks, 2)

    with pytest.raises(DataError, match="damaged or was edited"):
        go_on()
    for name, array in trainer.copy_state().params.items():
        np.testing.assert_array_equal(array, kept[-1].params[name])
