"""``--resume``: a run that was stopped or killed goes on as if nothing had happened, in its own folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

WORDS = (
    *("train", "digits", "--layers", "24", "--dropout", ".2", "--shift", "1", "--schedule", "cosine"),
    *("--batch-size", "8", "--optimizer", "adamw", "--val-fraction", ".1", "--early-stop", "20", "--backend", "numpy"),
)


def rows(run):
    lines = (Path(run) / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def same(a, b):
    assert rows(a) == rows(b)
    for name in ("best.safetensors", "last.safetensors"):
        first, second = load_file(Path(a) / name), load_file(Path(b) / name)
        assert set(first) == set(second)
        for key in first:
            np.testing.assert_array_equal(first[key], second[key])
    reports = [json.loads((Path(run) / "report.json").read_text()) for run in (a, b)]
    for key in ("metrics", "stopped", "epochs", "best_epoch"):
        assert reports[0][key] == reports[1][key]


def start(*words):
    command = [sys.executable, "-m", "portanet", *WORDS, *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8")


def wait_for(path, process, seconds=60):
    until = time.monotonic() + seconds
    while not Path(path).exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    assert Path(path).exists(), process.communicate()[1]


@pytest.mark.parametrize("end", ["kill", pytest.param("terminate", marks=pytest.mark.slow)])
def test_killed_and_resumed(cli, end):
    assert cli(*WORDS, "--epochs", "12", "--out", "whole").code == 0
    process = start("--epochs", "12", "--out", "run", "--checkpoint-every", "50")
    wait_for("run/checkpoint/training.safetensors", process)
    time.sleep(0.15)
    getattr(process, end)()
    process.communicate(timeout=60)
    assert process.returncode in ((-9, 143) if os.name == "posix" else (1,))
    done = cli("train", "--resume", "run")
    assert done.code == 0, done.err
    same("whole", "run")


def test_more_epochs(cli):
    assert cli("train", "digits", "--epochs", "2", "--out", "run").code == 0
    assert cli("train", "--resume", "run", "--epochs", "4").code == 0
    assert cli("train", "digits", "--epochs", "4", "--out", "whole").code == 0
    same("whole", "run")  # the schedule is constant: it does not matter that the end came later
    assert [row["epoch"] for row in rows("run")] == [1, 2, 3, 4]


def test_each_start_is_noted(cli):
    file = Path("run/environment.json")
    assert cli("train", "moons", "--epochs", "1", "--out", "run").code == 0
    first = json.loads(file.read_text())
    for epochs in ("2", "3"):
        assert cli("train", "--resume", "run", "--epochs", epochs).code == 0
    before = file.read_text()
    about = json.loads(before)
    starts = about.pop("resumed")
    assert about == first
    assert [start["epoch"] for start in starts] == [1, 2]
    assert starts[1]["command"] == ["portanet", "train", "--resume", "run", "--epochs", "3"]
    assert starts[1].keys() == first.keys() - {"seed", "data"} | {"epoch"}
    assert first["started"] <= starts[0]["started"] <= starts[1]["started"]
    assert cli("train", "--resume", "run", "--epochs", "4", "--batch-size", "9").code == 3
    assert file.read_text() == before  # a start that was refused is none


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_text("[1")])
def test_a_run_whose_environment_is_lost_goes_on(cli, damage):
    assert cli("train", "moons", "--epochs", "1", "--out", "run").code == 0
    damage(Path("run/environment.json"))
    done = cli("train", "--resume", "run", "--epochs", "2")
    assert done.code == 0
    assert "environment.json: it cannot be read" in done.err


def test_one_that_is_done_says_so_again(cli):
    assert cli("train", "moons", "--epochs", "2", "--out", "run").code == 0
    before = Path("run/metrics.jsonl").read_text()
    done = cli("train", "--resume", "run", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["epochs"] == 2
    assert Path("run/metrics.jsonl").read_text() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--layers", "9"), "net was"),
        (("--seed", "1"), "seed was 0, is 1"),
        (("--lr", "0.5"), "optimizer was"),
        (("--batch-size", "9"), "batch_size was 128, is 9"),
    ],
)
def test_another_training(cli, words, message):
    assert cli("train", "moons", "--epochs", "1", "--out", "run").code == 0
    report = Path("run/report.json").read_bytes()
    done = cli("train", "--resume", "run", "--epochs", "2", *words)
    assert done.code == 3
    assert message in done.err
    assert "Traceback" not in done.err
    assert Path("run/report.json").read_bytes() == report


def test_other_data(cli, flowers_csv):
    assert cli("train", flowers_csv, "--epochs", "1", "--out", "run").code == 0
    lines = Path(flowers_csv).read_text().splitlines()
    Path(flowers_csv).write_text("\n".join([lines[0], *lines[2:], lines[1]]) + "\n")
    done = cli("train", "--resume", "run", "--epochs", "2")
    assert done.code == 3
    assert "data was" in done.err


@pytest.mark.parametrize("what", ["nothing", "no checkpoint", "a damaged one"])
def test_nothing_to_resume(cli, what):
    if what != "nothing":
        assert cli("train", "moons", "--epochs", "1", "--out", "run").code == 0
        file = Path("run/checkpoint/training.safetensors")
        file.unlink() if what == "no checkpoint" else os.truncate(file, 100)
    done = cli("train", "--resume", "run")
    assert done.code == 3
    assert "expected a" in done.err
    assert "Traceback" not in done.err


def test_resume_goes_by_itself(cli):
    assert cli("train", "moons", "--epochs", "1", "--out", "run").code == 0
    assert cli("train", "--resume", "run", "--out", "other").code == 2
    assert cli("train", "--config", "run/config.toml", "--resume", "run").code == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
def test_two_processes_in_one_run(cli):
    process = start("--epochs", "100000", "--out", "run", "--checkpoint-every", "50")
    wait_for("run/checkpoint/training.safetensors", process)
    done = cli("train", "--resume", "run")
    process.kill()
    process.communicate()
    assert done.code == 2
    assert "another process is training in it" in done.err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows lets few users make links")
def test_the_lock_is_neither_followed_nor_truncated(cli, tmp_path):
    assert cli("train", "moons", "--epochs", "1", "--out", "run").code == 0
    lock, other = Path("run/.lock"), tmp_path / "other"
    other.write_text("kept")
    lock.unlink()
    lock.symlink_to(other)
    done = cli("train", "--resume", "run", "--epochs", "2")
    assert (done.code, other.read_text()) == (3, "kept")
    assert "run/.lock: expected a file of the run's own, found a link" in done.err
    lock.unlink()
    lock.hardlink_to(other)
    assert cli("train", "--resume", "run", "--epochs", "2").code == 0
    assert other.read_text() == "kept"


@pytest.mark.parametrize("every", ["0", "5x", "-1", "soon"])
def test_checkpoint_every_what(cli, every):
    done = cli("train", "moons", "--checkpoint-every", every)
    assert done.code == 2
    assert "expected a number of steps, or a time" in done.err
