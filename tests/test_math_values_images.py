"""Values of the layers of images beside plain Python: loops over places and pixels, from the papers' text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import portanet as pn
from portanet.backends.primitives import convolution_portable as conv
from portanet.layers.windows import axis

RNG = np.random.default_rng(2)


def places(size, kernel, stride, padding, dilation=1):
    """Return, for each place, the pixel under each tap; None where that is padding."""
    reach = (kernel - 1) * dilation + 1
    if padding == "same":
        short = max((-(-size // stride) - 1) * stride + reach - size, 0)
        before, after = short // 2, short - short // 2
    else:
        before = after = 0 if padding == "valid" else padding
    firsts = range(-before, size + after - reach + 1, stride)
    return [[p if 0 <= p < size else None for p in range(f, f + reach, dilation)] for f in firsts]


def windows(x, kernel, stride, padding, dilation=(1, 1)):
    """Yield each window of images: row and column of the place, and its (row tap, column tap, row, column)."""
    across = [places(x.shape[a + 1], kernel[a], stride[a], padding, dilation[a]) for a in (0, 1)]
    for p, rows in enumerate(across[0]):
        for q, columns in enumerate(across[1]):
            taps = [(i, j, r, c) for i, r in enumerate(rows) for j, c in enumerate(columns)]
            yield p, q, [tap for tap in taps if tap[2] is not None and tap[3] is not None]


CONVOLUTIONS: dict[str, tuple[pn.Conv2D, tuple[int, ...], dict[str, Any]]] = {
    "plain": (pn.Conv2D(2), (4, 5, 3), {}),
    "of one pixel": (pn.Conv2D(2, 1, bias=False), (2, 3, 2), {"kernel": (1, 1)}),
    "strided, padded": (pn.Conv2D(4, (2, 3), (2, 1), 1), (5, 4, 2), {"kernel": (2, 3), "stride": (2, 1), "padding": 1}),
    "same": (pn.Conv2D(2, (3, 2), (2, 3), "same"), (6, 5, 1), {"kernel": (3, 2), "stride": (2, 3), "padding": "same"}),
    "dilated": (pn.Conv2D(1, 2, dilation=(2, 3)), (5, 6, 2), {"kernel": (2, 2), "dilation": (2, 3)}),
    "in groups": (pn.Conv2D(6, 2, groups=3), (3, 4, 6), {"kernel": (2, 2), "groups": 3}),
}


@pytest.mark.parametrize("at_once", [None, 1, 2], ids=["whole", "image by image", "two images at a time"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution(name, at_once, monkeypatch):
    layer, shape, told = CONVOLUTIONS[name]
    told = {"kernel": (3, 3), "stride": (1, 1), "padding": "valid", "groups": 1, **told}
    groups = told.pop("groups")
    x = RNG.normal(size=(3, *shape))
    params, out_shape = layer.init(RNG, shape)
    budget = at_once and at_once * 4 * shape[0] * out_shape[1] * told["kernel"][1] * shape[2]  # of lines of x
    monkeypatch.setattr(conv, "cache_budget", lambda _: budget)
    assert params["weight"].shape == (*told["kernel"], shape[2] // groups, layer.units)
    params = {name: RNG.normal(size=p.shape) for name, p in params.items()}
    y, cache = layer.forward(params, x)
    assert y.shape == (3, *out_shape)
    dy = RNG.normal(size=y.shape)
    expected, dx, dw = np.zeros_like(y), np.zeros_like(x), np.zeros_like(params["weight"])
    seen = 0
    for p, q, taps in windows(x, **told):
        seen += 1
        for n in range(3):
            for u in range(layer.units):
                first = u // (layer.units // groups) * (shape[2] // groups)  # of the channels of u's group
                expected[n, p, q, u] = params["bias"][u] if layer.bias else 0.0
                for i, j, r, c in taps:
                    for k in range(shape[2] // groups):
                        expected[n, p, q, u] += x[n, r, c, first + k] * params["weight"][i, j, k, u]
                        dx[n, r, c, first + k] += dy[n, p, q, u] * params["weight"][i, j, k, u]
                        dw[i, j, k, u] += dy[n, p, q, u] * x[n, r, c, first + k]
    assert seen == out_shape[0] * out_shape[1]
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    found, grads = layer.backward(params, dy, cache)
    np.testing.assert_allclose(found, dx, rtol=1e-12, atol=1e-12)
    none, alone = layer.backward(params, dy, cache, need_dx=False)
    assert none is None
    for of_weights in (grads, alone):
        np.testing.assert_allclose(of_weights["weight"], dw, rtol=1e-12, atol=1e-12)
        if layer.bias:
            np.testing.assert_allclose(of_weights["bias"], [dy[..., u].sum() for u in range(layer.units)], rtol=1e-12)


@pytest.mark.parametrize(
    ("budget", "parts"), [(None, [5]), (1, [1] * 5), (40, [1] * 5), (80, [2, 2, 1]), (200, [5]), (1000, [5])]
)
def test_parts_of_a_batch_fit_the_budget(budget, parts, monkeypatch):
    monkeypatch.setattr(conv, "cache_budget", lambda x: budget)
    x = np.arange(5.0).reshape(5, 1, 1, 1)
    found = list(conv.chunks(axis(6, 2, 1, "valid"), x, 2 * x))  # 10 numbers an image, of 4 bytes
    assert [len(a) for a, _ in found] == parts
    np.testing.assert_array_equal(np.concatenate([a for a, _ in found]), x)
    np.testing.assert_array_equal(np.concatenate([b for _, b in found]), 2 * x)
    assert (found[0][0] is x) == (parts == [5])


POOLS: dict[str, tuple[tuple[int, int], dict[str, Any]]] = {
    "tiles": ((4, 6), {"kernel": (2, 3)}),
    "a rest is left out": ((5, 7), {"kernel": (2, 2)}),
    "overlapping": ((6, 6), {"kernel": (3, 3), "stride": (2, 2)}),
    "apart": ((5, 7), {"kernel": (1, 2), "stride": (2, 3)}),
    "padded": ((4, 3), {"kernel": (3, 2), "stride": (1, 2), "padding": 1}),
    "same": ((5, 4), {"kernel": (2, 3), "stride": (3, 2), "padding": "same"}),
}


@pytest.mark.parametrize("kind", [pn.MaxPool2D, pn.AvgPool2D])
@pytest.mark.parametrize("name", POOLS)
def test_pooling(kind, name):
    size, told = POOLS[name]
    layer = kind(**told)
    x = RNG.normal(size=(2, *size, 3)) - 1.0  # mostly below the 0 of padding
    y, cache = layer.forward({}, x)
    assert layer.init(None, x.shape[1:])[1] == y.shape[1:]
    dy = RNG.normal(size=y.shape)
    expected, dx = np.full_like(y, np.nan), np.zeros_like(x)
    for p, q, taps in windows(x, told["kernel"], told.get("stride", told["kernel"]), told.get("padding", "valid")):
        for n in range(2):
            for c in range(3):
                values = {(i, j): x[n, i, j, c] for _, _, i, j in taps}
                if kind is pn.MaxPool2D:
                    best = max(values, key=values.get)
                    expected[n, p, q, c] = values[best]
                    dx[n, *best, c] += dy[n, p, q, c]
                else:  # padding counts as 0
                    expected[n, p, q, c] = sum(values.values()) / (told["kernel"][0] * told["kernel"][1])
                    for pixel in values:
                        dx[n, *pixel, c] += dy[n, p, q, c] / (told["kernel"][0] * told["kernel"][1])
    np.testing.assert_allclose(y, expected, rtol=1e-12)
    np.testing.assert_allclose(layer.backward({}, dy, cache)[0], dx, rtol=1e-12, atol=1e-15)


def test_of_equal_pixels_the_first_one_counts():
    x = np.array([[0.0, 3.0, 3.0, 1.0]]).reshape(1, 2, 2, 1)
    _, cache = pn.MaxPool2D().forward({}, x)
    dx, _ = pn.MaxPool2D().backward({}, np.full((1, 1, 1, 1), 5.0), cache)
    assert dx.ravel().tolist() == [0.0, 5.0, 0.0, 0.0]


def test_global_pooling():
    x = RNG.normal(size=(2, 3, 4, 2))
    y, cache = pn.GlobalAvgPool2D().forward({}, x)
    assert y[1, 0] == pytest.approx(sum(x[1, i, j, 0] for i in range(3) for j in range(4)) / 12, rel=1e-12)
    dx, _ = pn.GlobalAvgPool2D().backward({}, y, cache)
    np.testing.assert_allclose(dx, np.broadcast_to(y[:, None, None, :] / 12, x.shape), rtol=1e-12)


def test_what_layers_of_images_begin_with():
    layer, pool = pn.Conv2D(4), pn.MaxPool2D()
    assert (layer.kernel, layer.stride, layer.padding, layer.dilation, layer.groups) == (3, 1, "valid", 1, 1)
    assert layer.bias
    assert (layer.weight_init, layer.bias_init) == ("he_normal", "zeros")
    assert (pool.kernel, pool.stride, pool.padding) == (2, None, "valid")


def test_lists_of_two_numbers_are_kept_as_tuples():
    assert pn.Conv2D(4, [2, 3], [1, 2]) == pn.Conv2D(4, (2, 3), (1, 2))
    assert pn.MaxPool2D([2, 3], [1, 2]) == pn.MaxPool2D((2, 3), (1, 2))


@pytest.mark.parametrize("shape", [(4, 5, 3), (2, 4, 5, 2)])
def test_what_is_no_image_of_the_layer(shape):
    params, _ = pn.Conv2D(2).init(RNG, (4, 5, 3))
    with pytest.raises(pn.ShapeError, match=r"expected images \(n, height, width, 3\), got an array of shape"):
        pn.Conv2D(2).forward(params, np.zeros(shape))
