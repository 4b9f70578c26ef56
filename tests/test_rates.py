"""Learning rates per layer, and frozen layers: in every optimizer, on every backend, in fleets and files."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pytest

import portanet as pn
from portanet import optimizers
from portanet.engine.step import Step
from portanet.errors import ConfigError
from portanet.layers.base import RatedLayer
from portanet.layers.config import LAYERS
from portanet.layers.rates import is_rated, learning_rates
from portanet.layers.words import net_in_words
from portanet.verify import cases
from tests.small import blobs, near, same, trainer

NET = [
    pn.Sequential([pn.Dense(6, rate=0), pn.Tanh(), pn.Dense(6, rate=0.5)], rate=0.2),
    pn.Residual([pn.Dense(6), pn.Dropout(0.3)], rate=3.0),
    pn.Dense(3),
]
RATES = {"0.0": 0.0, "0.2": 0.1, "1.0": 3.0}
"""Of the layers' parameters, by what stands in front of their names."""

OPTIMIZERS = [(name, i) for name, own in cases.OPTIMIZERS.items() for i in range(len(own))]


@pytest.mark.parametrize("kind", [kind for kind in LAYERS.values() if issubclass(kind, RatedLayer)])
def test_the_rate_is_given_by_name(kind):
    rate = inspect.signature(kind).parameters["rate"]
    assert (rate.kind, rate.default) == (rate.KEYWORD_ONLY, 1.0)


def test_factors_multiply_and_those_of_1_are_left_out():
    net = pn.Sequential(NET)
    params, _ = net.init(np.random.default_rng(0), (5,))
    expected = {f"{place}.{name}": rate for place, rate in RATES.items() for name in ("weight", "bias")}
    assert learning_rates(net, params) == pytest.approx(expected)
    assert is_rated(net)
    sides = pn.Parallel([pn.Dense(2, rate=2), pn.Embedding(3, 1)], sizes=[1, 1], rate=0.5)
    names = ["0.weight", "0.bias", "1.weight"]
    assert (is_rated(sides), learning_rates(sides, names)) == (True, {"1.weight": 0.5})
    plain = pn.Sequential([pn.Dense(2), pn.Dropout(0.5), pn.BatchNorm()])  # a share of dropped units is no factor
    assert (is_rated(plain), learning_rates(plain, ["0.weight", "2.gamma"])) == (False, {})


def run(optimizer, rates, steps=5, *, lr=None, names=("0.weight", "0.bias", "1.weight"), seed=0):
    """Return parameters and state after some steps along gradients that the seed draws."""
    rng = np.random.default_rng(seed)
    params = {name: rng.normal(size=(4, 3)) for name in names}
    state = optimizer.init(params)
    for _ in range(steps):
        grads = {name: rng.normal(size=(4, 3)) for name in names}
        params, state = optimizer.update(params, grads, state, lr or optimizer.lr, rates=rates)
    return params, state


@pytest.mark.parametrize(("name", "i"), OPTIMIZERS)
def test_a_factor_is_another_learning_rate(name, i):
    optimizer = cases.OPTIMIZERS[name][i]
    found, state = run(optimizer, {"0.weight": 0.1, "0.bias": 2.0})
    for factor, own in ((0.1, "0.weight"), (2.0, "0.bias"), (1.0, "1.weight")):
        expected, other = run(optimizer, None, lr=factor * optimizer.lr)
        np.testing.assert_allclose(found[own], expected[own], rtol=1e-13)
        for slot in optimizer.slots:  # gradients come in as they are
            np.testing.assert_array_equal(state[slot][own], other[slot][own])


