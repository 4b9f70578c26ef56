"""Layers, losses and optimizers beside an independent hand: torch's own modules and its autograd, in float64."""

from __future__ import annotations

import numpy as np
import pytest

from portanet import layers, losses, optimizers
from portanet.random import generator
from tests.differences import same

torch = pytest.importorskip("torch", reason="torch is the oracle of these tests: pip install torch")
F = torch.nn.functional

LAYERS = [
    (layers.Dense(3), lambda p, x: x @ p["weight"] + p["bias"]),
    (layers.Dense(3, bias=False), lambda p, x: x @ p["weight"]),
    (layers.ReLU(), lambda p, x: F.relu(x)),
    (layers.LeakyReLU(0.2), lambda p, x: F.leaky_relu(x, 0.2)),
    (layers.ELU(1.5), lambda p, x: F.elu(x, 1.5)),
    (layers.Sigmoid(), lambda p, x: torch.sigmoid(x)),
    (layers.Tanh(), lambda p, x: torch.tanh(x)),
    (layers.Softplus(), lambda p, x: F.softplus(x, threshold=1e9)),  # torch turns linear at 20
    (layers.GELU(), lambda p, x: F.gelu(x, approximate="tanh")),
    (layers.GELU("none"), lambda p, x: F.gelu(x)),
    (  # torch's own gradients of these two have constants in float32
        layers.CELU(0.7),
        lambda p, x: torch.where(x > 0, x, 0.7 * torch.expm1(torch.clamp(x, max=0) / 0.7)),
    ),
    (layers.ReLU6(), lambda p, x: F.relu6(x)),
    (layers.Hardsigmoid(), lambda p, x: torch.clamp(x / 6 + 0.5, 0, 1)),
    (layers.Hardswish(), lambda p, x: F.hardswish(x)),
    (layers.Hardtanh(-0.5, 0.7), lambda p, x: F.hardtanh(x, -0.5, 0.7)),
    (layers.ThresholdedReLU(0.4), lambda p, x: F.threshold(x, 0.4, 0.0)),
    (layers.Softsign(), lambda p, x: F.softsign(x)),
    (layers.LogSoftmax(), lambda p, x: F.log_softmax(x, dim=-1)),
    (layers.PReLU(slope_init="normal"), lambda p, x: F.prelu(x, p["slope"])),
    (layers.PReLU(shared=True), lambda p, x: F.prelu(x, p["slope"])),
    (layers.RMSNorm(1e-3), lambda p, x: F.rms_norm(x, (5,), p["gamma"], 1e-3)),
    (
        layers.Branches([[layers.Dense(2), layers.Tanh()], layers.Dense(3)]),
        lambda p, x: torch.cat(
            [torch.tanh(x @ p["0.0.weight"] + p["0.0.bias"]), x @ p["1.weight"] + p["1.bias"]], dim=1
        ),
    ),
    (
        layers.Residual([layers.Dense(3), layers.Tanh()], [layers.Dense(3, bias=False)]),
        lambda p, x: x @ p["shortcut.0.weight"] + torch.tanh(x @ p["0.weight"] + p["0.bias"]),
    ),
    (layers.Swish(), lambda p, x: F.silu(x)),
    (layers.Mish(), lambda p, x: F.mish(x)),
    (layers.SELU(), lambda p, x: F.selu(x)),
    (layers.SmoothClip(2.0), lambda p, x: x / torch.sqrt(1 + (x / 2) ** 2)),
    (layers.Reshape((5, 1)), lambda p, x: x.unflatten(1, (5, 1))),
    (layers.Scale("normal"), lambda p, x: x * p["scale"]),
    (layers.Parametric(layers.Mish()), lambda p, x: torch.lerp(x, F.mish(x), p["strength"])),
    (
        layers.NTKDense(3, bias_factor=0.2),
        lambda p, x: F.linear(x, p["weight"].T / x.shape[1] ** 0.5, 0.2 * p["bias"]),
    ),
    (
        layers.PeriodicEmbedding(2, 4),
        lambda p, x: torch.cat(
            [
                torch.einsum(
                    "nfk,fku->nfu", torch.cos(2 * torch.pi * x[..., None] * p["frequency"] + p["phase"]), p["weight"]
                )
                .add(p["bias"])
                .flatten(1),
                x,
            ],
            dim=1,
        ),
    ),
    (layers.Softmax(), lambda p, x: F.softmax(x, dim=-1)),
    (layers.Flatten(), lambda p, x: torch.flatten(x, 1)),
    (layers.Rescale(0.25, 2.0), lambda p, x: 0.25 * x + 2.0),
    (
        layers.Sequential((layers.Dense(8), layers.ReLU(), layers.Residual((layers.Dense(8), layers.Tanh())))),
        lambda p, x: (h := F.relu(x @ p["0.weight"] + p["0.bias"])) + torch.tanh(h @ p["2.0.weight"] + p["2.0.bias"]),
    ),
    (
        layers.Parallel((layers.Dense(4), layers.Tanh(), layers.Dense(1)), (2, 1, 2)),
        lambda p, x: torch.cat(
            [
                x[:, :2] @ p["0.weight"] + p["0.bias"],
                torch.tanh(x[:, 2:3]),
                x[:, 3:] @ p["2.weight"] + p["2.bias"],
            ],
            dim=1,
        ),
    ),
]


