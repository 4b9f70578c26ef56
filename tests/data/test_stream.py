"""Rows read while they are trained on: their order, the thread that reads them, and what the trainer makes of them."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import portanet as pn
from portanet import backends
from portanet.data import NpySamples, Readable, block_order
from portanet.data.block_order import block_offsets, windows
from portanet.data.prefetch import ahead
from portanet.data.stored import Stored
from portanet.data.stream import StreamedBatches

HOST = backends.get("numpy")


class Own:
    """The two methods that a user writes."""

    def __init__(self, x, y, blocks: Any = None):
        self.x, self.y, self.blocks = x, y, blocks
        self.seen: list[tuple[int, int]] = []
        self.classes: tuple[str, ...] = ()

    def __len__(self):
        return len(self.x)

    def read(self, start, stop):
        self.seen.append((start, stop))
        return self.x[start:stop], self.y[start:stop]


def rows(n, features=3):
    x = np.random.default_rng(0).normal(size=(n, features)).astype("float32")
    return x, (x.sum(axis=1) > 0).astype("int64")


def numbered(n, blocks):
    """Return batches' source in which the row number can be read."""
    x = np.arange(n, dtype="float32")[:, None]
    return Own(x, np.arange(n), blocks)


def batches(source, batch_size, weight=None):
    stored = Stored(source, lambda x, what: np.asarray(x))
    return StreamedBatches(HOST, stored, None, weight, batch_size, lambda y, n, what: y)


def trainer(backend: Any = "numpy", **options):
    net = [pn.Dense(5), pn.Tanh(), pn.Dropout(0.2), pn.Dense(2)]
    return pn.Trainer(net, metrics=["accuracy"], backend=backend, seed=3, **options)


def same(a, b):
    for name, expected in a.snapshot()["params"].items():
        np.testing.assert_array_equal(b.snapshot()["params"][name], expected)


def without_time(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history.rows]


