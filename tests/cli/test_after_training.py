"""What a training says when it is over, what `info` says of several, and which samples its pictures show."""

from __future__ import annotations

import json
import shlex
import signal
from pathlib import Path

import pytest

import portanet as pn


class Stop(pn.Callback):
    """Interrupts at the end of a batch."""

    def __init__(self, epoch, batch):
        self.epoch, self.batch = epoch, batch

    def on_batch_end(self, trainer, batch, batches):
        if (trainer.epoch + 1, batch) == (self.epoch, self.batch):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(("batch", "message"), [(2, "in epoch 3 of 5"), (7, "after epoch 3 of 5")])
def test_an_interrupted_run_says_how_far_it_came_and_how_to_continue(cli, monkeypatch, batch, message):
    from portanet.cli.training import Training

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_callbacks", lambda self: [Stop(3, batch)])
        done = cli("train", "moons", "--layers", "4", "--epochs", "5", "--out", "a run")
    assert done.code == 130
    line = next(line for line in done.err.splitlines() if line.startswith("stopped"))
    assert line == f"stopped  {message}; to continue: portanet train --resume 'a run'"
    assert "next" not in done.err
    resumed = cli(*shlex.split(line.split("portanet ")[1]))
    assert resumed.code == 0
    assert json.loads(Path("a run/report.json").read_text())["epochs"] == 5


def test_a_run_says_what_to_do_next_and_how_to_measure(cli, flowers_csv):
    words = ["train", flowers_csv.name, "--layers", "4", "--epochs", "1"]
    done = cli(*words)
    assert "all numbers are of the training samples" in done.err
    assert "portanet evaluate runs/flowers NEWDATA" in done.err
    assert done.err.splitlines()[-1] == "next     portanet predict runs/flowers DATA"
    assert "hint" not in cli(*words, "--val-fraction", ".2").err
    assert "next" not in cli(*words, "--quiet").err


def test_info_lists_runs_the_best_first(cli, flowers_csv):
    for name, words in (
        ("bad", ["--lr", "1e-9", "--val-fraction", ".2"]),
        ("good", ["--lr", ".05", "--val-fraction", ".2", "--epochs", "20"]),
        ("unmeasured", ["--lr", ".05", "--epochs", "20"]),
    ):
        assert cli("train", flowers_csv.name, "--layers", "8", "--out", f"all/{name}", "--quiet", *words).code == 0
    Path("all/notes").mkdir()
    Path("all/started").mkdir()
    Path("all/started/config.toml").write_text(f'data = "{flowers_csv.name}"\n')
    found = json.loads(cli("info", "all", "--json").out)["runs"]
    assert [(row["run"], row["measured_on"]) for row in found] == [
        ("all/good", "validation"),
        ("all/bad", "validation"),
        ("all/unmeasured", "training"),
        ("all/started", None),
    ]
    report = json.loads(Path("all/good/report.json").read_text())
    assert found[0]["accuracy"] == report["metrics"]["val_accuracy"]
    shown = cli("info", "all").out.splitlines()
    assert shown[0].split("  ")[0] == "run"
    assert [line.split()[0] for line in shown[1:]] == [row["run"] for row in found]
    Path("all/good/report.json").write_text("no json")
    assert "damaged" in cli("info", "all").out


def title(figure):
    return figure.axes[0].get_title(loc="left")


def test_pictures_are_of_the_samples_that_were_held_out(cli, flowers_csv, monkeypatch):
    seen = []
    monkeypatch.setattr("portanet.plot.run.save", lambda figure, path: seen.append((Path(path).name, figure)))
    words = ["train", flowers_csv.name, "--layers", "8", "--epochs", "2", "--quiet", "--plots", "--seed", "3"]
    assert cli(*words, "--val-fraction", ".2", "--out", "a").code == 0
    assert title(dict(seen)["confusion.png"]).endswith("of 18 validation samples")
    measured = json.loads(Path("a/report.json").read_text())["metrics"]["val_accuracy"]
    assert title(dict(seen)["confusion.png"]).startswith(f"Accuracy {100 * measured:.1f}%")
    first = title(dict(seen)["confusion.png"])
    assert cli("plot", "a", "--data", flowers_csv.name).code == 0
    assert title(dict(seen)["confusion.png"]) == first
    assert cli(*words, "--out", "b").code == 0
    assert title(dict(seen)["confusion.png"]).endswith("of 90 training samples")
    assert cli("plot", "b", "--data", flowers_csv.name).code == 0
    assert title(dict(seen)["confusion.png"]).endswith("of 90 training samples")
    for run, count in (("a", 72), ("b", 90)):
        assert f"was trained on {count} of these samples" in cli("evaluate", run, flowers_csv.name).err
    lines = flowers_csv.read_text().splitlines()
    Path("new.csv").write_text("\n".join(lines[:31]) + "\n")
    assert cli("plot", "a", "--data", "new.csv").code == 0
    assert title(dict(seen)["confusion.png"]).endswith("of 30 samples")
    assert "was trained on" not in cli("evaluate", "a", "new.csv").err


def test_plots_of_several_runs_are_never_written_over(cli):
    for name in ("a", "b"):
        assert cli("train", "moons", "--layers", "4", "--epochs", "1", "--out", name, "--quiet").code == 0
    Path("curves.png").write_text("of the user")
    assert cli("plot", "a", "b").out == "curves-2.png\n"
    assert cli("plot", "a", "b").out == "curves-3.png\n"
    assert Path("curves.png").read_text() == "of the user"
    for words in (["-o", "curves.png"], ["-o", "."]):
        refused = cli("plot", "a", "b", *words)
        assert refused.code == 2
        assert "it is there already; replace it by --force" in refused.err
    assert Path("curves.png").read_text() == "of the user"
    assert cli("plot", "a", "b", "-o", "curves.png", "--force").code == 0
    assert Path("curves.png").read_bytes().startswith(b"\x89PNG")
