"""A fleet: each member is what it would be alone, whatever differs among them."""

from __future__ import annotations

import numpy as np
import pytest

import portanet as pn
from portanet.errors import ConfigError, DivergedError
from tests.backends.at_hand import BACKENDS, require
from tests.small import blobs, mlp, near, same

K = 5


def lone(i, fleet, data, *, epochs=3, batch_size=16, rows=None, weight=None, **options):
    """Train member i of a fleet by itself."""
    member, (x, y) = fleet[i], data
    options = {"schedule": member._schedule, "l1": member.l1, "l2": member.l2, **options}
    trainer = pn.Trainer(
        member.net,
        member.loss,
        member.optimizer,
        member.metrics,
        backend=member.backend,
        dtype=member.dtype,
        seed=member.seed,
        **options,
    )
    rows = np.arange(len(x)) if rows is None else rows
    own = None if weight is None else weight[rows]
    trainer.fit(x[rows], y[rows], epochs=epochs, batch_size=batch_size, sample_weight=own, verbose=False)
    return trainer


def fleet(net=None, k=K, **options):
    options = {"backend": "numpy", "dtype": "float64", "metrics": ["accuracy"], **options}
    return pn.Fleet(mlp() if net is None else net, k, **options)


SETTINGS = {
    "seeds": {},
    "rates": {"lr": [0.001 * (i + 1) for i in range(K)]},
    "decays": {"weight_decay": [0.1 * i for i in range(K)], "optimizer": "adamw"},
    "rates and decays": {"lr": [0.01, 0.02, 0.03, 0.04, 0.05], "weight_decay": [0, 0.3, 0, 0, 1.0]},
    "clipped": {"optimizer": pn.SGD(lr=0.3, momentum=0.9, clip_norm=0.1), "lr": [0.1, 0.2, 0.3, 0.4, 0.5]},
    "max-norm": {"optimizer": pn.Adam(max_norm=0.4), "lr": [0.01, 0.02, 0.03, 0.04, 0.05]},
    "held": {"optimizer": pn.RMSprop(clip_value=1e-3)},
    "lion": {"optimizer": "lion", "lr": [0.001, 0.002, 0.003, 0.004, 0.005]},
    "adagrad": {"optimizer": "adagrad", "lr": [0.01, 0.02, 0.03, 0.04, 0.05]},
    "dropout": {"net": mlp(dropout=0.4)},
    "penalties": {"l1": 0.01, "l2": 0.1},
    "schedule": {"schedule": "cosine"},
    "plateau": {"schedule": pn.Plateau("loss", patience=1, gamma=0.1), "lr": [0.01, 3.0, 0.1, 5.0, 0.001]},
    "groups": {"group": 2},
    "one by one": {"group": 1},
    "residual": {"net": [pn.Dense(6), pn.Residual([pn.Dense(6, bias=False), pn.GELU()]), pn.Dense(3)]},
    "one seed": {"seeds": 7, "lr": [0.001 * (i + 1) for i in range(K)]},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_each_member_is_as_it_would_be_alone(name):
    found = fleet(**SETTINGS[name])
    histories = found.fit(*blobs(), epochs=3, batch_size=16)
    for i, history in enumerate(histories):
        alone = lone(i, found, blobs())
        near(found[i], alone, rtol=1e-12)
        for column in ("loss", "accuracy", "lr"):
            np.testing.assert_allclose(history[column], alone.history[column], rtol=1e-12)
    weights = [member.snapshot()["params"]["0.weight"] for member in found]
    assert not any(np.array_equal(weights[0], other) for other in weights[1:])


@pytest.mark.parametrize("backend", BACKENDS)
def test_on_every_backend(backend):
    options = {"backend": require(backend), "lr": [0.001 * (i + 1) for i in range(K)], "weight_decay": 0.1}
    found = fleet(mlp(dropout=0.2), **options)
    found.fit(*blobs(), epochs=2, batch_size=50)
    host = fleet(mlp(dropout=0.2), **{**options, "backend": "numpy"})
    host.fit(*blobs(), epochs=2, batch_size=50)
    for one, other in zip(found, host, strict=True):
        near(one, other)


def test_folds_of_two_sizes():
    x, y = blobs(103)
    order = np.random.default_rng(1).permutation(103)
    folds = [(np.setdiff1d(order, order[i::K]), order[i::K]) for i in range(K)]
    found = fleet()
    histories = found.fit(x, y, epochs=3, batch_size=16, folds=folds)
    for i, (rows, held) in enumerate(folds):
        alone = lone(i, found, (x, y), rows=rows)
        near(found[i], alone, rtol=1e-12)
        expected = alone.evaluate(x[held], y[held])
        assert histories[i][-1]["val_loss"] == pytest.approx(expected["loss"], rel=1e-12)
        assert histories[i][-1]["val_accuracy"] == expected["accuracy"]


def test_each_fold_by_its_own_mean_and_deviation():
    x, y = blobs(100)
    folds = [(np.arange(100) % K != i, np.arange(100) % K == i) for i in range(K)]
    pairs = [(np.flatnonzero(a), np.flatnonzero(b)) for a, b in folds]
    found = fleet(lambda i: [pn.Standardize.of(x[pairs[i][0]]), *mlp()])
    found.fit(x, y, epochs=2, batch_size=16, folds=pairs)
    for i, (rows, _) in enumerate(pairs):
        near(found[i], lone(i, found, (x, y), epochs=2, rows=rows), rtol=1e-12)


@pytest.mark.parametrize("metrics", [["mae", "r2"], []])
def test_weighted_regression(metrics):
    x, _ = blobs()
    y = np.column_stack([x[:, 0] * x[:, 1], x[:, 2] + 5])
    weight = np.random.default_rng(0).random(120)
    net = [pn.Dense(8), pn.Tanh(), pn.Dense(2)]
    found = fleet(net, loss="mean_squared_error", metrics=metrics)
    histories = found.fit(x, y, epochs=3, batch_size=16, sample_weight=weight, validation_data=(x, y, weight))
    for i, history in enumerate(histories):
        alone = lone(i, found, (x, y), weight=weight)
        near(found[i], alone, rtol=1e-12)
        for name, value in alone.history[-1].items():
            if name != "seconds":
                assert history[-1][name] == pytest.approx(value, rel=1e-9)
        for name, value in alone.evaluate(x, y, sample_weight=weight).items():
            assert history[-1][f"val_{name}"] == pytest.approx(value, rel=1e-9)


def test_a_second_fit_goes_on_and_a_member_goes_on_alone():
    x, y = blobs()
    once, twice, parted = fleet(), fleet(), fleet()
    once.fit(x, y, epochs=4, batch_size=16)
    twice.fit(x, y, epochs=1, batch_size=16)
    twice.fit(x, y, epochs=3, batch_size=16)
    parted.fit(x, y, epochs=1, batch_size=16)
    for member in parted:
        member.fit(x, y, epochs=3, batch_size=16, verbose=False)
    for a, b, c in zip(once, twice, parted, strict=True):
        same(a, b)
        near(a, c, rtol=1e-12)
        assert [row["epoch"] for row in b.history] == [1, 2, 3, 4]


def test_a_member_is_saved_as_any_network(tmp_path):
    found = fleet()
    x, y = blobs()
    found.fit(x, y, epochs=1)
    found[3].save(tmp_path / "three.safetensors")
    loaded = pn.load(tmp_path / "three.safetensors", backend="numpy")
    np.testing.assert_array_equal(loaded.predict(x), found[3].predict(x))


def test_members_are_of_their_own_behind_a_fit():
    x, y = blobs()
    found = fleet()
    found.fit(x, y, epochs=1)
    before = [member.snapshot() for member in found]
    found[1].fit(x, y, epochs=1, verbose=False)
    for i in (0, 2, 3, 4):
        for name, array in before[i]["params"].items():
            np.testing.assert_array_equal(found[i].snapshot()["params"][name], array)


def test_predictions_and_ensemble():
    x, y = blobs()
    found = fleet()
    found.fit(x, y, epochs=2)
    outputs = found.predict(x)
    assert outputs.shape == (K, 120, 3)
    np.testing.assert_array_equal(outputs[2], found[2].predict(x))
    mean, spread = found.ensemble(x)
    np.testing.assert_allclose(mean, outputs.mean(axis=0))
    np.testing.assert_allclose(spread, outputs.std(axis=0))
    assert found.evaluate(x, y)[4] == found[4].evaluate(x, y)


def test_a_member_that_diverges_leaves_the_others_alone(caplog):
    x, y = blobs()
    x = x * 1e3
    options = {"loss": "mean_squared_error", "metrics": [], "optimizer": pn.SGD(lr=1e-9), "group": 3}
    net = [pn.Dense(8), pn.ReLU(), pn.Dense(1)]
    found = fleet(net, **options, lr=[1e-9, 1e6, 1e-9, 1e-9, 1e-9])
    y = y.astype(float)
    histories = found.fit(x, y, epochs=3, batch_size=16)
    assert [history.stopped for history in histories] == ["epochs", "diverged", "epochs", "epochs", "epochs"]
    assert "member 1 of the fleet diverged in epoch 1" in caplog.text
    assert np.isfinite(found[1].snapshot()["params"]["0.weight"]).all()
    assert found[1].epoch == 0
    for i in (0, 2, 3, 4):
        near(found[i], lone(i, found, (x, y)), rtol=1e-12)
    watched = fleet(net, **options, lr=[1e-9, 1e6, 1e-9, 1e-9, 1e-9], schedule=pn.Plateau("val_loss"))
    histories = watched.fit(x, y, epochs=3, batch_size=16, validation_data=(x, y))
    assert [len(history) for history in histories] == [3, 1, 3, 3, 3]
    with pytest.raises(DivergedError, match="every member"):
        fleet([pn.Dense(1)], **options, lr=1e6).fit(x, y, epochs=40)


def test_on_epoch_and_keep():
    x, y = blobs()
    seen = []
    found = fleet()
    found.fit(x, y, epochs=2, on_epoch=lambda fleet: seen.append([m.epoch for m in fleet]))
    assert seen == [[1] * K, [2] * K]
    kept = [found[3], found[0]]
    found.keep([3, 0])
    found.fit(x, y, epochs=1)
    assert list(found) == kept
    near(found[1], lone(1, found, (x, y), epochs=3, batch_size=128), rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "Fleet: k must be a whole number of 1 or more, got 0"),
        ({"group": 0}, "Fleet: group must be a whole number of 1 or more, got 0"),
        ({"lr": [0.1, 0.2]}, "Fleet: lr must be one number, or one for each of the 5 members, got 2"),
        ({"lr": -1.0}, "Fleet: lr must be a finite number of 0 or more, got -1.0"),
        ({"seeds": [1, 2, 3]}, "Fleet: seeds must be one number, or one for each of the 5 members, got 3"),
        ({"seeds": -1}, "seed: expected a whole number of 0 or more, got -1"),
        ({"net": [pn.Dense(4), pn.BatchNorm(), pn.Dense(3)]}, "got BatchNorm 1; leave it out"),
        ({"net": [pn.Residual([pn.Flatten()]), pn.Dense(3)]}, "got Residual 0 > Flatten 0; leave it out"),
        ({"net": lambda i: [pn.Dense(3 + i)]}, "got another for member 1; make two fleets"),
    ],
)
def test_arguments_that_cannot_be(arguments, message):
    with pytest.raises(ConfigError) as told:
        fleet(**{"net": mlp(), **arguments})
    assert message in str(told.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"folds": [([0], [1])]}, "folds must hold a pair of rows for each of the 5 members, got 1"),
        ({"folds": [[0, 1, 2]] * K}, "folds must hold pairs (training rows, validation rows), got list 0"),
        ({"folds": [([], [1])] * K}, "member 0 has no rows to train on"),
        ({"folds": [([0, 120], None)] * K}, "expected rows 0 … 119, got 120 for member 0"),
        ({"folds": [([True, False], [1])] * K}, "np.flatnonzero makes numbers of a mask"),
        ({"epochs": -1}, "fit: epochs must be a whole number of 0 or more, got -1"),
        ({"batch_size": 0}, "fit: batch_size must be a whole number of 1 or more, got 0"),
        ({"folds": [], "validation_data": blobs()}, "folds bring their own validation rows"),
    ],
)
def test_fits_that_cannot_be(arguments, message):
    with pytest.raises(ConfigError) as told:
        fleet().fit(*blobs(), **arguments)
    assert message in str(told.value)


def test_a_direction_that_nobody_knows_is_refused_before_the_first_step():
    found = fleet(schedule=pn.Plateau("val_acuracy"))
    with pytest.raises(ConfigError, match="did you mean 'val_accuracy'"):
        found.fit(*blobs(), validation_data=blobs())
    assert {member.epoch for member in found} == {0}
    risen = fleet(schedule=pn.Plateau("val_accuracy", patience=1))
    for history in risen.fit(*blobs(), epochs=2, batch_size=8, validation_data=blobs()):
        assert history["val_accuracy"][1] > history["val_accuracy"][0]
    assert {member.schedule.current for member in risen} == {1.0}


def test_the_usual_group_keeps_a_step_in_the_cache():
    from portanet.fleet.stack import group_size

    found = fleet(dtype="float32")
    found.fit(*blobs(), epochs=0)
    about = (found[0].engine, found[0].params, found[0].input_shape)
    small, large = group_size(*about, 32), group_size(*about, 4096)
    assert small is not None
    assert large is not None
    assert small > large >= 1
