"""Checkpoints that older code has written are resumed as that code would have resumed them, bit for bit."""

from __future__ import annotations

import json

import numpy as np
import pytest

import portanet as pn
from tests import golden
from tests.old import trainings
from tests.small import same

NAMES = list(trainings.HOOKS)
ENDED = json.loads((trainings.FOLDER / "ended.json").read_text())
PLACES = {"plain": (3, 0, 1.0), "within": (4, 3, 0.125), "finished": (3, 0, 1.0)}


def resumed(name):
    model = trainings.make(name)
    left = model.resume(trainings.FOLDER / f"{name}.safetensors")
    return model, left


@pytest.mark.parametrize("name", NAMES)
def test_they_are_small(name):
    assert (trainings.FOLDER / f"{name}.safetensors").stat().st_size < 20_000


@pytest.mark.parametrize("name", NAMES)
def test_resumed(name):
    model, left = resumed(name)
    assert (model.epoch, model.position) == PLACES[name][:2]
    assert left == trainings.EPOCHS - model.epoch
    trainings.fit(model, name, left)
    assert model.rate_factor == PLACES[name][2]
    found, expected = trainings.ended(model), ENDED[name]
    # Other processors round otherwise.
    exact = json.loads(golden.FILE.read_text())["machine"] == golden.machine()
    assert (found["epoch"], found["stopped"]) == (expected["epoch"], expected["stopped"])
    for row, old in zip(found["rows"], expected["rows"], strict=True):
        assert row.keys() == old.keys()
        values = np.asarray([[float.fromhex(each[key]) for key in old] for each in (row, old)])
        np.testing.assert_allclose(values[0], values[1], rtol=0 if exact else 1e-4)
    if exact:
        assert found["weights"] == expected["weights"]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_training_that_never_stopped(name):
    model, left = resumed(name)
    trainings.fit(model, name, left)
    whole = trainings.make(name)
    trainings.fit(whole, name, trainings.EPOCHS)
    assert (model.epoch, model.history.stopped) == (whole.epoch, whole.history.stopped)
    if json.loads(golden.FILE.read_text())["machine"] == golden.machine():
        same(model, whole)


@pytest.mark.parametrize("name", NAMES)
def test_saved_again_and_resumed(name, tmp_path):
    """What the file lacks, the optimizer's state of the best epoch, is still lacking, and no more."""
    model, left = resumed(name)
    path = tmp_path / "again.safetensors"
    trainings.fit(model, name, left, trainings.StopAt(6, 2), pn.TrainingCheckpoint(path))
    second = trainings.make(name)
    trainings.fit(second, name, second.resume(path))
    first, left = resumed(name)
    trainings.fit(first, name, left)
    same(first, second)
    assert int(first.opt_state["t"]) == int(second.opt_state["t"])
