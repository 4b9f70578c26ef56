"""The commands that check: doctor, agree, gradcheck."""

from __future__ import annotations

import json
import math

import pytest

import portanet.verify.agreement
import portanet.verify.cases
from portanet.layers import Dense
from portanet.verify.agreement import Agreement
from portanet.verify.case import LayerCase
from portanet.verify.cases import LAYERS


def agreement(**fields):
    known = {"kind": "layer", "name": "Dense-4", "backend": "numpy", "dtype": "float32", "error": 1e-7}
    return Agreement(**{**known, "tolerance": 2e-5, **fields})


def test_doctor_tells_all_backends(cli):
    found = json.loads(cli("doctor", "--json").out)
    assert found["portanet"] == portanet.__version__
    assert [one["name"] for one in found["backends"]] == ["numpy", "cupy", "torch", "jax"]
    shown = cli("doctor")
    assert shown.code == 0
    for one in found["backends"]:
        assert one["name"] in shown.out
        assert one["reason"] in shown.out
        assert one["fix"] in shown.out
    assert f"auto takes {found['auto']['backend']}" in shown.out
    assert found["blas"]["library"] in shown.out
    assert "GiB free" in shown.out


def test_doctor_fails_for_a_backend_that_is_wanted_and_not_there(cli, monkeypatch):
    from portanet import backends
    from portanet.backends.diagnosis import report
    from portanet.errors import BackendError

    def get(name, **_):
        message = f"the backend {name!r} cannot be used: no card"
        raise BackendError(message)

    assert cli("doctor", "--backend", "numpy").code == 0
    found = report.report()
    monkeypatch.setattr(report, "report", lambda: found)
    monkeypatch.setattr(backends, "get", get)
    ended = cli("doctor", "--backend", "cupy")
    assert ended.code == 4
    assert "no card" in ended.err
    assert "auto takes" in ended.out


def test_doctor_shows_warnings(cli, monkeypatch):
    monkeypatch.setenv("CUPY_TF32", "1")
    assert "warning: CUPY_TF32=1" in cli("doctor").out


@pytest.mark.parametrize("variable", ["", "1"])
def test_no_color_leaves_no_escapes(shell, variable):
    found = shell("gradcheck", "ReLU", NO_COLOR=variable, FORCE_COLOR="1")
    assert ("\x1b[" in found.out) == (variable == "")


def test_a_table_in_a_pipe_is_not_broken(cli, monkeypatch):
    name = "x" * 200
    monkeypatch.setitem(LAYERS, name, [LayerCase(Dense(2), (3,))])
    monkeypatch.setattr(LayerCase, "id", name)
    monkeypatch.setenv("COLUMNS", "40")
    assert any(line.startswith(name) for line in cli("gradcheck", name).out.splitlines())


def test_agree_on_what_is_here(cli):
    found = json.loads(cli("agree", "--backends", "numpy", "--json").out)
    assert {one["kind"] for one in found} == {"layer", "loss", "optimizer", "training"}
    assert all(one["ok"] and one["backend"] == "numpy" for one in found)
    shown = cli("agree", "--backends", "numpy")
    assert shown.code == 0
    for name in (*LAYERS, "Adam", "Huber"):
        assert name in shown.out


def test_agree_takes_all_that_can_be_used(cli, monkeypatch):
    from portanet import backends
    from portanet.backends import Status

    seen = []

    def compare(names, **_):
        seen.append(names)
        return [agreement()]

    monkeypatch.setattr(portanet.verify.agreement, "agree", compare)
    states = [Status(name, name != "cupy", "", "", "", "", ()) for name in ("numpy", "cupy", "torch")]
    monkeypatch.setattr(backends, "status", lambda: states)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "array_api_strict")
    assert cli("agree").code == 0
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert cli("agree").code == 0
    assert cli("agree", "--backends", "numpy, torch").code == 0
    assert seen == [["numpy", "torch", "strict"], ["numpy", "torch"], ["numpy", "torch"]]


