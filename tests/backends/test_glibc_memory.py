"""The memory of freed arrays is kept, in huge pages where there are such; a limit on addresses is left alone."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from portanet.backends.glibc_memory import HEAP

if platform.libc_ver()[0] != "glibc":
    pytest.skip("the C library is not glibc", allow_module_level=True)

TOLD = """
import resource, sys
from pathlib import Path
import numpy as np
from portanet.backends import keep_memory
def status(word):
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if word in line)
if limit := int(sys.argv[1]):
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
before = status("VmSize"), status("VmRSS")
assert keep_memory() and keep_memory()
print(status("VmSize") - before[0], status("VmRSS") - before[1])
arrays = [np.ones(400_000, "float32") for _ in range(20)]
first = {array.ctypes.data for array in arrays}
del arrays
print(sum(np.ones(400_000, "float32").ctypes.data in first for _ in range(20)))
asked = [area for area in Path("/proc/self/smaps").read_text().split("VmFlags:") if "[heap]" in area]
print(sum(int(area.partition("AnonHugePages:")[2].split()[0]) for area in asked))
"""


def told(limit=0):
    done = subprocess.run([sys.executable, "-c", TOLD, str(limit)], capture_output=True, text=True, check=True)
    return [int(number) for number in done.stdout.split()]


def test_huge_pages_are_asked_for():
    if "[madvise]" not in Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text():
        pytest.skip("Linux does not give huge pages to programs that ask: they are always there, or never")
    addresses, taken, reused, huge = told()
    assert addresses * 1024 >= HEAP
    assert taken < 4096  # KiB: addresses are no memory
    assert reused == 20
    assert huge >= 20 * 1600 // 2  # KiB, of the arrays that were there: some may lie beyond whole pages


def test_a_limit_on_addresses_is_left_alone():
    addresses, _, reused, _ = told(limit=6 << 30)
    assert addresses * 1024 < HEAP
    assert reused == 20
