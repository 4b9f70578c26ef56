"""How trainings by several processes end: in order, by a signal, by an error of one process, by its death."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
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
print(f"{h.stopped}|{t.epoch}|{t.position}\\n", end="")  # in one piece: all write to one pipe
"""

DIVERGES = """
import portanet as pn, numpy as np
from portanet.distributed import launch
ranks = pn.Ranks() if launch.size() > 1 else None
x = np.random.default_rng(0).normal(size=(64, 2))
rises = pn.schedules.StepDecay(every=2, gamma=1e9)
options = {"backend": "numpy", "dtype": "float64", "schedule": rises, "ranks": ranks}
t = pn.Trainer([pn.Dense(3), pn.ReLU(), pn.Dense(1)], "mean_squared_error", pn.SGD(lr=0.001), **options)
try:
    t.fit(x, x[:, 0] + 5, epochs=6, batch_size=10, verbose=False)
except pn.DivergedError as error:
    began = str(error).partition("that are not finite: ")[2]  # the loss of a step is each process's own before that
    print(f"{began}|{t.epoch}|{t.position}|{t.params['0.weight'][0, 0]:.9g}\\n", end="")
"""


def test_the_command_line_is_that_of_one_process(tmp_path):
    words = (*WORDS, "--epochs", "2")
    code, out, err = jobs.run(2, *words, "--out", tmp_path / "two")
    assert code == 0, err
    assert out.count("epoch 2 of 2") == 1  # rank 0 alone speaks
    assert not err, err
    assert json.loads((tmp_path / "two" / "environment.json").read_text())["ranks"] == 2
    alone = [sys.executable, *words, "--out", str(tmp_path / "one")]
    subprocess.run(alone, cwd=jobs.ROOT, env=jobs.environment(), check=True, timeout=60, capture_output=True)
    assert apart(tmp_path / "one", tmp_path / "two") < 1e-11
    assert {p.name for p in (tmp_path / "one").iterdir()} == {p.name for p in (tmp_path / "two").iterdir()}


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("train", "no-such-data"), 3, "unknown data set"),
        pytest.param(("train", "moons", "--epochs", "x"), 2, "--epochs", marks=pytest.mark.slow),  # as the first
        (("cv", "moons"), 2, "portanet cv runs in one process, got 2 by mpiexec"),
        (("train", "moons", "--lr", "1e30", "--optimizer", "sgd", "--activation", "linear"), 5, "diverged"),
    ],
)
def test_everybodys_error_is_told_once(tmp_path, words, code, told):
    out = ("--out", tmp_path / "run") if words[0] == "train" else ()
    found, _, err = jobs.run(2, "-m", "portanet", *words, *out)
    assert found == code, err
    assert err.count(told) == 1, err


def test_a_divergence_tells_step_and_layer_as_one_process_does():
    told = []
    for ranks in (1, 2):
        code, out, err = jobs.run(ranks, "-c", DIVERGES)
        assert code == 0, err
        assert len(set(out.split("\n")[:-1])) == 1, out  # all ranks say the same
        told.append(out.split("\n")[0])
    assert re.match(r"\w+ of Dense \d; .*\|2\|0\|", told[0]), told  # back at the start of epoch 3
    assert told[0] == told[1]


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


@pytest.mark.slow  # a training resumed by one process is among the quick ones
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


def test_a_rank_dies(tmp_path):
    """mpiexec ends the others; tests.endurance.ranks kills more, and resumes."""
    code, took, hit, err = killed(tmp_path / "run", 1, 0.2, 400, ranks=2)
    assert hit
    assert code == 9, err
    assert took < 10, err
    assert not (tmp_path / "run" / "report.json").exists()  # nobody says that it has ended


LOCAL = """
import portanet as pn, numpy as np
ranks = pn.Ranks(batch_norm="local")
x = np.random.default_rng(0).normal(size=(12, 3))
t = pn.Trainer([pn.BatchNorm(), pn.Dense(2)], backend="numpy", dtype="float64", ranks=ranks)
t.fit(x, np.arange(12) % 2, epochs=1, batch_size=None, shuffle=False, verbose=False)
own = 0.9 + 0.1 * np.mean([x[:6].var(axis=0, ddof=1), x[6:].var(axis=0, ddof=1)], axis=0)
np.testing.assert_allclose(t.buffers["0.variance"], own, rtol=1e-12)
np.testing.assert_allclose(t.buffers["0.mean"], 0.1 * x.mean(axis=0), rtol=1e-12)
"""


def test_local_statistics_are_averaged():
    code, _, err = jobs.run(2, "-c", LOCAL)
    assert code == 0, err


WATCH = """
import os, socket, sys, time
from portanet.distributed.watchdog import Watch
here = socket.gethostname()
with Watch([(here, os.getpid()), (here if sys.argv[1] == "here" else "elsewhere", int(sys.argv[2]))], 0) as watch:
    print("ready", flush=True)
    with watch.waiting():
        time.sleep(60)  # as in a sum that nobody joins
"""


@pytest.mark.parametrize(
    ("where", "told"), [("here", "rank 1 has died"), ("elsewhere", "a sum over the ranks has taken more than 1 s")]
)
def test_where_the_launcher_ends_nobody(where, told):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        words = [sys.executable, "-c", WATCH, where, str(other.pid)]
        env = {**os.environ, "PORTANET_MPI_TIMEOUT": "1"}
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as process:
            assert process.stdout.readline() == "ready\n"
            time.sleep(1)
            assert where == "elsewhere" or process.poll() is None  # as long as it lives, nothing happens
            other.kill()
            _, err = process.communicate(timeout=30)
    assert process.returncode == 8
    assert f"portanet: rank 0 of 2: {told}" in err


def test_without_mpi4py(tmp_path):
    (tmp_path / "mpi4py").mkdir()
    (tmp_path / "mpi4py" / "__init__.py").write_text("raise ImportError('no module')")
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "PMI_RANK": "0", "PMI_SIZE": "4"}
    command = [sys.executable, "-m", "portanet", "train", "moons", "--out", str(tmp_path / "run")]
    done = subprocess.run(command, cwd=jobs.ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert 'pip install "portanet[mpi]"' in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
