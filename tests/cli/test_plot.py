"""`portanet plot`: which pictures are written where, what is printed, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import portanet as pn
from portanet import data
from portanet.cli.main import run
from portanet.plot import curves


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder with two runs on moons and a file of points."""
    folder = tmp_path_factory.mktemp("runs")
    points = data.moons(200)
    np.savez(folder / "points.npz", X=points.x, y=points.y)
    for name, units in (("small", 4), ("large", 16)):
        trainer = pn.Trainer([pn.Dense(units), pn.Tanh(), pn.Dense(2)], backend="numpy", classes=points.classes)
        history = trainer.fit(points.x, points.y, epochs=2, verbose=False)
        (folder / name).mkdir()
        (folder / name / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in history))
        trainer.save(folder / name / "best.safetensors")
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def watch_curves(monkeypatch):
    """Return a list that will hold what the command hands over to curves."""
    seen = []

    def watched(rows):
        seen.append(rows)
        return curves(rows)

    monkeypatch.setattr("portanet.plot.curves", watched)
    return seen


def files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_one_run(made, capsys):
    assert run(["plot", str(made / "small")]) == 0
    out = capsys.readouterr().out
    assert out == f"{made / 'small' / 'plots' / 'curves.png'}\n"
    assert (made / "small" / "plots" / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_several_runs_are_one_picture(made, here, capsys, monkeypatch):
    seen = watch_curves(monkeypatch)
    assert run(["plot", str(made / "small"), str(made / "large"), str(made / "small")]) == 0
    assert [list(rows) for rows in seen] == [["small", "large"]]  # by their names, one that is given twice once
    assert capsys.readouterr().out == "curves.png\n"
    assert files(here) == ["curves.png"]


@pytest.mark.parametrize("name", ["both.png", "both.svg", "both.pdf"])
def test_a_file_of_ones_own(made, here, name, capsys):
    assert run(["plot", str(made / "small"), str(made / "large"), "-o", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"files": [name]}
    assert files(here) == [name]


def test_with_data_the_mistakes_too(made, here, capsys):
    assert run(["plot", str(made / "large"), "--data", str(made / "points.npz"), "-o", "pictures", "--json"]) == 0
    names = ["curves.png", "confusion.png", "decision_boundary.png"]
    assert json.loads(capsys.readouterr().out) == {"files": [f"pictures/{name}" for name in names]}
    assert files(here) == sorted(f"pictures/{name}" for name in names)


def test_several_runs_with_data_have_a_folder_each(made, here, capsys):
    arguments = ["plot", str(made / "large"), str(made / "small"), "--data", "moons", "--out", "pictures"]
    assert run(arguments) == 0
    lines = capsys.readouterr().out.split()
    assert lines[0] == "pictures/curves.png"
    assert sorted(lines) == files(here)
    assert "pictures/small/confusion.png" in lines
    assert "pictures/large/decision_boundary.png" in lines


def test_runs_of_one_name_are_told_apart_by_their_paths(made, here, monkeypatch):
    for folder in ("a", "b"):
        (here / folder / "run").mkdir(parents=True)
        (here / folder / "run" / "metrics.jsonl").write_text('{"epoch": 1, "loss": 1.0}\n')
    seen = watch_curves(monkeypatch)
    assert run(["plot", "a/run", "b/run"]) == 0
    assert [list(rows) for rows in seen] == [["a/run", "b/run"]]


def test_targets_that_are_no_classes_have_curves_alone(here, capsys):
    x = np.linspace(0, 1, 20)[:, None]
    np.savez(here / "line.npz", X=x, y=x[:, 0] * 2.5)
    trainer = pn.Trainer([pn.Dense(1)], "mean_squared_error", backend="numpy")
    history = trainer.fit(x, x[:, 0] * 2.5, epochs=1, verbose=False)
    (here / "run").mkdir()
    (here / "run" / "metrics.jsonl").write_text(json.dumps(history[-1]))
    trainer.save(here / "run" / "best.safetensors")
    assert run(["plot", "run", "--data", "line.npz"]) == 0
    out, err = capsys.readouterr()
    assert out == "run/plots/curves.png\n"
    assert "no classes" in err


def test_a_table_has_the_target_that_the_run_was_trained_on(here, capsys):
    lines = ["kind,a,b"] + [f"{'xy'[i % 2]},{i % 2 + i / 100},{-i / 50}" for i in range(30)]
    (here / "table.csv").write_text("\n".join(lines))
    options = ["--layers", "4", "--epochs", "1", "--backend", "numpy", "--out", "run"]
    assert run(["train", "table.csv", "--target", "kind", *options]) == 0
    capsys.readouterr()
    assert run(["plot", "run", "--data", "table.csv"]) == 0
    assert capsys.readouterr().out.split() == [
        "run/plots/curves.png",
        "run/plots/confusion.png",
        "run/plots/decision_boundary.png",
    ]


def test_a_folder_that_is_no_run(here, capsys):
    assert run(["plot", "."]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "metrics.jsonl" in err
    assert "portanet train" in err
    assert files(here) == []


def test_a_broken_line(here, capsys):
    (here / "metrics.jsonl").write_text('{"epoch": 1, "loss": 1}\n{"epo')
    assert run(["plot", "."]) == 3
    assert "metrics.jsonl, line 2" in capsys.readouterr().err


def test_a_run_without_its_network(here, capsys):
    (here / "metrics.jsonl").write_text('{"epoch": 1, "loss": 1}\n')
    assert run(["plot", ".", "--data", "moons"]) == 3
    assert "best.safetensors" in capsys.readouterr().err
    assert files(here) == ["metrics.jsonl"]  # nothing is written where something is missing


def test_data_of_other_classes(made, here, capsys):
    assert run(["plot", str(made / "small"), "--data", "spirals", "-o", "pictures"]) == 3
    assert "the class '2'" in capsys.readouterr().err
    assert files(here) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--data", "moons", "-o", "a.png"], "expected a folder for -o"),
        (["--target", "y"], "give --data too"),
        (["-o", "a.jpg"], "ends in .png, .svg, .pdf"),
    ],
)
def test_options_that_do_not_go_together(made, here, arguments, told, capsys):
    assert run(["plot", str(made / "small"), *arguments]) == 2
    assert told in capsys.readouterr().err
    assert files(here) == []


def test_no_run_is_a_wrong_use(capsys):
    assert run(["plot"]) == 2
    assert "RUN" in capsys.readouterr().err


def test_without_matplotlib_it_is_a_matter_of_configuration(made, here, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert run(["plot", str(made / "small"), "-o", "a.png"]) == 2
    assert 'pip install "portanet[plot]"' in capsys.readouterr().err


def test_help_loads_no_array_library():
    code = """
import sys
from portanet.cli.main import run
assert run(["plot", "--help"]) == 0
heavy = {"numpy", "array_api_compat", "matplotlib", "portanet.plot"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
