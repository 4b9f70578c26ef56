"""A training step in numbers: they are those of the step that the trainer takes."""

from __future__ import annotations

import json

import numpy as np
import pytest

import portanet as pn
from portanet.errors import ConfigError
from portanet.inspection.formulas import excerpt, formula, number
from tests.small import blobs, trainer

X, Y = np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([0, 1])
NET = pn.Sequential([pn.Dense(3), pn.ReLU(), pn.Residual([pn.Dense(3), pn.Tanh()]), pn.Dense(2)])


def test_each_number_follows_from_those_before_it():
    step = pn.trace(NET, X, Y, optimizer=pn.SGD(lr=0.1))
    blocks = {(part, block.title): block.arrays for part, own in step.parts.items() for block in own}
    first = blocks["forward", "Dense 0"]
    np.testing.assert_array_equal(first["x"], X)
    np.testing.assert_allclose(first["y"], X @ first["weight"] + first["bias"])
    np.testing.assert_array_equal(blocks["forward", "ReLU 1"]["y"], np.maximum(first["y"], 0))
    inner, residual = blocks["forward", "Residual 2 > Tanh 1"], blocks["forward", "Residual 2"]
    np.testing.assert_allclose(residual["y"], residual["x"] + inner["y"])
    loss = blocks["loss", "SoftmaxCrossEntropy"]
    np.testing.assert_allclose(loss["p"], np.exp(loss["z"]) / np.exp(loss["z"]).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(loss["dz"], (loss["p"] - np.eye(2)[Y]) / 2)
    assert step.value == pytest.approx(-np.log(loss["p"][[0, 1], Y]).mean())
    last = blocks["backward", "Dense 3"]
    np.testing.assert_array_equal(last["dy"], loss["dz"])
    np.testing.assert_allclose(last["d weight"], residual["y"].T @ last["dy"])
    np.testing.assert_allclose(last["dx"], last["dy"] @ blocks["forward", "Dense 3"]["weight"].T)
    back = blocks["backward", "Residual 2"]
    np.testing.assert_array_equal(back["dy"], last["dx"])
    np.testing.assert_allclose(back["dx"], back["dy"] + blocks["backward", "Residual 2 > Dense 0"]["dx"])
    assert "dx" not in blocks["backward", "Dense 0"]
    update = blocks["update", "0.weight"]
    np.testing.assert_array_equal(update["g"], blocks["backward", "Dense 0"]["d weight"])
    np.testing.assert_allclose(update["new p"], update["p"] - 0.1 * update["g"])


def test_layers_stand_in_order_and_backward_in_the_opposite_one():
    step = pn.trace(NET, X, Y)
    titles = ["Dense 0", "ReLU 1", "Residual 2 > Dense 0", "Residual 2 > Tanh 1", "Residual 2", "Dense 3"]
    assert [block.title for block in step.forward] == titles
    assert [block.title for block in step.backward] == titles[::-1]
    assert [block.title for block in step.update] == [
        "0.weight",
        "0.bias",
        "2.0.weight",
        "2.0.bias",
        "3.weight",
        "3.bias",
    ]


def test_the_text_has_formulas_and_numbers():
    text = str(pn.trace(NET, X, Y))
    assert text == repr(pn.trace(NET, X, Y))
    for line in (
        "one step of SGD with lr 0.01 on 2 samples, float64",
        "    y = x W + b",
        "  y[0, 0] = 1·(-0.7985) + 2·(-0.1011) + 0 = -1.001",
        "    dx = dy Wᵀ,  dW = xᵀ dy,  db = Σ_rows dy        with dy = ∂L/∂y",
        "    dz = softmax(z) - t           (the softmax's Jacobian and the logarithm cancel)",
        "  loss = 0.928465, the mean over 2 samples: dz is that of each sample, divided by 2",
        "  dx is not needed: nothing in front of this layer is trained",
        "  p[1, 1]: -0.227 becomes -0.2331, along the gradient 0.6142",
    ):
        assert line in text.splitlines()


def test_a_notebook_shows_the_same_and_names_are_escaped():
    page = pn.trace(NET, X, Y)._repr_html_()
    assert page.count("<details open>") == 6 + 1 + 6 + 6
    assert "y = x W + b" in page
    assert ">-1.001</td>" in page
    cube = pn.CustomActivation("<b>cube</b>", lambda x: x**3, lambda x: 3 * x**2)
    assert "<b>cube</b>" not in pn.trace(pn.Sequential([pn.Dense(2), cube]), X, Y).html()


def test_the_step_of_a_trainer_is_the_one_it_takes(backend):
    x, y = blobs(8)
    model = trainer(
        [pn.Dense(6, bias=False), pn.BatchNorm(), pn.Dropout(0.5), pn.Dense(3)],
        optimizer="adam",
        backend=backend,
        l2=0.1,
    )
    model.fit(x, y, epochs=2, batch_size=None, shuffle=False, verbose=False)
    before = model.snapshot()
    step = pn.trace(model, x, y)
    for part, own in model.snapshot().items():
        for name, array in own.items():
            np.testing.assert_array_equal(array, before[part][name])
    row = model.fit(x, y, epochs=1, batch_size=None, shuffle=False, verbose=False)[-1]
    assert step.value == pytest.approx(row["loss"], rel=1e-9)
    for block in step.update:
        np.testing.assert_allclose(
            block.arrays["new p"], model.snapshot()["params"][block.title], rtol=1e-9, atol=1e-12
        )


def test_numbers_as_plain_values():
    found = json.loads(json.dumps(pn.trace(NET, X, Y).as_dict()))
    assert found["forward"][0]["title"] == "Dense 0"
    assert found["forward"][0]["arrays"]["x"] == X.tolist()
    assert found["update"][0]["arrays"]["new p"] != found["update"][0]["arrays"]["p"]


def test_a_trainer_brings_its_own_loss():
    model = trainer()
    with pytest.raises(ConfigError, match="trace: this network has no weights yet"):
        pn.trace(model, X, Y)
    with pytest.raises(ConfigError, match="a trainer has a loss and an optimizer; leave loss and optimizer out"):
        pn.trace(model, X, Y, optimizer="sgd")


def test_an_excerpt_is_the_part_around_the_largest_entry():
    image = np.zeros((1, 28, 28, 3))
    image[0, 20, 5, 1] = -7
    found = excerpt(image)
    assert found.index == "[0, 18:23, 0:10, 1]"
    assert np.array(found.rows).shape == (5, 10)
    assert np.min(found.rows) == -7
    assert excerpt(np.zeros((3, 3, 1, 9)), parameter=True).index == "[:, :, 0, 0]"
    assert excerpt(np.zeros((2, 4, 6))).index == "[0, :, :]"
    assert excerpt(np.arange(20.0)).index == "[10:20]"
    assert excerpt(np.ones((2, 3))).index == ""
    assert excerpt(np.float64(3.0)).rows == [[3.0]]


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "0"), (-0.0, "0"), (1.23456, "1.235"), (-1e-7, "-1.0e-07"), (123456.0, "1.235e+05"), (2.0, "2")],
)
def test_numbers(value, said):
    assert number(value) == said


def test_formulas_come_from_the_docstring():
    assert formula(pn.Dense(1), "Forward") == ("y = x W + b",)
    assert formula(pn.Adam(), "Rule")[1].startswith("p ← p - lr m̂ / (√v̂ + eps)")
    assert formula(pn.CustomActivation("square", lambda x: x**2, lambda x: 2 * x), "Rule") == ()
