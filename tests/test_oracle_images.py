"""Convolution, pooling and normalisation beside torch's, in float64: strides, paddings, kernels, dilations, groups."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from portanet import layers
from portanet.errors import ShapeError
from portanet.random import generator
from tests.differences import same

torch = pytest.importorskip("torch", reason="torch is the oracle of these tests: pip install torch")
F = torch.nn.functional


def compare(layer, oracle, x, *, buffers=None, train=True):
    """Assert that output, dx and every gradient are torch's."""
    rng = generator(0, "oracle")
    params, _ = layer.init(rng, x.shape[1:])
    params = {name: p + 0.1 * rng.normal(size=p.shape) for name, p in params.items()}
    y, cache = layer.forward({**params, **(buffers or {})}, x, train=train)
    dy = rng.normal(size=y.shape)
    dx, grads = layer.backward(params, dy, cache)
    _, alone = layer.backward(params, dy, cache, need_dx=False)

    leaves = {name: torch.tensor(p, requires_grad=True) for name, p in params.items()}
    x_leaf = torch.tensor(x, requires_grad=True)
    expected = oracle(leaves, x_leaf)
    expected.backward(torch.tensor(dy))
    same(layer, y, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    same(layer, dx, x_leaf.grad.numpy(), rtol=1e-10, atol=1e-12)
    for name in params:
        same(layer, grads[name], leaves[name].grad.numpy(), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(alone[name], grads[name], rtol=1e-10, atol=1e-12)


def channels_last(f):
    """Return torch's image function for arrays with the channels last."""
    return lambda p, x: f(p, x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def images(height, width, channels, n=3):
    return generator(1, "oracle").normal(size=(n, height, width, channels))


FITTING = [
    (k, s, p, d, g)
    for k, s, p, d, g in itertools.product((1, 2, 3, 5), (1, 2, 3), (0, 1, 2), (1, 2), (1, 2))
    if d * (k - 1) + 1 <= 8 + 2 * p
]


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation", "groups"), FITTING)
def test_convolution(kernel, stride, padding, dilation, groups):
    layer = layers.Conv2D(4, kernel, stride, padding, dilation, groups)

    def oracle(p, x):
        weight = p["weight"].permute(3, 2, 0, 1)
        return F.conv2d(x, weight, p["bias"], stride, padding, dilation, groups)

    compare(layer, channels_last(oracle), images(9, 8, 6))


def test_depthwise_convolution():
    layer = layers.Conv2D(6, 3, groups=6, bias=False)
    oracle = channels_last(lambda p, x: F.conv2d(x, p["weight"].permute(3, 2, 0, 1), groups=6))
    compare(layer, oracle, images(6, 5, 6))


def test_convolution_same():
    layer = layers.Conv2D(4, (3, 4), padding="same")
    # An even kernel has an odd number of pixels to pad: the one left over goes behind.
    oracle = channels_last(lambda p, x: F.conv2d(F.pad(x, (1, 2, 1, 1)), p["weight"].permute(3, 2, 0, 1), p["bias"]))
    compare(layer, oracle, images(6, 7, 2))


def test_convolution_in_chunks_is_the_same(monkeypatch):
    from portanet.backends.primitives import convolution_portable as conv

    layer, x = layers.Conv2D(4, 3, padding=1), images(6, 5, 3, n=7)
    params, _ = layer.init(generator(0), x.shape[1:])
    results = []
    for budget in (None, 1, 4 * 6 * 5 * 3 * 3 * 3):  # whole; an image at a time; three
        monkeypatch.setattr(conv, "cache_budget", lambda _, budget=budget: budget)
        y, cache = layer.forward(params, x)
        dx, grads = layer.backward(params, np.cos(y), cache)
        _, alone = layer.backward(params, np.cos(y), cache, need_dx=False)
        results.append([y, dx, *grads.values(), *alone.values()])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-13)


POOLS = [(k, s, p) for k, s, p in itertools.product((1, 2, 3), (1, 2, 3), (0, 1)) if 2 * p <= k]


@pytest.mark.parametrize(("kernel", "stride", "padding"), POOLS)
@pytest.mark.parametrize("ties", [False, True])
def test_pooling(kernel, stride, padding, ties):
    x = images(7, 6, 3)
    x = np.maximum(x, 0) if ties else x  # behind a ReLU: many equal zeros in a window
    compare(
        layers.MaxPool2D(kernel, stride, padding),
        channels_last(lambda p, t: F.max_pool2d(t, kernel, stride, padding)),
        x,
    )
    compare(
        layers.AvgPool2D(kernel, stride, padding),
        channels_last(lambda p, t: F.avg_pool2d(t, kernel, stride, padding)),
        x,
    )


def test_global_average():
    compare(layers.GlobalAvgPool2D(), lambda p, t: t.mean(dim=(1, 2)), images(4, 5, 3))


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("shape", [(9, 4), (3, 5, 4, 2)])
def test_batch_norm_and_its_running_statistics(shape, train):
    x = 3 + 2 * generator(2, "oracle").normal(size=shape)
    c = shape[-1]
    layer = layers.BatchNorm(momentum=0.8)
    buffers = {"mean": np.linspace(-1, 1, c), "variance": np.linspace(0.5, 2, c)}
    running = {name: torch.tensor(b) for name, b in buffers.items()}

    def oracle(p, t):
        y = F.batch_norm(
            t.movedim(-1, 1), running["mean"], running["variance"], p["gamma"], p["beta"], train, 0.2, 1e-5
        )
        return y.movedim(1, -1)

    compare(layer, oracle, x, buffers=buffers, train=train)
    if train:
        everything = {**layer.init(None, shape[1:])[0], **buffers}
        new = layer.updated_buffers(everything, layer.forward(everything, x, train=True)[1])
        for name in new:
            np.testing.assert_allclose(new[name], running[name].numpy(), rtol=1e-12)


def test_layer_norm():
    oracle = lambda p, t: F.layer_norm(t, (6,), p["gamma"], p["beta"])  # noqa: E731
    compare(layers.LayerNorm(), oracle, generator(3, "oracle").normal(size=(4, 3, 6)))


def test_embedding():
    x = generator(4, "oracle").integers(0, 7, (5, 3)).astype(float)
    layer = layers.Embedding(7, 4)
    params, out_shape = layer.init(generator(0), (3,))
    assert out_shape == (3, 4)
    y, cache = layer.forward(params, x)
    leaf = torch.tensor(params["weight"], requires_grad=True)
    expected = F.embedding(torch.tensor(x, dtype=torch.int64), leaf)
    dy = generator(5, "oracle").normal(size=y.shape)
    expected.backward(torch.tensor(dy))
    np.testing.assert_array_equal(y, expected.detach().numpy())
    _, grads = layer.backward(params, dy, cache)
    same(layer, grads["weight"], leaf.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            layers.Conv2D(3, 5),
            (4, 9, 1),
            "a window of 5 pixels (kernel 5, dilation 1) does not fit into 4 + 0 + 0 pixels",
        ),
        (layers.Conv2D(3), (28, 28), "grey images need a last axis of 1: Reshape((height, width, 1)) before it"),
        (layers.Conv2D(4, groups=2), (8, 8, 3), "expected a multiple of 2 channels (groups), got 3"),
        (layers.MaxPool2D(9), (4, 4, 1), "take a smaller kernel, or padding='same'"),
        (layers.Reshape((3, 3)), (8,), "expected samples of 9 numbers for the shape (3, 3), got 8"),
    ],
)
def test_shapes_that_do_not_fit(layer, shape, message):
    with pytest.raises(ShapeError) as caught:
        layer.init(generator(0), shape)
    assert message in str(caught.value)


