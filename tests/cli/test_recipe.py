"""``--recipe``: tables are trained by realmlp unless the user describes another network; also several targets."""

from __future__ import annotations

import csv
import io
import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import portanet as pn
from tests.cli.test_resume import same
from tests.cli.test_tables import FEATURES, rows, write

SHORT = ("--epochs", "4", "--batch-size", "16")


@pytest.fixture
def houses(cli):
    write("dear.csv", rows(160), [*FEATURES, "dear"])
    write("price.csv", rows(160), [*FEATURES, "price"])
    return cli


def config(run):
    return tomllib.loads((Path(run) / "config.toml").read_text())


def members(run):
    net: Any = pn.load(f"{run}/best.safetensors").net
    (committee,) = net.layers
    assert isinstance(committee, pn.Committee)
    return committee.layers


def dense(run):
    return [layer for layer in members(run)[-1].layers if isinstance(layer, pn.NTKDense)]


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("target", ["dear", "price"])
def test_a_table_is_trained_by_realmlp(houses, target):
    done = houses("train", f"{target}.csv", "--target", target, "--epochs", "30", "--out", "run", "--json")
    assert done.code == 0, done.err
    assert "recipe   realmlp: 30 epochs of 256 samples a step, 4 networks, the best by 32 samples is kept" in done.err
    found = config("run")
    assert (found["recipe"], found["layers"], found["schedule"]) == ("realmlp", [256, 256, 256], "coslog")
    assert found["lr"] == (0.04 if target == "dear" else 0.2)
    assert found["n_ens"] == len(members("run")) == 4
    assert [layer.units for layer in dense("run")] == [256, 256, 256, 2 if target == "dear" else 1]
    measured = json.loads(houses("evaluate", "run", f"{target}.csv", "--json").out)
    assert measured["accuracy" if target == "dear" else "r2"] > 0.75
    assert len(table(houses("predict", "run", f"{target}.csv").out)) == 160


def test_initial_weights_are_fitted_to_the_training_rows(houses):
    words = ("--target", "price", "--epochs", "0", "--n-ens", "1", "--out", "run")
    assert houses("train", "price.csv", *words).code == 0
    net = pn.load("run/last.safetensors")
    layers = net.net.children().values()
    place = next(i for i, layer in enumerate(layers) if isinstance(layer, pn.NTKDense))
    x = net.columns.encode(pn.data.load("price.csv", target="price").x, "x").astype("float32")
    front = pn.Sequential(list(layers)[: place + 1])
    own = {key: value for key, value in {**net.params, **net.buffers}.items() if int(key.split(".")[0]) <= place}
    units, _ = front.forward(own, x)
    assert np.median(units.std(axis=0)) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    "words",
    [("--layers", "8"), ("--activation", "tanh"), ("--optimizer", "sgd"), ("--recipe", "plain"), ("--no-bias",)],
)
def test_a_network_that_the_user_describes_is_plain(houses, words):
    assert houses("train", "dear.csv", *words, "--epochs", "1", "--out", "run").code == 0
    found = config("run")
    assert found["recipe"] == "plain"
    assert (found["batch_size"], found["schedule"], found["loss"]) == (128, "constant", "binary_cross_entropy")
    assert found["activation"] == ("tanh" if "tanh" in words else "relu")


def test_a_committee_answers_with_the_mean_of_networks_that_differ(houses):
    words = ("--layers", "8", "--n-ens", "3", "--epochs", "3", "--target", "price", "--out", "run")
    assert houses("train", "price.csv", *words).code == 0
    model = pn.load("run/best.safetensors")
    net: Any = model.net
    (committee,) = net.layers
    x = model.columns.encode(pn.data.load("price.csv", target="price").x, "x").astype("float32")
    everything = {key.removeprefix("0."): value for key, value in {**model.params, **model.buffers}.items()}
    own = [
        layer.forward({k[2:]: v for k, v in everything.items() if k.startswith(f"{i}.")}, x)[0]
        for i, layer in enumerate(committee.layers)
    ]
    assert not np.allclose(own[0], own[1])
    np.testing.assert_allclose(model.predict(x), np.mean(own, axis=0), rtol=1e-5)
    shown = [float(row["value"]) for row in table(houses("predict", "run", "price.csv").out)]
    np.testing.assert_allclose(shown, np.mean(own, axis=0)[:, 0], rtol=1e-4)
    for to in ("onnx", "numpy"):
        assert houses("export", "run", "--to", to).code == 0


