"""Data on disk from the command line: when they stay there, that the numbers are the same, and the conversion."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest

from portanet.data import sizes
from portanet.data.lazy import block_order

QUICK = ("--layers", "6", "--epochs", "2", "--val-fraction", ".2")


@pytest.fixture
def pair(cli):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 5)) * [1, 10, 100, 1, 1] + 3
    np.save("X.npy", x)
    np.save("y.npy", np.asarray(["no", "yes"])[(x[:, 0] > 3).astype(int)])
    return cli


def rows(run):
    lines = (Path(run) / "metrics.jsonl").read_text().splitlines()
    return [{name: value for name, value in json.loads(line).items() if name != "seconds"} for line in lines]


def test_the_same_numbers_from_disk(pair):
    full = ("--batch-size", "full", "--epochs", "3", "--layers", "6", "--val-fraction", ".2")  # one order for both
    assert pair("train", "X.npy", *full, "--no-stream", "--out", "whole").code == 0
    done = pair("train", "X.npy", *full, "--stream", "--out", "disk")
    assert done.code == 0, done.err
    assert "X.npy: read from disk while it is trained on, as asked for" in done.err
    assert "one pass over 320 samples for their mean and deviation" in done.err
    for expected, got in zip(rows("whole"), rows("disk"), strict=True):
        assert got == pytest.approx(expected, rel=1e-5)
    assert tomllib.loads(Path("disk/config.toml").read_text())["stream"] is True
    assert len(json.loads(Path("disk/environment.json").read_text())["data"]["sha256_of_some"]) == 64
    whole, disk = (pair("evaluate", "disk", "X.npy", way, "--json") for way in ("--no-stream", "--stream"))
    assert json.loads(whole.out) == json.loads(disk.out)
    predicted = pair("predict", "disk", "X.npy", "--stream")
    assert predicted.out == pair("predict", "disk", "X.npy", "--no-stream").out
    assert len(predicted.out.splitlines()) == 401


def test_which_way_and_why(pair, monkeypatch):
    assert "read into memory" not in pair("train", "X.npy", *QUICK, "--out", "small").err
    monkeypatch.setattr(sizes, "WORTH_A_LINE", 0)
    done = pair("train", "X.npy", *QUICK, "--out", "a")
    assert "X.npy: read into memory, since 0.0 MB are at most half of" in done.err
    monkeypatch.setattr(sizes, "host_memory", lambda: (20_000, 40_000))
    done = pair("train", "X.npy", *QUICK, "--out", "b")
    assert (
        "X.npy: read from disk as it is needed, since 0.0 MB are more than half of the 0.0 MB that are free" in done.err
    )
    assert "read from disk" not in pair("train", "X.npy", *QUICK, "--quiet", "--out", "c").err
    assert pair("train", "moons", "--stream").code == 2


def test_a_run_that_was_stopped_goes_on(pair, monkeypatch):
    monkeypatch.setattr(block_order, "WINDOW", 4 * 5 * 60)
    words = ("train", "X.npy", *QUICK, "--stream", "--batch-size", "16", "--epochs", "3")
    assert pair(*words, "--out", "whole").code == 0
    assert pair(*words, "--time-limit", "0.000001s", "--out", "part").code == 0
    assert not Path("part/metrics.jsonl").exists()  # within its first epoch
    done = pair("train", "--resume", "part", "--time-limit", "1h")
    assert done.code == 0, done.err
    assert rows("part") == rows("whole")


def test_a_table_is_converted_on_its_way(cli):
    lines = [f"{i % 7},{i * 0.5},{'ab'[i % 2]}" for i in range(300)]
    Path("big.csv").write_text("p,q,kind\n" + "\n".join(lines) + "\n")
    done = cli("train", "big.csv", *QUICK, "--stream", "--out", "run")
    assert done.code == 0, done.err
    assert "big.csv: converting it once into big-npy" in done.err
    done = cli("evaluate", "run", "big.csv", "--stream")
    assert done.code == 0, done.err
    assert "it was converted before" in done.err
    assert cli("train", "big-npy", *QUICK, "--out", "run2").code == 0


def test_convert(cli):
    Path("big.csv").write_text("p,q,kind\n" + "".join(f"{i},{i % 5}.5,{'ab'[i % 2]}\n" for i in range(300)))
    done = cli("convert", "big.csv")
    assert (done.code, done.out) == (0, "big-npy\n"), done.err
    assert np.load("big-npy/X.npy").shape == (300, 2)
    done = cli("convert", "big.csv", "--out", "other", "--target", "p", "--task", "regression")
    assert done.code == 3
    assert "column 3 (kind)" in done.err
    assert "Traceback" not in done.err
    assert cli("convert", "big.csv").code == 3
    assert cli("convert", "nothing.csv").code == 3
    assert sorted(path.name for path in Path().iterdir()) == ["big-npy", "big.csv"]


def test_a_conversion_that_is_terminated_leaves_nothing(tmp_path):
    with (tmp_path / "big.csv").open("w") as file:
        file.write("p,q\n")
        for i in range(60):
            file.write(f"{i}.5,1\n" * 20_000)
    process = subprocess.Popen(
        [sys.executable, "-m", "portanet", "convert", "big.csv"], cwd=tmp_path, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < until and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert [path.name for path in tmp_path.iterdir()] == ["big.csv"]
