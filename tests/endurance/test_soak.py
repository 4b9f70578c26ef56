"""Memory after some fits and after some more; tests.endurance.soak does thousands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST = (
    3e6  # bytes: a network of these fits has 3 kB, so that one kept by each of them would not show, its history would
)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_does_not_grow_with_fits():
    command = [sys.executable, "-m", "tests.endurance.soak", "--first", "50", "--fits", "300"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    grown = int(re.search(r"([+-]\d+) kB", done.stdout)[1]) * 1000
    assert grown < MOST, done.stdout
