"""portanet tune: what is drawn, which trials go on, the table, the picture, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from portanet.fleet.search import draw, rungs

SPACE = """
lr = {min = 1e-3, max = 0.1}
weight_decay = [0, 0.1]
layers = ["6", [4, 3]]
"""
QUICK = ("--epochs", "4", "--batch-size", "16", "--quiet")


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text(SPACE)
    return path


def test_each_trial_is_as_a_training_of_its_own(cli, flowers_csv, space):
    options = ("--seed", "3", "--dtype", "float64", "--dropout", "0.2")
    ended = cli("tune", flowers_csv, "--space", space, "--trials", "6", "--json", *QUICK, *options)
    assert ended.code == 0
    found = json.loads(ended.out)
    assert sorted(trial["trial"] for trial in found) == [1, 2, 3, 4, 5, 6]
    losses = [trial["val_loss"] for trial in found]
    assert losses == sorted(losses)
    assert {tuple(trial["layers"]) for trial in found} == {(6,), (4, 3)}
    for trial in found[:3]:
        settings = [f"--lr={trial['lr']}", f"--weight-decay={trial['weight_decay']}"]
        settings.append("--layers=" + ",".join(map(str, trial["layers"])))
        out = f"runs/{trial['trial']}"
        alone = cli("train", flowers_csv, *settings, *QUICK, *options, "--val-fraction", ".2", "--out", out)
        assert alone.code == 0
        last = json.loads(Path(out, "metrics.jsonl").read_text().splitlines()[-1])
        assert trial["val_loss"] == pytest.approx(last["val_loss"], rel=1e-9)
        assert trial["val_accuracy"] == last["val_accuracy"]


def test_halving_goes_on_with_the_best(cli, flowers_csv, space):
    words = ("tune", flowers_csv, "--space", space, "--trials", "9", "--json", "--batch-size", "16", "--quiet")
    found = json.loads(cli(*words, "--epochs", "9", "--search", "halving").out)
    assert [trial["epochs"] for trial in found] == [9, 3, 3, 1, 1, 1, 1, 1, 1]
    assert found[1]["val_loss"] <= found[2]["val_loss"]
    first = json.loads(cli(*words, "--epochs", "1").out)
    assert {trial["trial"] for trial in first[:3]} == {trial["trial"] for trial in found[:3]}
    dropped = {trial["trial"]: trial["val_loss"] for trial in found[3:]}
    assert dropped == {trial["trial"]: trial["val_loss"] for trial in first[3:]}


def test_the_table_and_the_picture(cli, numbers_csv, space, tmp_path):
    pytest.importorskip("matplotlib")
    ended = cli("tune", numbers_csv, "--space", space, "--trials", "3", "--epochs", "2", "--plot", "trials.png")
    assert ended.code == 0
    lines = [line.split() for line in ended.out.splitlines()]
    assert lines[0] == ["trial", "layers", "lr", "weight_decay", "epochs", "val_loss", "val_mae", "val_r2"]
    assert len(lines) == 4
    assert "3 trials to epoch 2" in ended.err
    assert (tmp_path / "trials.png").read_bytes().startswith(b"\x89PNG")


def test_trials_that_diverge_come_last(cli, numbers_csv, space):
    space.write_text("lr = [1e-3, 1e12]\n")
    words = ("tune", numbers_csv, "--space", space, "--optimizer", "sgd", "--activation", "linear", "--trials", "8")
    ended = cli(*words, "--epochs", "9", "--batch-size", "8")
    assert ended.code == 0
    last = ended.out.splitlines()[-1]
    assert "1e+12" in last
    assert "diverged" in last
    assert "diverged" not in ended.out.splitlines()[1]
    space.write_text("lr = [1e12]\n")
    ended = cli(*words, "--epochs", "9", "--batch-size", "8")
    assert ended.code == 5
    assert "all 8 trials diverged" in ended.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected at least one setting to search"),
        ("lrr = [1]", "unknown key 'lrr'"),
        ("lr = 0.1", "lr: expected a list of choices, or {min = ..., max = ...}, got 0.1"),
        ("lr = []", "lr: expected a list of choices"),
        ("lr = {min = 1, max = 0.1}", "lr: expected 0 < min < max"),
        ("lr = {min = 0, max = 0.1}", "lr: expected 0 < min < max (min = 0 with log = false)"),
        ("lr = {min = 0.1, most = 1}", "unknown key 'most'"),
        ("dropout = {min = 0, max = 0.5}", "dropout: expected a list of choices"),
        ("layers = ['a']", "layers: expected sizes such as 500,150"),
        ("dropout = ['much']", "dropout: 'much' is not a valid float"),
        ("optimizer = ['adom']", "unknown optimizer 'adom'"),
        ("lr = [", "expected a TOML file"),
    ],
)
def test_spaces_that_cannot_be(cli, space, text, message):
    space.write_text(text)
    ended = cli("tune", "moons", "--space", space, *QUICK)
    assert ended.code == 2
    assert message in ended.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--epochs", "0"), "--epochs 0: nothing would be learned"),
        (("--search", "halving", "--schedule", "cosine"), "--schedule: halving does not know"),
        (("--plot", "trials.txt"), "expected a name that ends in .png, .svg, .pdf"),
        (("--search", "grid"), "'grid' is not one of"),
    ],
)
def test_options_that_cannot_be(cli, space, options, message):
    if "--plot" in options:
        pytest.importorskip("matplotlib")
    ended = cli("tune", "moons", "--space", space, *options)
    assert ended.code == 2
    assert message in ended.err


def test_what_is_drawn():
    space = {"lr": {"min": 1e-4, "max": 1.0}, "weight_decay": {"min": 0, "max": 2, "log": False}, "layers": ["a", "b"]}
    trials = draw(space, 4000, 1)
    assert trials == draw(space, 4000, 1)
    assert trials[:10] != draw(space, 10, 2)
    rates = np.log10([trial.settings["lr"] for trial in trials])
    decays = np.asarray([trial.settings["weight_decay"] for trial in trials])
    np.testing.assert_allclose(np.quantile(rates, [0, 0.25, 0.5, 0.75, 1]), [-4, -3, -2, -1, 0], atol=0.1)
    np.testing.assert_allclose(np.quantile(decays, [0, 0.25, 0.5, 0.75, 1]), [0, 0.5, 1, 1.5, 2], atol=0.1)
    assert abs(sum(trial.settings["layers"] == "a" for trial in trials) - 2000) < 150


@pytest.mark.parametrize(
    ("trials", "epochs", "expected"),
    [
        (27, 27, [(27, 1), (9, 3), (3, 9), (1, 27)]),
        (9, 18, [(9, 2), (3, 6), (1, 18)]),
        (9, 1, [(9, 1)]),
        (27, 9, [(27, 1), (3, 3), (1, 9)]),
        (1, 5, [(1, 5)]),
        (10, 9, [(10, 1), (4, 3), (2, 9)]),
    ],
)
def test_the_rungs(trials, epochs, expected):
    assert rungs(trials, epochs) == expected
