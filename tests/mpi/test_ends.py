"""How trainings by several processes end: in order, by a signal, by an error of one process, by its death."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.endurance.ranks import WORDS, apart, killed, resumed
from tests.mpi import jobs

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="ranks are found by /proc")

RANK_1 = """
import sys, time, portanet as pn, numpy as np
ranks = pn.Ranks()
class Hook(pn.Callback):
    def on_batch_end(self, trainer, batch, batches):
        if ranks.rank == 1 and trainer.epoch == 1:
            ACTION
x = np.random.default_rng(0).normal(size=(200, 4))
t = pn.Trainer([pn.Dense(2)], backend="numpy", ranks=ranks)
h = t.fit(x, (x[:, 0] > 0).astype(int), epochs=500, batch_size=20, callbacks=[Hook()], verbose=False)
print(f"{h.stopped}|{t.epoch}|{t.position}")
"""


def test_the_command_line_is_that_of_one_process(tmp_path):
    words = (*WORDS, "--epochs", "2")
    code, out, err = jobs.run(2, *words, "--out", tmp_path / "two")
    assert code == 0, err
    assert out.count("epoch 2 of 2") == 1  # rank 0 alone speaks
    assert not err, err
    assert json.loads((tmp_path / "two" / "environment.json").read_text())["ranks"] == 2
    import subprocess

    alone = [sys.executable, *words, "--out", str(tmp_path / "one")]
    subprocess.run(alone, cwd=jobs.ROOT, env=jobs.environment(), check=True, timeout=60, capture_output=True)
    assert apart(tmp_path / "one", tmp_path / "two") < 1e-11
    assert {p.name for p in (tmp_path / "one").iterdir()} == {p.name for p in (tmp_path / "two").iterdir()}


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("train", "no-such-data"), 3, "unknown data set"),
        (("train", "moons", "--epochs", "x"), 2, "--epochs"),
        (("cv", "moons"), 2, "portanet cv runs in one process, got 2 by mpiexec"),
        (("train", "moons", "--lr", "1e30", "--optimizer", "sgd", "--activation", "linear"), 5, "diverged"),
    ],
)
def test_everybodys_error_is_told_once(tmp_path, words, code, told):
    out = ("--out", tmp_path / "run") if words[0] == "train" else ()
    found, _, err = jobs.run(2, "-m", "portanet", *words, *out)
    assert found == code, err
    assert err.count(told) == 1, err


def test_one_process_wants_to_stop():
    code, out, err = jobs.run(3, "-c", RANK_1.replace("ACTION", "trainer.stop('enough')"))
    assert code == 0, err
    assert len(out.split()) == 3
    assert len(set(out.split())) == 1, out
    assert out.startswith("enough|1|2"), out  # the step behind the one in which it said so


def test_an_error_of_one_process_ends_all():
    began = time.monotonic()
    code, _, err = jobs.run(2, "-c", RANK_1.replace("ACTION", "raise pn.DataError('my disk is full')"))
    assert code == 3, (code, err)
    assert "rank 1 of 2: Error: my disk is full" in err
    assert time.monotonic() - began < 60


def test_interrupted_and_resumed_on_another_number(tmp_path):
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert jobs.run(2, *WORDS, "--epochs", "20", "--out", whole)[0] == 0
    with jobs.start(2, *WORDS, "--epochs", "20", "--out", run) as job:
        while not (run / "metrics.jsonl").exists():
            assert job.poll() is None
            time.sleep(0.005)
        os.kill(next(iter(jobs.ranks_of(job, str(run)).values())), signal.SIGINT)  # one of them is enough
        _, err = job.communicate(timeout=60)
    assert job.returncode == 130, err
    assert json.loads((run / "report.json").read_text())["stopped"] == "interrupted"
    assert apart(whole, resumed(run, 3, tmp_path / "again")) < 1e-10


@pytest.mark.parametrize("options", [(), ("-disable-auto-cleanup",)])
def test_a_rank_dies(tmp_path, options):
    """By mpiexec the others are ended; where it does not, they end themselves."""
    code, took, hit, err = killed(tmp_path / "run", 2, 0.2, 400, *options)
    assert hit
    assert code != 0
    assert took < 10, err
    if options:
        assert "rank 2 has died; resume from the last checkpoint" in err
    for path in (tmp_path / "run").iterdir():
        assert path.name != "report.json"  # nobody says that it has ended


def test_without_mpi4py(tmp_path):
    (tmp_path / "mpi4py").mkdir()
    (tmp_path / "mpi4py" / "__init__.py").write_text("raise ImportError('no module')")
    import subprocess

    env = {**os.environ, "PYTHONPATH": str(tmp_path), "PMI_RANK": "0", "PMI_SIZE": "4"}
    command = [sys.executable, "-m", "portanet", "train", "moons", "--out", str(tmp_path / "run")]
    done = subprocess.run(command, cwd=jobs.ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert 'pip install "portanet[mpi]"' in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
