"""Every loss: its gradient, its agreement between backends, weights, stacks of networks, and its errors."""

from __future__ import annotations

import re

import numpy as np
import pytest
from array_api_compat import array_namespace, device

import portanet as pn
from portanet import losses
from portanet.backends import get
from portanet.errors import ConfigError, ShapeError
from portanet.layers import Sigmoid, Softmax
from portanet.verify.agreement import TOLERANCE, _difference, run_loss
from portanet.verify.gradient_check import check_loss
from tests.backends.at_hand import on_every_device
from tests.cases import LOSS_CASES

every_loss = pytest.mark.parametrize("case", LOSS_CASES)


@every_loss
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_match_central_differences(case, weighted):
    prediction, target, weight = case.arrays()
    if prediction.ndim > 2:
        prediction, target = prediction[0], target[0]  # a check takes one number; stacks are compared with it below
    check_loss(case.loss, prediction, target, weight if weighted else None)


@every_loss
@on_every_device
@pytest.mark.usefixtures("compiled_as_for_users")
def test_agrees_with_numpy_in_float64_and_stays_on_its_device(case, backend, dtype):
    """Values, shapes, dtype, device and namespace of one run: on JAX, compiling is most of the time."""
    expected = run_loss(case, get("numpy"), "float64")
    with backend.activate(dtype):
        p = backend.asarray(case.arrays()[0], dtype)
        got = run_loss(case, backend, dtype, host=False)
        got |= {"link": case.loss.link(p)}
        for name, result in got.items():
            assert result.dtype == p.dtype
            assert array_namespace(result) is array_namespace(p)
            assert device(result) == device(p)
            if name.endswith("gradient"):
                assert result.shape == p.shape
            elif name.endswith("value"):
                assert tuple(result.shape) == tuple(p.shape)[:-2]
        got = {name: backend.to_numpy(got[name]) for name in expected}
    assert _difference(got, expected) <= TOLERANCE[dtype]


@every_loss
def test_leaves_read_only_inputs_as_they_are(case):
    arrays = case.arrays()
    for a in arrays:
        a.flags.writeable = False
    _, cache = case.loss.forward(*arrays)
    first = case.loss.backward(cache)
    np.testing.assert_array_equal(first, case.loss.backward(cache))


@every_loss
def test_a_weight_of_two_is_a_sample_twice(case):
    prediction, target, _ = case.arrays()
    if prediction.ndim > 2:
        prediction, target = prediction[0], target[0]
    counts = np.array([1, 2, 0, 3, 1, 1])
    value, cache = case.loss.forward(prediction, target, counts.astype(float))
    rows = np.repeat(np.arange(6), counts)
    expected, repeated = case.loss.forward(prediction[rows], target[rows])
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    summed = np.zeros_like(prediction)
    np.add.at(summed, rows, case.loss.backward(repeated))
    np.testing.assert_allclose(case.loss.backward(cache), summed, rtol=1e-12, atol=1e-15)


@every_loss
def test_weights_that_are_all_zero_move_nothing(case):
    prediction, target, weight = case.arrays()
    value, cache = case.loss.forward(prediction, target, 0 * weight)
    assert not np.any(value)
    assert not np.any(case.loss.backward(cache))


@pytest.mark.parametrize("case", [c for c in LOSS_CASES if len(c.values[0].shape) > 2])
def test_a_stack_of_networks_is_each_of_them(case):
    prediction, target, weight = case.arrays()
    value, cache = case.loss.forward(prediction, target, weight)
    gradient = case.loss.backward(cache)
    for i in range(len(prediction)):
        alone, own = case.loss.forward(prediction[i], target[i], weight)
        np.testing.assert_allclose(value[i], alone, rtol=1e-14)
        np.testing.assert_allclose(gradient[i], case.loss.backward(own), rtol=1e-13)


def test_class_indices_are_one_hot_rows():
    z = np.random.default_rng(0).normal(size=(5, 3))
    y = np.array([0, 2, 1, 1, 0])
    for loss in (losses.SoftmaxCrossEntropy(), losses.SumSquaredError(), losses.BinaryCrossEntropy()):
        value, cache = loss.forward(z, y)
        expected, dense = loss.forward(z, np.eye(3)[y])
        assert value == expected
        np.testing.assert_array_equal(loss.backward(cache), loss.backward(dense))


def test_one_number_a_sample_is_a_column():
    y = np.array([1.0, 2.0, 3.0])
    p = np.array([[1.5], [2.0], [2.0]])
    assert losses.MeanSquaredError().forward(p, y)[0] == losses.MeanSquaredError().forward(p, y[:, None])[0]


@pytest.mark.parametrize("size", [1e3, 1e30])
def test_cross_entropies_are_finite_for_huge_logits(size):
    z = np.array([[size, -size], [-size, size]], dtype="float32")
    with np.errstate(all="raise", under="ignore"):
        for loss in (losses.SoftmaxCrossEntropy(), losses.BinaryCrossEntropy()):
            for t in (np.eye(2, dtype="float32"), 1 - np.eye(2, dtype="float32")):
                value, cache = loss.forward(z, t)
                assert np.isfinite(value)
                assert np.isfinite(loss.backward(cache)).all()


def test_link_is_the_output_layer():
    z = np.random.default_rng(0).normal(size=(4, 3))
    assert (losses.SoftmaxCrossEntropy().link(z) == Softmax().forward({}, z)[0]).all()
    assert (losses.BinaryCrossEntropy().link(z) == Sigmoid().forward({}, z)[0]).all()
    assert (losses.Poisson().link(z) == np.exp(z)).all()


@pytest.mark.parametrize(
    ("loss", "prediction", "target", "message"),
    [
        (losses.MeanSquaredError(), (4, 3), np.zeros((4, 2)), r"got targets of shape \(4, 2\); give one row of 3"),
        (losses.SoftmaxCrossEntropy(), (4, 3), np.zeros(4), "or one class index"),
        (losses.SoftmaxCrossEntropy(), (4, 1), np.zeros(4), "use BinaryCrossEntropy for a single output"),
        (losses.MeanSquaredError(), (4, 1), np.zeros(5), r"got targets of shape \(5,\)"),
    ],
)
def test_shapes_that_do_not_fit(loss, prediction, target, message):
    with pytest.raises(ShapeError, match=message):
        loss.forward(np.zeros(prediction), target)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: losses.SoftmaxCrossEntropy(label_smoothing=1.0),
            "label_smoothing must be a number from 0 to 1 (1 excluded), got 1.0",
        ),
        (lambda: losses.Huber(0), "delta must be a finite number above 0, got 0"),
        (lambda: losses.get("hubber"), "did you mean 'huber'"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        make()


def test_shares_that_do_not_sum_to_1_are_refused_by_the_focal_loss_too():
    model = pn.Trainer([pn.Dense(3)], pn.FocalCrossEntropy(), backend="numpy")
    with pytest.raises(pn.DataError, match="FocalCrossEntropy expects rows of shares that sum to 1, got 2"):
        model.fit(np.zeros((4, 2)), np.full((4, 3), 2 / 3), epochs=1, verbose=False)