@pytest.mark.parametrize(("name", "i"), OPTIMIZERS)
def test_what_is_frozen_stays_bit_for_bit(name, i):
    optimizer = cases.OPTIMIZERS[name][i]
    start, begun = run(optimizer, None, steps=0)
    found, state = run(optimizer, {"0.weight": 0.0, "0.bias": 0.0})
    for own in ("0.weight", "0.bias"):
        np.testing.assert_array_equal(found[own], start[own])
        for slot in optimizer.slots:
            np.testing.assert_array_equal(state[slot][own], begun[slot][own])
    assert state["t"] == 5
    # The others move as if it were not there: its gradient is in no norm.
    rng = np.random.default_rng(0)
    params = {own: rng.normal(size=(4, 3)) for own in found}
    params = {"1.weight": params["1.weight"]}
    own_state = optimizer.init(params)
    for _ in range(5):
        grads = {own: rng.normal(size=(4, 3)) for own in found}
        params, own_state = optimizer.update(params, {"1.weight": grads["1.weight"]}, own_state, optimizer.lr)
    np.testing.assert_array_equal(found["1.weight"], params["1.weight"])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (pn.SGD(0.1, momentum=0.9), ("SGD", {"lr": 0.1, "momentum": 0.9})),
        (pn.SGD(0.1, momentum=0.9, nesterov=True), ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True})),
        (pn.Adam(0.01), ("Adam", {"lr": 0.01})),
        (pn.AdamW(0.01, weight_decay=0.1), ("AdamW", {"lr": 0.01, "weight_decay": 0.1})),
        (pn.RMSprop(0.01, rho=0.99), ("RMSprop", {"lr": 0.01})),
        (pn.Adagrad(0.1), ("Adagrad", {"lr": 0.1})),
    ],
    ids=lambda v: type(v).__name__,
)
def test_beside_torch(ours, theirs):
    torch = pytest.importorskip("torch", reason="torch is the oracle of these tests: pip install torch")
    x, y = blobs()
    net = [pn.Dense(6, rate=0), pn.Tanh(), pn.Dense(6, bias=False, rate=0.1), pn.Tanh(), pn.Dense(3, bias=False)]
    model = trainer(net, optimizer=ours)
    model.init((5,))
    start = model.snapshot()["params"]
    model.fit(x, y, epochs=5, batch_size=40, shuffle=False, verbose=False)
    leaves = {name: torch.tensor(a, requires_grad=not name.startswith("0.")) for name, a in start.items()}
    kind, options = theirs
    groups = [{"params": [leaves["2.weight"]], "lr": 0.1 * options["lr"]}, {"params": [leaves["4.weight"]]}]
    optimizer = getattr(torch.optim, kind)(groups, **options)
    for i in range(15):
        part = slice(40 * (i % 3), 40 * (i % 3 + 1))
        h = torch.tanh(torch.tensor(x[part]) @ leaves["0.weight"] + leaves["0.bias"])
        z = torch.tanh(h @ leaves["2.weight"]) @ leaves["4.weight"]
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(z, torch.tensor(y[part])).backward()
        optimizer.step()
    for name, a in model.snapshot()["params"].items():
        np.testing.assert_allclose(a, leaves[name].detach().numpy(), rtol=1e-9, atol=1e-11, err_msg=name)
    np.testing.assert_array_equal(model.snapshot()["params"]["0.weight"], start["0.weight"])


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "lion"])
def test_on_every_backend(backend, optimizer):
    options = {"optimizer": optimizers.get(optimizer, weight_decay=0.1, clip_norm=1.0), "l1": 0.01, "l2": 0.1}
    found = []
    for place in ("numpy", backend):
        model = trainer(NET, backend=place, **options)
        model.init((5,))
        start = model.snapshot()["params"]
        # 120 samples by 6 are twenty steps: JAX takes sixteen of them in one call.
        model.fit(*blobs(), epochs=2, batch_size=6, verbose=False)
        for name, a in model.snapshot()["params"].items():
            assert np.array_equal(a, start[name]) == name.startswith("0.0."), name
        found.append(model)
    near(found[0], found[1], rtol=1e-8)


def test_penalties_leave_the_gradient_of_what_is_frozen():
    net = pn.Sequential([pn.Dense(4, rate=0), pn.Tanh(), pn.Dense(3)])
    params, _ = net.init(np.random.default_rng(0), (5,))
    x, y = blobs(n=20)
    found = []
    for l1, l2 in ((0.0, 0.0), (0.1, 0.2)):
        step = Step(net, pn.SoftmaxCrossEntropy(), pn.SGD(), (), "float64", l1, l2)
        found.append(step.before_update(params, {}, x, y, None, {"seed": 0, "step": 0})[0])
    plain, penalised = found
    w = params["2.weight"]
    np.testing.assert_array_equal(penalised["0.weight"], plain["0.weight"])
    np.testing.assert_allclose(penalised["2.weight"], plain["2.weight"] + 0.1 * np.sign(w) + 0.2 * w, rtol=1e-12)


def test_a_factor_of_1_is_none():
    plain = [pn.Sequential([pn.Dense(6), pn.Tanh()]), pn.BatchNorm(), pn.Residual([pn.Dense(6)]), pn.Dense(3)]
    ones = [
        pn.Sequential([pn.Dense(6, rate=1), pn.Tanh()], rate=1.0),
        pn.BatchNorm(rate=1.0),
        pn.Residual([pn.Dense(6, rate=1.0)], rate=1),
        pn.Dense(3),
    ]
    models = [trainer(net, optimizer=pn.Adam(lr=0.01)) for net in (plain, ones)]
    for model in models:
        assert model.step._rates is None
        model.fit(*blobs(), epochs=2, batch_size=16, verbose=False)
    same(*models)
    assert json.dumps(models[0].net.config()) == json.dumps(models[1].net.config())
    assert "rate" not in json.dumps(models[0].net.config())


def test_in_words():
    net = pn.Sequential([pn.Dense(6, rate=0), pn.Dropout(0.2), pn.BatchNorm(), pn.Dense(10, rate=0.1), pn.Dense(3)])
    assert net_in_words(net) == "Dense 6 lr×0, Dropout 0.2, BatchNorm, Dense 10 lr×0.1, Dense 3"


def test_a_frozen_norm_still_counts():
    model = trainer([pn.Dense(4), pn.BatchNorm(rate=0), pn.Dense(3)])
    model.init((5,))
    start = model.snapshot()
    model.fit(*blobs(), epochs=1, verbose=False)
    for name in ("1.gamma", "1.beta"):
        np.testing.assert_array_equal(model.snapshot()["params"][name], start["params"][name])
    assert (model.snapshot()["buffers"]["1.mean"] != start["buffers"]["1.mean"]).all()


