"""Options from a file, and the file that a run leaves."""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path
from typing import Any

import pytest

import portanet as pn
from portanet.cli.config import as_toml

LISTED = """
epochs = 1
[[layers]]
output_dim = 5
activation = "tanh"
dropout = 0.1
[[layers]]
type = "Residual"
layers = [{ type = "Dense", units = 5 }, { type = "ReLU" }]
[[layers]]
output_dim = 1
"""


def model(path) -> Any:
    return pn.load(path)


@pytest.fixture
def write(tmp_path):
    def call(text, name="run.toml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return call


def resolved(cli, *words):
    found = cli("train", *words, "--print-config")
    assert found.code == 0, found.err
    return tomllib.loads(found.out)


def test_flags_go_before_the_file_and_the_file_before_the_defaults(cli, write):
    path = write('data = "moons"\nepochs = 3\nlayers = [7, 5]\nbias = false\nseed = 4\nbatch_size = "full"\n')
    found = resolved(cli, "--config", path, "--epochs", "5")
    assert found["data"] == "moons"
    assert found["epochs"] == 5
    assert found["layers"] == [7, 5]
    assert found["bias"] is False
    assert found["seed"] == 4
    assert found["batch_size"] == "full"
    assert found["activation"] == "relu"
    assert resolved(cli, "circles", "--config", path, "--bias")["data"] == "circles"


def test_a_flag_with_the_default_value_goes_before_the_file_too(cli, write):
    path = write('data = "moons"\nepochs = 3\n')
    assert resolved(cli, "--config", path, "--epochs", "10")["epochs"] == 10


def test_backend_from_the_environment(cli, monkeypatch):
    monkeypatch.setenv("PORTANET_BACKEND", "strict")
    assert resolved(cli, "moons")["backend"] == "strict"
    assert resolved(cli, "moons", "--backend", "numpy")["backend"] == "numpy"


def test_an_error_about_the_backend_names_the_variable(cli, monkeypatch):
    monkeypatch.setenv("PORTANET_BACKEND", "cuda")
    assert "PORTANET_BACKEND: unknown backend 'cuda'; did you mean 'cupy'" in cli("train", "moons").err
    assert "Error: unknown backend 'gpu'" in cli("train", "moons", "--backend", "gpu").err


def test_what_was_left_open_is_filled_in(cli):
    found = resolved(cli, "moons", "--early-stop", "3", "--time-limit", "2m")
    assert found["loss"] == "binary_cross_entropy"
    assert found["lr"] == 0.001
    assert found["val_fraction"] == 0.1
    assert found["time_limit"] == 120
    assert found["backend"] == "numpy"
    assert "out" not in found
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("epoch = 3", "did you mean 'epochs'?"),
        ("quiet = true", "unknown key 'quiet'"),
        ("epochs = 2.5", "--epochs"),
        ("epochs = true", "--epochs"),
        ("epochs = [3]", "epochs: expected a single value"),
        ("epochs = ", "expected a TOML file"),
        ('dtype = "float16"', "--dtype"),
        ("layers = [5, 2.5]", "layers: expected sizes"),
        ("[[layers]]\noutput_dmi = 3\n", "output_dmi"),
        ('data = "moons"\n[[layers]]\noutput_dim = 3\n', "expected 1 or 2 outputs"),
    ],
)
def test_a_wrong_file_is_told_by_its_name(cli, write, text, told):
    ended = cli("train", "moons", "--config", write(text), "--print-config")
    assert ended.code == 2
    assert told in ended.err
    assert "layer" in told or "outputs" in told or "output_dmi" in told or "run.toml" in ended.err


def test_a_missing_file(cli):
    ended = cli("train", "--config", "none.toml")
    assert ended.code == 2
    assert "none.toml" in ended.err


def test_layers_one_by_one(cli, write):
    done = cli("train", "moons", "--config", write(LISTED), "--json")
    assert done.code == 0, done.err
    net = model("runs/moons/best.safetensors").net
    assert [type(layer).__name__ for layer in net.layers] == [
        "Standardize", "Dense", "Tanh", "Dropout", "Residual", "Dense",
    ]  # fmt: skip
    again = cli("train", "--config", "runs/moons/config.toml", "--json")
    assert json.loads(again.out)["metrics"] == json.loads(done.out)["metrics"]
    written = tomllib.loads(Path("runs/moons-2/config.toml").read_text())
    assert written["layers"] == tomllib.loads(LISTED)["layers"]
    assert "activation" not in written


def test_a_list_may_bring_its_own_preprocessing(cli, write):
    dense = "[[layers]]\noutput_dim = 10\n"
    cli("train", "digits", "--epochs", "1", "--config", write(f'[[layers]]\ntype = "Rescale"\nscale = 0.5\n{dense}'))
    assert model("runs/digits/best.safetensors").net.layers[:2] == (pn.Rescale(0.5), pn.Flatten())
    cli(
        "train",
        "moons",
        "--epochs",
        "1",
        "--config",
        write('[[layers]]\ntype = "Standardize"\n[[layers]]\noutput_dim=1'),
    )
    net = model("runs/moons/best.safetensors")
    assert net.buffers["0.mean"] == pytest.approx(pn.data.load("moons").x.mean(axis=0), rel=1e-5)
    assert len(net.net.layers) == 2


def test_two_listed_outputs_are_two_classes(cli, write):
    found = resolved(cli, "moons", "--config", write("[[layers]]\noutput_dim = 2\n"))
    assert found["loss"] == "softmax_cross_entropy"


def test_options_of_hidden_layers_are_not_ignored_in_silence(cli, write):
    ended = cli("train", "moons", "--config", write(LISTED), "--dropout", ".5")
    assert ended.code == 2
    assert "dropout" in ended.err
    assert cli("train", "moons", "--config", write(LISTED), "--layers", "3", "--dropout", ".5").code == 0


@pytest.mark.parametrize(
    "values",
    [
        {"a": 1, "b": 2.5, "c": True, "d": "x", "e": [1, 2], "f": []},
        {"text": 'quotes " and \\ back, tab\t, line\n, ü, 😀, \x7f, \x00'},
        {"tiny": 1e-30, "large": 1e300, "infinite": math.inf},
        {"an odd key": 1, "": 2},
        {"layers": [{"type": "Dense", "units": 3}, {"inner": [{"a": 1, "b": {"c": "d"}}]}], "after": 1},
    ],
)
def test_toml_is_read_back_as_it_was(values):
    assert tomllib.loads(as_toml(values)) == values


def test_toml_leaves_out_what_is_none():
    assert tomllib.loads(as_toml({"a": None, "b": [{"c": None, "d": 1}]})) == {"b": [{"d": 1}]}


def test_toml_refuses_what_it_has_no_form_for():
    with pytest.raises(TypeError, match="not TOML serializable"):
        as_toml({"a": object()})
