"""Networks as trees: places, orders and shapes; and containers of the user's own in all that looks into a network."""

from __future__ import annotations

import math

import numpy as np
import pytest

import portanet as pn
from portanet.cli.describe import layer_rows
from portanet.distributed.all_reduce import Exchange
from portanet.errors import ConfigError, DivergedError
from portanet.fleet.checks import not_stackable
from portanet.layers import tree
from portanet.layers.rates import is_rated, learning_rates
from portanet.layers.words import net_in_words
from portanet.random import Key, generator
from portanet.verify.gradient_check import leaves
from tests.own import Gate, Twice, Walk
from tests.small import blobs, same, trainer


def gated(units=6):
    """A container of the user's own, with a container of the library's in it."""
    return Gate(pn.Sequential([pn.Dense(units), pn.BatchNorm(), pn.ReLU()]), pn.Dense(units))


NET = pn.Sequential([pn.Dense(4), pn.Residual([gated(4), pn.Tanh()]), pn.Parallel([pn.Flatten(), pn.Dense(2)], [1, 3])])


def test_walk_is_in_the_order_of_the_forward_pass_outer_layers_first():
    paths = {path: type(layer).__name__ for path, layer in tree.walk(NET)}
    assert list(paths.items()) == [
        ("", "Sequential"),
        ("0", "Dense"),
        ("1", "Residual"),
        ("1.0", "Gate"),
        ("1.0.value", "Sequential"),
        ("1.0.value.0", "Dense"),
        ("1.0.value.1", "BatchNorm"),
        ("1.0.value.2", "ReLU"),
        ("1.0.gate", "Dense"),
        ("1.1", "Tanh"),
        ("2", "Parallel"),
        ("2.0", "Flatten"),
        ("2.1", "Dense"),
    ]
    params, _ = NET.init(generator(0), (3,))
    assert {name.rpartition(".")[0] for name in params} <= paths.keys()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "Sequential"),
        ("0", "Dense 0"),
        ("0.weight", "weight of Dense 0"),
        ("1.0.value.1.gamma", "gamma of Residual 1 > Gate 0 > Sequential value > BatchNorm 1"),
        ("1.0.weight", "weight of Residual 1 > Gate 0"),
        ("2.1.bias", "bias of Parallel 2 > Dense 1"),
        ("7.bias", "7.bias of Sequential"),
    ],
)
def test_places_in_words(name, words):
    assert tree.place(NET, name) == words


def test_parameters_in_the_order_of_the_layers():
    params, _ = NET.init(generator(0), (3,))
    assert tree.in_order(NET, sorted(params, reverse=True)) == [
        "0.weight",
        "0.bias",
        "1.0.weight",
        "1.0.value.0.weight",
        "1.0.value.0.bias",
        "1.0.value.1.gamma",
        "1.0.value.1.beta",
        "1.0.gate.weight",
        "1.0.gate.bias",
        "2.1.weight",
        "2.1.bias",
    ]
    deep = pn.Sequential([pn.Dense(1) for _ in range(11)])  # by letters, 10 comes before 2
    names = [f"{i}.bias" for i in range(11)]
    assert tree.in_order(deep, sorted(names)) == names


def test_shapes_are_followed_into_containers_that_tell_them():
    walk = Walk(pn.Sequential([pn.Dense(5), pn.Dense(4)]), pn.Dense(4))
    own = [(5,), (4,), (4,)]  # its output layer is said to be the last one
    assert list(tree.output_shapes(pn.Sequential([walk, pn.Dense(2)]), (3,))) == [*own, (2,)]
    assert list(tree.output_shapes(pn.Sequential([gated(), pn.Dense(2)]), (3,))) == [(6,), (2,)]
    residual = pn.Residual([pn.Dense(5), pn.Dense(3)])
    assert list(tree.output_shapes(residual, (3,))) == [(5,), (3,), (3,)]
    assert list(tree.output_shapes(NET, (3,)))[-3:] == [(1,), (2,), (3,)]


