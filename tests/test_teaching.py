"""docs/teaching.md: its skeletons fail, its solutions pass, and what they make trains."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import portanet as pn
from portanet.cli.main import run

PAGE = Path(__file__).parents[1] / "docs" / "teaching.md"
BLOCK = re.compile(r"<!-- exercise (\d): (\w+) -->\n```\w+\n(.*?)```", re.DOTALL)
BLOCKS = {(number, kind): text for number, kind, text in BLOCK.findall(PAGE.read_text(encoding="utf-8"))}

WRONG = {"1": "gradient of x", "2": "gradient of weight", "3": "gradient of prediction"}
"""What the check must say of each skeleton."""


def test_there_are_three_exercises():
    assert set(BLOCKS) == {(number, kind) for number in WRONG for kind in ("skeleton", "command", "solution")}


@pytest.fixture
def graded(tmp_path, monkeypatch, capsys):
    """Return a function that runs an exercise's own command on one of its files."""
    monkeypatch.chdir(tmp_path)

    def call(number, kind):
        (tmp_path / "homework.py").write_text(BLOCKS[number, kind], encoding="utf-8")
        code = run(shlex.split(BLOCKS[number, "command"])[1:])
        return code, capsys.readouterr()

    return call


@pytest.mark.parametrize("number", WRONG)
def test_a_skeleton_fails_and_its_solution_passes(graded, number):
    code, said = graded(number, "skeleton")
    assert code == 7
    assert re.search(rf"{WRONG[number]}, seed 0: got [-\d.e]+, expected [-\d.e]+, relative error ", said.err)
    code, said = graded(number, "solution")
    assert (code, said.err) == (0, "")
    assert said.out.splitlines()[1].startswith("numpy ")


def test_the_solutions_train_together():
    own: dict[str, type] = {}
    for number in WRONG:
        exec(BLOCKS[number, "solution"], own)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    net = [own["Affine"](30), own["Softsign"](), own["Affine"](1)]
    trainer = pn.Trainer(net, own["LogCosh"](), pn.Adam(lr=0.02), backend="numpy")
    losses = trainer.fit(x, (x**2).sum(axis=1, keepdims=True), epochs=40, batch_size=32, verbose=False)["loss"]
    assert losses[-1] < 0.1 * losses[0]