def test_single_settings_of_the_recipe(houses):
    words = (
        "--recipe",
        "realmlp",
        "--n-ens",
        "2",
        "--layers",
        "24",
        "--lr",
        ".01",
        "--schedule",
        "cosine",
        "--val-fraction",
        ".5",
    )
    assert houses("train", "dear.csv", *words, *SHORT, "--weight-decay", "0", "--out", "run").code == 0
    found = config("run")
    assert found["layers"] == [24]
    assert (found["lr"], found["schedule"], found["batch_size"], found["epochs"]) == (0.01, "cosine", 16, 4)
    assert [layer.units for layer in dense("run")] == [24, 2]
    optimizer = pn.load("run/best.safetensors").optimizer
    assert isinstance(optimizer, pn.AdamW)
    assert (optimizer.weight_decay, optimizer.beta2) == (0.0, 0.95)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("dear.csv", "--recipe", "realmlp", "--activation", "relu"), "--activation: not taken by --recipe realmlp"),
        (("dear.csv", "--recipe", "realmlp", "--momentum", ".9"), "--momentum: not taken by --recipe realmlp"),
        (("digits", "--recipe", "realmlp"), "--recipe realmlp is for rows of a table"),
    ],
)
def test_what_the_recipe_does_not_take(houses, words, said):
    done = houses("train", *words)
    assert done.code == 2
    assert said in done.err
    assert "--recipe plain" in done.err


def test_stopped_and_resumed(houses):
    words = ("train", "price.csv", "--target", "price", *SHORT)
    assert houses(*words, "--out", "whole").code == 0
    assert houses(*words, "--out", "run", "--time-limit", "0.01").code == 0
    assert (
        len((Path("run") / "metrics.jsonl").read_text().splitlines() if Path("run/metrics.jsonl").exists() else []) < 4
    )
    done = houses("train", "--resume", "run", "--time-limit", "10m")
    assert done.code == 0, done.err
    same("whole", "run")
    assert houses("train", "--config", "whole/config.toml", "--out", "again").code == 0
    same("whole", "again")


def test_cv_and_tune(houses):
    found = houses("cv", "price.csv", "--target", "price", "-k", "3", "--epochs", "30", "--batch-size", "32", "--json")
    assert found.code == 0, found.err
    assert json.loads(found.out)["mean"]["r2"] > 0.8
    Path("space.toml").write_text("lr = [0.01, 0.04]\nlabel_smoothing = [0, 0.1]\n")
    words = ("tune", "dear.csv", "--space", "space.toml", "--trials", "3", *SHORT)
    done = houses(*words, "--json")
    assert done.code == 0, done.err
    assert len(json.loads(done.out)) == 3
    Path("space.toml").write_text('activation = ["relu", "tanh"]\n')
    assert houses(*words).code == 0  # by the plain network
    refused = houses(*words, "--recipe", "realmlp")
    assert refused.code == 2
    assert "--activation: not taken by --recipe realmlp" in refused.err


def test_several_targets(cli):
    found = rows(200)
    for row in found:
        row["weight"] = str(3 * float(row["price"]) / 1e5)
    found[3]["weight"] = "NA"
    write("houses.csv", found, [*FEATURES, "price", "weight"])
    done = cli("train", "houses.csv", "--target", "price,weight", "--epochs", "60", "--out", "run", "--json")
    assert done.code == 0, done.err
    assert "2 numbers to predict" in done.err
    assert "1 of 200 rows lack a target" in done.err
    assert json.loads(cli("evaluate", "run", "houses.csv", "--json").out)["r2"] > 0.8
    write("later.csv", found, ["sold", "city", "garden", "size"])
    for file in ("houses.csv", "later.csv"):
        shown = cli("predict", "run", file)
        assert "ignored" not in shown.err
        values = table(shown.out)
        assert list(values[0]) == ["row", "price", "weight"]
        price, weight = (np.array([float(row[name]) for row in values]) for name in ("price", "weight"))
        assert np.corrcoef(price, weight)[0, 1] > 0.97
    refused = cli("train", "houses.csv", "--target", "price,wieght")
    assert refused.code == 3
    assert "weight" in refused.err.split("wieght")[1]
    refused = cli("train", "houses.csv", "--target", "price,city")
    assert refused.code == 3
    assert "column 'city': expected numbers, or yes and no" in refused.err


