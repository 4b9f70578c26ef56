"""The order in which rows are read from disk: each row once, mixed by windows of blocks, the same from one seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import portanet as pn
from portanet import backends
from portanet.data.batching.stream import StreamedBatches
from portanet.data.lazy import block_order
from portanet.data.lazy.block_order import block_offsets, windows
from portanet.data.lazy.stored import Stored
from tests.data.own import numbered
from tests.data.test_stream_thread import no_thread

HOST = backends.get("numpy")


def batches(source, batch_size, weight=None):
    stored = Stored(source, lambda x, what: np.asarray(x))
    return StreamedBatches(HOST, stored, None, weight, batch_size, lambda y, n, what: y)


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