def test_before_an_output_layer_that_the_loss_contains():
    # The loss takes the Softmax off, and the factor of the layers around it stays.
    inner = [pn.Dense(4, rate=0), pn.Dense(3), pn.Softmax()]
    for net in ([pn.Tanh(), pn.Sequential(inner, rate=0.5)], pn.Sequential(inner, rate=0.5)):
        model = trainer(net, optimizer=pn.SGD(lr=0.1))
        half = trainer([pn.Tanh(), *inner] if isinstance(net, list) else inner, optimizer=pn.SGD(lr=0.05))
        for each in (model, half):
            each.fit(*blobs(), epochs=1, verbose=False)
        weights = [sorted(each.snapshot()["params"].items()) for each in (model, half)]
        for (_, a), (_, b) in zip(*weights, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("lr", [pytest.param(0.01, marks=pytest.mark.slow), [0.01, 0.02, 0.03]], ids=str)
def test_in_a_fleet(backend, lr):
    net = [pn.Dense(6, rate=0), pn.Tanh(), pn.Residual([pn.Dense(6, rate=0.1)]), pn.Dense(3)]
    optimizer = pn.AdamW(lr=0.01, weight_decay=0.1, clip_norm=0.5)
    fleet = pn.Fleet(net, 3, optimizer=optimizer, lr=lr, l2=0.1, backend=backend, dtype="float64")
    fleet.init((5,))
    start = [member.snapshot()["params"] for member in fleet]
    fleet.fit(*blobs(), epochs=2, batch_size=16)
    for member, before in zip(fleet, start, strict=True):
        for name in ("0.weight", "0.bias"):
            np.testing.assert_array_equal(member.snapshot()["params"][name], before[name])
        alone = trainer(net, optimizer=member.optimizer, seed=member.seed, l2=0.1, backend=backend)
        alone.fit(*blobs(), epochs=2, batch_size=16, verbose=False)
        near(member, alone, rtol=1e-8)


def test_saved_loaded_and_resumed(tmp_path):
    model = trainer(NET, optimizer=pn.Adam(lr=0.01))
    model.fit(*blobs(), epochs=1, callbacks=[pn.TrainingCheckpoint(tmp_path / "training")], verbose=False)
    model.save(tmp_path / "net")
    found = pn.load(tmp_path / "net")
    assert found.net == model.net
    assert found.net.config()["layers"][0]["rate"] == 0.2
    again = trainer(NET, optimizer=pn.Adam(lr=0.01))
    again.resume(tmp_path / "training")
    for each in (model, again):
        each.fit(*blobs(), epochs=2, callbacks=[pn.TrainingCheckpoint(tmp_path / "other")], verbose=False)
    same(model, again)
    other = trainer([pn.Dense(6, rate=0), *NET[1:]], optimizer=pn.Adam(lr=0.01))
    with pytest.raises(pn.DataError, match="it is the checkpoint of another training: net was"):
        other.resume(tmp_path / "training")


def test_named_in_a_list():
    net = pn.Sequential.from_config(
        [{"type": "Residual", "rate": 0.5, "layers": [{"type": "Dense", "units": 3, "rate": 0}]}, {"output_dim": 2}]
    )
    assert net == pn.Sequential([pn.Residual([pn.Dense(3, rate=0)], rate=0.5), pn.Dense(2)])


@pytest.mark.parametrize(
    "make",
    [
        lambda rate: pn.Dense(3, rate=rate),
        lambda rate: pn.Conv2D(3, rate=rate),
        lambda rate: pn.Embedding(3, 2, rate=rate),
        lambda rate: pn.BatchNorm(rate=rate),
        lambda rate: pn.LayerNorm(rate=rate),
        lambda rate: pn.Sequential([pn.Dense(3)], rate=rate),
        lambda rate: pn.Residual([pn.Dense(3)], rate=rate),
        lambda rate: pn.Parallel([pn.Dense(3)], [2], rate=rate),
    ],
)
def test_what_a_factor_must_be(make):
    name = type(make(2)).__name__
    for wrong in (-0.1, float("nan"), float("inf"), "0.1", True, None):
        with pytest.raises(ConfigError, match=f"{name}: rate must be a finite number"):
            make(wrong)
    assert {**make(0.5).config(), "type": name}["rate"] == 0.5


def test_divergence_names_the_place_all_the_same():
    x, y = blobs()
    model = trainer(
        [pn.Dense(4, rate=0.0), pn.Dense(3, rate=10.0)], optimizer=pn.SGD(lr=1e3), loss="mean_squared_error"
    )
    # In one epoch: the weights after it are those that are looked at, however fast the machine is.
    with pytest.raises(pn.DivergedError, match=r"the first weights that are not finite: weight of Dense 1;"):
        model.fit(x, np.eye(3)[y], epochs=1, batch_size=1, verbose=False)
