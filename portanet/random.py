"""Randomness that is the same on every backend.

Weights and shuffles come from keyed host generators. Dropout masks and augmentations come from a counter: a 32-bit
mixer over (index, seed, step, layer) in integer operations of the standard. Nothing advances, so a step that is run
again, after a resume or in another process, draws the same numbers.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import device

from portanet.backends.namespace import namespace
from portanet.errors import ConfigError
from portanet.typing import Array, Shape

__all__ = ["Key"]

_MASK31 = 0x7FFFFFFF


class Part(NamedTuple):
    """Which rows of a batch these are, if several processes have parts of it; the numbers may be traced."""

    first: Any  # how many of the batch's rows come before these
    total: Any  # how many rows the batch has
    share: Any  # the sum of these rows' weights in that of the batch's (their number, without weights)
    sample: Any  # 1 / the sum of the batch's weights
    add: Callable[[Array], Array] | None = None  # adds up over processes; None: a part has statistics of its own


class Key(NamedTuple):
    """What a mask depends on besides its elements' indices; `seed` and `step` may be traced, `path` is the layer's.

    The seeds of a stack of k networks are an array, (k, 1): each then has the same mask as alone. With a `part`, rows
    have the same masks as in the whole batch.
    """

    seed: Any
    step: int
    path: int = 0
    part: Part | None = None

    def child(self, index: int) -> Key:
        """Return the key of the `index`-th layer within the layer that holds this key."""
        return Key(self.seed, self.step, ((self.path + index + 1) * 0x9E3779B1) & _MASK31, self.part)


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return the host generator of `seed` for one purpose, for example ``generator(0, "shuffle", epoch)``."""
    if not isinstance(seed, int | np.integer) or seed < 0:
        message = f"seed: expected a whole number of 0 or more, got {seed!r}"
        raise ConfigError(message)
    words = [zlib.crc32(word.encode()) if isinstance(word, str) else word for word in purpose]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([int(seed), *words])))


def epoch_word(seed: int, epoch: int) -> int:
    """Return 31 random bits for `seed` and `epoch`, for a :class:`Key`."""
    digest = hashlib.blake2b(f"mask {seed} {epoch}".encode(), digest_size=4).digest()  # a generator costs a small step
    return int.from_bytes(digest, "little") & _MASK31


def bernoulli(like: Array, shape: Shape, probability: float, key: Key) -> Array:
    """Return a boolean array, True with `probability`, on the device of `like`; the same bits on every backend."""
    threshold = round(probability * 2**32) - 2**31  # the bits are uniform over [-2^31, 2^31)
    return _bits(like, shape, key) < min(threshold, 2**31 - 1)


def uniform(like: Array, shape: Shape, key: Key, *, rows: int = 0) -> Array:
    """Return numbers from [0, 1) in the dtype of `like`, on its device; the same numbers on every backend.

    `rows` is the axis of the batch's rows.
    """
    xp = namespace(like)
    # The upper 24 bits: exact in float32 already.
    return xp.astype((_bits(like, shape, key, rows) >> 8) & 0xFFFFFF, like.dtype) * 2.0**-24


def _bits(like: Array, shape: Shape, key: Key, rows: int = 0) -> Array:
    """Return an owned int32 array of random bits on the device of `like`.

    Two rounds of the mixer "lowbias32" (C. Wellons, hash-prospector, 2018) over the elements' indices, keyed before
    each round. It runs in int32, which wraps round on every library and, unlike uint32, is complete on all of them; the
    shifts are made logical by their masks.
    """
    xp = namespace(like)
    stack = math.prod(getattr(key.seed, "shape", ()))  # 1 unless the seeds are those of several networks
    bits = xp.arange(math.prod(shape) // stack, dtype=xp.int32, device=device(like))
    if key.part is not None:  # from the elements' places in these rows to those in the whole batch
        first, total, *_ = key.part
        n, inner = shape[rows], math.prod(shape[rows + 1 :])
        if rows:
            bits = bits + bits // (n * inner) * ((total - n) * inner)
        bits = bits + first * inner
    bits = _mix(bits ^ key.seed)
    bits = _mix(bits ^ (key.step ^ key.path))
    return xp.reshape(bits, shape)


def _mix(x: Array) -> Array:
    """Return the owned int32 array `x` scrambled, one to one."""
    x ^= (x >> 16) & 0xFFFF
    x *= 0x7FEB352D
    x ^= (x >> 15) & 0x1FFFF
    x *= 0x846CA68B - 2**32
    x ^= (x >> 16) & 0xFFFF
    return x
