"""portanet cv: the folds, the figures, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

import portanet as pn
from portanet.data import load
from portanet.errors import DataError
from portanet.fleet.folds import split
from tests.cli.tables import table

SMALL = ("--layers", "6", "--epochs", "4", "--batch-size", "16", "--lr", "0.05")


def test_each_fold_is_as_a_training_of_its_own(cli, flowers_csv):
    ended = cli("cv", flowers_csv, *SMALL, "-k", "4", "--json", "--dtype", "float64", "--dropout", "0.2")
    assert ended.code == 0
    found = json.loads(ended.out)
    data = load(flowers_csv)
    for row, (train, held) in zip(found["folds"], split(data.y, 4, 0, names=data.classes), strict=True):
        x, y = data.x[train], data.y[train]
        init = {"weight_init": "he_normal"}, {"weight_init": "glorot_uniform"}
        net = [pn.Standardize.of(x), pn.Dense(6, **init[0]), pn.ReLU(), pn.Dropout(0.2), pn.Dense(3, **init[1])]
        alone = pn.Trainer(net, optimizer=pn.Adam(lr=0.05), metrics=["accuracy"], backend="numpy", dtype="float64")
        alone.fit(x, y, epochs=4, batch_size=16, verbose=False)
        expected = alone.evaluate(data.x[held], data.y[held])
        assert row["loss"] == pytest.approx(expected["loss"], rel=1e-9)
        assert row["accuracy"] == expected["accuracy"]
    for name in ("loss", "accuracy"):
        each = [row[name] for row in found["folds"]]
        assert found["mean"][name] == pytest.approx(np.mean(each))
        assert found["spread"][name] == pytest.approx(np.std(each))
    assert sum(row["samples"] for row in found["folds"]) == 90


def test_the_table(cli, flowers_csv):
    ended = cli("cv", flowers_csv, *SMALL)
    lines = ended.out.splitlines()
    assert lines[0].split() == ["fold", "samples", "loss", "accuracy"]
    assert [line.split()[0] for line in lines[1:]] == ["1", "2", "3", "4", "5", "mean", "spread"]
    assert "network  5 times" in ended.err
    assert "epoch 4  mean loss" in ended.err
    assert cli("cv", flowers_csv, *SMALL, "--quiet").err == ""


@pytest.mark.parametrize("options", [("digits", "--batch-size", "full"), ("moons", "--batch-size", "auto")])
def test_images_and_two_classes(cli, options):
    if options[0] == "digits":
        pytest.importorskip("sklearn")
    found = json.loads(cli("cv", *options, "--layers", "6", "--epochs", "1", "--quiet", "--json", "-k", "2").out)
    assert {"loss", "accuracy"} == set(found["mean"])


def test_regression(cli, numbers_csv):
    found = json.loads(cli("cv", numbers_csv, "--target", "y", *SMALL, "--json", "--schedule", "cosine").out)
    assert {"loss", "mae", "r2"} == set(found["mean"])
    assert found["mean"]["r2"] > 0


def test_what_is_refused(cli, tmp_path, flowers_csv):
    rows = [[0.1 * i, i, "a" if i < 17 else "rare"] for i in range(20)]
    few = table(tmp_path / "few.csv", rows, ["p", "q", "kind"])
    ended = cli("cv", few, *SMALL)
    assert ended.code == 3
    assert "expected at least 5 samples of each class, one a fold, got 3 of 'rare'; take fewer folds" in ended.err
    assert cli("cv", few, *SMALL, "-k", "3", "--quiet").code == 0
    assert cli("cv", few, "-k", "1").code == 2
    assert cli("cv", "nowhere.csv").code == 3
    assert cli("cv", flowers_csv, "--optimizer", "adom").code == 2
    assert cli("cv", flowers_csv, "--out", "here").code == 2


def test_a_fold_that_diverges(cli, numbers_csv):
    ended = cli("cv", numbers_csv, "--optimizer", "sgd", "--lr", "1e9", "--epochs", "9", "--batch-size", "8")
    assert ended.code == 5
    assert "is no longer finite" in ended.err


def test_folds_are_even_and_hold_every_row_once():
    y = np.repeat([0, 1, 2], [50, 30, 23])
    folds = split(y, 4, 3, names=("a", "b", "c"))
    assert sorted(np.concatenate([held for _, held in folds])) == list(range(103))
    for train, held in folds:
        assert sorted([*train, *held]) == list(range(103))
    for c in range(3):
        counts = [np.count_nonzero(y[held] == c) for _, held in folds]
        assert max(counts) - min(counts) <= 1
    sizes = [len(held) for _, held in split(y * 1.5, 4, 3)]
    assert sorted(sizes) == [25, 26, 26, 26]
    with pytest.raises(DataError, match="one sample for each of the 5 folds, got 4"):
        split(np.zeros(4), 5, 0)
