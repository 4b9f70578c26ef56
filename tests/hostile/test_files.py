"""Files from strangers: each is refused in one line with exit code 3, in little memory, and nothing in it is run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.data_files import DATA
from tests.hostile.model_files import MODELS, PROOF, good
from tests.hostile.name_files import FOREIGN, IN_DATA, IN_NETWORKS
from tests.hostile.packed_files import ONNX, PARQUET, TABLES
from tests.hostile.size_files import SIZES

ROOT = Path(__file__).parents[2]
MOST = 200e6  # bytes of resident memory

GROUPS = {
    "Networks": ({**MODELS, **SIZES, **IN_NETWORKS}, ["predict", "export", "info"], []),
    "Other programs' networks": ({**FOREIGN, **ONNX}, ["predict", "export", "info"], ["onnx"]),
    "Data": ({**DATA, **TABLES, **IN_DATA}, ["train", "predict on", "info"], ["pyarrow.csv"]),
    "Parquet": (PARQUET, ["train", "predict on", "info"], ["pyarrow.parquet"]),
}
"""Each group's files, the commands that read them, and the packages that reading them takes."""

COMMANDS = {
    "info": lambda path: ["info", str(path)],
    "predict": lambda path: ["predict", str(path), "moons"],
    "predict on": lambda path: ["predict", str(_network(path)), str(path)],
    "export": lambda path: ["export", str(path), "--to", "npz", "-o", f"{path}.npz"],
    "train": lambda path: ["train", str(path), "--epochs", "1", "--quiet", "--layers", "none", "--out", f"{path}.run"],
}


def _network(path):
    """Write a good network that predicts for the data at a path, and return where it is."""
    place = Path(f"{path}.net.safetensors")
    place.write_bytes(good())
    return place


def asked(cases, commands, folder, packages=()):
    """Make all files, run all commands on them in one process, and return each answer by case and command."""
    names, lines = [], []
    for i, (name, case) in enumerate(cases.items()):
        (folder / str(i)).mkdir()
        path = case.make(folder / str(i))
        for command in commands:
            names.append((name, command))
            lines.append(COMMANDS[command](path))
    python = [sys.executable, "-m", "tests.hostile.watch", *packages]
    ran = subprocess.run(
        python, input=json.dumps(lines), capture_output=True, text=True, cwd=ROOT, timeout=600, check=False
    )
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(answers) == len(names), f"{names[len(answers)]}: the process died:\n{ran.stderr[-3000:]}"
    return dict(zip(names, answers, strict=True))


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    found = {}

    def of(group):
        if group not in found:
            cases, commands, packages = GROUPS[group]
            for package in packages:
                pytest.importorskip(package, reason='it is not installed: pip install "portanet[data,onnx]"')
            found[group] = asked(cases, commands, tmp_path_factory.mktemp("files"), packages)
        return found[group]

    return of


def check(case, command, answer):
    # What is told by the way, such as the target's column, goes before the error.
    told = "".join(line for line in answer["err"].splitlines(keepends=True) if not line.startswith("portanet: "))
    code = case.info if command == "info" else case.code
    assert answer["code"] == code, told
    assert answer["safe"]
    if code:
        says = case.info_says if command == "info" and case.info_says is not None else case.says
        assert says in told or command == "predict on"  # where columns are compared with the network's before
        assert told.startswith("Error: ")
    assert told.count("\n") == (1 if code else 0)
    assert len(told) < 1000
    assert answer["err"].replace("\n", "").isprintable()
    assert not re.search(r"Traceback|Errno|BadZipFile|EOFError", told), told
    assert answer["peak"] < MOST
    assert answer["seconds"] < 5
    assert not PROOF.exists()


@pytest.mark.slow  # each kind of refusal has a quick test beside what it refuses
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize(("group", "name"), [(group, name) for group, (cases, *_) in GROUPS.items() for name in cases])
def test_file(answers, group, name):
    cases, commands, _ = GROUPS[group]
    for command in commands:
        check(cases[name], command, answers(group)[name, command])


def test_there_are_as_many_as_promised():
    assert sum(len(cases) for cases, *_ in GROUPS.values()) >= 220