def test_in_words():
    assert net_in_words(NET) == (
        "Dense 4, Residual(Gate(Sequential(Dense 4, BatchNorm, ReLU), Dense 4), Tanh), Parallel(Flatten, Dense 2)"
    )
    assert net_in_words(pn.Dropout(0.5)) == "Dropout 0.5"
    assert net_in_words(pn.Residual([pn.Dense(3)])) == "Residual(Dense 3)"


def test_rates_and_batches_of_layers_in_custom_containers():
    net = pn.Sequential([Walk(pn.Dense(4, rate=0.5), pn.BatchNorm()), pn.Dense(3)], rate=0.1)
    params, _ = net.init(generator(0), (4,))
    assert is_rated(net)
    assert learning_rates(net, params) == {
        **dict.fromkeys(("0.value.weight", "0.value.bias"), 0.05),
        **dict.fromkeys(params.keys() - {"0.value.weight", "0.value.bias"}, 0.1),
    }
    assert not is_rated(pn.Sequential([gated()]))
    assert is_rated(pn.Sequential([Gate(pn.Dense(2), pn.Dense(2, rate=0))]))
    assert (net.least_batch((4,)), pn.Dense(3).least_batch((4,))) == (2, 1)


def test_rows_of_a_table_hold_all_parameters():
    for net in (NET, gated(), Walk(pn.Dense(4), pn.Dense(4)), pn.Residual([pn.Dense(3)]), pn.Dense(3)):
        params, _ = net.init(generator(0), (3,))
        rows = layer_rows(net, (3,), params)
        own = 1 if isinstance(net, Walk) else 0  # its scale is in none of its layers
        assert sum(row["parameters"] for row in rows) + own == sum(p.size for p in params.values())
        assert [row["index"] for row in rows] == list(range(len(rows)))
    assert layer_rows(gated(), (3,), {}) == [{"index": 0, "layer": "Gate", "output_shape": [6], "parameters": 0}]


def test_each_innermost_layer_is_seen_with_what_comes_in():
    params, _ = NET.init(generator(0), (3,))
    everything = {**params, **NET.init_buffers((3,))}
    x = np.random.default_rng(0).normal(size=(5, 3))
    seen = leaves(NET, everything, x, train=True, key=Key(1, 2))
    assert [place for place, *_ in seen] == [
        "Dense 0",
        "Residual 1 > Gate 0 > Sequential value > Dense 0",
        "Residual 1 > Gate 0 > Sequential value > BatchNorm 1",
        "Residual 1 > Gate 0 > Sequential value > ReLU 2",
        "Residual 1 > Gate 0 > Dense gate",
        "Residual 1 > Tanh 1",
        "Parallel 2 > Flatten 0",
        "Parallel 2 > Dense 1",
    ]
    first = x @ params["0.weight"] + params["0.bias"]
    inside = {place: given for place, _, _, given in seen}
    np.testing.assert_array_equal(inside["Dense 0"], x)
    np.testing.assert_array_equal(inside["Residual 1 > Gate 0 > Dense gate"], first)
    layers = [layer for _, layer, _, _ in seen]
    assert layers[0] is NET.layers[0]
    assert all("forward" not in vars(layer) for _, layer in tree.walk(NET))
    assert set(seen[2][2]) == {"gamma", "beta", "mean", "variance"}


def test_one_object_at_two_places_is_seen_at_both():
    relu = pn.ReLU()
    net = pn.Sequential([relu, pn.Dense(2), relu])
    params, _ = net.init(generator(0), (3,))
    seen = leaves(net, params, np.ones((1, 3)))
    assert [(place, layer is relu) for place, layer, _, _ in seen] == [
        ("ReLU 0", True),
        ("Dense 1", False),
        ("ReLU 2", True),
    ]


# A container of the user's own is trained, checked, saved, sent and refused as the library's are.


