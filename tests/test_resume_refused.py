"""Checkpoints that a training cannot go on from, another one's, damaged, edited; and old ones, from which it can."""

from __future__ import annotations

import json

import numpy as np
import pytest

import portanet as pn
from portanet.training.history import History
from tests.test_resume import SCHEDULES, StopAt, fit, make, same


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"optimizer": pn.SGD(lr=0.1)}, "optimizer was"),
        ({"seed": 6}, "seed was 5, is 6"),
        ({"dtype": "float64"}, 'dtype was "float32", is "float64"'),
        ({"l2": 0.1}, "l2 was 0.0, is 0.1"),
    ],
)
def test_another_training_is_told(options, words, tmp_path):
    fit(make(), 1, pn.TrainingCheckpoint(tmp_path / "a.safetensors"))
    with pytest.raises(pn.DataError, match="checkpoint of another training") as caught:
        make(**options).resume(tmp_path / "a.safetensors")
    assert words in str(caught.value)


def test_another_network_is_told(tmp_path):
    fit(make(), 1, pn.TrainingCheckpoint(tmp_path / "a.safetensors"))
    with pytest.raises(pn.DataError, match="net was"):
        pn.Trainer([pn.Flatten(), pn.Dense(2)], "softmax_cross_entropy", pn.AdamW(lr=0.02), seed=5).resume(
            tmp_path / "a.safetensors"
        )


@pytest.mark.parametrize(
    ("options", "callbacks", "words"),
    [
        ({"batch_size": 8}, (), "batch_size was 16, is 8"),
        ({"shuffle": False}, (), "shuffle was true, is false"),
        ({"sample_weight": np.ones(130)}, (), "data was"),
        ({"validation_fraction": 0.5}, (), "samples was 104, is 65"),
        ({}, (pn.EarlyStopping(),), "callbacks were none, are EarlyStopping"),
    ],
)
def test_another_fit_is_told(options, callbacks, words, tmp_path):
    fit(make(), 3, StopAt(2, 2), pn.TrainingCheckpoint(tmp_path / "a.safetensors"))
    trainer = make()
    trainer.resume(tmp_path / "a.safetensors")
    with pytest.raises(pn.DataError, match="it cannot resume from its checkpoint") as caught:
        fit(trainer, 2, *callbacks, **options)
    assert words in str(caught.value)


def test_the_right_fit_after_one_that_was_refused(tmp_path):
    """It finds what schedule and callbacks had noted."""

    def hooks():
        return [pn.EarlyStopping(patience=2), pn.TrainingCheckpoint(tmp_path / "b.safetensors")]

    whole, first, second = (make(schedule=SCHEDULES["plateau"]) for _ in range(3))
    fit(whole, 6, *hooks())
    path = tmp_path / "a.safetensors"
    fit(first, 6, StopAt(3, 2), pn.EarlyStopping(patience=2), pn.TrainingCheckpoint(path))
    left = second.resume(path)
    for options in ({"batch_size": 8}, {"shuffle": False}):
        with pytest.raises(pn.DataError, match="it cannot resume from its checkpoint"):
            fit(second, left, *hooks(), **options)
        assert (second.epoch, second.position, second.resumed, second.callbacks) == (2, 2, True, ())
    with pytest.raises(pn.DataError, match="callbacks were EarlyStopping, are none"):
        fit(second, left)
    fit(second, left, *hooks())
    same(whole, second)
    assert second.history.stopped == whole.history.stopped


def test_what_is_no_checkpoint(tmp_path):
    with pytest.raises(pn.DataError, match="nothing there"):
        make().resume(tmp_path / "a.safetensors")
    trainer = make()
    fit(trainer, 1)
    trainer.save(tmp_path / "net.safetensors")
    with pytest.raises(pn.DataError, match="got a saved network"):
        make().resume(tmp_path / "net.safetensors")


@pytest.mark.parametrize("options", [{"steps": 0}, {"minutes": -1}])
def test_arguments(options):
    with pytest.raises(pn.ConfigError, match="must be a"):
        pn.TrainingCheckpoint("a", **options)


