"""Forward and backward as adjoints, ⟨f(x), dy⟩ = ⟨x, f*(dy)⟩, for windows of any size, stride, padding and dilation.

Convolution is linear in its images and in its weight, the other layers in their images alone. Max-pooling is not, but
f(c x) = c f(x) for c > 0, so that ⟨f(x), dy⟩ = ⟨x, f'(x)* dy⟩ by Euler's theorem on homogeneous functions.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from portanet import layers
from portanet.errors import ConfigError, ShapeError
from portanet.random import Key, generator

sizes = st.integers(1, 9)
counts = st.integers(1, 3)
few = st.integers(0, 3)
paddings = st.one_of(st.sampled_from(["valid", "same"]), few, st.tuples(few, few), st.tuples(few, st.tuples(few, few)))


def pairs(most):
    return st.one_of(st.integers(1, most), st.tuples(st.integers(1, most), st.integers(1, most)))


def images(seed, n, height, width, channels, *, ties=False):
    rng = generator(seed, "adjoint")
    shape = (n, height, width, channels)
    return rng.integers(-2, 3, shape).astype("float64") if ties else rng.normal(size=shape)


def check(layer, x, seed):
    """Assert both identities for `layer` at x; a window that does not fit is no case."""
    rng = generator(seed, "adjoint check")
    try:
        params, _ = layer.init(rng, x.shape[1:])
    except ShapeError:
        assume(False)
    y, cache = layer.forward(params, x, train=True, key=Key(seed, 0))
    dy = rng.normal(size=y.shape)
    dx, grads = layer.backward(params, dy, cache)
    assert dx.shape == x.shape
    expected = np.sum(y * dy)
    scale = sum(np.linalg.norm(a) * np.linalg.norm(b) for a, b in ((x, dx), (y, dy)))  # y can be 0 where x is not
    assert abs(np.sum(x * dx) - expected) <= 1e-12 * scale
    if params:
        _, alone = layer.backward(params, dy, cache, need_dx=False)
        for found in (grads, alone):
            assert abs(np.sum(params["weight"] * found["weight"]) - expected) <= 1e-12 * scale


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 99), counts, sizes, sizes, counts, counts, counts, pairs(5), pairs(3), paddings, pairs(3))
def test_convolution(seed, n, height, width, own, out, groups, kernel, stride, padding, dilation):
    layer = layers.Conv2D(out * groups, kernel, stride, padding, dilation, groups, bias=False)
    check(layer, images(seed, n, height, width, own * groups), seed)


@pytest.mark.parametrize("pool", [layers.MaxPool2D, layers.AvgPool2D])
@settings(max_examples=100, deadline=None)
@given(
    *(st.integers(0, 99), counts, sizes, sizes, counts, pairs(4), st.none() | pairs(4), paddings),
    *(st.booleans(), st.booleans(), st.booleans()),
)
def test_pooling(pool, seed, n, height, width, channels, kernel, stride, padding, ties, ceil, count):
    try:
        layer = pool(kernel, stride, padding, ceil, *([count] if pool is layers.AvgPool2D else []))
    except ConfigError:  # padding as wide as the window
        assume(False)
    check(layer, images(seed, n, height, width, channels, ties=ties), seed)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 99), counts, sizes, sizes, counts, counts, counts, pairs(4), pairs(3), pairs(2), pairs(3))
def test_transposed_convolution(seed, n, height, width, own, out, groups, kernel, stride, padding, dilation):
    layer = layers.ConvTranspose2D(out * groups, kernel, stride, padding, 0, dilation, groups, bias=False)
    check(layer, images(seed, n, height, width, own * groups), seed)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 99), counts, sizes, sizes, counts, pairs(3), pairs(3), st.sampled_from(["nearest", "bilinear"]))
def test_sizes(seed, n, height, width, channels, times, parts, mode):
    x = images(seed, n, height, width, channels)
    check(layers.UpSample2D(times, mode), x, seed)
    check(layers.AdaptiveAvgPool2D(parts), x, seed)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 99), counts, sizes, sizes, counts)
def test_global_pooling(seed, n, height, width, channels):
    check(layers.GlobalAvgPool2D(), images(seed, n, height, width, channels), seed)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 99), counts, sizes, sizes, counts, st.floats(0, 12), st.floats(0, 180), st.booleans())
def test_augmentation(seed, n, height, width, channels, shift, rotate, flip):
    check(layers.Augment(shift, rotate, flip), images(seed, n, height, width, channels), seed)