def test_a_custom_container_trains_and_comes_back(backend, tmp_path):
    x, y = blobs()
    model = trainer([gated(), pn.Dense(3)], backend=backend)
    before = model.fit(x, y, epochs=1, verbose=False)["loss"][0]
    assert model.fit(x, y, epochs=9, verbose=False)["loss"][-1] < 0.7 * before
    assert sorted(model.buffers) == ["0.value.1.mean", "0.value.1.variance"]
    assert np.abs(model.snapshot()["buffers"]["0.value.1.mean"]).max() > 0
    model.save(tmp_path / "net")
    found = pn.load(tmp_path / "net", custom={"Gate": Gate})
    same(found, model)
    assert found.net == model.net
    np.testing.assert_allclose(found.predict(x), model.predict(x), rtol=1e-10)


def test_a_custom_container_is_gradient_checked():
    net = pn.Sequential([gated(), pn.Dense(3)])
    checked = [check.array for check in pn.gradcheck(net, (5,))]
    assert checked[:3] == ["x", "0.weight", "0.value.0.weight"]


def test_inputs_are_kept_off_the_kinks_within_a_custom_container():
    kinked = Gate(pn.Sequential([pn.Dense(400), pn.ReLU()]), pn.Dense(400))
    net = pn.Sequential([kinked])
    pn.gradcheck(net, (3,), batch=2, seed=1)
    with pytest.raises(pn.CheckError, match="no input away from the kinks of Sequential"):
        pn.gradcheck(net, (3,), batch=400)


def test_the_place_of_a_divergence_within_a_custom_container():
    x, y = blobs()
    model = trainer([Gate(pn.Dense(6), pn.Dense(6)), pn.Dense(3)], optimizer=pn.SGD(lr=1e4), dtype="float32")
    with pytest.raises(DivergedError, match=r"not finite: weight of Gate 0; "):
        model.fit(x, y, epochs=20, verbose=False)


def test_the_first_weights_that_are_not_finite_are_those_of_the_first_layer():
    x, y = blobs()
    model = trainer([gated(), pn.Dense(3)])
    model.init((5,))

    class Spoil(pn.Callback):
        def on_batch_end(self, trainer, batch, batches):
            for name in ("1.bias", "0.gate.bias"):
                trainer.params[name] = trainer.params[name] * math.nan

    with pytest.raises(DivergedError, match=r"not finite: bias of Gate 0 > Dense gate"):
        model.fit(x, y, epochs=1, batch_size=120, callbacks=[Spoil()], verbose=False)


@pytest.mark.parametrize("form", ["to_onnx", "to_torch", "to_numpy_script"])
@pytest.mark.parametrize("net", [gated(), Walk(pn.Dense(4), pn.Dense(4))])
def test_exporters_refuse_a_custom_container_by_its_place(form, net, tmp_path):
    pytest.importorskip("onnx")
    from portanet import export

    model = trainer([pn.Residual([net, pn.Dense(5)]), pn.Dense(3)])
    model.init((5,))
    ending = {"to_numpy_script": ".py", "to_onnx": ".onnx", "to_torch": ".safetensors"}[form]
    with pytest.raises(ConfigError, match=rf"\[Residual 0 > {type(net).__name__} 0\] it cannot be exported"):
        getattr(export, form)(model, tmp_path / f"net{ending}")
    assert not list(tmp_path.iterdir())


def test_the_arrays_of_a_custom_container_are_exported(tmp_path):
    from portanet import export

    model = trainer([gated(), pn.Dense(3)])
    model.init((5,))
    export.to_npz(model, tmp_path / "net.npz")
    assert {"0.weight", "0.value.0.weight", "0.gate.bias"} <= set(np.load(tmp_path / "net.npz").files)


@pytest.mark.parametrize(
    ("net", "odd"),
    [
        (pn.Sequential([pn.Dense(3), pn.Residual([pn.Dense(3), pn.Flatten()])]), "Residual 1 > Flatten 1"),
        (pn.Sequential([Gate(pn.Dense(3), pn.Flatten())]), "Gate 0 > Flatten gate"),
        (pn.Sequential([pn.Dense(3), Twice()]), "Twice 1"),
        (Twice(), "Twice"),
        (pn.Parallel([pn.Dense(2), pn.ReLU()], [1, 2]), ""),
        (pn.Sequential([Gate(pn.Dense(3), pn.Dense(3)), pn.Dense(2)]), ""),
    ],
)
def test_what_cannot_be_stacked_is_found(net, odd):
    assert not_stackable(net) == odd
    assert net.stacks == (not odd) or isinstance(net.children().get("0"), Gate)


