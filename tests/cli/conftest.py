"""Running the command line as a user does: in this process where that is enough, in one of its own where it is not."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from portanet.cli.main import run
from tests.cli.tables import table


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def cli(capsys, tmp_path, monkeypatch):
    """Run the command line in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORTANET_BACKEND", "numpy")

    def call(*words):
        capsys.readouterr()
        code = run([str(word) for word in words])
        return Result(code, *capsys.readouterr())

    return call


@pytest.fixture
def shell(tmp_path):
    """Run the command line in a process of its own, in a folder of its own."""

    def call(*words, **env):
        command = [sys.executable, "-m", "portanet", *map(str, words)]
        found = subprocess.run(
            command, cwd=tmp_path, env=os.environ | env, capture_output=True, encoding="utf-8", timeout=120, check=False
        )
        return Result(found.returncode, found.stdout, found.stderr)

    return call


@pytest.fixture
def moons(cli):
    """Train a small network on the moons; its run folder is ``runs/moons``."""
    assert cli("train", "moons", "--layers", "6", "--epochs", "3", "--lr", ".05", "--quiet").code == 0
    return cli


@pytest.fixture
def numbers_csv(tmp_path):
    """A regression on two features, one of them far from 0."""
    rng = np.random.default_rng(0)
    x = rng.normal([0, 1000], [1, 50], (90, 2))
    y = 3 * x[:, 0] + (x[:, 1] - 1000) / 50 + 0.5
    return table(tmp_path / "numbers.csv", np.column_stack([x, y]).tolist(), ["a", "b", "y"])


@pytest.fixture
def flowers_csv(tmp_path):
    """Three classes with names, in a table without a test part."""
    rng = np.random.default_rng(0)
    names = ["rose", "lily", "oak"]
    rows = [[*rng.normal(3 * (i % 3), 1, 2).round(3).tolist(), names[i % 3]] for i in range(90)]
    return table(tmp_path / "flowers.csv", rows, ["a", "b", "kind"])
