"""Negative log-likelihoods and the max-norm constraint: right values, torch's and Keras' own, training, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

import portanet as pn
from tests.small import blobs, near, trainer

torch = pytest.importorskip("torch", reason='torch is not installed: pip install "portanet[torch]"')
RNG = np.random.default_rng(0)
Z, T, W = RNG.normal(size=(7, 6)), RNG.normal(size=(7, 3)), RNG.random(7) + 0.1


@pytest.mark.parametrize("weight", [None, W], ids=["plain", "weighted"])
def test_gaussian_is_torchs_and_the_formula(weight):
    value, cache = pn.GaussianLikelihood().forward(Z, T, weight)
    leaf = torch.tensor(Z, requires_grad=True)
    each = torch.nn.functional.gaussian_nll_loss(
        leaf[:, :3], torch.tensor(T), leaf[:, 3:].exp(), reduction="none", eps=0
    )
    w = torch.ones(7) if weight is None else torch.tensor(weight)
    expected = (each.mean(-1) * w).sum() / w.sum()
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(pn.GaussianLikelihood().backward(cache), leaf.grad.numpy(), rtol=1e-12)
    w = np.ones(7) if weight is None else weight
    by_hand = [
        sum(-math.log(math.exp(-((u - t) ** 2) / (2 * math.exp(s))) / math.sqrt(math.exp(s))) for u, s, t in rows) / 3
        for rows in (zip(z[:3], z[3:], t, strict=True) for z, t in zip(Z, T, strict=True))
    ]
    assert value == pytest.approx(np.average(by_hand, weights=w), rel=1e-12)


def test_gaussian_in_units_is_that_of_standardised_targets():
    unit = (0.5, 2.0, 4.0)
    scaled = np.concatenate([Z[:, :3] * unit, Z[:, 3:]], axis=1)
    loss = pn.GaussianLikelihood(unit)
    value, cache = loss.forward(scaled, T * unit)
    plain, other = pn.GaussianLikelihood().forward(Z, T)
    assert value == pytest.approx(plain, rel=1e-12)
    g = pn.GaussianLikelihood().backward(other)
    np.testing.assert_allclose(loss.backward(cache), np.concatenate([g[:, :3] / unit, g[:, 3:]], axis=1), rtol=1e-12)
    np.testing.assert_allclose(loss.link(scaled)[:, :3], Z[:, :3] * unit)
    np.testing.assert_allclose(loss.link(scaled)[:, 3:], np.exp(Z[:, 3:] / 2) * unit)
    np.testing.assert_allclose(pn.GaussianLikelihood(2.0).link(Z)[:, 3:], 2 * np.exp(Z[:, 3:] / 2))


def test_nll_is_torchs_and_that_of_cross_entropy():
    y = RNG.integers(0, 6, 7)
    log_p = np.asarray(torch.log_softmax(torch.tensor(Z), -1))
    value, cache = pn.NegativeLogLikelihood().forward(log_p, y, W)
    leaf = torch.tensor(log_p, requires_grad=True)
    expected = (torch.nn.functional.nll_loss(leaf, torch.tensor(y), reduction="none") * torch.tensor(W / W.sum())).sum()
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(pn.NegativeLogLikelihood().backward(cache), leaf.grad.numpy(), rtol=1e-12)
    X, labels = blobs(60)
    ours = trainer([pn.Dense(8), pn.Tanh(), pn.Dense(3), pn.LogSoftmax()], loss="nll", metrics=["accuracy"])
    other = trainer([pn.Dense(8), pn.Tanh(), pn.Dense(3)], loss="cross_entropy", metrics=["accuracy"])
    for own in (ours, other):
        own.fit(X, labels, epochs=4, batch_size=16, verbose=False)
    near(ours, other)
    assert ours.history["accuracy"] == other.history["accuracy"]
    np.testing.assert_allclose(ours.predict(X), other.predict(X), rtol=1e-9)


def test_nll_needs_log_probabilities():
    for net in ([pn.Dense(3)], [pn.Dense(3), pn.Softmax()]):
        with pytest.raises(pn.ConfigError, match=r"expects a network that ends with LogSoftmax.*add LogSoftmax\(\)"):
            trainer(net, loss="negative_log_likelihood")


def test_gaussian_needs_two_outputs_a_target():
    x, y = blobs(40)
    y = y + 0.5
    with pytest.raises(pn.ShapeError, match="expected 1 numbers a sample"):
        trainer([pn.Dense(2)], loss="gaussian_nll").fit(x, np.stack([y, y], 1), epochs=1, verbose=False)
    with pytest.raises(pn.ShapeError, match="twice as many outputs as targets, means and variances, got 3"):
        trainer([pn.Dense(3)], loss="gaussian_nll").fit(x, y, epochs=1, verbose=False)


def kerass(w, most, axes):
    """Return what Keras' MaxNorm makes of weights (keras/src/constraints/constraints.py), but for its epsilon."""
    norms = np.sqrt(np.sum(np.square(w), axis=axes, keepdims=True))
    return w * np.clip(norms, 0, most) / norms


def test_max_norm_is_kerass():
    rng = np.random.default_rng(2)
    params = {"0.weight": rng.normal(size=(5, 4)), "0.bias": 3 * np.ones(4), "1.weight": rng.normal(size=(3, 3, 2, 4))}
    params["0.weight"][:, 0] *= 0.01
    grads = {name: rng.normal(size=a.shape) for name, a in params.items()}
    free = {name: a - 0.1 * grads[name] for name, a in params.items()}
    kept, _ = pn.SGD(lr=0.1, max_norm=0.7).update({n: a.copy() for n, a in params.items()}, grads, {"t": 0}, 0.1)
    np.testing.assert_allclose(kept["0.weight"], kerass(free["0.weight"], 0.7, 0), rtol=1e-12)
    np.testing.assert_allclose(kept["1.weight"], kerass(free["1.weight"], 0.7, (0, 1, 2)), rtol=1e-12)
    np.testing.assert_array_equal(kept["0.bias"], free["0.bias"])
    row, _ = pn.SGD(lr=0.1, max_norm=0.5).update({"0.weight": np.ones(3)}, {"0.weight": np.zeros(3)}, {"t": 0}, 0.1)
    assert (row["0.weight"] == 1).all()
    np.testing.assert_allclose(kept["0.weight"][:, 0], free["0.weight"][:, 0], rtol=1e-15)  # small: as it was
    assert np.linalg.norm(kept["0.weight"][:, 1]) == pytest.approx(0.7)
    zeros, _ = pn.SGD(max_norm=1.0).update(
        {"0.weight": np.zeros((2, 2))}, {"0.weight": np.zeros((2, 2))}, {"t": 0}, 0.1
    )
    assert (zeros["0.weight"] == 0).all()


def test_max_norm_holds_while_a_network_trains_and_is_saved(tmp_path):
    X, y = blobs(80)
    model = trainer(optimizer=pn.Adam(lr=0.1, max_norm=0.5))
    model.fit(X, y, epochs=3, batch_size=16, verbose=False)
    weights = [a for name, a in model.params.items() if name.endswith("weight")]
    norms = np.concatenate([np.linalg.norm(a, axis=0) for a in weights])
    assert norms.max() <= 0.5 + 1e-12
    assert (norms > 0.499).any()
    model.save(tmp_path / "net.safetensors")
    assert pn.load(tmp_path / "net.safetensors").optimizer == pn.Adam(lr=0.1, max_norm=0.5)
