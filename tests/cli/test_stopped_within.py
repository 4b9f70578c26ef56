"""``portanet train`` that ends within an epoch: what it reports, saves, and resumes."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

import portanet as pn
from portanet.callbacks import stopping
from tests.small import blobs

STEPS = 9  # of an epoch: 72 training samples by 8


@pytest.fixture
def after(monkeypatch):
    """Let ``--time-limit`` end the training after so many steps."""

    def limit(steps):
        times = iter([0.0, *[0.0] * (steps - 1), 1e9])
        monkeypatch.setattr(stopping, "time", SimpleNamespace(monotonic=lambda: next(times)))

    return limit


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("steps", [3 * STEPS + 4, 3 * STEPS + 1])
def test_the_report_is_of_the_best_weights(cli, after, tmp_path, early, steps):
    x, y = blobs(120)
    np.savez(tmp_path / "d.npz", x_train=x[:90], y_train=y[:90], x_test=x[90:], y_test=y[90:])
    words: tuple[str, ...] = (
        "train",
        "d.npz",
        "--layers",
        "6",
        "--epochs",
        "9",
        "--batch-size",
        "8",
        "--val-fraction",
        ".2",
    )
    words += ("--lr", "3", "--early-stop", "8") if early else ("--lr", "3")  # too large: the best is not the last
    after(steps)
    done = cli(*words, "--time-limit", "1h", "--out", "run", "--json")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    best = min(rows, key=lambda row: row["val_loss"])
    assert (report["stopped"], report["epochs"], len(rows)) == ("time limit of 3600 s", 3, 3)
    assert best["epoch"] < 3
    assert report["best_epoch"] == best["epoch"]
    assert report["metrics"]["val_loss"] == best["val_loss"]
    found = json.loads(cli("evaluate", "run", "d.npz", "--json").out)
    for name in ("loss", "accuracy"):
        assert report["metrics"][f"test_{name}"] == pytest.approx(found[name], rel=1e-6)
    saved = {name: pn.load(tmp_path / "run" / f"{name}.safetensors", backend="numpy") for name in ("best", "last")}
    assert saved["best"].epoch == best["epoch"]
    assert any(
        not np.array_equal(a, saved["last"].snapshot()["params"][name])
        for name, a in saved["best"].snapshot()["params"].items()
    )
    # Resumed, it is the run that was never stopped.
    after(10**6)
    assert cli("train", "--resume", "run").code == 0
    assert cli(*words, "--out", "whole").code == 0
    for name in ("best", "last"):
        one, other = (pn.load(tmp_path / run / f"{name}.safetensors", backend="numpy") for run in ("run", "whole"))
        for key, array in one.snapshot()["params"].items():
            np.testing.assert_array_equal(array, other.snapshot()["params"][key])
