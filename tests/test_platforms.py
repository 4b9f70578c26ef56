"""Other systems, as far as this one can show them: a clone without links, a process without what Windows lacks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def call(*words, cwd, path, **env):
    """Run Python with only `path` on its own, and return what it did."""
    env = os.environ | {"PYTHONPATH": str(path), "PORTANET_BACKEND": "numpy"} | env
    return subprocess.run([sys.executable, *map(str, words)], cwd=cwd, env=env, capture_output=True, text=True)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """What ``git -c core.symlinks=false clone`` makes of this repository: a text file in place of the link."""
    folder = tmp_path_factory.mktemp("clone")
    left_out = shutil.ignore_patterns("__pycache__", "seeds", "old")
    for name in ("backends", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=left_out)
    shutil.copytree(ROOT / "portanet", folder / "portanet", ignore=shutil.ignore_patterns("__pycache__", "backends"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "portanet" / "backends").write_text("../backends")
    return folder


def test_a_clone_without_links_is_imported(clone):
    code = "import portanet.backends.base, portanet.backends as b; print(b.__file__, b.get('numpy').name, sep='\\n')"
    done = call("-c", code, cwd=clone, path=clone)
    assert done.stdout.splitlines() == [str(clone / "backends" / "__init__.py"), "numpy"], done.stderr


def test_a_clone_without_links_has_its_command_line(clone):
    done = call("-m", "portanet", "train", "moons", "--epochs", "1", "--out", "run", cwd=clone, path=clone)
    assert done.returncode == 0, done.stderr
    assert (clone / "run" / "report.json").exists()


def test_a_clone_without_links_runs_its_tests(clone):
    done = call("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_tree.py", cwd=clone, path=clone)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def windows(*words, cwd):
    """Run Python without what Windows lacks, its texts in Latin 1 unless they name another encoding."""
    path = os.pathsep.join([str(ROOT / "tests" / "windows"), str(ROOT)])
    texts = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C", "PYTHONIOENCODING": "latin-1"}
    return call("-X", "warn_default_encoding", *words, cwd=cwd, path=path, **texts)


LACKING = """
import os, signal, portanet
assert not hasattr(os, "fork") and not hasattr(signal, "SIGKILL") and not hasattr(signal, "SIGHUP")
try:
    os.symlink("a", "b")
except OSError:
    print("no links")
"""


def test_the_process_lacks_what_windows_does(tmp_path):
    done = windows("-c", LACKING, cwd=tmp_path)
    assert done.stdout == "no links\n", done.stderr


def test_the_command_line_where_windows_things_lack(tmp_path):
    words = ("-m", "portanet", "train", "moons", "--layers", "6", "--lr", "0.05", "--out", "run")
    for more in ([*words, "--epochs", "2"], [*words[:3], "--resume", "run", "--epochs", "4"]):
        done = windows(*more, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 4
    done = windows("-m", "portanet", "evaluate", "run", "moons", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


HELD = """
import os, subprocess, sys
from pathlib import Path
from portanet.cli.run_folder import alone_in
import filelock
assert filelock.FileLock is filelock.SoftFileLock  # else this process has Linux's locks
Path("run").mkdir()
words = [sys.executable, "-m", "portanet", "train", "moons", "--epochs", "1", "--out", "run"]
for code in (2, 0):
    with alone_in(Path("run")) if code else open(os.devnull, "rb"):
        done = subprocess.run(words, capture_output=True)
    assert done.returncode == code, done.stderr
    print(code, b"another process is training in it" in done.stderr)
"""


def test_a_run_folder_is_locked_where_windows_things_lack(tmp_path):
    done = windows("-c", HELD, cwd=tmp_path)
    assert done.stdout == "2 True\n0 False\n", done.stderr


SAVED = """
import numpy as np, portanet as pn
x, y = np.eye(6, dtype="float32"), np.arange(6) % 2
def trainer():
    return pn.Trainer([pn.Dense(8), pn.ReLU(), pn.Dropout(0.2), pn.Dense(2)], backend="numpy", seed=0)
whole = trainer()
whole.fit(x, y, epochs=4, verbose=False)
first = trainer()
first.fit(x, y, epochs=2, verbose=False, callbacks=[pn.TrainingCheckpoint("held.safetensors")])
then = trainer()
then.resume("held.safetensors")
then.fit(x, y, epochs=2, verbose=False)
then.save("net.safetensors")
np.testing.assert_array_equal(pn.load("net.safetensors").predict(x), whole.predict(x))
print("same")
"""


def test_save_and_resume_where_windows_things_lack(tmp_path):
    done = windows("-c", SAVED, cwd=tmp_path)
    assert done.stdout == "same\n", done.stderr
