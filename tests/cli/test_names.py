"""Names that are not UTF-8, or steer a terminal, on the command line and in files: written out, never raw."""

from __future__ import annotations

import json
import os
import sys

import numpy as np
import pytest

import portanet as pn
from portanet.cli.output import print_table
from tests.cli.conftest import cli  # noqa: F401  # fixtures
from tests.hostile.model_files import good

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes on Linux")


@LINUX
def test_a_path_that_is_not_utf8(cli, tmp_path):  # noqa: F811
    path = os.fsdecode(b"n\xff.safetensors")
    (tmp_path / path).write_bytes(good())
    assert cli("info", path).out.startswith(r"n\udcff.safetensors: ")
    assert json.loads(cli("info", path, "--json").out)["file"] == path
    exported = cli("export", path, "--to", "npz")
    assert (exported.code, exported.out) == (0, "n\\udcff.npz\n")


@LINUX
def test_data_whose_path_a_configuration_cannot_hold(cli, tmp_path):  # noqa: F811
    path = os.fsdecode(b"a\xff.csv")
    (tmp_path / path).write_text("a,b,y\n" + "1,2,x\n2,3,z\n" * 9)
    told = cli("train", path, "--epochs", "1", "--quiet")
    assert told.code == 2
    assert "it is not UTF-8; rename it" in told.err
    assert r"a\udcff.csv" in told.err


@LINUX
def test_a_path_that_steers_a_terminal(cli, tmp_path):  # noqa: F811
    path = "n\x1b[2J\nloss.safetensors"
    (tmp_path / path).write_bytes(good())
    assert cli("info", path).out.startswith(r"n\x1b[2J\nloss.safetensors: ")
    for words in (["info", f"--{path}"], ["export", "x", "--to", path], ["train", "--config", path], [path]):
        told = cli(*words)
        assert told.code == 2
        assert "\x1b" not in told.err
        assert "\\x1b" in told.err


def test_columns_and_markup_are_shown_as_they_are(cli, tmp_path):  # noqa: F811
    (tmp_path / "a.csv").write_text('"a\ntask  x",[red]b,y\n' + "1,2,[bold]x\n2,3,z\n" * 9)
    shown = cli("info", "a.csv").out
    assert r"features a\ntask  x, [red]b" in shown
    assert "class [bold]x" in shown
    assert json.loads(cli("info", "a.csv", "--json").out)["features"] == ["a\ntask  x", "[red]b"]


def test_a_class_is_no_formula(cli, tmp_path):  # noqa: F811
    names = ["=1+1", "@x", "-1.5", "+a", "b=c"]
    trainer = pn.Trainer([pn.Dense(5)], backend="numpy", classes=names)
    trainer.init((2,))
    trainer.save(tmp_path / "net.safetensors")
    np.savetxt(tmp_path / "x.csv", np.zeros((3, 2)), delimiter=",")
    assert cli("predict", "net.safetensors", "x.csv", "--proba").out.splitlines()[0] == "row,=1+1,@x,-1.5,+a,b=c"
    inert = cli("predict", "net.safetensors", "x.csv", "--proba", "--escape-formulas")
    assert inert.out.splitlines()[0] == "row,'=1+1,'@x,-1.5,'+a,b=c"
    labels = cli("predict", "net.safetensors", "x.csv", "--escape-formulas", "-o", "out.csv")
    assert (labels.code, (tmp_path / "out.csv").read_text()) == (0, "row,label\n0,'=1+1\n1,'=1+1\n2,'=1+1\n")


def test_predictions_of_many_rows_are_numbered_through(cli, tmp_path):  # noqa: F811
    trainer = pn.Trainer([pn.Dense(1)], "mean_squared_error", backend="numpy")
    trainer.init((2,))
    trainer.save(tmp_path / "net.safetensors")
    x = np.random.default_rng(0).normal(size=(9000, 2)).round(3)
    np.savetxt(tmp_path / "x.csv", x, delimiter=",", fmt="%.3f")
    rows = [line.split(",") for line in cli("predict", "net.safetensors", "x.csv").out.splitlines()]
    assert rows[0] == ["row", "value"]
    assert [int(i) for i, _ in rows[1:]] == list(range(9000))
    np.testing.assert_allclose([float(value) for _, value in rows[1:]], trainer.predict(x)[:, 0], rtol=1e-6)


def test_code_out_of_a_file_is_not_printed(cli, tmp_path):  # noqa: F811
    trainer = pn.Trainer([pn.Dense(3), pn.ReLU()], backend="numpy")
    trainer.init((2,))
    trainer.save(tmp_path / "net.safetensors")
    exported = cli("export", "net.safetensors", "--to", "torch", "-o", "a.safetensors")
    code = "its torch.nn.Sequential:\n" + pn.export.torch_code(trainer) + "\n"
    assert exported.err == code + "next     portanet info a.safetensors\n"
    assert "nn.Linear" not in cli("info", "a.safetensors").out
    assert "a state_dict for torch" in cli("info", "a.safetensors").out


CLOSED = pytest.mark.skipif(sys.platform == "win32", reason="streams are closed by a POSIX shell")


@CLOSED
@pytest.mark.parametrize(
    ("close", "words", "code", "err"),
    [
        (">&-", ["info", "net.safetensors"], 3, "Error: standard output: cannot be written (Bad file descriptor)"),
        ("2>&-", ["info", "none.csv"], 3, ""),
        ("<&- >&- 2>&-", ["train", "moons", "--epochs", "1", "--layers", "none", "--out", "run"], 3, ""),
    ],
)
def test_closed_streams(tmp_path, close, words, code, err):
    import subprocess

    (tmp_path / "net.safetensors").write_bytes(good())
    command = ["sh", "-c", f'exec "$@" {close}', "sh", sys.executable, "-m", "portanet", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code
    assert done.stderr.startswith(err)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    if words[0] == "train":
        report = json.loads((tmp_path / "run" / "report.json").read_text())  # nothing that was printed is in a file
        assert report["epochs"] == 1


def test_a_long_table_is_printed_as_a_short_one(capsys):
    rows = [(str(i), "猫" * (i % 3), "[red]\x1b", str(i * 7)) for i in range(1000)]
    print_table(["#", "name", "third", "number"], rows, right=[3])
    short = capsys.readouterr().out.splitlines()
    print_table(["#", "name", "third", "number"], [*rows, ("1", "", "", "")], right=[3])
    long = capsys.readouterr().out.splitlines()
    assert [line.rstrip() for line in long[:-1]] == [line.rstrip() for line in short]
    assert len(long) == 1002
