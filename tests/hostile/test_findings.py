"""Each finding, made again: the exit code, one line, little memory and time, and what is left of the files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.findings import FINDINGS
from tests.hostile.test_files import MOST, ROOT

PLOTS = ["portanet.cli.plot", "portanet.cli.reproduce", "portanet.plot"]
PACKAGES = {"Bounds": ["pyarrow.parquet", "pyarrow.csv", "onnx"]}
"""What the commands of a group import, beyond plots."""

WORDS = ("train", "moons", "--layers", "4", "--epochs", "2", "--batch-size", "200", "--optimizer", "adam", "--quiet")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs /proc, and root to make a device"),
]


def asked(folder):
    """Make and run every finding, each in a folder of its own; return the answers by name."""
    from portanet.cli.main import run

    assert run([*WORDS, "--backend", "numpy", "--out", str(folder / "good")]) == 0
    return {name: answer for group in FINDINGS for name, answer in _of_group(group, folder).items()}


def _of_group(group, folder):
    places, lines = [], []
    for i, finding in enumerate(FINDINGS[group].values()):
        places.append(place := folder / f"{group}-{i}")
        (place / "elsewhere").mkdir(parents=True)
        shutil.copytree(folder / "good", place / "run")
        for canary in (place / "canary", place / "elsewhere" / "canary"):
            canary.write_text("kept")
        finding.make(place)
        lines.append({"in": str(place), "words": finding.words})
    ran = subprocess.run(
        [sys.executable, "-m", "tests.hostile.watch", *PACKAGES.get(group, PLOTS)],
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=600,
        check=False,
    )
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(answers) == len(places), f"{lines[len(answers)]}: the process died:\n{ran.stderr[-3000:]}"
    return {
        name: answer | {"seen": finding.seen(place)}
        for (name, finding), answer, place in zip(FINDINGS[group].items(), answers, places, strict=True)
    }


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    for package in ("pyarrow", "onnx", "matplotlib"):
        pytest.importorskip(package, reason='it is not installed: pip install "portanet[data,onnx,plot]"')
    return asked(Path(tmp_path_factory.mktemp("findings")))


@pytest.mark.parametrize(("group", "name"), [(group, name) for group, own in FINDINGS.items() for name in own])
def test_finding(answers, group, name):
    answer, finding = answers[name], FINDINGS[group][name]
    assert answer["code"] == finding.code, answer
    assert answer["safe"]
    assert "internal error" not in answer["err"]
    assert answer["err"].count("Error: ") == (finding.code != 0), answer["err"]
    assert len(answer["err"]) < 1000
    assert answer["seen"] == answer["seen"].lower(), answer["seen"]
    assert answer["peak"] < MOST
    assert answer["seconds"] < 5
