"""What is done with a trained network: evaluate, predict."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

import portanet as pn
from portanet.data import load


def rows(text):
    return list(csv.reader(io.StringIO(text)))


@pytest.fixture
def flowers(cli, tmp_path):
    """Train on three named classes in a table; return the command line, the samples and the labels."""
    rng = np.random.default_rng(0)
    labels = np.asarray(["rose", "lily", "oak"])[np.arange(60) % 3]
    x = (rng.normal(size=(60, 2)) + 4 * (np.arange(60) % 3)[:, None]).round(3)
    lines = ["a,kind,b", *(f"{a},{c},{b}" for (a, b), c in zip(x, labels, strict=True))]
    (tmp_path / "flowers.csv").write_text("\n".join(lines) + "\n")
    done = cli("train", "flowers.csv", "--target", "kind", "--layers", "8", "--epochs", "40", "--lr", ".05", "--quiet")
    assert done.code == 0, done.err
    return cli, x, labels


@pytest.fixture
def line(cli, tmp_path):
    """Train on whole numbers of a line, as a regression."""
    (tmp_path / "line.csv").write_text("x,z,y\n" + "".join(f"{i},{i % 5},{2 * i}\n" for i in range(60)))
    words = ("--task", "regression", "--layers", "none", "--epochs", "5", "--quiet")
    assert cli("train", "line.csv", *words).code == 0
    return cli


def test_evaluate_takes_the_test_part_and_the_best_weights(moons):
    found = json.loads(moons("evaluate", "runs/moons", "moons", "--json").out)
    data = load("moons")
    expected = pn.load("runs/moons/best.safetensors").evaluate(data.x_test, data.y_test)
    classes = found.pop("classes")
    assert found == {**expected, "samples": 200, "part": "test"}
    assert sum(own["samples"] * own["recall"] for own in classes.values()) == pytest.approx(200 * found["accuracy"])
    train = json.loads(moons("evaluate", "runs/moons", "moons", "--json", "--part", "train").out)
    assert (train["samples"], train["part"]) == (800, "train")
    assert train["loss"] != found["loss"]


def test_evaluate_in_words(moons):
    found = moons("evaluate", "runs/moons", "moons")
    assert found.out.startswith("loss 0.")
    assert "accuracy 0." in found.out
    assert "200 samples (test part)" in found.err


def test_evaluate_either_weights_and_a_file(cli):
    assert cli("train", "moons", "--epochs", "9", "--lr", ".9", "--val-fraction", ".3").code == 0
    best, last = (cli("evaluate", "runs/moons", "moons", "--which", which).out for which in ("best", "last"))
    assert best != last
    assert cli("evaluate", "runs/moons/last.safetensors", "moons").out == last


def test_evaluate_matches_classes_by_name(flowers, tmp_path):
    cli, x, labels = flowers
    whole = json.loads(cli("evaluate", "runs/flowers", "flowers.csv", "--json").out)
    assert whole["accuracy"] > 0.9
    # A table of two of the classes would number them 0 and 1; the network knows them as 1 and 2.
    kept = labels != "lily"
    lines = ["a,kind,b", *(f"{a},{c},{b}" for (a, b), c in zip(x[kept], labels[kept], strict=True))]
    (tmp_path / "two.csv").write_text("\n".join(lines) + "\n")
    found = json.loads(cli("evaluate", "runs/flowers", "two.csv", "--json").out)
    net = pn.load("runs/flowers/best.safetensors")
    predicted = np.asarray(net.classes)[net.predict_classes(x[kept])]
    assert found["accuracy"] == pytest.approx((predicted == labels[kept]).mean())


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["runs/none", "moons"], 3, "expected a run folder"),
        (["runs/moons", "digits"], 3, "got the class '2'"),
        (["runs/moons", "spirals", "--part", "tset"], 2, "--part"),
        (["runs/moons", "other.csv"], 3, "samples of 2"),
        (["runs/moons", "two.csv", "--part", "test"], 3, "test part"),
        (["broken.safetensors", "moons"], 3, "broken.safetensors"),
        (["empty", "moons"], 3, "portanet train --out empty"),
        (["runs/moons", "moons", "--backend", "nunpy"], 2, "did you mean 'numpy'?"),
    ],
)
def test_evaluate_tells_what_does_not_fit(moons, tmp_path, words, code, told):
    (tmp_path / "other.csv").write_text("a,b,c,y\n1.5,2,3,0\n2.5,3,4,1\n")
    (tmp_path / "two.csv").write_text("a,b,y\n1.5,2,0\n2.5,3,1\n")
    (tmp_path / "broken.safetensors").write_bytes(b"nonsense")
    (tmp_path / "empty").mkdir()
    ended = moons("evaluate", *words)
    assert ended.code == code
    assert told in ended.err
    assert ended.out == ""


def test_missing_best_weights_name_the_last(cli):
    cli("train", "moons", "--optimizer", "sgd", "--lr", "1e39", "--out", "run", "--epochs", "1")
    ended = cli("evaluate", "run", "moons")
    assert ended.code == 3
    assert "--which last" in ended.err
    assert cli("evaluate", "run", "moons", "--which", "last").code == 0


def test_rows_stand_for_images_of_the_same_size(cli, tmp_path):
    assert cli("train", "digits", "--epochs", "1", "--layers", "8").code == 0
    data = load("digits")
    np.savez(tmp_path / "flat.npz", x=data.x_test.reshape(len(data.x_test), -1), y=data.y_test)
    flat, images = (json.loads(cli("evaluate", "runs/digits", d, "--json").out) for d in ("flat.npz", "digits"))
    assert flat["accuracy"] == images["accuracy"]
    assert flat["samples"] == images["samples"]


def test_regression_of_whole_numbers_stays_one(line):
    found = json.loads(line("evaluate", "runs/line", "line.csv", "--json").out)
    assert {"loss", "mae", "r2"} <= set(found)
    (Path("few.csv")).write_text("x,z,y\n0,0,0\n1,1,2\n1,1,2\n0,0,0\n")  # alone these were two classes
    found = json.loads(line("evaluate", "runs/line", "few.csv", "--json").out)
    x, y = np.asarray([[0, 0], [1, 1]]), np.asarray([0.0, 2.0])
    predicted = pn.load("runs/line/best.safetensors").predict(x)[:, 0]
    assert found["mae"] == pytest.approx(abs(predicted - y).mean(), rel=1e-5)


def test_regression_refuses_classes(line, tmp_path):
    (tmp_path / "text.csv").write_text("x,z,y\n0,0,a\n1,1,b\n")
    ended = line("evaluate", "runs/line", "text.csv")
    assert ended.code == 3
    assert "expected a number to regress, got 'a'" in ended.err


def test_predict_labels(flowers):
    cli, x, _ = flowers
    found = cli("predict", "runs/flowers", "flowers.csv")
    net = pn.load("runs/flowers/best.safetensors")
    expected = [[str(i), net.classes[c]] for i, c in enumerate(net.predict_classes(x))]
    assert rows(found.out) == [["row", "label"], *expected]


def test_predict_probabilities(flowers):
    cli, x, _ = flowers
    header, *found = rows(cli("predict", "runs/flowers", "flowers.csv", "--proba").out)
    assert header == ["row", "lily", "oak", "rose"]
    got = np.asarray(found, dtype=float)[:, 1:]
    assert np.array_equal(got.astype("float32"), pn.load("runs/flowers/best.safetensors").predict(x))


def test_yes_or_no_for_each_of_three_classes_is_one_class(cli, flowers_csv):
    words = ["--layers", "8", "--epochs", "20", "--lr", ".05", "--loss", "bce", "--plots", "--quiet"]
    assert cli("train", flowers_csv, *words).code == 0
    net, (header, *found) = (
        pn.load("runs/flowers/best.safetensors"),
        rows(cli("predict", "runs/flowers", flowers_csv).out),
    )
    data = load(flowers_csv)
    best = [net.classes[i] for i in net.predict(data.x).argmax(axis=1)]
    assert header == ["row", "label"]
    assert [label for _, label in found] == best
    classes = json.loads(cli("evaluate", "runs/flowers", flowers_csv, "--json").out)["classes"]
    right = [label == data.classes[i] for label, i in zip(best, data.y, strict=True)]
    assert sum(own["samples"] * own["recall"] for own in classes.values()) == pytest.approx(sum(right))


def test_predict_two_classes_has_two_columns(moons):
    header, *found = rows(moons("predict", "runs/moons", "moons", "--proba").out)
    assert header == ["row", "0", "1"]
    got = np.asarray(found, dtype=float)[:, 1:]
    assert len(got) == 200
    assert got.sum(axis=1) == pytest.approx(1)
    assert got[:, 1] == pytest.approx(pn.load("runs/moons/best.safetensors").predict(load("moons").x_test)[:, 0])
    labels = [label for _, label in rows(moons("predict", "runs/moons", "moons").out)[1:]]
    assert labels == [str(int(p > 0.5)) for p in got[:, 1]]


@pytest.mark.parametrize("header", ["a,b\n", ""])
@pytest.mark.parametrize("form", ["{:.3f}", "{:.0f}"])
def test_predict_without_a_target(flowers, tmp_path, header, form):
    cli, x, _ = flowers
    cells = [[form.format(value) for value in row] for row in x]
    (tmp_path / "new.csv").write_text(header + "".join(",".join(row) + "\n" for row in cells))
    found = cli("predict", "runs/flowers", "new.csv")
    assert found.code == 0, found.err
    net = pn.load("runs/flowers/best.safetensors")
    expected = [net.classes[c] for c in net.predict_classes(np.asarray(cells, dtype=float))]
    assert [label for _, label in rows(found.out)[1:]] == expected


def test_predict_tells_a_table_that_does_not_fit(flowers, tmp_path):
    cli, *_ = flowers
    (tmp_path / "wide.csv").write_text("1,2,3,4\n")
    ended = cli("predict", "runs/flowers", "wide.csv")
    assert ended.code == 3
    assert "expected 2 columns" in ended.err
    (tmp_path / "bad.csv").write_text("a,b\n1.5,2\n1.5,x\n")
    ended = cli("predict", "runs/flowers", "bad.csv")
    assert ended.code == 3
    assert "'b': expected numbers as in the training rows, got 'x' (row 1)" in ended.err


def test_predict_into_a_file(moons):
    done = moons("predict", "runs/moons", "moons", "-o", "out.csv")
    assert done.out == ""
    assert "out.csv: 200 predictions" in done.err
    assert Path("out.csv").read_text() == moons("predict", "runs/moons", "moons").out
    lost = moons("predict", "runs/moons", "moons", "-o", "nowhere/out.csv")
    assert lost.code == 3
    assert "nowhere/out.csv" in lost.err


def test_predict_numbers(line):
    header, *found = rows(line("predict", "runs/line", "line.csv").out)
    assert header == ["row", "value"]
    got = np.asarray(found, dtype=float)[:, 1]
    x = np.asarray([[i, i % 5] for i in range(60)])
    assert np.array_equal(got.astype("float32"), pn.load("runs/line/best.safetensors").predict(x)[:, 0])
    refused = line("predict", "runs/line", "line.csv", "--proba")
    assert refused.code == 2
    assert "--proba" in refused.err
