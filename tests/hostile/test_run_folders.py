"""Run folders and option files from strangers: what stands in them is told, and nothing of it is trusted."""

from __future__ import annotations

import os

import pytest

from tests.cli.conftest import cli, moons  # noqa: F401  # fixtures
from tests.hostile.model_files import good

DEEP = "[" * 20_000

REPORTS = {
    "empty": "",
    "no JSON": "{",
    "a list": "[1]",
    "deep": DEEP,
    "empty object": "{}",
    "text for numbers": '{"stopped": "epochs", "metrics": {"loss": "low"}, "best_epoch": 1, "epochs": 1}',
    "metrics as a list": '{"stopped": "epochs", "metrics": [1], "best_epoch": 1, "epochs": 1}',
    "epochs as text": '{"stopped": "epochs", "metrics": {}, "best_epoch": "1", "epochs": 1}',
    "no UTF-8": b"\xff\xfe{}",
}


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "best.safetensors").write_bytes(good())
    return tmp_path / "run"


def put(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.mark.parametrize("name", REPORTS)
def test_reports(cli, run, name):  # noqa: F811
    put(run / "report.json", REPORTS[name])
    told = cli("info", run)
    assert (told.code, told.out) == (3, "")
    assert (
        told.err == f"Error: {run}/report.json: expected the report of portanet train, got one that is damaged or "
        "another; remove it\n"
    )


@pytest.mark.parametrize("line", ["{", "[1]", DEEP, '{"loss": "low"}', '{"loss": [1]}', '{"loss": {}}'])
def test_histories(cli, run, line):  # noqa: F811
    put(run / "metrics.jsonl", '{"epoch": 1, "loss": 1.0}\n' + line + "\n")
    told = cli("plot", run)
    assert told.code == 3
    assert f"{run}/metrics.jsonl, line 2: expected a JSON object" in told.err
    assert told.err.count("\n") == 1


OPTIONS = {
    "no TOML": ("[", "expected a TOML file"),
    "deep": ("x = " + DEEP, "nested too deeply"),
    "no UTF-8": (b"\xff\xfe", "expected a TOML file"),
    "large": (b"#" * (2 << 20), "larger than"),
    "an unknown key": ("epoch = 3", "did you mean 'epochs'?"),
    "a dunder": ('__class__ = "x"', "unknown key '__class__'"),
    "a table": ("[epochs]\nx = 1", "expected a single value"),
    "NaN epochs": ("epochs = nan", "'nan' is not a valid integer"),
    "epochs without end": ("epochs = inf", "'inf' is not a valid integer"),
    "epochs of 5,000 digits": ("epochs = " + "9" * 5000, "expected"),
    "a rate of NaN": ("lr = nan", "lr must be a finite number"),
    "a seed below 0": ("seed = -1", "-1 is not in the range"),
    "a layer that is a list": ('[[layers]]\ntype = ["Dense"]', "unknown layer"),
    "a layer of a module": ('[[layers]]\ntype = "os.system"\ncommand = "true"', "unknown layer 'os.system'"),
    "units of NaN": ('[[layers]]\ntype = "Dense"\nunits = nan', "units must be a whole number"),
    "a billion units": ('[[layers]]\ntype = "Dense"\nunits = 10000000000', "at most 2147483647"),
    "units as text": ('[[layers]]\noutput_dim = "4"', "units must be a whole number"),
    "a date": ("seed = 2026-01-01", "expected a single value"),
    "an activation in a list": ('[[layers]]\noutput_dim = 4\nactivation = ["relu"]', "unknown activation"),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options(cli, tmp_path, name):  # noqa: F811
    content, says = OPTIONS[name]
    put(tmp_path / "run.toml", content)
    told = cli("train", "moons", "--config", "run.toml", "--quiet")
    assert told.code == 2, told.err
    assert says in told.err
    assert "Traceback" not in told.err
    assert len(told.err) < 1000
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("what", "kind"), [("/dev/zero", "a device"), ("fifo", "a pipe")])
def test_options_that_never_end(cli, tmp_path, what, kind):  # noqa: F811
    if what == "fifo":
        os.mkfifo(tmp_path / "run.toml")
    else:
        (tmp_path / "run.toml").symlink_to(what)
    told = cli("train", "moons", "--config", "run.toml")
    assert told.code == 2
    assert f"it is {kind}" in told.err


@pytest.mark.parametrize("content", ["[", "x = " + DEEP, b"\xff\xfe", b"#" * (2 << 20)])
def test_configuration_of_a_run(cli, run, tmp_path, content):  # noqa: F811
    put(run / "config.toml", content)
    put(tmp_path / "a.csv", "a,b,c,d,e,y\n1,2,3,4,5,a\n2,3,4,5,6,b\n")
    told = cli("evaluate", run, "a.csv")
    assert told.code == 3, told.err
    assert "expected a TOML file" in told.err