@pytest.mark.parametrize("error", [1.0, math.nan])
def test_agree_fails_beyond_the_tolerance(cli, monkeypatch, error):
    found = [agreement(), agreement(name="Dense-9", error=error), agreement(name="Dense-1", error=1e-6)]
    monkeypatch.setattr(portanet.verify.agreement, "agree", lambda names, **_: found)
    ended = cli("agree", "--backends", "numpy")
    assert ended.code == 7
    assert "Dense-9 on numpy in float32" in ended.err
    assert "Dense-1" not in ended.err
    assert f"{error:.1e} !" in ended.out, "the largest of a layer's cases is shown, and marked"
    ended = cli("agree", "--backends", "numpy", "--json")
    assert ended.code == 7
    assert [one["ok"] for one in json.loads(ended.out)] == [True, False, True]


def test_agree_of_a_network(moons):
    found = json.loads(moons("agree", "--model", "runs/moons", "--data", "moons", "--backends", "strict", "--json").out)
    assert [one["name"] for one in found if one["dtype"] == "float64"] == [
        "Standardize 0", "Dense 1", "ReLU 2", "Dense 3",
    ]  # fmt: skip
    assert moons("agree", "--model", "runs/moons", "--backends", "numpy").code == 0
    assert moons("agree", "--model", "runs/moons", "--data", "digits", "--backends", "numpy").code == 3


def test_agree_refuses_data_without_a_network(cli):
    ended = cli("agree", "--data", "moons")
    assert ended.code == 2
    assert "--model" in ended.err


def test_agree_with_an_unknown_backend(cli):
    assert cli("agree", "--backends", "numpy,cupi").code == 2


def test_gradcheck_of_all_layers(cli):
    found = json.loads(cli("gradcheck", "--json").out)
    assert {row["layer"].partition("-")[0] for row in found} == set(LAYERS)
    assert all(row["ok"] and row["error"] < 1e-5 for row in found)
    assert len({row["layer"] for row in found}) == sum(map(len, LAYERS.values())), "every case has a line of its own"


@pytest.mark.parametrize("name", ["Dense", "dense"])
def test_gradcheck_of_one_layer(cli, name):
    shown = cli("gradcheck", name)
    assert shown.code == 0
    assert {line.partition("-")[0] for line in shown.out.splitlines()[1:]} == {"Dense"}
    for array in ("x", "weight", "bias"):
        assert f" {array} " in shown.out


def test_gradcheck_of_a_run(moons):
    found = json.loads(moons("gradcheck", "runs/moons", "--json").out)
    assert [row["array"] for row in found] == ["x", "1.weight", "1.bias", "3.weight", "3.bias"]
    assert all(row["ok"] for row in found)
    assert moons("gradcheck", "runs/none").code == 3


def test_gradcheck_of_an_unknown_layer(cli):
    ended = cli("gradcheck", "Dnse")
    assert ended.code == 2
    assert "did you mean 'Dense'?" in ended.err


class Wrong(Dense):
    """A layer with a sign in its backward pass that does not belong there."""

    def backward(self, params, dy, cache, *, need_dx=True):
        dx, grads = super().backward(params, dy, cache, need_dx=need_dx)
        return dx, {**grads, "bias": -grads["bias"]}


def test_gradcheck_fails_for_a_wrong_gradient_and_goes_on(cli, monkeypatch):
    wrong = {"Wrong": [LayerCase(Wrong(2), (3,))], "Dense": [LayerCase(Dense(2), (3,))]}
    monkeypatch.setattr(portanet.verify.cases, "LAYERS", wrong)
    ended = cli("gradcheck")
    assert ended.code == 7
    assert "Wrong" in ended.err
    assert "bias" in ended.err
    lines = ended.out.splitlines()
    assert any("failed" in line and line.startswith("Wrong") for line in lines)
    assert any(line.startswith("Dense") for line in lines)
    found = json.loads(cli("gradcheck", "--json").out)
    assert [row["ok"] for row in found] == [False, True, True, True]
