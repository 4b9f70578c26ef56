"""The memory of freed arrays is kept for the next ones, also under a limit on addresses."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

if platform.libc_ver()[0] != "glibc":
    pytest.skip("the C library is not glibc", allow_module_level=True)

TOLD = """
import resource, sys
from pathlib import Path
import numpy as np
def status(word):
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if word in line)
if limit := int(sys.argv[1]):
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
if sys.argv[2] == "keep":
    from portanet.backends import keep_memory
    assert keep_memory() and keep_memory()
arrays = [np.ones(400_000, "float32") for _ in range(20)]
first, peak = {array.ctypes.data for array in arrays}, status("VmRSS")
del arrays
print(peak - status("VmRSS"))
print(sum(np.ones(400_000, "float32").ctypes.data in first for _ in range(20)))
"""


def told(limit=0, keep="keep"):
    words = [sys.executable, "-c", TOLD, str(limit), keep]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return [int(number) for number in done.stdout.split()]


@pytest.mark.parametrize("limit", [0, 6 << 30])
def test_memory_is_kept(limit):
    returned, reused = told(limit)
    assert returned < 1600  # KiB, of 32,000: less than one array
    assert reused == 20


def test_without_it_memory_is_returned():
    assert told(keep="no")[0] > 1600