def no_thread():
    return not any(thread.name == "portanet-prefetch" for thread in threading.enumerate())


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 80), st.integers(1, 90), st.integers(1, 30), st.integers(1, 20), st.integers(0, 99), st.booleans()
)
def test_each_row_once(n, batch_size, block, window, seed, shuffle):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block_order, "WINDOW", 4 * window)
        patch.setattr(block_order, "IN_ORDER", 4 * window)
        weight = np.random.default_rng(seed).random(n).astype("float32")
        data = batches(numbered(n, block), batch_size, weight)
        found = list(data.epoch(seed, 1, shuffle=shuffle))
        again = list(data.epoch(seed, 1, shuffle=shuffle))
        assert len(found) == len(data) == -(-n // batch_size)
        assert [len(b.x) for b in found[:-1]] == [batch_size] * (len(found) - 1)
        order = np.concatenate([b.y for b in found])
        assert sorted(order) == list(range(n))
        if not shuffle or batch_size >= n:
            assert list(order) == list(range(n))
        for one, other in zip(found, again, strict=True):
            np.testing.assert_array_equal(one.x[:, 0], one.y)
            np.testing.assert_array_equal(one.x, other.x)
            np.testing.assert_array_equal(one.weight, weight[one.y])
            assert one.size == pytest.approx(weight[one.y].sum(dtype="float64"))
        for skip in {0, 1, len(found) // 2, len(found)}:
            left = [b.y.tolist() for b in data.epoch(seed, 1, shuffle=shuffle, skip=skip)]
            assert left == [b.y.tolist() for b in found[skip:]]
    assert no_thread()


def test_seed_and_epoch_make_the_order():
    data = batches(numbered(60, 4), 7)

    def order(seed, epoch):
        return np.concatenate([b.y for b in data.epoch(seed, epoch)]).tolist()

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_rows_of_far_blocks_are_mixed(monkeypatch):
    monkeypatch.setattr(block_order, "WINDOW", 4 * 40)  # four blocks of ten
    drawn = windows(np.arange(0, 101, 10), 4, 0, 0, shuffle=True)
    assert [w.size for w in drawn] == [40, 40, 20]
    first = np.empty(40, int)
    first[drawn[0].destinations()] = np.concatenate([np.arange(*span) for span in drawn[0].spans])
    assert len({row // 10 for row in first[:10]}) > 1  # not one block behind the other
    assert sorted(first) == sorted(row for span in drawn[0].spans for row in range(*span))


def test_what_lies_before_a_resumed_batch_is_not_read(monkeypatch):
    monkeypatch.setattr(block_order, "WINDOW", 4 * 20)
    source = numbered(100, 10)
    data = batches(source, 10)
    source.seen.clear()
    list(data.epoch(0, 0, skip=8))
    assert len(source.seen) == 2


def test_blocks_of_ones_own():
    assert block_offsets(10, 4, [0, 3, 10]).tolist() == [0, 3, 10]
    assert block_offsets(10, 4, 4).tolist() == [0, 4, 8, 10]
    for wrong in (0, -1, [0, 3], [1, 10], [0, 3, 3, 10], "many"):
        with pytest.raises(pn.DataError, match="expected blocks to be a number of rows"):
            block_offsets(10, 4, wrong)


def test_the_interface():
    x, y = rows(4)
    assert isinstance(Own(x, y), Readable)
    assert isinstance(pn.data.Dataset("a", x, y), Readable)
    assert not isinstance(x, Readable)
    assert len(pn.data.Dataset("a", x, y)) == 4
    np.testing.assert_array_equal(pn.data.Dataset("a", x, y).read(1, 3)[0], x[1:3])


def test_as_in_memory(backend, tmp_path):
    """Unshuffled, the steps are the same ones, bit for bit; and so are evaluation and prediction."""
    x, y = rows(230)
    np.save(tmp_path / "X.npy", x)
    trained = []
    for data in ((x, y), (Own(x, y, 17),), (NpySamples(tmp_path / "X.npy"), y)):
        net = trainer(backend)
        net.fit(
            *data,
            epochs=2,
            batch_size=16,
            shuffle=False,
            validation_data=data if len(data) > 1 else data[0],
            verbose=False,
        )
        trained.append(
            (net, without_time(net.history), net.evaluate(*data), net.predict(data[0]), net.predict_classes(data[0]))
        )
    for net, history, scores, outputs, classes in trained[1:]:
        same(trained[0][0], net)
        assert (history, scores) == trained[0][1:3]
        np.testing.assert_array_equal(outputs, trained[0][3])
        np.testing.assert_array_equal(classes, trained[0][4])


def test_weights_and_a_part_for_validation_as_in_memory(tmp_path):
    x, y = rows(230)
    np.save(tmp_path / "X.npy", x)
    weight = np.random.default_rng(1).random(230)
    trained = []
    for samples in (x, NpySamples(tmp_path / "X.npy")):
        net = trainer(class_weight="balanced")
        net.fit(
            samples,
            y,
            epochs=2,
            batch_size=16,
            shuffle=False,
            validation_fraction=0.2,
            sample_weight=weight,
            verbose=False,
        )
        trained.append(net)
    same(*trained)
    assert without_time(trained[0].history) == without_time(trained[1].history)


def test_a_part_of_a_data_set_of_ones_own():
    x, y = rows(100)
    net = trainer()
    net.fit(Own(x, y, 7), epochs=1, validation_fraction=0.2, verbose=False)
    assert "val_loss" in net.history.rows[0]
    assert net._fitted["samples"] == 80


def test_all_rows_in_memory_are_trained_on_as_well_when_shuffled(backend):
    x, y = rows(400)
    net = trainer(backend, optimizer=pn.Adam(lr=0.05))
    assert net.fit(Own(x, y, 10), epochs=8, batch_size=32, verbose=False).rows[-1]["accuracy"] > 0.9


@pytest.mark.parametrize("blocks", [None, 13])
def test_batch_size_auto_and_classes(blocks):
    x, y = rows(2000)
    source = Own(x, y, blocks)
    source.classes = ("no", "yes")
    net = trainer()
    net.fit(source, epochs=1, batch_size="auto", verbose=False)
    assert net.classes == ("no", "yes")
    assert net._fitted["batch_size"] == 16


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


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"y": np.zeros(30, int)}, pn.ConfigError, "brings its own targets"),
        ({"shuffle": lambda n: np.arange(n)}, pn.ConfigError, "come in blocks"),
        ({"sample_weight": np.ones(3)}, pn.ShapeError, "a weight for each of the 30 samples"),
    ],
)
def test_arguments_that_cannot_be(options, error, words):
    x, y = rows(30)
    with pytest.raises(error, match=words):
        trainer().fit(Own(x, y), epochs=1, batch_size=4, verbose=False, **options)


def test_class_weights_need_targets_in_memory():
    x, y = rows(30)
    with pytest.raises(pn.ConfigError, match="give sample_weight in its place"):
        trainer(class_weight="balanced").fit(Own(x, y), epochs=1, verbose=False)


def test_an_empty_data_set():
    with pytest.raises(pn.DataError, match="Own: expected at least one row, got none; look where its rows"):
        trainer().fit(Own(*rows(0)), epochs=1, verbose=False)


def test_a_fleet_takes_arrays_alone():
    x, y = rows(30)
    with pytest.raises(pn.ConfigError, match="share samples in memory"):
        pn.Fleet([pn.Dense(2)], 2, backend="numpy").fit(Own(x, y), epochs=1)


def test_upload_is_the_same_arrays_in_their_order(backend):
    sent = [(np.full((3, 2), i, "float32"), np.arange(3) + i, None) for i in range(5)]
    with backend.activate():
        found = [
            tuple(None if a is None else backend.to_numpy(a) for a in arrays) for arrays in backend.upload(iter(sent))
        ]
    for a, b in zip(found, sent, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])
        assert a[2] is None
