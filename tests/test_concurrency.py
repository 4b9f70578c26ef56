"""Several trainings at once, in threads and processes; trainers that are copied, pickled, and used after errors."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import portanet as pn
from portanet.files.atomic import write
from portanet.random import generator
from tests.backends.at_hand import require
from tests.small import same

NET = pn.Sequential(  # one description for all: nothing is written on a layer
    [
        *(pn.Augment(shift=1), pn.Reshape((6, 6, 1)), pn.Conv2D(3), pn.BatchNorm(), pn.ReLU(), pn.Dropout(0.3)),
        *(pn.Flatten(), pn.Dense(2)),
    ]
)
BACKENDS = ["numpy", "torch", "jax"]


def data():
    x = generator(0, "together").normal(size=(90, 6, 6))
    return x, (x[:, :3].sum(axis=(1, 2)) > 0).astype("int64")


def make(seed=0, backend="numpy"):
    return pn.Trainer(NET, optimizer="adam", metrics=["accuracy"], seed=seed, schedule="cosine", backend=backend)


def fit(trainer, epochs=3, *callbacks, **options):
    x, y = data()
    options = {"batch_size": 16, "verbose": False, "callbacks": list(callbacks), **options}
    trainer.fit(x, y, epochs=epochs, **options)
    return trainer


def weights(seed):
    """Return a trained network's weights; at the top of a module, so that other processes find it."""
    return fit(make(seed)).snapshot()["params"]


@pytest.fixture(scope="module")
def alone():
    return [weights(seed) for seed in range(4)]


def equal(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_in_threads(alone):
    for _ in range(3):
        start = threading.Barrier(4)

        def train(seed, start=start):
            start.wait()
            return weights(seed)

        with ThreadPoolExecutor(4) as pool:
            for found, expected in zip(pool.map(train, range(4)), alone, strict=True):
                equal(found, expected)


def test_saving_and_reading_in_threads(tmp_path):
    """All write the same file: at any moment it is one of them, whole, and nothing is left behind."""
    path = tmp_path / "file"
    contents = [bytes([65 + i]) * 20_000 for i in range(4)]
    write(path, contents[0])
    seen = set()

    def both(i):
        for _ in range(40):
            write(path, contents[i])
            seen.add(path.read_bytes())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(both, range(4)))
    assert seen <= set(contents)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(sys.platform == "win32", reason="spawn alone")
def test_in_forked_processes_and_in_spawned_ones(alone):
    """In a process of its own: this one may hold threads of other libraries, which do not live through a fork."""
    code = "import tests.test_concurrency as t; t.in_processes()"
    env = os.environ | {"OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[1],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["fork", "spawn"]


def in_processes():
    alone = [weights(seed) for seed in range(2)]  # the parent has trained: its BLAS has begun
    for how in ("fork", "spawn"):
        with multiprocessing.get_context(how).Pool(2) as pool:
            for found, expected in zip(pool.map(weights, range(2)), alone, strict=True):
                equal(found, expected)
        print(how)


@pytest.mark.usefixtures("loky")
def test_in_joblib(alone):
    joblib = pytest.importorskip("joblib")
    trainers = [make(seed) for seed in range(2)]  # pickled on their way there and back
    found = joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(fit)(t) for t in trainers)
    for trainer, expected in zip(found, alone, strict=False):
        equal(trainer.snapshot()["params"], expected)
        fit(trainer, 1)
    assert all(t.epoch == 0 for t in trainers)


COPIES = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda trainer: pickle.loads(pickle.dumps(trainer))}


class StopAt(pn.Callback):
    """Stops, or raises, behind a batch of the second epoch."""

    def __init__(self, error=None):
        self.error = error

    def on_batch_end(self, trainer, batch, batches):
        if (trainer.epoch, batch) == (1, 3):
            if self.error is not None:
                raise self.error
            trainer.stop("here")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("how", COPIES)
def test_a_copy_goes_on_as_the_trainer_does_and_apart_from_it(how, backend):
    trainer = fit(make(backend=require(backend)), 3, StopAt())
    assert (trainer.epoch, trainer.position) == (1, 3)
    before, rows = trainer.snapshot(), len(trainer.history)
    other = COPIES[how](trainer)
    fit(other, 2)  # within the epoch, with the optimizer's state and what was measured
    assert (len(trainer.history), trainer.epoch) == (rows, 1)
    equal(trainer.snapshot()["params"], before["params"])
    fit(trainer, 2)
    same(trainer, other)
    assert [{**row, "seconds": 0} for row in trainer.history] == [{**row, "seconds": 0} for row in other.history]


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_before_the_first_fit_and_within_one(how, alone):
    equal(fit(COPIES[how](make())).snapshot()["params"], alone[0])
    kept = []

    class Keep(pn.Callback):
        def on_epoch_end(self, trainer, row):
            kept.append(COPIES[how](trainer))

    fit(make(), 3, Keep())
    equal(kept[-1].snapshot()["params"], alone[0])
    assert kept[0].epoch == 1
    assert kept[0].evaluate(*data())["loss"] > 0


class Odd(Exception):
    pass


BREAK = {
    "a callback": (lambda t: fit(t, 3, StopAt(Odd())), Odd),
    "an interrupt": (lambda t: fit(t, 3, StopAt(KeyboardInterrupt())), KeyboardInterrupt),
}
REFUSED = {
    "samples of another shape": lambda t: t.fit(np.zeros((9, 5)), np.zeros(9, int), verbose=False),
    "labels that are none": lambda t: t.fit(data()[0], np.full(90, 7), verbose=False),
    "NaN": lambda t: t.fit(np.full((90, 6, 6), np.nan), data()[1], verbose=False),
    "epochs": lambda t: fit(t, -1),
    "callbacks": lambda t: fit(t, 1, "none"),
    "a file that cannot be written": lambda t: t.save("/nowhere/net"),
    "predict": lambda t: t.predict(np.zeros((3, 7))),
    "resume": lambda t: t.resume("/nowhere/net"),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", BREAK)
def test_a_fit_that_broke_within_an_epoch_goes_on_from_there(name, backend):
    breaks, error = BREAK[name]
    trainer = make(backend=require(backend))
    with pytest.raises(error):
        breaks(trainer)
    assert (trainer.epoch, trainer.position, trainer.history.stopped) == (1, 3, "error")
    fit(trainer, 2)
    same(fit(make(backend=require(backend))), trainer)
    assert (len(trainer.history), trainer.history.stopped) == (3, "epochs")


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_changes_nothing(name, alone):
    trainer = fit(make(), 3, StopAt())
    with pytest.raises((pn.DataError, pn.ConfigError)):
        REFUSED[name](trainer)
    fit(trainer, 2)
    equal(trainer.snapshot()["params"], alone[0])


def test_a_trainer_that_diverged_goes_on_from_where_it_was_good(alone):
    class Spoil(pn.Callback):
        def on_batch_end(self, trainer, batch, batches):
            trainer.params["2.weight"][...] = np.nan

    trainer = make()
    with pytest.raises(pn.DivergedError):
        fit(trainer, 3, Spoil())
    equal(fit(trainer).snapshot()["params"], alone[0])  # from the last good weights: the first ones


def test_hooks_of_a_fit_that_broke_are_let_go():
    class Ends(pn.Callback):
        ended = 0

        def on_fit_end(self, trainer):
            self.ended += 1

    trainer, ends = make(), Ends()
    with pytest.raises(Odd):
        fit(trainer, 3, StopAt(Odd()), ends)
    assert ends.ended == 1
    fit(trainer, 1)
    assert ends.ended == 1
