"""Training from the command line: what is decided, what is written, what is printed."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import portanet as pn
from portanet.data import load
from portanet.errors import OutOfMemoryError

QUICK = ("--layers", "6", "--epochs", "2")


def model(path) -> Any:
    return pn.load(path)


def test_train_alone_learns_the_digits(shell, tmp_path):
    done = shell("train", "--layers", "64", "--lr", ".01", "--json", "--quiet", PORTANET_BACKEND="numpy")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["run"] == "runs/digits"
    assert report["metrics"]["test_accuracy"] > 0.9
    assert json.loads((tmp_path / "runs/digits/report.json").read_text()) == report


def test_run_folder_holds_all_there_is_to_know(cli):
    done = cli("train", "moons", *QUICK, "--val-fraction", ".25", "--seed", "7")
    assert done.code == 0, done.err
    run = Path("runs/moons")
    files = {path.name for path in run.iterdir()}
    expected = {"config.toml", "metrics.jsonl", "environment.json", "report.json"}
    assert files == expected | {"best.safetensors", "last.safetensors", "checkpoint", ".lock"}

    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2]
    assert set(rows[0]) == {"epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds"}

    about = json.loads((run / "environment.json").read_text())
    assert about["command"] == ["portanet", "train", "moons", *QUICK, "--val-fraction", ".25", "--seed", "7"]
    assert about["seed"] == 7
    assert about["data"]["sha256"] == pn.data.fingerprint(load("moons"))
    assert about["backend"]["name"] == "numpy"
    assert about["backend"]["version"] == about["numpy"] == np.__version__
    assert about["blas"]["library"]

    report = json.loads((run / "report.json").read_text())
    assert report["stopped"] == "epochs"
    assert report["epochs"] == 2
    best = min(rows, key=lambda row: row["val_loss"])
    assert report["best_epoch"] == best["epoch"]
    assert report["metrics"]["val_loss"] == best["val_loss"]
    assert re.fullmatch(r"runs/moons  epoch \d of 2  loss .*test_accuracy 0\.\d+\n", done.out)


def test_last_and_best_are_the_epochs_that_they_say(cli):
    # So large a rate worsens the validation loss sooner or later.
    assert cli("train", "moons", "--epochs", "9", "--lr", ".9", "--val-fraction", ".3", "--json").code == 0
    rows = [json.loads(line) for line in Path("runs/moons/metrics.jsonl").read_text().splitlines()]
    best = min(rows, key=lambda row: row["val_loss"])["epoch"]
    assert best != 9, "the case is chosen so that the last epoch is not the best"
    assert model("runs/moons/best.safetensors").epoch == best
    assert model("runs/moons/last.safetensors").epoch == 9


def test_test_part_is_evaluated_by_the_best_weights(cli):
    done = cli("train", "moons", "--epochs", "9", "--lr", ".9", "--val-fraction", ".3", "--json")
    data = load("moons")
    found = model("runs/moons/best.safetensors").evaluate(data.x_test, data.y_test)
    metrics = json.loads(done.out)["metrics"]
    assert {name: metrics[f"test_{name}"] for name in found} == pytest.approx(found)


def test_config_makes_the_same_run_again(cli):
    options = ("--dropout", ".2", "--early-stop", "5", "--schedule", "step:every=1,gamma=.5", "--momentum", ".9")
    first = cli("train", "moons", *QUICK, *options, "--optimizer", "sgd", "--seed", "3", "--json")
    again = cli("train", "--config", "runs/moons/config.toml", "--json")
    assert again.code == 0, again.err
    one, two = json.loads(first.out), json.loads(again.out)
    assert (one["run"], two["run"]) == ("runs/moons", "runs/moons-2")
    assert one["metrics"] == two["metrics"]
    assert Path("runs/moons/config.toml").read_text() == Path("runs/moons-2/config.toml").read_text()


def test_a_run_is_never_written_over(cli, tmp_path):
    (tmp_path / "mine").mkdir()
    assert cli("train", "moons", *QUICK, "--out", "mine").code == 0, "an empty folder is free"
    before = (tmp_path / "mine/report.json").read_bytes()
    refused = cli("train", "moons", *QUICK, "--out", "mine")
    assert refused.code == 2
    assert "mine" in refused.err
    assert (tmp_path / "mine/report.json").read_bytes() == before


def test_nothing_is_written_for_what_cannot_be(cli):
    for words in (["--activation", "rellu"], ["--lr", "-1"], ["--dropout", "1"], ["--loss", "poisson"]):
        assert cli("train", "moons", *words).code == 2
    assert not Path("runs").exists()


def test_quiet_and_json_leave_one_object_and_no_word(cli):
    done = cli("train", "moons", *QUICK, "--quiet", "--json")
    assert done.err == ""
    assert json.loads(done.out)["epochs"] == 2


def test_what_was_decided_is_told_on_stderr(cli):
    told = cli("train", "moons", *QUICK)
    assert "moons: 800 samples of 2, 2 classes, a test part of 200" in told.err
    assert "Standardize, Dense 6, ReLU, Dense 1: 25 parameters" in told.err
    assert "binary_cross_entropy, adam with lr 0.001, on numpy in float32" in told.err
    assert "epoch 2/2" in told.err


def test_early_stop_takes_a_validation_part_by_itself(cli):
    done = cli("train", "moons", "--layers", "6", "--epochs", "500", "--lr", ".5", "--early-stop", "2", "--json")
    report = json.loads(done.out)
    assert report["stopped"].startswith("no better val_loss for 2 epochs")
    assert report["epochs"] == report["best_epoch"] + 2
    assert tomllib.loads(Path("runs/moons/config.toml").read_text())["val_fraction"] == 0.1
    refused = cli("train", "moons", "--early-stop", "2", "--val-fraction", "0")
    assert refused.code == 2
    assert "--val-fraction" in refused.err


def test_plateau_takes_a_validation_part_too(cli):
    done = cli("train", "moons", *QUICK, "--schedule", "warm-up:epochs=1,then=plateau", "--json")
    assert "val_loss" in json.loads(done.out)["metrics"]


def test_time_limit(cli):
    done = cli("train", "moons", "--layers", "6", "--epochs", "1000000", "--time-limit", "0.5s", "--json")
    report = json.loads(done.out)
    assert done.code == 0
    assert report["stopped"] == "time limit of 0.5 s"
    assert 0 < report["epochs"] < 1000000
    assert "test_loss" in report["metrics"]


@pytest.mark.parametrize("batch", ["8", "full"])
def test_divergence_keeps_the_last_good_weights(cli, batch):
    # With small batches the first epoch's loss overflows; with one step it is still finite, and the weights are not.
    rate = ("--optimizer", "sgd", "--lr", "1e39", "--batch-size", batch)
    done = cli("train", "moons", "--layers", "6", "--epochs", "1", *rate, "--json", "--out", "run")
    assert done.code == 5
    report = json.loads(done.out)
    assert report["stopped"] == "diverged"
    assert report == json.loads(Path("run/report.json").read_text())
    assert "diverged" in done.err
    assert "run/last.safetensors" in done.err
    weights = pn.load("run/last.safetensors").params
    assert all(np.isfinite(p).all() for p in weights.values())
    assert not Path("run/best.safetensors").exists()


def test_out_of_memory(cli, monkeypatch):
    def fail(*_, **__):
        message = "[cupy] out of memory"
        raise OutOfMemoryError(message)

    monkeypatch.setattr(pn.Trainer, "fit", fail)
    done = cli("train", "moons", "--json")
    assert done.code == 6
    assert json.loads(done.out)["stopped"] == "out of memory"


def test_backend_that_is_not_there_by_name(cli, monkeypatch):
    from portanet.backends.diagnosis import probe
    from portanet.backends.diagnosis.probe_cupy import look

    monkeypatch.setattr("portanet.backends.diagnosis.probe_cupy.look", lambda place: _no_cupy(look, place))
    pn.backends.select.forget()
    probe.forget()
    done = cli("train", "moons", "--backend", "cupy")
    pn.backends.select.forget()
    assert done.code == 4
    assert "'cupy' cannot be used: no card" in done.err
    assert "pip install" in done.err
    assert not Path("runs").exists()


def _no_cupy(look, place):
    from portanet.backends.diagnosis.stages import Unusable

    raise Unusable(stage="driver", reason="no card", fix="pip install a card")


def test_plots_are_drawn_behind_the_report(cli, monkeypatch):
    seen = []

    def draw(folder, trainer, dataset, *, of):
        seen.append((str(folder), (folder / "report.json").is_file(), trainer.epoch, dataset.name, of))
        return [folder / "plots/curves.png"]

    monkeypatch.setattr("portanet.plot.run_plots", draw)
    done = cli("train", "moons", *QUICK, "--plots")
    assert seen == [("runs/moons", True, 2, "moons", "training samples")]
    assert "runs/moons/plots/curves.png" in done.err


def test_validation_samples_are_not_trained_on(cli, monkeypatch):
    seen = []

    def watched(self, data, *_, validation_data, **__):
        seen.extend([data.x, validation_data[0]])
        raise OutOfMemoryError

    monkeypatch.setattr(pn.Trainer, "fit", watched)
    assert cli("train", "moons", "--val-fraction", ".25").code == 6
    train, validation = ({row.tobytes() for row in part} for part in seen)
    assert (len(train), len(validation)) == (600, 200)
    assert train | validation == {row.tobytes() for row in load("moons").x}
    assert not train & validation


def test_a_batch_size_is_found(cli):
    done = cli("train", "moons", *QUICK, "--batch-size", "auto")
    assert done.code == 0, done.err
    assert "portanet: --batch-size auto: 16" in done.err
    assert tomllib.loads(Path("runs/moons/config.toml").read_text())["batch_size"] == 16


def test_a_training_that_diverges_goes_on_with_a_lower_rate(cli):
    words = ("train", "moons", *QUICK, "--optimizer", "sgd", "--lr", "30", "--loss", "mean_squared_error")
    assert cli(*words, "--output-activation", "linear").code == 5
    done = cli(*words, "--output-activation", "linear", "--on-divergence", "lower_lr", "--out", "lower")
    assert done.code == 0, done.err
    assert (
        "restored the first weights and continuing with the learning rate scaled by 0.5 (attempt 1 of 10)" in done.err
    )
    rows = [json.loads(line) for line in Path("lower/metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2]
    assert rows[-1]["lr"] < 30
    assert tomllib.loads(Path("lower/config.toml").read_text())["on_divergence"] == "lower_lr"


def test_init_from_starts_from_a_trained_network(cli):
    words = ("train", "digits", "--layers", "16", "--backend", "numpy")
    assert cli(*words, "--epochs", "2", "--out", "first").code == 0
    done = cli(*words, "--epochs", "0", "--out", "again", "--init-from", "first")
    assert (done.code, "took 4 of 4 arrays" in done.err) == (0, True)
    first, again = model("first/best.safetensors").snapshot(), model("again/last.safetensors").snapshot()
    for name, array in first["params"].items():
        np.testing.assert_array_equal(again["params"][name], array)
    words = ("train", "digits", "--layers", "16,8", "--out", "part")
    done = cli(*words, "--epochs", "1", "--init-from", "first/best.safetensors")
    assert (done.code, "took 2 of 6 arrays: 2.weight, 2.bias; left as they were: 4.weight" in done.err) == (0, True)
    assert 'init_from = "first/best.safetensors"' in Path("part/config.toml").read_text()
    Path("first/best.safetensors").unlink()
    assert cli("train", "--resume", "part", "--epochs", "2").code == 0  # it has weights of its own
    refused = cli("train", "digits", "--init-from", "first", "--out", "none")
    assert (refused.code, "first/best.safetensors" in refused.err, Path("none").exists()) == (3, True, False)