def _transposed(p, x):
    grouped = p["weight"].unflatten(3, (2, 2)).permute(3, 2, 4, 0, 1).flatten(0, 1)  # (in, units / groups, kh, kw)
    return F.conv_transpose2d(x, grouped, p["bias"], (2, 3), (1, 0), (1, 2), 2)


OTHERS = [
    (layers.ConvTranspose2D(4, (3, 2), (2, 3), (1, 0), (1, 2), groups=2), _transposed),
    (layers.ZeroPad2D(((0, 2), (3, 1))), lambda p, x: F.pad(x, (3, 1, 0, 2))),
    (layers.UpSample2D((2, 3)), lambda p, x: F.interpolate(x, scale_factor=(2, 3))),
    (layers.UpSample2D((2, 3), "bilinear"), lambda p, x: F.interpolate(x, scale_factor=(2, 3), mode="bilinear")),
    *(
        (
            layers.Resize2D(size, None, mode, corners),
            lambda p, x, size=size, mode=mode, corners=corners: F.interpolate(
                x, size, mode=mode, align_corners=corners == "align_corners"
            ),
        )
        for size in ((9, 5), (6, 16), (1, 3))
        for mode in ("bilinear", "bicubic")
        for corners in ("half_pixel", "align_corners")
    ),
    (layers.Resize2D((9, 5), None, "nearest", "asymmetric", "floor"), lambda p, x: F.interpolate(x, (9, 5))),
    (
        layers.Resize2D((4, 13), None, "nearest", "half_pixel", "up"),
        lambda p, x: F.interpolate(x, (4, 13), mode="nearest-exact"),
    ),
    (
        layers.Resize2D(None, (1.5, 0.7), "bicubic"),
        lambda p, x: F.interpolate(x, scale_factor=(1.5, 0.7), mode="bicubic"),
    ),
    (
        layers.Resize2D((3, 5), antialias=True, edges=False),
        lambda p, x: F.interpolate(x, (3, 5), mode="bilinear", antialias=True),
    ),
    (
        layers.Resize2D((3, 5), None, "bicubic", cubic=-0.5, antialias=True, edges=False),
        lambda p, x: F.interpolate(x, (3, 5), mode="bicubic", antialias=True),
    ),
    (layers.Pad2D(((2, 1), (3, 0))), lambda p, x: F.pad(x, (3, 0, 2, 1), "reflect")),
    (layers.Pad2D(((2, 9), (3, 0)), "replicate"), lambda p, x: F.pad(x, (3, 0, 2, 9), "replicate")),
    (layers.Pad2D(((2, 6), (3, 0)), "circular"), lambda p, x: F.pad(x, (3, 0, 2, 6), "circular")),
    (layers.Pad2D(((2, 1), (3, 0)), "constant", 0.5), lambda p, x: F.pad(x, (3, 0, 2, 1), value=0.5)),
    (layers.DepthToSpace2D(2), lambda p, x: F.pixel_shuffle(x, 2)),
    (layers.SpaceToDepth2D(2), lambda p, x: F.pixel_unshuffle(x, 2)),
    (layers.LpPool2D((3, 2), (2, 1)), lambda p, x: F.lp_pool2d(x, 2.0, (3, 2), (2, 1))),
    (layers.LpPool2D(2, p=4.0), lambda p, x: F.lp_pool2d(x, 4.0, 2)),
    (layers.LocalResponseNorm(3, 0.8, 0.6, 0.5), lambda p, x: F.local_response_norm(x, 3, 0.8, 0.6, 0.5)),
    (layers.AdaptiveAvgPool2D((3, 4)), lambda p, x: F.adaptive_avg_pool2d(x, (3, 4))),
    (layers.MaxPool2D(3, 2, 1, ceil_mode=True), lambda p, x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True)),
    (layers.MaxPool2D(3, 2, (1, 0)), lambda p, x: F.max_pool2d(x, 3, 2, (1, 0))),
    (layers.AvgPool2D(3, 2, 1, ceil_mode=True), lambda p, x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True)),
    (
        layers.AvgPool2D(3, 2, 1, ceil_mode=True, count_padding=False),
        lambda p, x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False),
    ),
    (layers.AvgPool2D((1, 3), 1, (0, 1)), lambda p, x: F.avg_pool2d(x, (1, 3), 1, (0, 1))),
    (layers.GroupNorm(2), lambda p, x: F.group_norm(x, 2, p["gamma"], p["beta"])),
    (layers.InstanceNorm(), lambda p, x: F.instance_norm(x)),
    (layers.InstanceNorm(affine=True), lambda p, x: F.instance_norm(x, weight=p["gamma"], bias=p["beta"])),
    (layers.PReLU(), lambda p, x: F.prelu(x, p["slope"])),
    (
        layers.Conv2D(2, 3, (2, 1), ((0, 2), (1, 0)), bias=False),
        lambda p, x: F.conv2d(F.pad(x, (1, 0, 0, 2)), p["weight"].permute(3, 2, 0, 1), stride=(2, 1)),
    ),
    (
        layers.Residual([layers.Conv2D(4, 3, 2, 1), layers.Tanh()], [layers.Conv2D(4, 1, 2)]),
        lambda p, x: (
            F.conv2d(x, p["shortcut.0.weight"].permute(3, 2, 0, 1), p["shortcut.0.bias"], 2)
            + torch.tanh(F.conv2d(x, p["0.weight"].permute(3, 2, 0, 1), p["0.bias"], 2, 1))
        ),
    ),
]