@pytest.mark.parametrize(("layer", "oracle"), LAYERS, ids=lambda v: type(v).__name__)
@pytest.mark.parametrize("scale", [1.0, 30.0])  # 30: where exponentials saturate
def test_layer(layer, oracle, scale):
    rng = generator(0, "oracle")
    params, out_shape = layer.init(rng, (5,))
    x, dy = scale * rng.normal(size=(7, 5)), rng.normal(size=(7, *out_shape))
    y, cache = layer.forward(params, x, train=True)
    dx, grads = layer.backward(params, dy, cache)

    leaves = {name: torch.tensor(p, requires_grad=True) for name, p in params.items()}
    x_leaf = torch.tensor(x, requires_grad=True)
    expected = oracle(leaves, x_leaf)
    expected.backward(torch.tensor(dy))
    same(layer, y, expected.detach().numpy(), rtol=1e-12, atol=1e-13)
    same(layer, dx, x_leaf.grad.numpy(), rtol=1e-11, atol=1e-13)
    for name in params:
        same(layer, grads[name], leaves[name].grad.numpy(), rtol=1e-11, atol=1e-12)


def _weighted(values, weight):
    return values.mean() if weight is None else (values * weight).sum() / weight.sum()


TAUS = [0.1, 0.4, 0.5, 0.9]


def focal(z, t, gamma):
    nll = F.cross_entropy(z, t, reduction="none")
    return (1 - torch.exp(-nll)) ** gamma * nll


LOSSES = [
    (losses.SoftmaxCrossEntropy(), "classes", lambda z, t: F.cross_entropy(z, t, reduction="none")),
    (
        losses.SoftmaxCrossEntropy(label_smoothing=0.1),
        "classes",
        lambda z, t: F.cross_entropy(z, t, reduction="none", label_smoothing=0.1),
    ),
    (losses.FocalCrossEntropy(), "classes", lambda z, t: focal(z, t, 2.0)),
    (losses.FocalCrossEntropy(0.5), "classes", lambda z, t: focal(z, t, 0.5)),
    (losses.FocalCrossEntropy(0.0), "classes", lambda z, t: F.cross_entropy(z, t, reduction="none")),
    (losses.SoftmaxCrossEntropy(), "shares", lambda z, t: F.cross_entropy(z, t, reduction="none")),
    (
        losses.BinaryCrossEntropy(),
        "yesno",
        lambda z, t: F.binary_cross_entropy_with_logits(z, t, reduction="none").sum(-1),
    ),
    (losses.SumSquaredError(), "numbers", lambda y, t: 0.5 * F.mse_loss(y, t, reduction="none").sum(-1)),
    (losses.MeanSquaredError(), "numbers", lambda y, t: F.mse_loss(y, t, reduction="none").mean(-1)),
    (losses.MeanAbsoluteError(), "numbers", lambda y, t: F.l1_loss(y, t, reduction="none").mean(-1)),
    (losses.Huber(0.7), "numbers", lambda y, t: F.huber_loss(y, t, reduction="none", delta=0.7).mean(-1)),
    (
        losses.Quantile(tuple(TAUS)),
        "numbers",
        lambda y, t: torch.maximum(
            (t - y) * torch.tensor(TAUS, dtype=torch.float64), (t - y) * (torch.tensor(TAUS, dtype=torch.float64) - 1)
        ).mean(-1),
    ),
    (losses.NegativeLogLikelihood(), "classes", lambda z, t: F.nll_loss(z, t, reduction="none")),
    (
        losses.GaussianLikelihood(),
        "half as many",
        lambda z, t: F.gaussian_nll_loss(z[:, :2], t, z[:, 2:].exp(), reduction="none", eps=0).mean(-1),
    ),
    (losses.Poisson(), "counts", lambda z, t: F.poisson_nll_loss(z, t, log_input=True, reduction="none").mean(-1)),
]