def test_a_parallel_is_trained_in_a_fleet_as_alone():
    x, y = blobs()
    net = pn.Sequential([pn.Parallel([pn.Dense(4), pn.Sequential([pn.Dense(3), pn.Tanh()])], [2, 3]), pn.Dense(3)])
    fleet = pn.Fleet(net, 3, optimizer=pn.Adam(), backend="numpy", dtype="float64")
    fleet.fit(x, y, epochs=2)
    alone = trainer(net, optimizer=pn.Adam(), seed=1)
    alone.fit(x, y, epochs=2, verbose=False)
    for name, array in alone.snapshot()["params"].items():
        np.testing.assert_allclose(fleet[1].snapshot()["params"][name], array, rtol=1e-9, atol=1e-12)


def test_batch_norm_is_found_in_a_custom_container():
    class Two:
        size, batch_norm, bucket = 2, "local", None

    model = trainer([gated(), pn.Dense(3)])
    exchange = Exchange(model.step, Two(), model.backend)
    assert exchange._averaged == ["0.value.1.mean", "0.value.1.variance"]


# Output layers.


def softmaxed(kind):
    return pn.Sequential([pn.Dense(4), kind(pn.Dense(3), pn.Sequential([pn.Dense(3), pn.Softmax()]))])


def test_an_output_layer_in_a_container_that_does_not_tell_is_refused():
    said = "output of Softmax; leave that layer out, or let Walk override output_layer"
    with pytest.raises(ConfigError, match=said):
        trainer(softmaxed(Walk))
    trainer(softmaxed(Gate))  # it says that its output is none of its layers'
    trainer(softmaxed(Walk), loss="mean_squared_error")
    with pytest.raises(ConfigError, match=r"output of Softmax; leave that layer out$"):
        trainer(pn.Softmax())


def test_outputs_of_the_librarys_containers():
    last = pn.Sigmoid()
    assert pn.Sequential([pn.Dense(2), pn.Sequential([last])]).output_layer() is last
    for net in (pn.Residual([last]), pn.Parallel([last, last], [1, 1]), last):
        assert net.output_layer() is net
        assert net.without_output(pn.Sigmoid) is net
    plain = pn.Sequential([pn.Dense(2), pn.Sequential([pn.Dense(2), pn.ReLU()])])
    assert plain.without_output(pn.Softmax) is plain
    nested = pn.Sequential([pn.Dense(2), pn.Sequential([pn.Dense(2), last])])
    assert nested.without_output(pn.Sigmoid) == pn.Sequential([pn.Dense(2), pn.Sequential([pn.Dense(2)])])


# One object at several places.


def test_a_layer_object_with_weights_at_two_places_is_not_tied_and_a_warning_says_so(caplog):
    dense, x = pn.Dense(5), blobs()[0]
    model = trainer([dense, pn.Residual([pn.Tanh(), dense])])
    tree.warn_once.cache_clear()
    for _ in range(2):
        model.init((5,))
    (said,) = (record.getMessage() for record in caplog.records)
    assert said.startswith("[Dense 0], [Residual 1 > Dense 1] are one layer object, and each has weights of its own")
    weights = model.snapshot()["params"]
    assert not np.array_equal(weights["0.weight"], weights["1.1.weight"])
    equal = trainer([pn.Dense(5), pn.Residual([pn.Tanh(), pn.Dense(5)])])
    equal.init((5,))
    np.testing.assert_array_equal(model.predict(x), equal.predict(x))


def test_a_layer_object_without_weights_may_be_shared(tmp_path, caplog):
    relu, rest = pn.ReLU(), pn.Residual([pn.Tanh()])
    model = trainer([pn.Dense(4), relu, rest, pn.Dense(4), relu, rest])
    tree.warn_once.cache_clear()
    model.init((5,))
    assert not caplog.records
    model.save(tmp_path / "net")
    assert pn.load(tmp_path / "net").net == model.net
