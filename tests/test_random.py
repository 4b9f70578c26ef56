"""Random numbers: the same bits everywhere, streams that have nothing to do with each other, and good ones at that."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from portanet import backends
from portanet.errors import ConfigError
from portanet.random import Key, bernoulli, epoch_word, generator

KEYS = [
    Key(0, 0),
    Key(1, 0),
    Key(0, 1),
    Key(0, 0).child(0),
    Key(epoch_word(3, 7), 412).child(5),
    Key(2**31 - 2, 2**20, 9),
]
HOST = backends.get("numpy")


def mask(key, shape=(1000, 50), probability=0.5, backend=HOST):
    with backend.activate():
        return backend.to_numpy(bernoulli(backend.asarray([0.0], "float32"), shape, probability, key))


@pytest.mark.parametrize("probability", [0.5, 0.1, 0.8, 0.0, 1e-4])
def test_the_same_bits_on_every_backend(backend, probability):
    for key in KEYS:
        np.testing.assert_array_equal(mask(key, (37, 11), probability, backend), mask(key, (37, 11), probability))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_bits_compiled(dtype):
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    backend = backends.get("jax")
    with backend.activate(dtype):
        like = backend.asarray([0.0], dtype)
        compiled = jax.jit(lambda seed, step, path: bernoulli(like, (40, 30), 0.3, Key(seed, step, path)))
        for key in KEYS:
            np.testing.assert_array_equal(np.asarray(compiled(*key[:3])), mask(key, (40, 30), 0.3))


def lowbias32(x):
    """Return what the mixer makes of an unsigned number of 32 bits, as its author writes it."""
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ (x >> 16)


@pytest.mark.parametrize("key", KEYS)
def test_the_mixer(key):
    bits = [lowbias32(lowbias32(i ^ key.seed) ^ key.step ^ key.path) for i in range(300)]
    signed = [word - 2**32 if word >= 2**31 else word for word in bits]
    expected = [word < 0.3 * 2**32 - 2**31 for word in signed]
    assert mask(key, (300,), 0.3).tolist() == expected


def test_shapes():
    assert mask(Key(0, 0), (3, 4, 5)).shape == (3, 4, 5)
    np.testing.assert_array_equal(mask(Key(0, 0), (60,)), mask(Key(0, 0), (3, 4, 5)).reshape(-1))
    assert mask(Key(0, 0), (0, 4)).shape == (0, 4)


@pytest.mark.parametrize("probability", [0.001, 0.1, 0.5, 0.8, 0.999])
@pytest.mark.parametrize("key", KEYS)
def test_the_share(key, probability):
    n = 200_000
    share = mask(key, (n,), probability).mean()
    assert abs(share - probability) < 5 * np.sqrt(probability * (1 - probability) / n)


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_the_extremes(probability):
    assert mask(Key(5, 5), (200_000,), probability).mean() == probability


@pytest.mark.parametrize("key", KEYS)
def test_neighbours_are_independent(key):
    bits = mask(key, (400, 500)).astype("float64") - 0.5
    for lag in (1, 2, 3, 8, 64, 500):  # 500: the unit's bit in the next sample
        flat = bits.ravel()
        assert abs(np.mean(flat[:-lag] * flat[lag:]) * 4) < 5 / np.sqrt(flat.size), lag


def test_streams_are_independent():
    keys = [Key(s, t).child(c) for s in (0, 1, epoch_word(0, 0), epoch_word(0, 1)) for t in (0, 1, 2) for c in (0, 1)]
    bits = np.stack([mask(key, (50_000,)) for key in keys]).astype("float64") * 2 - 1
    found = bits @ bits.T / bits.shape[1] - np.eye(len(keys))
    assert np.abs(found).max() < 5.5 / np.sqrt(bits.shape[1])


@pytest.mark.parametrize("key", KEYS)
def test_all_bytes_are_as_frequent(key):
    # Eight neighbouring bits as a byte; χ² with 255 degrees of freedom lies within these with all but 1e-6.
    counts = np.bincount(np.packbits(mask(key, (800_000,))), minlength=256)
    expected = counts.sum() / 256
    assert 155 < ((counts - expected) ** 2 / expected).sum() < 380


def test_each_layer_has_a_stream_of_its_own():
    root = Key(3, 4)
    paths = [root.child(i).path for i in range(300)]
    paths += [root.child(i).child(j).path for i, j in itertools.product(range(40), range(20))]
    paths += [root.child(i).child(j).child(k).path for i, j, k in itertools.product(range(8), repeat=3)]
    assert len({root.path, *paths}) == 1 + len(paths)
    assert all(0 <= path < 2**31 for path in paths)  # fits an int32 of any library
    # A step is mixed in by "exclusive or": no two layers may change places at small steps.
    first = [root.child(i).path for i in range(12)]
    assert min(a ^ b for a, b in itertools.combinations(first, 2)) > 10_000
    assert root.child(2)._replace(path=0) == root


def test_of_a_stack_of_seeds_each_has_the_mask_that_it_has_alone(backend):
    with backend.activate():
        seeds = backend.asarray([[7], [8], [7]], "int32")
        like = backend.asarray([0.0], "float32")
        found = backend.to_numpy(bernoulli(like, (3, 20, 5), 0.4, Key(seeds, 2).child(1)))
    for i, seed in enumerate((7, 8, 7)):
        np.testing.assert_array_equal(found[i], mask(Key(seed, 2).child(1), (20, 5), 0.4))


def test_the_words_stay_what_they_are():
    # A run that is resumed or repeated by a later version shall draw the same masks.
    assert [epoch_word(0, 0), epoch_word(3, 7)] == [526617127, 1443015226]
    assert [Key(0, 0).child(0).path, Key(0, 0).child(2).child(1).path] == [506952113, 1008949381]


def test_generators_are_keyed():
    words = [("weights",), ("split",), ("shuffle", 0), ("shuffle", 1), ("mask", 0), ("mask", 1)]
    drawn = {generator(seed, *purpose).random() for seed in (0, 1, 2**40) for purpose in words}
    assert len(drawn) == 3 * len(words)
    assert generator(5, "shuffle", 2).random() == generator(np.int64(5), "shuffle", 2).random()
    assert epoch_word(0, 1) != epoch_word(1, 0)
    assert 0 <= epoch_word(0, 0) < 2**31


@pytest.mark.parametrize("seed", [-1, 1.5, "0", None])
def test_a_seed_that_is_none(seed):
    with pytest.raises(ConfigError, match="seed: expected a whole number of 0 or more, got"):
        generator(seed)
