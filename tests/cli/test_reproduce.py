"""`portanet reproduce`: a run is run again, and what differs is named."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import portanet as pn
from portanet.errors import DivergedError


def edit(path, change):
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))


def test_a_run_is_the_same_bit_for_bit(moons, tmp_path):
    found = moons("reproduce", "runs/moons")
    assert (found.code, found.out) == (
        0,
        "runs/moons: bit for bit: 3 epochs, the weights of best.safetensors and last.safetensors\n",
    )
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["moons"]
    kept = moons("reproduce", "runs/moons", "--out", "again", "--json", "--quiet")
    assert json.loads(kept.out) == {
        "run": "runs/moons",
        "same": True,
        "compared": "3 epochs, the weights of best.safetensors and last.safetensors",
        "difference": None,
        "environment": [],
    }
    assert moons("reproduce", "again").code == 0


def test_what_was_resolved_is_what_is_run_again(cli, flowers_csv, tmp_path):
    (tmp_path / "run.toml").write_text(
        'early_stop = 2\nval_fraction = 0.3\nschedule = "cosine"\n[[layers]]\ntype = "Dense"\nunits = 5\n'
        '[[layers]]\ntype = "Dropout"\nrate = 0.2\n[[layers]]\ntype = "Dense"\nunits = 3\n'
    )
    words = ("--config", "run.toml", "--epochs", "40", "--lr", ".3", "--quiet", "--out", "own")
    assert cli("train", flowers_csv, "--target", "kind", *words).code == 0
    epochs = json.loads((tmp_path / "own/report.json").read_text())["epochs"]
    assert epochs < 40
    assert cli("reproduce", "own").out.startswith(f"own: bit for bit: {epochs} epochs, the weights of ")


def test_the_first_number_that_differs_is_named(moons, tmp_path):
    path = tmp_path / "runs/moons/metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    loss = rows[1]["loss"]
    rows[1]["loss"] = loss * 1.001
    rows[2]["accuracy"] = 0.0
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    edit(tmp_path / "runs/moons/environment.json", lambda about: about.update(numpy="1.0", ranks=4))
    found = moons("reproduce", "runs/moons", "--quiet")
    assert (found.code, found.out) == (7, "")
    assert found.err.splitlines() == [
        f"Error: runs/moons: not reproduced: epoch 2: loss was {rows[1]['loss']!r}, is {loss!r} "
        "(relative difference 1.0e-03)",
        f"  numpy: 1.0 in the run, {np.__version__} here",
        "  ranks: 4 in the run, 1 here",
    ]


def test_another_environment_alone_is_no_failure(moons, tmp_path):
    edit(tmp_path / "runs/moons/environment.json", lambda about: about["backend"].update(version="0.1"))
    found = moons("reproduce", "runs/moons")
    assert found.code == 0
    assert f"although  backend version: 0.1 in the run, {np.__version__} here" in found.err.splitlines()


def test_weights_and_the_test_part_are_compared(moons, tmp_path):
    run = tmp_path / "runs/moons"
    net = pn.load(run / "last.safetensors")
    weights = net.snapshot()
    weights["params"]["1.weight"][0, 2] += 0.5
    net.restore(weights)
    shutil.copy(run / "last.safetensors", tmp_path / "kept")
    net.save(run / "last.safetensors")
    found = moons("reproduce", "runs/moons", "--quiet")
    assert "last.safetensors: 1.weight differs in 1 numbers, by 5.0e-01 at most" in found.err
    assert "  the environment is the same, as far as it was recorded" in found.err.splitlines()
    shutil.copy(tmp_path / "kept", run / "last.safetensors")
    edit(run / "report.json", lambda report: report["metrics"].update(test_accuracy=2.0))
    found = moons("reproduce", "runs/moons", "--quiet")
    assert found.code == 7
    assert "at the end: test_accuracy was 2.0, is 0." in found.err


def test_other_data_are_refused_before_training(cli, numbers_csv):
    assert cli("train", numbers_csv, "--target", "y", "--layers", "4", "--epochs", "1", "--quiet").code == 0
    numbers_csv.write_text(numbers_csv.read_text().replace("1", "2"))
    found = cli("reproduce", "runs/numbers")
    assert (found.code, found.out) == (3, "")
    assert "expected the data that it was trained on, SHA-256 " in found.err
    assert "put the file back as it was" in found.err
    assert "epoch" not in found.err


def test_a_run_that_was_stopped_is_compared_as_far_as_it_went(moons, tmp_path):
    run = tmp_path / "runs/moons"
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(lines[:2]))
    edit(run / "report.json", lambda report: report.update(stopped="interrupted"))
    found = moons("reproduce", "runs/moons", "--out", "again")
    assert found.out == "runs/moons: bit for bit: 2 epochs (it was stopped there; its weights are not compared)\n"
    assert json.loads((tmp_path / "again/report.json").read_text())["epochs"] == 2


def test_epochs_of_a_later_command_are_not_compared(moons):
    assert moons("train", "--resume", "runs/moons", "--epochs", "5", "--quiet").code == 0
    found = moons("reproduce", "runs/moons")
    assert found.out == "runs/moons: bit for bit: 3 epochs (a later command trained 2 more, which are not compared)\n"


def test_a_run_that_diverged_does_so_again(cli):
    words = ("--optimizer", "sgd", "--lr", "1e39", "--batch-size", "8", "--epochs", "1", "--quiet")
    assert cli("train", "moons", "--layers", "6", *words).code == DivergedError.exit_code
    assert cli("reproduce", "runs/moons").out.startswith("runs/moons: bit for bit: 0 epochs")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda run: (run / "report.json").unlink(), "expected the report of a run that has ended, cannot be read"),
        (lambda run: (run / "environment.json").write_text("[]"), "expected the environment of a run, got something"),
        (lambda run: (run / "config.toml").unlink(), "expected a run folder with config.toml, found none"),
        (lambda run: (run / "config.toml").write_text("epochs = 2.5\n"), "'2.5' is not a valid integer"),
    ],
)
def test_what_is_no_run_is_refused(moons, tmp_path, spoil, said):
    spoil(tmp_path / "runs/moons")
    found = moons("reproduce", "runs/moons")
    assert found.code in (2, 3)
    assert found.out == ""
    assert said in found.err
