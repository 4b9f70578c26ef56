"""docs/custom.md: its files, commands and snippets run in an empty folder, as they are printed."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "custom.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def run(folder, *words):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PORTANET_BACKEND": "numpy", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, cwd=folder, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_has_its_files():
    assert list(FILES) == ["mymath.py", "train.py", "myrules.py", "run.toml"]


def test_what_is_printed_runs(folder):
    line, same = run(folder, "train.py").splitlines()
    assert ast.literal_eval(line)["mae"] == pytest.approx(0.03, abs=0.015)
    assert same == "True"
    commands = [c for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for c in block.splitlines()]
    assert len(commands) == 5
    for command in commands:
        program, *words = shlex.split(command)
        assert program == "portanet"
        run(folder, "-m", "portanet", *words)
    assert (folder / "runs/digits").is_dir()


def test_a_metric_a_schedule_and_an_optimizer(folder, monkeypatch):
    import portanet as pn

    monkeypatch.setenv("PORTANET_BACKEND", "numpy")
    own: dict[str, Any] = {}
    exec(FILES["myrules.py"], own)
    exec(FILES["mymath.py"], own)
    (snippet,) = (s for s in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "Slowing(lr" in s)
    own["net"] = [pn.Dense(1)]
    exec(snippet, own)
    x = np.linspace(-1, 1, 64)[:, None]
    history = own["trainer"].fit(x, x[:, 0], epochs=41, batch_size=16, verbose=False)
    assert history["lr"] == pytest.approx([0.1] * 20 + [0.05] * 20 + [0.025])
    assert 0 <= history["within"][0] < history["within"][-1] <= 1
