"""Options and data that cannot be, and what is told of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from portanet.public import KNOWN
from tests.cli.tables import table


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["digts"], 3, "did you mean 'digits'?"),
        (["missing.csv"], 3, "missing.csv"),
        (["moons", "--optimizer", "adamm"], 2, "did you mean 'adam'?"),
        (["moons", "--momentum", ".9"], 2, "sgd"),
        (["moons", "--loss", "softmax"], 2, "did you mean 'softmax_cross_entropy'?"),
        (["moons", "--loss", "mean_squared_error", "--label-smoothing", ".1"], 2, "mean_squared_error has none"),
        (["moons", "--schedule", "cosin"], 2, "did you mean 'cosine'?"),
        (["moons", "--schedule", "step:evry=2"], 2, "did you mean 'every'?"),
        (["moons", "--schedule", "step:every=x"], 2, "expected a number for every"),
        (["moons", "--schedule", "step:every"], 2, "gamma=0.5"),
        (["moons", "--schedule", "plateau:monitor=val_acuracy"], 2, "did you mean 'val_accuracy'?"),
        (["moons", "--schedule", "warm-up:then=plateu"], 2, "did you mean 'plateau'?"),
        (
            ["moons", "--schedule", "plateau:monitor=x,mode=down"],
            2,
            "mode must be 'auto' or 'min' or 'max', got 'down'",
        ),
        (["moons", "--backend", "nunpy"], 2, "did you mean 'numpy'?"),
        (["moons", "--layers", "5,x"], 2, "500,150"),
        (["moons", "--layers", "5,0"], 2, "500,150"),
        (["moons", "--batch-size", "0"], 2, "full"),
        (["moons", "--time-limit", "soon"], 2, "30s"),
        (["moons", "--init", "he_norml"], 2, "did you mean 'he_normal'?"),
        (["moons", "--target", "x"], 2, "tables"),
    ],
)
def test_wrong_words_are_told_with_what_is_right(cli, words, code, told):
    ended = cli("train", *words)
    assert ended.code == code
    assert told in ended.err
    assert ended.out == ""
    assert not list(Path().glob("runs/*"))


def test_wrong_loss_for_the_targets(cli, numbers_csv, tmp_path):
    told = cli("train", numbers_csv, "--loss", "softmax_cross_entropy")
    assert (told.code, "mean_squared_error" in told.err) == (2, True)
    told = cli("train", numbers_csv, "--class-weight", "balanced")
    assert (told.code, "--class-weight" in told.err) == (2, True)
    alone = table(tmp_path / "alone.csv", [[1, 2, "a"], [2, 3, "a"]], ["u", "v", "c"])
    told = cli("train", alone)
    assert (told.code, "two classes" in told.err) == (3, True)


def test_help_names_what_the_library_knows(cli):
    # That the table itself is current is a matter of tests/test_public.py.
    said = " ".join(cli("train", "--help").out.split())
    for kind in ("activation", "loss", "optimizer", "schedule"):
        names = KNOWN[kind].split()
        assert f"{', '.join(names[:-1])} or {names[-1]}" in said, kind
