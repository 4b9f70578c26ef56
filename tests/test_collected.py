"""The tests are collected on systems that lack POSIX's signals, modules and fork, as Windows does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

WITHOUT = """
import os, signal, sys
MISSING = {"fcntl", "pty", "resource", "termios"} | {"torch", "jax"}  # the last two only to be quick
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
for name in MISSING & set(sys.modules):
    del sys.modules[name]
for name in ("SIGKILL", "SIGHUP", "SIGALRM", "SIGUSR1"):
    delattr(signal, name)
for name in ("fork", "mkfifo", "openpty", "setsid", "killpg"):
    delattr(os, name)
import pytest
sys.exit(pytest.main(["--collect-only", "-q", "-m", "", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""


def collected(*words):
    command = [sys.executable, "-c", WITHOUT, *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=600, check=False)


@pytest.mark.slow
def test_all_tests_are_collected_without_posix():
    done = collected()
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert int(re.search(r"(\d+) tests collected", done.stdout)[1]) > 5000


def test_a_signal_that_is_missing_is_seen(tmp_path):
    (tmp_path / "test_it.py").write_text("import signal\n\nNUMBER = signal.SIGHUP\n\n\ndef test_it():\n    pass\n")
    done = collected(tmp_path, "--rootdir", tmp_path)
    assert done.returncode == pytest.ExitCode.INTERRUPTED, done.stdout + done.stderr
    assert "has no attribute 'SIGHUP'" in done.stdout
