"""Each command ends with the next one, which can be run as it is printed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

QUICK = ("--layers", "4", "--epochs", "1", "--quiet")


def following(done):
    lines = [line.removeprefix("next     portanet ") for line in done.err.splitlines() if line.startswith("next ")]
    return shlex.split(lines[-1]) if lines else []


@pytest.fixture
def run(cli):
    assert cli("train", "moons", *QUICK, "--out", "a run").code == 0
    return "a run"


def test_after_predict_and_export(cli, run):
    pytest.importorskip("onnx", reason="it exports: pip install onnx")
    assert following(cli("predict", run, "moons")) == []  # a reader of standard output needs no hint
    assert following(cli("predict", run, "moons", "-o", "-")) == []
    assert following(cli("predict", run, "moons", "-o", "out.csv")) == ["export", run, "--to", "onnx"]
    for form in ("onnx", "npz"):
        words = following(cli("export", run, "--to", form))
        assert words == ["info", f"a run/model.{form}"]
        assert cli(*words).code == 0
    assert following(cli("export", "a run/best.safetensors", "--to", "npz", "-o", "b.npz")) == ["info", "b.npz"]
    assert following(cli("export", run, "--to", "npz", "--force", "--json")) == []


def test_after_convert(cli):
    Path("t.csv").write_text("x1,x2,y\n" + "".join(f"{i},{i % 7},{i % 2}\n" for i in range(40)))
    words = following(cli("convert", "t.csv", "--target", "y"))
    assert words == ["train", "t-npy"]
    assert cli(*words, *QUICK).code == 0


def test_after_tune(cli):
    Path("s.toml").write_text('layers = ["4", "3"]\nlr = {min = 1e-3, max = 0.1}\n')
    done = cli("tune", "moons", "--space", "s.toml", "--trials", "3", "--epochs", "1")
    words = following(done)
    assert words[:2] == ["train", "moons"]
    best = done.out.splitlines()[1].split()  # trial, then the settings by name
    assert words[2:] == ["--layers", best[1], "--lr", best[2]]
    assert cli(*words, "--epochs", "1", "--quiet").code == 0
    assert following(cli("tune", "moons", "--space", "s.toml", "--trials", "1", "--epochs", "1", "--quiet")) == []
