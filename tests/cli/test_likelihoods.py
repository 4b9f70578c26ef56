"""Losses that are likelihoods, on the command line: a deviation for each prediction, and log-probabilities."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

import portanet as pn


def noisy(n=400):
    """Return inputs and targets 100 + 50 x whose deviation grows with x: 2 + 8 x."""
    rng = np.random.default_rng(1)
    x = rng.random((n, 1))
    return x, (100 + 50 * x + (2 + 8 * x) * rng.normal(size=(n, 1)))[:, 0]


def test_the_command_line_predicts_deviations(cli):
    x, y = noisy()
    with open("noisy.csv", "w", encoding="utf-8") as file:
        file.write("x,y\n" + "".join(f"{a},{b}\n" for a, b in zip(x[:, 0].tolist(), y.tolist(), strict=True)))
    how = ["--target", "y", "--layers", "16", "--activation", "tanh", "--epochs", "150", "--lr", ".01", "--quiet"]
    done = cli("train", "noisy.csv", *how, "--loss", "gaussian_nll", "--max-norm", "3", "--out", "run")
    assert done.code == 0, done.err
    assert pn.load("run/best.safetensors").optimizer.max_norm == 3.0
    with open("new.csv", "w", encoding="utf-8") as file:
        file.write("x,y\n0.1,0\n0.9,0\n")
    header, *rows = csv.reader(io.StringIO(cli("predict", "run", "new.csv").out))
    assert header == ["row", "value", "value_std"]
    (_, low, low_std), (_, high, high_std) = ([float(v) for v in row] for row in rows)
    assert low == pytest.approx(105, abs=3)
    assert high == pytest.approx(145, abs=4)
    assert low_std == pytest.approx(2.8, rel=0.4)
    assert high_std == pytest.approx(9.2, rel=0.3)
    assert "trained to predict deviations" in cli("predict", "run", "new.csv", "--interval", ".9").err
    done = cli("train", "noisy.csv", "--target", "y", "--loss", "gaussian_nll", "--recipe", "realmlp")
    assert done.code == 2
    assert "variances are not learned at the rates of --recipe realmlp" in done.err
    done = cli(
        "train", "noisy.csv", "--target", "y", "--loss", "gaussian_nll", "--epochs", "1", "--quiet", "--out", "b"
    )
    assert done.code == 0, done.err
    assert 'recipe = "plain"' in Path("b/config.toml").read_text("utf-8")
    done = cli("train", "moons", "--loss", "gaussian_nll")
    assert done.code == 2
    assert "expected numbers, got classes" in done.err
    done = cli("train", "moons", "--loss", "nll")
    assert done.code == 2
    assert "expected classes and --output-activation log_softmax" in done.err
    done = cli("train", "moons", "--loss", "nll", "--output-activation", "log_softmax", "--epochs", "1", "--quiet")
    assert done.code == 0, done.err
