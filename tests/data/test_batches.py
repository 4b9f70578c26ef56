"""Batches: each row once an epoch, in its own order, with its own weight; resident, streamed, or there already."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portanet import backends
from portanet.backends import Memory
from portanet.data.batching.batches import Batches
from portanet.data.batching.sparse import SparseRows

HOST = backends.get("numpy")


def rows(n, features=2):
    """Return samples and targets in which the row number can be read."""
    return np.arange(n * features, dtype="float32").reshape(n, features), np.arange(n, dtype="int32")


def read(batches, backend, *args, **options):
    def host(a):
        return None if a is None else backend.to_numpy(a)

    with backend.activate():
        found = batches.epoch(*args, **options) if args else batches.in_order()
        return [(host(b.x), host(b.y), host(b.weight), b.size) for b in found]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 99), st.integers(0, 5), st.booleans(), st.booleans())
def test_each_row_once(n, batch_size, seed, epoch, shuffle, weighted):
    x, y = rows(n)
    weight = np.random.default_rng(seed).random(n).astype("float32") if weighted else None
    batches = Batches(HOST, x, y, weight, batch_size)
    found = read(batches, HOST, seed, epoch, shuffle=shuffle)
    assert len(found) == len(batches) == -(-n // batch_size)
    assert [len(b[0]) for b in found[:-1]] == [batch_size] * (len(found) - 1)
    order = np.concatenate([b[1] for b in found])
    assert sorted(order) == list(range(n))
    if not shuffle:
        assert list(order) == list(range(n))
    for got_x, got_y, got_weight, size in found:
        np.testing.assert_array_equal(got_x, x[got_y])
        if weighted:
            np.testing.assert_array_equal(got_weight, weight[got_y])
            assert size == pytest.approx(weight[got_y].sum(dtype="float64"))
        else:
            assert got_weight is None
            assert size == len(got_y)


def test_the_order_depends_on_seed_and_epoch_alone():
    x, y = rows(50)

    def order(seed, epoch, batch_size=7):
        return np.concatenate([b[1] for b in read(Batches(HOST, x, y, None, batch_size), HOST, seed, epoch)]).tolist()

    assert order(0, 0) == order(0, 0) == order(0, 0, batch_size=49)
    assert order(0, 0, batch_size=50) == list(range(50))  # a full batch needs no order
    orders = [order(seed, epoch) for seed in range(3) for epoch in range(3)]
    assert all(a != b for a, b in itertools.combinations(orders, 2))


def test_the_order_is_even():
    # Each row comes first about as often as any other: χ² with 9 degrees of freedom, all but 1e-6 of it.
    x, y = rows(10)
    batches = Batches(HOST, x, y, None, 1)
    first = [int(next(batches.epoch(seed, 0)).y[0]) for seed in range(2000)]
    counts = np.bincount(first, minlength=10)
    assert ((counts - 200) ** 2 / 200).sum() < 45


def test_the_same_on_every_backend(backend):
    x, y = rows(23)
    weight = np.linspace(0, 1, 23, dtype="float32")
    expected = read(Batches(HOST, x, y, weight, 5), HOST, 3, 1)
    for got, wanted in zip(read(Batches(backend, x, y, weight, 5), backend, 3, 1), expected, strict=True):
        for a, b in zip(got, wanted, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("order", [(), (3, 1)], ids=["in order", "shuffled"])
def test_streamed_as_resident(backend, order, monkeypatch):
    x, y = rows(23)
    x = x.astype("uint8")
    weight = np.linspace(0, 1, 23, dtype="float32")
    resident = Batches(backend, x, y, weight, 5)
    monkeypatch.setattr("portanet.data.batching.batches.SMALL", 0)
    monkeypatch.setattr(type(backend), "memory", lambda self: Memory(100, 1000))
    streamed = Batches(backend, x, y, weight, 5)
    assert (resident.resident, streamed.resident) == (True, False)
    assert isinstance(streamed.x, np.ndarray)
    for got, wanted in zip(read(streamed, backend, *order), read(resident, backend, *order), strict=True):
        assert got[0].dtype == "uint8"
        for a, b in zip(got, wanted, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("memory", "resident"),
    [(None, True), (Memory(2 * 23 * 12, 0), True), (Memory(2 * 23 * 12 - 1, 0), False)],  # half of what is free
)
def test_what_is_resident(monkeypatch, memory, resident):
    monkeypatch.setattr("portanet.data.batching.batches.SMALL", 0)
    monkeypatch.setattr(type(HOST), "memory", lambda self: memory)
    x, y = rows(23)  # 8 and 4 bytes a row
    assert Batches(HOST, x, y, None, 5).resident == resident


def test_what_is_on_the_device_stays_there(backend, monkeypatch):
    monkeypatch.setattr("portanet.data.batching.batches.SMALL", 0)
    monkeypatch.setattr(type(backend), "memory", lambda self: Memory(0, 0))
    x, y = rows(10)
    with backend.activate():
        here, there = backend.asarray(x), backend.asarray(y)
    batches = Batches(backend, here, there, None, 4)
    if backend.name != "numpy":  # where the host is the device, its arrays are streamed like any others
        assert batches.resident
        assert batches.x is here
    np.testing.assert_array_equal(np.concatenate([b[0] for b in read(batches, backend)]), x)


def test_an_order_of_ones_own():
    x, y = rows(7)
    orders = iter(([3, 1, 0, 2, 6, 5, 4], [0, 1, 2, 3, 4, 5, 6]))
    batches = Batches(HOST, x, y, None, 3)
    for expected in ([3, 1, 0, 2, 6, 5, 4], [0, 1, 2, 3, 4, 5, 6]):
        found = read(batches, HOST, 0, 0, shuffle=lambda n: next(orders))
        assert [label for batch in found for label in batch[1].tolist()] == expected


@pytest.mark.parametrize("shuffle", [True, False])
def test_sparse_rows_are_dense_in_the_batch(backend, shuffle):
    sparse = pytest.importorskip("scipy.sparse", reason='SciPy is not installed: pip install "portanet[sklearn]"')
    x, y = rows(10)
    dense = read(Batches(backend, x, y, None, 4), backend, 1, 2, shuffle=shuffle)
    found = read(Batches(backend, SparseRows(sparse.csr_array(x)), y, None, 4), backend, 1, 2, shuffle=shuffle)
    for a, b in zip(found, dense, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])
