"""Networks from lists of dicts, nested places in errors, and custom activations."""

from __future__ import annotations

import numpy as np
import pytest

import portanet as pn
from portanet.layers.config import activation
from portanet.layers.custom import ACTIVATIONS
from portanet.random import generator
from portanet.verify.cases import LAYERS

from_config = pn.Sequential.from_config


def test_the_list_of_dicts_works_as_it_is():
    net = pn.Sequential.from_config(
        [
            {"input_dim": 2, "output_dim": 25, "activation": "relu"},
            {"input_dim": 25, "output_dim": 50, "activation": "relu"},
            {"input_dim": 50, "output_dim": 1, "activation": "sigmoid"},
        ]
    )
    assert [type(layer).__name__ for layer in net.layers] == ["Dense", "ReLU", "Dense", "ReLU", "Dense", "Sigmoid"]
    params, out_shape = net.init(generator(0), (2,))
    assert out_shape == (1,)
    assert {name: p.shape for name, p in params.items() if "weight" in name} == {
        "0.weight": (2, 25),
        "2.weight": (25, 50),
        "4.weight": (50, 1),
    }


def test_sizes_may_be_left_out_and_options_given():
    net = from_config([{"output_dim": 3, "bias": False, "init": "he_normal", "dropout": 0.5}, {"output_dim": 2}])
    assert net.layers == (pn.Dense(3, bias=False, weight_init="he_normal"), pn.Dropout(0.5), pn.Dense(2))


@pytest.mark.parametrize("name", sorted(set(LAYERS) - {"CustomActivation"}))
def test_a_layer_comes_back_from_its_description(name):
    for case in LAYERS[name]:
        assert from_config([case.layer.config()]).layers[0] == case.layer


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            [{"input_dim": 2, "output_dim": 4}, {"input_dim": 5, "output_dim": 1}],
            "layer 1: input_dim is 5, but layer 0 has output_dim 4; set input_dim to 4 or leave it out",
        ),
        (
            [{"type": "Dense", "units": 4}, {"type": "ReLU"}, {"input_dim": 5, "output_dim": 1}],
            "layer 2: input_dim is 5, but layer 0 has output_dim 4",
        ),
        ([{"output_dim": 4, "activation": "rellu"}], "unknown activation 'rellu'; did you mean 'relu'"),
        ([{"outptu_dim": 4}], "layer 0: unknown key 'outptu_dim'; did you mean 'output_dim'"),
        ([{"input_dim": 4}], "layer 0: expected 'output_dim'"),
        ([{"type": "Dens", "units": 3}], "layer 0: unknown layer 'Dens'; did you mean 'Dense'"),
        ([{"type": "Dense"}], "layer 0 (Dense): missing 1 required positional argument: 'units'"),
        ([{"type": "Dense", "unit": 3}], "layer 0 (Dense): unknown argument 'unit'; did you mean 'units'"),
        ([{"type": "Dropout", "rate": 2}], "Dropout: rate must be a number from 0 to 1 (1 excluded), got 2"),
        ([{"output_dim": 0}], "units must be a whole number of 1 or more, got 0"),
        ([{"output_dim": 3, "init": "he_nromal"}], "unknown initializer 'he_nromal'; did you mean 'he_normal'"),
        ({"output_dim": 3}, "got a single dict; put it into a list"),
        ([3], "layer 0: expected a dict, got 3"),
        ([], "layers must be a list of at least one layer"),
    ],
)
def test_errors_name_the_layer_and_the_mend(config, message):
    with pytest.raises(pn.ConfigError) as caught:
        from_config(config)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("net", "shape", "message"),
    [
        (
            [pn.Dense(3)],
            (),
            "[Dense 0] expected samples with an axis of features, got single numbers; give samples of shape (1,)",
        ),
        ([pn.Dense(3, in_features=5)], (4,), "[Dense 0] expected 5 features (in_features), got 4"),
        (
            [pn.Dense(3), pn.Residual([pn.Dense(4)])],
            (2,),
            "[Residual 1] expected inner layers that keep the shape (3,), got (4,)",
        ),
        (
            [pn.Dense(3), pn.Residual([pn.ReLU(), pn.Dense(3, in_features=7)])],
            (2,),
            "[Residual 1 > Dense 1] expected 7 features",
        ),
    ],
)
def test_shapes_that_do_not_fit_name_the_place(net, shape, message):
    with pytest.raises(pn.ShapeError) as caught:
        pn.Sequential(net).init(generator(0), shape)
    assert message in str(caught.value)


def test_forward_names_the_place_too():
    net = pn.Sequential([pn.ReLU(), pn.Dense(3)])
    params, _ = net.init(generator(0), (784,))
    with pytest.raises(
        pn.ShapeError, match=r"\[Dense 1\] expected inputs with 784 features, got .*\(128, 28, 28\); add Fl"
    ):
        net.forward(params, np.zeros((128, 28, 28)))


def test_a_class_instead_of_a_layer_is_told():
    with pytest.raises(pn.ConfigError, match=r"at position 1 is <class .*ReLU'>; make one of it: ReLU\(\.\.\.\)"):
        pn.Sequential([pn.Dense(3), pn.ReLU])  # type: ignore[list-item]


def test_linear_is_no_layer():
    assert activation("linear") is None


@pytest.mark.usefixtures("forget")
def test_custom_activation_is_checked_named_and_trained():
    cube = pn.custom_activation("cube", lambda x: x**3, lambda x: 3 * x**2)
    net = from_config([{"output_dim": 3, "activation": "cube"}])
    assert net.layers[1] is cube
    pn.gradcheck(net, (4,))


@pytest.mark.usefixtures("forget")
def test_custom_activation_with_a_wrong_derivative_is_refused():
    with pytest.raises(
        pn.CheckError, match=r"activation 'cube': at x = .* its derivative gives .* central differences"
    ):
        pn.custom_activation("cube", lambda x: x**3, lambda x: 3.001 * x**2)
    assert "cube" not in ACTIVATIONS


@pytest.mark.usefixtures("forget")
def test_custom_activation_with_a_kink():
    absolute = {"function": abs, "derivative": lambda x: 2.0 * (x > 0) - 1.0}
    pn.custom_activation("abs", **absolute, kinks=(0.0,))
    pn.gradcheck(from_config([{"output_dim": 9, "activation": "abs"}]), (4,))


def test_the_librarys_own_names_are_taken():
    with pytest.raises(pn.ConfigError, match="'relu' is the library's own"):
        pn.custom_activation("relu", lambda x: x, lambda x: 0 * x + 1)