@pytest.mark.parametrize(("layer", "oracle"), OTHERS, ids=lambda v: type(v).__name__)
def test_other_layers(layer, oracle):
    compare(layer, channels_last(oracle), images(6, 8, 4))


def test_global_maximum():
    compare(layers.GlobalMaxPool2D(), lambda p, x: x.amax(dim=(1, 2)), images(6, 8, 4))


SIGNALS = [
    (
        layers.Conv1D(4, 3, 2, 1, groups=2),
        lambda p, x: F.conv1d(x, p["weight"].permute(2, 1, 0), p["bias"], 2, 1, groups=2),
    ),
    (layers.MaxPool1D(3, 2, 1), lambda p, x: F.max_pool1d(x, 3, 2, 1)),
    (layers.AvgPool1D(2), lambda p, x: F.avg_pool1d(x, 2)),
    (layers.GlobalAvgPool1D(), lambda p, x: x.mean(dim=2)),
    (layers.GlobalMaxPool1D(), lambda p, x: x.amax(dim=2)),
]


@pytest.mark.parametrize(("layer", "oracle"), SIGNALS, ids=lambda v: type(v).__name__)
def test_signals(layer, oracle):
    def channels_second(p, x):
        y = oracle(p, x.permute(0, 2, 1))
        return y if y.ndim == 2 else y.permute(0, 2, 1)

    compare(layer, channels_second, generator(6, "oracle").normal(size=(3, 9, 4)))
