"""Run folders whose files were exchanged: `portanet reproduce` says where they differ, in lines that are cut."""

from __future__ import annotations

import json
import shutil

import pytest
from safetensors.numpy import load_file

from tests.cli.conftest import cli, moons  # noqa: F401  # fixtures
from tests.hostile.model_files import joined, parts


def report(run, **values):
    path = run / "report.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def other_weights(run):
    """Put arrays of other shapes under the same names."""
    header, data = parts((run / "best.safetensors").read_bytes())
    for name, about in header.items():
        if name != "__metadata__":
            about["shape"] = [1, *about["shape"]]
    (run / "best.safetensors").write_bytes(joined(header, data))
    assert load_file(run / "best.safetensors")["1.weight"].shape[0] == 1


def environment(run):
    path = run / "environment.json"
    own = {f"\x1b[2J{i}" * 99: "\n" * 999 for i in range(999)}
    path.write_text(json.dumps(json.loads(path.read_text()) | own))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda run: report(run, metrics=[1]), "at the end: loss was None, is "),
        (lambda run: report(run, metrics={"\x1b" * 999: "x" * 999}), "at the end: \\x1b\\x1b"),
        (lambda run: report(run, stopped="\x1b" * 9999), "it ended by \\x1b"),
        (other_weights, "best.safetensors: 0.inverse_std was of shape (1, 2), is of shape (2,)"),
        (lambda run: shutil.copy(run / "checkpoint" / "training.safetensors", run / "best.safetensors"), "alone"),
    ],
)
def test_exchanged(moons, tmp_path, change, says):  # noqa: F811
    change(tmp_path / "runs" / "moons")
    told = moons("reproduce", "runs/moons", "--quiet")
    assert told.code == 7, told.err
    assert says in told.err
    assert "internal error" not in told.err
    assert len(told.err) < 2000
    assert "\x1b" not in told.err


def test_an_environment_of_any_size(moons, tmp_path):  # noqa: F811
    environment(tmp_path / "runs" / "moons")
    told = moons("reproduce", "runs/moons", "--quiet")
    assert told.code == 0, told.err
    lines = told.err.splitlines()
    assert len(lines) == 40
    assert max(map(len, lines)) < 500
    assert "\x1b" not in told.err


def test_a_configuration_that_is_wrong_is_the_runs(moons, tmp_path):  # noqa: F811
    path = tmp_path / "runs" / "moons" / "config.toml"
    good = path.read_text()
    for wrong in ("[", good + "\nno = 1\n", good.replace("epochs = 3", 'epochs = "x"'), "#" * (2 << 20)):
        path.write_text(wrong)
        told = moons("reproduce", "runs/moons", "--quiet")
        assert told.code == 3, told.err
        assert told.err.count("\n") == 1
