"""A handful of trainings killed at random moments; tests.endurance.kills does 200."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="no fork here")
def test_killed_at_random_moments():
    command = [sys.executable, "-m", "tests.endurance.kills", "--kills", "5", "--twice", "0.5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 different final weights" in done.stdout
    assert "5 of 5 as if undisturbed" in done.stdout
