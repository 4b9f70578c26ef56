"""The thread that reads rows ahead: its errors, and its end with the training."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import numpy as np
import pytest

import portanet as pn
from portanet.data.lazy import block_order
from portanet.data.lazy.prefetch import ahead
from tests.data.own import Own, rows
from tests.data.test_stream import trainer


def no_thread():
    return not any(thread.name == "portanet-prefetch" for thread in threading.enumerate())


class Broken(Own):
    """Fails from a row on."""

    def __init__(self, x, y, change):
        super().__init__(x, y, 10)
        self.change = change

    def read(self, start, stop):
        return self.change(*super().read(start, stop)) if start >= 40 else super().read(start, stop)


def fail(x, y):
    message = "the line is dead"
    raise OSError(message)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (fail, "reading them failed (OSError: the line is dead)"),
        (lambda x, y: x, "expected read(start, stop) to return (x, y), got ndarray"),
        (lambda x, y: (x[:-1], y), "expected samples of shape (10, 3), got (9, 3)"),
        (lambda x, y: (x[:, :2], y), "expected samples of shape (10, 3), got (10, 2)"),
        (lambda x, y: (x.astype("uint8"), y), "expected numbers in float32, as in the first row, got uint8"),
        (lambda x, y: (x * np.nan, y), "expected finite numbers"),
        (lambda x, y: (np.full(x.shape, "a"), y), "text such as 'a'"),
        (lambda x, y: (x, y + 5), "expected class indices 0 … 1"),
        (lambda x, y: (x, y[:-1]), "expected one target for each of the 10 samples"),
        (lambda x, y: (x, None), "expected targets, got None"),
    ],
)
def test_an_error_in_the_thread_names_the_rows(change, words):
    x, y = rows(90)
    net = trainer()
    with pytest.raises(pn.DataError) as caught:
        net.fit(Broken(x, y, change), epochs=1, batch_size=8, shuffle=False, verbose=False)
    assert "Broken, rows 40 to 49" in str(caught.value)
    assert words in str(caught.value)
    assert net.history.stopped == "error"
    assert no_thread()


def test_no_memory_in_the_thread():
    x, y = rows(90)

    def change(x, y):
        raise MemoryError

    with pytest.raises(pn.OutOfMemoryError):
        trainer().fit(Broken(x, y, change), epochs=1, verbose=False)
    assert no_thread()


class Stop(pn.Callback):
    def __init__(self, how):
        self.how = how

    def on_batch_end(self, trainer, batch, batches):
        self.how(trainer)


def raised(trainer):
    raise KeyboardInterrupt


@pytest.mark.parametrize("how", [lambda trainer: trainer.stop("enough"), raised])
def test_the_thread_ends_with_the_training(how, monkeypatch):
    monkeypatch.setattr(block_order, "WINDOW", 12 * 10)
    x, y = rows(1000)
    net = trainer()
    with contextlib.suppress(KeyboardInterrupt):
        net.fit(Own(x, y, 5), epochs=2, batch_size=4, callbacks=[Stop(how)], verbose=False)
    assert net.position == 1
    assert no_thread()


def test_the_thread_ends_when_training_diverges():
    x, y = rows(1000)
    net = pn.Trainer([pn.Dense(1)], "mean_squared_error", pn.SGD(lr=1e30), backend="numpy")
    with pytest.raises(pn.DivergedError):
        net.fit(Own(x, y.astype("float32"), 5), epochs=3, batch_size=4, verbose=False)
    assert no_thread()


def test_ahead_of_time():
    made, wanted = [], threading.Event()

    def make(stopped):
        for i in range(100):
            made.append(i)
            if i == 2:
                wanted.set()
            yield i

    items: Any = ahead(make)
    assert next(items) == 0
    assert wanted.wait(10)  # one waits, and one is being made
    items.close()
    assert no_thread()
    assert len(made) <= 4
