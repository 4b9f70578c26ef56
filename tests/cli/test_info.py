"""``portanet info``."""

from __future__ import annotations

import json
from pathlib import Path

from portanet.data import load


def test_info_of_a_run(moons):
    found = json.loads(moons("info", "runs/moons", "--json").out)
    assert found["kind"] == "model"
    assert found["file"] == "runs/moons/best.safetensors"
    assert found["bytes"] == Path("runs/moons/best.safetensors").stat().st_size
    assert [(row["layer"], row["output_shape"], row["parameters"]) for row in found["layers"]] == [
        ("Standardize", [2], 0),
        ("Dense 6", [6], 18),
        ("ReLU", [6], 0),
        ("Dense 1", [1], 7),
    ]
    assert found["parameters"] == 25
    assert found["classes"] == ["0", "1"]
    assert found["report"]["epochs"] == 3
    shown = moons("info", "runs/moons").out
    for word in ("Dense 6", "25", "classes  0, 1", "of 3", "test_accuracy"):
        assert word in shown


def test_info_of_a_file(moons):
    found = json.loads(moons("info", "runs/moons/last.safetensors", "--json").out)
    assert found["epoch"] == 3
    assert "report" not in found


def test_info_of_data(cli):
    found = json.loads(cli("info", "digits", "--json").out)
    data = load("digits")
    assert found["shape"] == [8, 8]
    assert found["scale"] == 16
    assert found["train"]["samples"] == len(data.x)
    assert found["train"]["classes"]["3"] == int((data.y == 3).sum())
    assert found["test"]["classes"]["3"] == int((data.y_test == 3).sum())
    shown = cli("info", "digits").out
    assert "8×8" in shown
    assert f"class 3    {int((data.y == 3).sum())}" in shown


def test_info_of_numbers(cli):
    Path("line.csv").write_text("x,z,y\n" + "".join(f"{i},{i % 5},{2 * i}\n" for i in range(60)))
    found = json.loads(cli("info", "line.csv", "--task", "regression", "--json").out)
    assert found["train"]["target"] == {"min": 0.0, "mean": 59.0, "max": 118.0}
    assert found["features"] == ["x", "z"]
    assert "118" in cli("info", "line.csv", "--task", "regression").out


def test_info_of_nothing(cli):
    ended = cli("info", "digts")
    assert ended.code == 3
    assert "did you mean 'digits'?" in ended.err
