"""Tables with text, gaps and dates by the command line: one command trains, and later tables are matched by name."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

import portanet as pn

QUICK = ("--layers", "16", "--epochs", "15", "--lr", ".02", "--batch-size", "16", "--seed", "1")


def rows(n=120, seed=0):
    """Return houses: the price follows from size, city and whether there is a garden."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        size, city, garden = rng.integers(30, 200), rng.choice(["Bern", "Rome", "Oslo"]), rng.random() < 0.5
        price = 2000 * size + {"Bern": 2e5, "Rome": 0, "Oslo": 1e5}[city] + 5e4 * garden
        gap = rng.random() < 0.1
        found.append(
            {
                "size": "NA" if gap else str(size),
                "city": city,
                "garden": "yes" if garden else "no",
                "sold": f"2020-{rng.integers(1, 13):02d}-{rng.integers(1, 28):02d}",
                "price": f"{price:.0f}",
                "dear": "dear" if price > 4e5 else "cheap",
            }
        )
    return found


def write(path, found, columns):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", restval="9")
        writer.writeheader()
        writer.writerows(found)
    return path


FEATURES = ["size", "city", "garden", "sold"]


@pytest.fixture
def houses(cli):
    write("houses.csv", rows(), [*FEATURES, "dear"])
    done = cli("train", "houses.csv", *QUICK, "--out", "run")
    assert done.code == 0, done.err
    return cli, done


def labels(text):
    return [row["label"] for row in csv.DictReader(io.StringIO(text))]


def test_what_was_decided_is_printed_and_kept(houses):
    cli, done = houses
    assert "column   city    category  3: Bern, Oslo, Rome" in done.err
    assert "garden  boolean   no 0, yes 1" in done.err
    assert "missing ones are filled with" in done.err
    kept = json.loads(Path("run/columns.json").read_text())
    assert kept == pn.load("run/best.safetensors").columns.as_dict()
    assert kept["target"] == "dear"
    shown = cli("info", "houses.csv").out
    assert "city    category  3: Bern, Oslo, Rome" in shown
    assert cli("info", "run").out.count("column   ") == 4
    found = json.loads(cli("info", "houses.csv", "--json", "--drop", "city").out)["columns"]
    assert [column["kind"] for column in found] == ["number", "left out", "boolean", "date"]


def test_later_tables_by_name_without_a_target(houses):
    cli, _ = houses
    whole = rows(40, 1)
    write("ordered.csv", whole, [*FEATURES, "dear"])
    wanted = labels(cli("predict", "run", "ordered.csv").out)
    truth = [row["dear"] for row in whole]
    assert np.mean(np.array(wanted) == truth) > 0.8
    write("mixed.csv", whole, ["sold", "more", "garden", "city", "size"])
    mixed = cli("predict", "run", "mixed.csv")
    assert labels(mixed.out) == wanted
    assert "not trained on are ignored: more" in mixed.err
    write("blank.csv", [{**row, "dear": "?"} for row in whole], [*FEATURES, "dear"])
    assert labels(cli("predict", "run", "blank.csv").out) == wanted
    accuracy = json.loads(cli("evaluate", "run", "ordered.csv", "--json").out)["accuracy"]
    assert accuracy == pytest.approx(np.mean(np.array(wanted) == truth))
    write("fewer.csv", whole, ["size", "town", "garden"])
    refused = cli("predict", "run", "fewer.csv")
    assert refused.code == 3
    assert "now missing: city, sold; feature names unseen at fit time: town" in refused.err


def test_a_category_that_was_not_seen_and_a_gap_are_no_error(houses):
    cli, _ = houses
    write("new.csv", [{**rows(1)[0], "city": "Lima"}, {**rows(1)[0], "garden": ""}], FEATURES)
    assert len(labels(cli("predict", "run", "new.csv").out)) == 2


def test_a_run_resumes(houses):
    cli, _ = houses
    again = cli("train", "--resume", "run", "--epochs", "17")
    assert again.code == 0, again.err
    assert json.loads(Path("run/report.json").read_text())["epochs"] == 17


def test_exports_hold_the_columns_or_are_refused(houses):
    cli, _ = houses
    done = cli("export", "run", "--to", "numpy")
    assert done.code == 0
    assert "to predict: python run/model_predict.py TABLE.csv" in done.err
    assert cli("export", "run", "--to", "onnx").code == 0
    for form in ("torch", "npz"):
        refused = cli("export", "run", "--to", form)
        assert refused.code == 2
        assert "take --to onnx or --to numpy" in refused.err


def test_prices_are_learned_on_their_own_scale(cli):
    write("houses.csv", rows(), [*FEATURES, "price"])
    done = cli("train", "houses.csv", "--target", "price", *QUICK, "--epochs", "40", "--val-fraction", ".2", "--json")
    assert done.code == 0, done.err
    measured = json.loads(done.out)["metrics"]
    assert measured["val_r2"] > 0.8
    assert 1e3 < measured["val_mae"] < 1e5  # in the units of the price
    value = [
        float(row["value"]) for row in csv.DictReader(io.StringIO(cli("predict", "runs/houses", "houses.csv").out))
    ]
    truth = [float(row["price"]) for row in rows()]
    assert np.corrcoef(value, truth)[0, 1] > 0.9
    plain = ("--target", "price", *QUICK, "--out", "plain", "--no-standardize-target", "--json")
    assert json.loads(cli("train", "houses.csv", *plain).out)["metrics"]["r2"] < 0


@pytest.mark.parametrize("target", ["dear", "price"])
def test_cv_and_tune(cli, target):
    write("houses.csv", rows(), [*FEATURES, target])
    found = cli("cv", "houses.csv", "-k", "3", *QUICK, "--json")
    assert found.code == 0, found.err
    mean = json.loads(found.out)["mean"]
    assert mean["accuracy" if target == "dear" else "r2"] > 0.7
    Path("space.toml").write_text("lr = [0.01, 0.02]\n")
    found = cli("tune", "houses.csv", "--space", "space.toml", "--trials", "2", *QUICK, "--json")
    assert found.code == 0, found.err
    assert len(json.loads(found.out)) == 2


def test_options_that_do_not_fit_the_data(cli):
    for words, told in (
        (("digits", "--drop", "a"), "--drop, --categorical and --missing are for tables"),
        (("digits", "--delimiter", ";"), "--delimiter: for tables of text alone"),
    ):
        done = cli("train", *words)
        assert done.code == 2
        assert told in done.err
    write("houses.csv", rows(), [*FEATURES, "dear"])
    done = cli("train", "houses.csv", "--missing", "error")
    assert done.code == 3
    assert "'size': " in done.err
    assert "allow gaps by --missing auto" in done.err


def test_numbers_as_names_of_columns(cli):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3))
    kinds = np.where(x[:, 0] > x[:, 2], "left", "right")
    text = "0,1,2,kind\n" + "".join(f"{a:.4f},{b:.4f},{c:.4f},{k}\n" for (a, b, c), k in zip(x, kinds, strict=True))
    Path("numbers.csv").write_text(text)
    assert cli("train", "numbers.csv", *QUICK, "--out", "run").code == 0
    back = "2,1,0\n" + "".join(f"{c:.4f},{b:.4f},{a:.4f}\n" for a, b, c in x)
    Path("reversed.csv").write_text(back)
    found = labels(cli("predict", "run", "reversed.csv").out)
    assert found == labels(cli("predict", "run", "numbers.csv").out)
    assert np.mean(np.array(found) == kinds) > 0.9