def test_labels(cli):
    found = rows(200)
    for row in found:
        row["large"] = "1" if row["size"] != "NA" and int(row["size"]) > 100 else "0"
    write("houses.csv", found, ["size", "city", "sold", "garden", "large"])
    done = cli("train", "houses.csv", "--target", "garden, large", "--epochs", "20", "--out", "run", "--json")
    assert done.code == 0, done.err
    assert "2 labels to predict" in done.err
    assert json.loads(done.out)["metrics"]["val_accuracy"] > 0.6  # garden cannot be known
    values = table(cli("predict", "run", "houses.csv").out)
    assert list(values[0]) == ["row", "garden", "large"]
    assert np.mean([row["large"] == own["large"] for row, own in zip(values, found, strict=True)]) > 0.9
    shares = table(cli("predict", "run", "houses.csv", "--proba").out)
    assert [float(row["large"]) > 0.5 for row in shares] == [row["large"] == "1" for row in values]
    assert 0.4 < json.loads(cli("evaluate", "run", "houses.csv", "--json").out)["accuracy"] <= 1


def test_intervals_hold_their_share(cli):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1500, 2))
    y = 100 * x[:, 0] + 10 * rng.normal(size=1500)
    lines = [f"{a:.4f},{b:.4f},{c:.4f}\n" for (a, b), c in zip(x, y, strict=True)]
    Path("line.csv").write_text("a,b,y\n" + "".join(lines[:1000]))
    Path("later.csv").write_text("a,b\n" + "".join(line.rpartition(",")[0] + "\n" for line in lines[1000:]))
    assert cli("train", "line.csv", "--epochs", "20", "--out", "run", "--quiet").code == 0
    widths = []
    for share in (0.5, 0.9):
        found = table(cli("predict", "run", "later.csv", "--interval", str(share)).out)
        assert list(found[0]) == ["row", "value", "value_lower", "value_upper"]
        low, middle, high = (np.array([float(r[f"value{k}"]) for r in found]) for k in ("_lower", "", "_upper"))
        assert np.mean((low <= y[1000:]) & (y[1000:] <= high)) == pytest.approx(share, abs=0.07)
        np.testing.assert_allclose(high - middle, middle - low, rtol=1e-3)
        widths.append(np.mean(high - low))
    assert widths[1] / widths[0] == pytest.approx(1.645 / 0.674, rel=0.25)  # as of normal errors
    refused = cli("predict", "run", "later.csv", "--interval", "0.999")
    assert refused.code == 3
    assert "200 validation samples allow shares up to 0.995" in refused.err
    assert cli("train", "line.csv", "--epochs", "1", "--out", "unseen", "--val-fraction", "0").code == 0
    for words in (("unseen",), ("run", "--which", "last")):
        refused = cli("predict", words[0], "later.csv", "--interval", "0.9", *words[1:])
        assert refused.code == 2
        assert "--interval: " in refused.err


def test_a_table_to_predict_for_has_no_parts(cli):
    rng = np.random.default_rng(0)
    lines = [f"{a:.4f},{b:.4f},{c:.4f}\n" for a, b, c in rng.normal(size=(60, 3))]
    Path("line.csv").write_text("a,b,y\n" + "".join(lines))
    Path("later.csv").write_text("a,b\n" + "".join(line.rpartition(",")[0] + "\n" for line in lines))
    assert cli("train", "line.csv", "--epochs", "1", "--out", "run", "--quiet").code == 0
    whole = cli("predict", "run", "later.csv").out
    assert len(whole.splitlines()) == 61
    assert cli("predict", "run", "later.csv", "--part", "train").out == whole
    for data, part in (("later.csv", "test"), ("later.csv", "val"), ("line.csv", "test")):
        refused = cli("predict", "run", data, "--part", part)
        assert (refused.code, refused.out) == (3, "")
        word = {"val": "validation"}.get(part, part)
        assert f"{data}: expected a {word} part, found none; take --part train, which is all there is" in refused.err


def test_quantiles(cli):
    rng = np.random.default_rng(0)
    x = rng.normal(size=1200)
    lines = [f"{a:.4f},{1000 + 100 * a + 50 * e:.4f}\n" for a, e in zip(x, rng.normal(size=1200), strict=True)]
    Path("line.csv").write_text("a,y\n" + "".join(lines))
    done = cli("train", "line.csv", "--loss", "quantile", "--epochs", "40", "--out", "run", "--quiet")
    assert done.code == 0, done.err
    found = table(cli("predict", "run", "line.csv").out)
    assert list(found[0]) == ["row", "quantile_0.05", "quantile_0.5", "quantile_0.95"]
    y = np.array([float(line.split(",")[1]) for line in lines])
    for tau in (0.05, 0.5, 0.95):
        below = np.mean(y <= [float(row[f"quantile_{tau}"]) for row in found])
        assert below == pytest.approx(tau, abs=0.06)
