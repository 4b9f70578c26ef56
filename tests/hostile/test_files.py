"""Files from strangers: each is refused in one line with exit code 3, in little memory, and nothing in it is run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.data_files import DATA
from tests.hostile.model_files import MODELS, PROOF

ROOT = Path(__file__).parents[2]
MOST = 200e6  # bytes of resident memory

COMMANDS = {
    "info": lambda path: ["info", str(path)],
    "predict": lambda path: ["predict", str(path), "moons"],
    "train": lambda path: ["train", str(path), "--epochs", "1", "--quiet", "--layers", "none", "--out", f"{path}.run"],
}


def asked(cases, commands, folder):
    """Make all files, run all commands on them in one process, and return each answer by case and command."""
    names, lines = [], []
    for i, (name, case) in enumerate(cases.items()):
        (folder / str(i)).mkdir()
        path = case.make(folder / str(i))
        for command in commands:
            names.append((name, command))
            lines.append(COMMANDS[command](path))
    python = [sys.executable, "-m", "tests.hostile.watch"]
    ran = subprocess.run(
        python, input=json.dumps(lines), capture_output=True, text=True, cwd=ROOT, timeout=120, check=False
    )
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(answers) == len(names), f"{names[len(answers)]}: the process died:\n{ran.stderr[-3000:]}"
    return dict(zip(names, answers, strict=True))


@pytest.fixture(scope="module")
def model_answers(tmp_path_factory):
    return asked(MODELS, ["info", "predict"], tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def data_answers(tmp_path_factory):
    return asked(DATA, ["info", "train"], tmp_path_factory.mktemp("data"))


def check(case, answer):
    # What is told by the way, such as the target's column, goes before the error.
    told = "".join(line for line in answer["err"].splitlines(keepends=True) if not line.startswith("portanet: "))
    assert answer["code"] == case.code, told
    assert case.says in told
    assert told.startswith("Error: ")
    assert told.count("\n") == 1
    assert len(told) < 1000
    assert answer["err"].replace("\n", "").isprintable()
    assert not re.search(r"Traceback|Errno|BadZipFile|EOFError", told), told
    assert answer["peak"] < MOST
    assert answer["seconds"] < 5
    assert not PROOF.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("command", ["info", "predict"])
@pytest.mark.parametrize("name", MODELS)
def test_network(model_answers, name, command):
    check(MODELS[name], model_answers[name, command])


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("command", ["info", "train"])
@pytest.mark.parametrize("name", DATA)
def test_data(data_answers, name, command):
    check(DATA[name], data_answers[name, command])


def test_there_are_as_many_as_promised():
    assert len(MODELS) >= 40
    assert len(DATA) >= 40
