"""`portanet show`: a training step of a run on a sample, in numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest

import portanet as pn


def test_a_step_of_a_run_is_shown(moons):
    found = moons("show", "runs/moons", "--sample", "3")
    assert found.code == 0
    lines = found.out.splitlines()
    net, data = pn.load("runs/moons/best.safetensors"), pn.data.load("moons")
    x, y = data.x_test[3:4], data.y_test[3:4]
    p = float(net.predict(x)[0, 0])
    guess = int(p > 0.5)
    p = p if guess else 1 - p
    assert lines[0] == f"sample 3 of the test part of moons: class {y[0]}, predicted {guess} with p = {p:.4f}"
    assert lines[2] == "one step of Adam with lr 0.05 on 1 sample, float32"
    assert "Dense 1: Dense 6" in lines
    assert f"  loss = {net.evaluate(x, y)['loss']:.6g}" in lines
    assert [line.split(" ")[0] for line in lines if line.endswith("---")] == ["FORWARD", "LOSS", "BACKWARD", "UPDATE"]


def test_all_numbers_as_json(moons):
    found = json.loads(moons("show", "runs/moons", "--json", "--part", "train").out)
    assert found["sample"].startswith("sample 0 of the train part of moons")
    np.testing.assert_allclose(found["forward"][0]["arrays"]["x"], pn.data.load("moons").x[:1], rtol=1e-6)
    net = pn.load("runs/moons/best.safetensors")
    assert {block["title"] for block in found["update"]} == set(net.params)


def test_a_page(moons, tmp_path):
    found = moons("show", "runs/moons/best.safetensors", "moons", "-o", "step.html")
    assert (found.code, found.out) == (0, "")
    assert "step.html: open it in a browser" in found.err
    page = (tmp_path / "step.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "y = x W + b" in page


def test_a_regression_of_a_table(cli, numbers_csv):
    assert cli("train", numbers_csv, "--target", "y", "--layers", "4", "--epochs", "1", "--quiet").code == 0
    found = cli("show", "runs/numbers")
    assert found.out.startswith(f"sample 0 of the train part of {numbers_csv}: target ")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("runs/moons", "--sample", "5000"), 3, "--sample 5000: the test part of moons has 200 samples; give 0 to 199"),
        (("runs/moons", "--sample", "-1"), 2, "-1 is not in the range x>=0"),
        (("alone.safetensors",), 2, "a file of weights does not say what it was trained on; give DATA too"),
        (("nowhere",), 3, "expected a run folder or a .safetensors file, found nothing there"),
    ],
)
def test_what_cannot_be_is_refused(moons, tmp_path, words, code, said):
    (tmp_path / "alone.safetensors").write_bytes((tmp_path / "runs/moons/best.safetensors").read_bytes())
    found = moons("show", *words)
    assert (found.code, found.out) == (code, "")
    assert said in found.err
