"""Metrics where these say exactly what they mean: ties, thresholds, stacks of networks, the form that a target has."""

from __future__ import annotations

import numpy as np
import pytest

import portanet as pn
from portanet import losses, metrics
from portanet.metrics import ScikitMetric

RNG = np.random.default_rng(4)
SOFTMAX, BINARY, SQUARE = losses.SoftmaxCrossEntropy(), losses.BinaryCrossEntropy(), losses.MeanSquaredError()


@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize(
    ("name", "loss", "outputs"),
    [
        ("accuracy", SOFTMAX, 3),
        ("accuracy", BINARY, 3),
        ("accuracy", BINARY, 1),
        ("top_2", SOFTMAX, 3),
        ("mae", SQUARE, 4),
    ],
)
def test_of_a_stack_it_is_that_of_each_network(name, loss, outputs, n):
    metric = metrics.get(name)
    prediction = RNG.normal(size=(7, n, outputs))
    target = RNG.normal(size=(7, n, outputs)) if name == "mae" else (RNG.random((7, n, outputs)) < 0.5).astype(float)
    if loss is SOFTMAX:
        target = np.eye(outputs)[RNG.integers(0, outputs, (7, n))]
    for weight in (RNG.random(n), None):
        found = metric.batch(prediction, target, weight, loss)
        alone = [float(metric.batch(p, t, weight, loss)) for p, t in zip(prediction, target, strict=True)]
        np.testing.assert_allclose(found, alone, rtol=1e-12)
    if loss is SOFTMAX and n == 5:  # by counting
        ranks = [
            [sum(v > row[k] for v in row) for row, k in zip(p, t.argmax(1), strict=True)]
            for p, t in zip(prediction, target, strict=True)
        ]
        np.testing.assert_allclose(
            alone, [np.mean([r < (2 if name == "top_2" else 1) for r in rank]) for rank in ranks]
        )


def test_on_the_threshold_it_is_a_no():
    prediction, target = np.array([[0.0], [1.0], [-1.0]]), np.array([0.0, 1.0, 0.5])
    assert metrics.Accuracy().batch(prediction, target, None, BINARY) == 1.0


def test_what_metrics_say_of_themselves():
    assert (pn.TopK().k, pn.TopK(3).name, pn.Accuracy().name, pn.TopK(1).k) == (5, "top_3", "accuracy", 1)
    assert [kind.ranks_only for kind in (pn.TopK, pn.Accuracy, metrics.R2)] == [True, True, False]
    metric = pn.TopK(2)
    assert metrics.get(metric) is metric
    assert metrics.get("top_123456789") == pn.TopK(123456789)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: pn.TopK(0), "TopK: k must be a whole number of 1 or more, got 0"),
        (lambda: pn.Accuracy(""), "Accuracy: name must be a name, got ''"),
        (lambda: metrics.get("top_1234567890"), "unknown metric 'top_1234567890'"),
    ],
)
def test_metrics_that_cannot_be(make, said):
    with pytest.raises(pn.ConfigError) as caught:
        make()
    assert said in str(caught.value)


def test_confusion_matrix_of_classes_that_hardly_come_up():
    expected = np.zeros((5, 5))
    expected[1, 0] = 1
    np.testing.assert_array_equal(pn.confusion_matrix([1], [0], 5), expected)


@pytest.mark.parametrize(
    ("name", "target", "outputs", "labels", "expected"),
    [
        ("precision_score", [[1], [0], [1]], [[0.9], [0.8], [0.2]], [1, 1, 0], 1 / 2),  # a column is no row of labels
        ("precision_score", [0, 1], [[0.1], [0.2]], [0, 0], 0.0),
        ("f1_score", [[1, 1], [0, 1], [1, 0]], [[0.9, 0.5], [0.2, 0.7], [0.6, 0.1]], [0, 0, 0], (1 + 2 / 3) / 2),
        ("mean_absolute_error", [[1.0, 2.0]], [[1.0, 3.0]], None, 0.5),
        ("mean_absolute_error", [1.0, 2.0], [[1.0], [3.0]], None, 0.5),
    ],
)
def test_forms_of_targets(name, target, outputs, labels, expected):
    pytest.importorskip("sklearn", reason="these metrics are scikit-learn's: pip install scikit-learn")
    found = ScikitMetric(name).whole(np.array(target), np.array(outputs), None if labels is None else np.array(labels))
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "expected"), [("accuracy", True), ("top_3", True), ("mae", False), ("r2", True), ("r2_score", True)]
)
def test_which_way_a_metric_is_better(name, expected):
    assert metrics.get(name).greater_is_better is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("f1_score", True),
        ("max_error", False),
        ("brier_score_loss", False),
        ("mean_poisson_deviance", False),
        ("matthews_corrcoef", True),  # its ending does not say; it is one of scikit-learn's scorers
        ("auc", None),
    ],
)
def test_which_way_a_metric_of_scikit_learn_is_better(name, expected):
    pytest.importorskip("sklearn", reason="these metrics are scikit-learn's: pip install scikit-learn")
    assert ScikitMetric(name).greater_is_better is expected