@pytest.mark.parametrize(("loss", "kind", "oracle"), LOSSES, ids=lambda v: type(v).__name__ if v else None)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_loss(loss, kind, oracle, weighted, scale):
    rng = generator(1, "oracle")
    z = scale * rng.normal(size=(9, 4))
    target = {
        "classes": lambda: rng.integers(0, 4, 9),
        "shares": lambda: rng.dirichlet(np.ones(4), 9),
        "yesno": lambda: (rng.random((9, 4)) < 0.5).astype(float),
        "counts": lambda: rng.poisson(2.0, (9, 4)).astype(float),
        "numbers": lambda: rng.normal(size=(9, 4)),
        "half as many": lambda: rng.normal(size=(9, 2)),
    }[kind]()
    weight = rng.random(9) if weighted else None
    value, cache = loss.forward(z, target, weight)

    leaf = torch.tensor(z, requires_grad=True)
    expected = _weighted(oracle(leaf, torch.tensor(target)), None if weight is None else torch.tensor(weight))
    expected.backward()
    same(loss, value, expected.item(), rtol=1e-12)
    same(loss, loss.backward(cache), leaf.grad.numpy(), rtol=1e-10, atol=1e-14)


@pytest.fixture
def doubles():
    """Let torch's numbers outside of arrays be in float64 too: NAdam's products of momenta."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


optim = torch.optim
OPTIMIZERS = [
    (optimizers.SGD(lr=0.1), lambda p: optim.SGD(p, lr=0.1)),
    (optimizers.SGD(lr=0.1, momentum=0.8), lambda p: optim.SGD(p, lr=0.1, momentum=0.8)),
    (
        optimizers.SGD(lr=0.1, momentum=0.8, nesterov=True),
        lambda p: optim.SGD(p, lr=0.1, momentum=0.8, nesterov=True),
    ),
    (optimizers.RMSprop(lr=0.01), lambda p: optim.RMSprop(p, lr=0.01, alpha=0.9, eps=1e-8)),
    (optimizers.Adagrad(lr=0.1), lambda p: optim.Adagrad(p, lr=0.1, eps=1e-10)),
    (optimizers.Adam(lr=0.01), lambda p: optim.Adam(p, lr=0.01)),
    (optimizers.Adam(lr=0.01, beta1=0.0, beta2=0.5), lambda p: optim.Adam(p, lr=0.01, betas=(0.0, 0.5))),
    (optimizers.NAdam(lr=0.01), lambda p: optim.NAdam(p, lr=0.01)),
    (
        optimizers.NAdam(lr=0.01, beta1=0.8, momentum_decay=0.3),
        lambda p: optim.NAdam(p, lr=0.01, betas=(0.8, 0.999), momentum_decay=0.3),
    ),
    (optimizers.NAdam(lr=0.01, beta1=0.0), lambda p: optim.NAdam(p, lr=0.01, betas=(0.0, 0.999))),
    (optimizers.AdamW(lr=0.01, weight_decay=0.2), lambda p: optim.AdamW(p, lr=0.01, weight_decay=0.2)),
]


@pytest.mark.parametrize(("optimizer", "oracle"), OPTIMIZERS, ids=lambda v: type(v).__name__)
def test_optimizer(optimizer, oracle, doubles):
    rng = generator(2, "oracle")
    start = rng.normal(size=(4, 3))
    leaf = torch.tensor(start.copy(), requires_grad=True)
    theirs = oracle([leaf])
    params = {"0.weight": start.copy()}
    state = optimizer.init(params)
    for _ in range(20):
        g = rng.normal(size=(4, 3))
        params, state = optimizer.update(params, {"0.weight": g}, state, optimizer.lr)
        leaf.grad = torch.tensor(g)
        theirs.step()
    same(optimizer, params["0.weight"], leaf.detach().numpy(), rtol=1e-11, atol=1e-13)


def test_clip_norm_is_torchs():
    rng = generator(3, "oracle")
    grads = {"0.weight": rng.normal(size=(4, 3)), "0.bias": rng.normal(size=3)}
    leaves = [torch.zeros(g.shape, dtype=torch.float64, requires_grad=True) for g in grads.values()]
    for leaf, g in zip(leaves, grads.values(), strict=True):
        leaf.grad = torch.tensor(g)
    torch.nn.utils.clip_grad_norm_(leaves, 0.5)
    clipped = optimizers.SGD(clip_norm=0.5).clipped(grads)
    for leaf, g in zip(leaves, clipped.values(), strict=True):
        np.testing.assert_allclose(g, leaf.grad.numpy(), rtol=1e-5)  # torch adds 1e-6 to the norm