def edited(path, change):
    """Change the state in a checkpoint as one would who edits it."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    about = json.loads(header["__metadata__"]["portanet"])
    change(about["training"])
    header["__metadata__"]["portanet"] = json.dumps(about)
    new = json.dumps(header).encode()
    path.write_bytes(len(new).to_bytes(8, "little") + new + content[8 + size :])


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state["callbacks"][0].pop("state"),
        lambda state: state["callbacks"][0].pop("type"),
        lambda state: state["callbacks"][0]["state"].update(best="low"),
        lambda state: state["callbacks"][0]["state"].update(weights=[1]),
        lambda state: state.update(callbacks=3),
        lambda state: state["schedule"].update(factor=1.0),
        lambda state: state["schedule"].update(current="fast"),
        lambda state: state.pop("finished"),
    ],
)
def test_what_callbacks_and_schedule_had_noted_is_damaged(change, tmp_path):
    path = tmp_path / "a.safetensors"
    fit(make(schedule=SCHEDULES["plateau"]), 3, StopAt(2, 2), pn.EarlyStopping(), pn.TrainingCheckpoint(path))
    edited(path, change)
    trainer = make(schedule=SCHEDULES["plateau"])
    trainer.resume(path)
    with pytest.raises(pn.DataError, match="fit: its checkpoint is damaged or was edited"):
        fit(trainer, 2, pn.EarlyStopping())


@pytest.mark.parametrize("name", ["end", "epoch", "position", "seconds", "history", "meter", "optimizer"])
def test_a_state_that_lacks_something(name, tmp_path):
    path = tmp_path / "a.safetensors"
    fit(make(), 1, pn.TrainingCheckpoint(path))
    edited(path, lambda state: state.pop(name))
    refused(path)


def test_an_optimizer_that_lacks_its_steps(tmp_path):
    path = tmp_path / "a.safetensors"
    fit(make(), 1, pn.TrainingCheckpoint(path))
    edited(path, lambda state: state["optimizer"].pop("t"))
    refused(path)


@pytest.mark.parametrize("name", ["epoch", "loss"])
def test_a_row_of_the_history_that_is_none(name, tmp_path):
    path = tmp_path / "a.safetensors"
    trainer = make()
    fit(trainer, 1, pn.TrainingCheckpoint(path))
    row = dict(trainer.history[0])
    edited(path, lambda state: state.update(history=[row | {name: "two"}]))
    refused(path)
    edited(path, lambda state: state.update(history=[{n: value for n, value in row.items() if n != name}]))
    refused(path)


ROWS = [
    {"epoch": 1, "loss": 0.5, "seconds": 0.1, "val_loss": 0.75},
    {"epoch": 2, "loss": np.inf, "seconds": -np.inf, "count": 3},
]
TABLE = {  # as such rows stood in the files of before: numbers, and marks for what a finite number cannot say
    "names": ["epoch", "loss", "seconds", "val_loss", "count"],
    "table": [[1, 2], [1, 1], [0.5, 0], [0, 4], [0.1, 0], [0, 5], [0.75, 0], [0, 2], [0, 3], [2, 1]],
}


def table():
    return {**TABLE, "table": np.asarray(TABLE["table"], "float64").reshape(5, 2, 2)}


def text(words):
    return {"json": np.frombuffer(words.encode(), "uint8")}


def test_a_table_of_before():
    history = History()
    history.load_state(table())
    assert history.rows == ROWS
    assert [type(value) for value in history[1].values()] == [int, float, float, int]
    again = History()
    again.load_state(history.state())
    assert again.rows == ROWS


@pytest.mark.parametrize(
    "state",
    [
        table() | {"names": TABLE["names"][1:]},
        table() | {"names": ["another", *TABLE["names"][1:]]},
        text("[" * 100_000),
        text('[{"epoch": 1, "loss": 0.5'),
        text('{"epoch": 1, "loss": 0.5}'),
        text('[{"epoch": 1, "loss": null}]'),
        text('[{"epoch": 1}]'),
        text("7"),
        {},
    ],
)
def test_what_is_no_history(state):
    history = History()
    with pytest.raises((ValueError, KeyError, TypeError)):
        history.load_state(state)
    assert history.rows == []


@pytest.mark.parametrize("of_before", [False, True])
def test_a_checkpoint_of_before(of_before, tmp_path, monkeypatch):
    """With its history in rows, within the header; and in a table, an array of numbers."""
    path = tmp_path / "a.safetensors"
    if of_before:
        monkeypatch.setattr(History, "state", lambda self: table())
    trainer = make()
    fit(trainer, 3, StopAt(3, 2), pn.TrainingCheckpoint(path))
    if not of_before:
        edited(path, lambda state: state.update(history=trainer.history.rows))
    again = make()
    again.resume(path)
    assert again.history.rows == (ROWS if of_before else trainer.history.rows)


def refused(path):
    """Assert that a checkpoint is refused, and that the trainer is left as it was."""
    trainer = make()
    fit(trainer, 2, StopAt(2, 3))
    state, rows = trainer.copy_state(), list(trainer.history)
    with pytest.raises(pn.DataError, match="it is damaged or was edited"):
        trainer.resume(path)
    assert (trainer.epoch, trainer.position, list(trainer.history), trainer.resumed) == (1, 3, rows, False)
    now = trainer.copy_state()
    np.testing.assert_array_equal(now.params["2.weight"], state.params["2.weight"])
    assert now.opt_state["t"] == state.opt_state["t"]
    fit(trainer, 1)
    assert trainer.epoch == 2
