"""``portanet export``, and what ``portanet info`` tells of the files that it writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import portanet as pn
from portanet.data import load

FILES = {
    "onnx": ["model.onnx"],
    "torch": ["model.torch.safetensors"],
    "npz": ["model.npz"],
    "numpy": ["model_predict.py", "model_predict.npz"],
}


@pytest.mark.parametrize("form", FILES)
def test_a_run_is_exported_once(moons, form):
    if form == "onnx":
        pytest.importorskip("onnx", reason="ONNX files are written by the package onnx: pip install onnx")
    files = [f"runs/moons/{name}" for name in FILES[form]]
    done = moons("export", "runs/moons", "--to", form)
    assert (done.code, done.out.split()) == (0, files)
    content = [Path(file).read_bytes() for file in files]
    again = moons("export", "runs/moons", "--to", form, "--which", "last")
    assert again.code == 2
    assert "--force" in again.err
    assert [Path(file).read_bytes() for file in files] == content
    forced = moons("export", "runs/moons", "--to", form, "--force", "--json")
    assert json.loads(forced.out) == {"to": form, "files": files, "bytes": sum(map(len, content))}


def test_a_file_is_exported_beside_itself_or_where_it_is_said(moons):
    assert moons("export", "runs/moons/last.safetensors", "--to", "npz").out == "runs/moons/last.npz\n"
    assert moons("export", "runs/moons/last.safetensors", "--to", "npz", "-o", "a.npz").out == "a.npz\n"
    last = pn.load("runs/moons/last.safetensors").snapshot()["params"]
    with np.load("a.npz") as found:
        np.testing.assert_array_equal(found["1.weight"], last["1.weight"])


def test_the_script_predicts_what_the_run_predicts(moons):
    assert moons("export", "runs/moons", "--to", "numpy", "-o", "net.py").code == 0
    np.save("x.npy", load("moons").x_test)
    done = subprocess.run([sys.executable, "net.py", "x.npy"], capture_output=True, text=True, check=True)
    labels = [line.split(",")[1] for line in moons("predict", "runs/moons", "moons").out.split()[1:]]
    assert done.stdout.split() == labels


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["runs/none", "--to", "npz"], 3, "expected a run folder"),
        (["runs/moons", "--to", "tf"], 2, "'tf' is not one of"),
        (["runs/moons"], 2, "--to"),
        (["runs/moons", "--to", "npz", "--raw"], 2, "--raw: --to npz has no use for it"),
        (["runs/moons", "--to", "numpy", "-o", "net.txt"], 2, "ends in .py"),
        (["runs/moons", "--to", "npz", "-o", "nowhere/a.npz"], 3, "nowhere/a.npz"),
    ],
)
def test_refusals(moons, words, code, told):
    before = sorted(Path().rglob("*"))
    ended = moons("export", *words)
    assert (ended.code, ended.out) == (code, "")
    assert told in ended.err
    assert sorted(Path().rglob("*")) == before


def test_info_of_torchs_file_shows_its_network(moons):
    moons("export", "runs/moons", "--to", "torch", "-o", "a.safetensors")
    shown = moons("info", "a.safetensors").out
    for word in ("a state_dict for torch", "1.weight", "(6, 2)", "classes  0, 1", "gives    logits"):
        assert word in shown
    found = json.loads(moons("info", "a.safetensors", "--json").out)
    assert found["kind"] == "safetensors"
    assert {"name": "1.weight", "shape": [6, 2], "dtype": "F32"} in found["arrays"]
    refused = moons("evaluate", "a.safetensors", "moons")
    assert refused.code == 3
    assert "another program's" in refused.err


def test_info_of_plain_arrays(moons):
    moons("export", "runs/moons", "--to", "npz", "-o", "a.npz")
    found = json.loads(moons("info", "a.npz", "--json").out)
    assert {"name": "1.weight", "shape": [2, 6], "dtype": "float32"} in found["arrays"]
    assert "(2, 6)" in moons("info", "a.npz").out
    np.savez("data.npz", X=np.zeros((4, 2)), y=np.arange(4) % 2)
    assert json.loads(moons("info", "data.npz", "--json").out)["kind"] == "data"


def test_info_of_onnx(moons, monkeypatch):
    pytest.importorskip("onnx", reason="ONNX files are read by the package onnx: pip install onnx")
    moons("export", "runs/moons", "--to", "onnx", "-o", "a.onnx")
    found = json.loads(moons("info", "a.onnx", "--json").out)
    assert found["inputs"] == [{"name": "input", "shape": ["batch", 2], "dtype": "float"}]
    assert found["outputs"] == [{"name": "output", "shape": ["batch", 1], "dtype": "float"}]
    assert found["operators"] == {"Sub": 1, "Mul": 1, "Gemm": 2, "Relu": 1, "Sigmoid": 1}
    assert found["opset"] == {"ai.onnx": 17}
    assert "2 Gemm" in moons("info", "a.onnx").out
    Path("bad.onnx").write_bytes(b"\xff" * 100)
    ended = moons("info", "bad.onnx")
    assert ended.code == 3
    assert "expected an ONNX file" in ended.err
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert 'pip install "portanet[onnx]"' in moons("info", "a.onnx").err
    assert moons("export", "runs/moons", "--to", "onnx").code == 2
