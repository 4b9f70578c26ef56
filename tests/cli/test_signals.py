"""A signal while a network trains: the first saves and ends, the second ends."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import portanet as pn
from portanet.cli.signals import Interrupts

if not hasattr(signal, "SIGHUP"):
    pytest.skip("signals of POSIX", allow_module_level=True)

# The tests themselves may run behind nohup. (A preexec_fn would fork beside JAX's threads.)
HEARD = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@contextlib.contextmanager
def ended(process):
    """Leave no process behind where a test fails."""
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_run_behind_its_batch_and_saves(tmp_path, number, code):
    words = ["train", "spirals", "--epochs", "1000000", "--backend", "numpy", "--out", "run", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-c", HEARD, "-m", "portanet", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    metrics = tmp_path / "run/metrics.jsonl"
    with ended(process):
        until = time.monotonic() + 60
        while not metrics.exists() and time.monotonic() < until and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code, err
        assert "Traceback" not in err
        assert "interrupted" in err

    report = json.loads((tmp_path / "run/report.json").read_text())
    rows = [json.loads(line) for line in metrics.read_text().splitlines()]
    assert json.loads(out) == report
    assert report["stopped"] == "interrupted"
    assert report["epochs"] == len(rows) >= 1
    net = pn.load(tmp_path / "run/last.safetensors")
    assert net.epoch == len(rows)
    data = pn.data.load("spirals")
    assert net.evaluate(data.x, data.y)["loss"] > 0


IN_A_TERMINAL = """
import fcntl, sys, termios
from portanet.cli.main import run
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
code = run(sys.argv[1:])
open("code", "w").write(str(code))
sys.exit(code)
"""


def test_a_terminal_that_is_closed_ends_the_run_as_a_signal_does(tmp_path):
    master, slave = os.openpty()
    words = ["train", "spirals", "--epochs", "1000000", "--backend", "numpy", "--out", "run"]
    process = subprocess.Popen(
        [sys.executable, "-c", HEARD, "-c", IN_A_TERMINAL, *words],
        cwd=tmp_path,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    until = time.monotonic() + 60
    with ended(process):
        while not (tmp_path / "run/metrics.jsonl").exists() and time.monotonic() < until and process.poll() is None:
            while select.select([master], [], [], 0.02)[0]:  # a terminal that nobody reads holds the writer up
                os.read(master, 4096)
        os.close(master)
        process.wait(timeout=60)
    assert (tmp_path / "code").read_text() == "129"
    assert json.loads((tmp_path / "run/report.json").read_text())["stopped"] == "interrupted"
    assert pn.load(tmp_path / "run/last.safetensors").epoch >= 1


class Batches(pn.Callback):
    """Sends a signal in the middle of an epoch, and counts the batches behind it."""

    def __init__(self, *numbers):
        self.numbers, self.seen = numbers, 0

    def on_batch_end(self, trainer, batch, batches):
        self.seen += 1
        if self.seen == 2:
            for number in self.numbers:
                os.kill(os.getpid(), number)


def trainer():
    return pn.Trainer([pn.Dense(2)], backend="numpy")


X, Y = np.zeros((40, 3)), np.zeros(40, dtype=int)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_is_ignored_stays_so(number):
    before = signal.signal(number, signal.SIG_IGN)  # as SIGINT is in a background job of a script
    try:
        t = trainer()
        with Interrupts(t) as interrupts:
            history = t.fit(X, Y, epochs=3, batch_size=10, callbacks=[interrupts, Batches(number)], verbose=False)
        assert (history.stopped, len(history), interrupts.received) == ("epochs", 3, 0)
        assert signal.getsignal(number) == signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_a_hangup_that_is_ignored_stays_so_and_a_second_one_changes_nothing(monkeypatch):
    monkeypatch.setattr("portanet.cli.signals._leave_terminal", lambda: None)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        for handler, stopped in ((signal.SIG_IGN, "epochs"), (signal.SIG_DFL, "interrupted")):
            signal.signal(signal.SIGHUP, handler)
            t = trainer()
            with Interrupts(t) as interrupts:
                callbacks = [interrupts, Batches(signal.SIGHUP, signal.SIGHUP)]
                history = t.fit(X, Y, epochs=3, batch_size=10, callbacks=callbacks, verbose=False)
            assert history.stopped == stopped
            assert signal.getsignal(signal.SIGHUP) == handler
    finally:
        signal.signal(signal.SIGHUP, before)
    assert interrupts.exit_code == 129


def test_first_signal_lets_the_batch_end(capfd):
    t = trainer()
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts(t) as interrupts:
        batches = Batches(signal.SIGTERM)
        history = t.fit(X, Y, epochs=3, batch_size=10, callbacks=[interrupts, batches], verbose=False)
    assert (batches.seen, len(history), t.position, history.stopped) == (2, 0, 2, "interrupted")
    assert interrupts.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) is before
    assert "once more" in capfd.readouterr().err


def test_second_signal_ends_at_once():
    t = trainer()
    with Interrupts(t) as interrupts:
        callbacks = [interrupts, Batches(signal.SIGINT, signal.SIGINT)]
        with pytest.raises(SystemExit) as stop:
            t.fit(X, Y, epochs=3, batch_size=10, callbacks=callbacks, verbose=False)
    assert stop.value.code == 130


SLOW = """
import sys, time
import portanet as pn
from portanet.cli.main import run
def save(*_):
    print("saving", file=sys.stderr, flush=True)
    time.sleep(600)
pn.Trainer.save_checkpoint = save
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize(("first", "second", "code"), [("SIGINT", "SIGINT", 130), ("SIGINT", "SIGTERM", 143)])
def test_second_signal_ends_a_process_that_is_still_saving(cli, first, second, code):
    words = ("train", "spirals", "--epochs", "3", "--layers", "6", "--backend", "numpy", "--out", "run")
    assert cli(*words).code == 0
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    command = [
        sys.executable,
        "-c",
        SLOW,
        "train",
        "--resume",
        "run",
        "--epochs",
        "1000000",
        "--checkpoint-every",
        "9h",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8")
    while "/1000000" not in process.stderr.readline():  # a line an epoch
        assert process.poll() is None
    process.send_signal(getattr(signal, first))
    while "saving" not in process.stderr.readline():
        assert process.poll() is None
    began = time.monotonic()
    process.send_signal(getattr(signal, second))
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert time.monotonic() - began < 30
    assert "Traceback" not in err
    checkpoint = Path("run/checkpoint/training.safetensors")
    assert checkpoint.read_bytes() == before[checkpoint]
    assert set(before) == {path for path in Path("run").rglob("*") if path.is_file()}
    assert cli("train", "--resume", "run", "--epochs", "5").code == 0


def test_signal_before_the_first_batch_is_not_forgotten():
    t = trainer()
    with Interrupts(t) as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
        history = t.fit(X, Y, epochs=3, callbacks=[interrupts], verbose=False)
    assert (len(history), history.stopped) == (0, "interrupted")


def test_second_signal_still_leaves_a_report(cli, monkeypatch):
    def fit(self, *_, **__):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(pn.Trainer, "fit", fit)
    done = cli("train", "moons", "--json")
    assert done.code == 130
    assert json.loads(done.out)["stopped"] == "interrupted"
