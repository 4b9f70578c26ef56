"""Metrics beside scikit-learn's, batch by batch on every backend, and scikit-learn's own through evaluate."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import sklearn.metrics as sk

import portanet as pn
from portanet import losses, metrics
from portanet.errors import ConfigError, DataError
from tests.small import blobs, mlp, trainer

RNG = np.random.default_rng(7)
LABELS = RNG.integers(0, 6, 100)
SCORES = RNG.normal(size=(100, 6)) + np.eye(6)[LABELS]
NUMBERS = RNG.normal(size=(100, 3))
GUESSES = NUMBERS + 0.5 * RNG.normal(size=(100, 3))
YES = (RNG.random((100, 3)) < 0.4).astype("float64")
LOGITS = RNG.normal(size=(100, 3)) + YES
WEIGHT = RNG.random(100)
WEIGHT[60:70] = 0.0

SOFTMAX, BINARY, SQUARE = losses.SoftmaxCrossEntropy(), losses.BinaryCrossEntropy(), losses.MeanSquaredError()


def top(k):
    return lambda t, p, w: sk.top_k_accuracy_score(t, p, k=k, sample_weight=w)


@dataclass
class Case:
    name: str
    loss: losses.Loss
    prediction: np.ndarray
    target: np.ndarray
    oracle: Callable[..., float]


CASES = {
    "accuracy": Case(
        "accuracy", SOFTMAX, SCORES, LABELS, lambda t, p, w: sk.accuracy_score(t, p.argmax(1), sample_weight=w)
    ),
    "accuracy of rows": Case(
        "accuracy",
        SOFTMAX,
        SCORES,
        np.eye(6)[LABELS],
        lambda t, p, w: sk.accuracy_score(t.argmax(1), p.argmax(1), sample_weight=w),
    ),
    "accuracy of one output": Case(
        "accuracy", BINARY, LOGITS[:, :1], YES[:, 0], lambda t, p, w: sk.accuracy_score(t, p[:, 0] > 0, sample_weight=w)
    ),
    "accuracy of one output, squares": Case(
        "accuracy", SQUARE, LOGITS[:, :1], YES[:, :1], lambda t, p, w: sk.accuracy_score(t, p > 0.5, sample_weight=w)
    ),
    "accuracy of labels": Case(
        "accuracy", BINARY, LOGITS, YES, lambda t, p, w: 1 - sk.hamming_loss(t > 0.5, p > 0, sample_weight=w)
    ),
    "top_1": Case("top_1", SOFTMAX, SCORES, LABELS, top(1)),
    "top_3": Case("top_3", SOFTMAX, SCORES, LABELS, top(3)),
    "mae": Case(
        "mae", SQUARE, GUESSES, NUMBERS, lambda t, p, w: sk.mean_absolute_error(t, p, sample_weight=w)
    ),
    "mae of probabilities": Case(
        "mae", BINARY, LOGITS, YES, lambda t, p, w: sk.mean_absolute_error(t, 1 / (1 + np.exp(-p)), sample_weight=w)
    ),
    "r2": Case("r2", SQUARE, GUESSES, NUMBERS, lambda t, p, w: sk.r2_score(t, p, sample_weight=w)),
    "r2 of one output": Case(
        "r2", SQUARE, GUESSES[:, :1], NUMBERS[:, 0], lambda t, p, w: sk.r2_score(t, p[:, 0], sample_weight=w)
    ),
}  # fmt: skip


def measured(backend, dtype, metric, loss, prediction, target, weight=None, size=40):
    """Return the metric over batches of `size`, the last one smaller, as an epoch does it."""
    values, sizes = [], []
    batch = backend.compile(lambda p, t, w: metrics.measure([metric], loss, p, t, w)[0])
    with backend.activate(dtype):
        for start in range(0, len(prediction), size):
            rows = slice(start, start + size)
            w = None if weight is None else backend.asarray(weight[rows], dtype)
            t = backend.asarray(target[rows], "int32" if target.dtype.kind == "i" else dtype)
            values.append(backend.to_numpy(batch(backend.asarray(prediction[rows], dtype), t, w)).astype("float64"))
            sizes.append(len(prediction[rows]) if weight is None else weight[rows].sum())
    return metric.merge(np.stack(values), np.asarray(sizes, dtype="float64"))


@pytest.mark.parametrize(("dtype", "weight"), [("float32", None), ("float64", WEIGHT)], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", CASES)
def test_as_scikit_learn(name, dtype, weight, backend):
    case = CASES[name]
    got = measured(backend, dtype, metrics.get(case.name), case.loss, case.prediction, case.target, weight)
    assert got == pytest.approx(case.oracle(case.target, case.prediction, weight), rel=2e-6)


@pytest.mark.parametrize("std", [1.0, 1e3])
def test_r2_far_from_zero(std, backend):
    # One float32 at 1e6 is 0.06 wide: sums of squares, and a mean that is rounded once, are both too coarse for this.
    rng = np.random.default_rng(0)
    t = (1e6 + std * rng.normal(size=(3000, 2))).astype("float32")
    p = (t + 0.3 * std * rng.normal(size=t.shape)).astype("float32")
    expected = sk.r2_score(t.astype("float64"), p.astype("float64"))
    assert measured(backend, "float32", metrics.R2(), SQUARE, p, t, size=700) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("met", [True, False])
def test_r2_of_an_output_that_never_changes(met):
    t = NUMBERS.copy()
    t[:, 1] = 0.0
    p = GUESSES.copy()
    p[:, 1] = 0.0 if met else 1.0
    got = measured(pn.backends.get("numpy"), "float64", metrics.R2(), SQUARE, p, t)
    assert got == pytest.approx(sk.r2_score(t, p))


def test_top_1_is_the_accuracy_also_where_outputs_are_equal():
    tied = RNG.integers(0, 3, (200, 6)).astype("float64")
    target = RNG.integers(0, 6, 200)
    numpy = pn.backends.get("numpy")
    found = [measured(numpy, "float64", metrics.get(name), SOFTMAX, tied, target) for name in ("top_1", "accuracy")]
    assert found[0] == found[1]
    # A dead network, all of whose outputs are alike, must not score 100 %.
    assert measured(numpy, "float64", metrics.TopK(2), SOFTMAX, 0 * tied, np.arange(200) % 6) == pytest.approx(68 / 200)


def test_nothing_weighed_yet_is_no_warning():
    assert metrics.Accuracy().merge(np.asarray([0.0]), np.asarray([0.0])) == 0.0


@pytest.mark.parametrize("form", [list, np.asarray, lambda a: np.asarray(a, "uint8")], ids=["list", "int64", "uint8"])
def test_confusion_matrix(form):
    guess = np.where(RNG.random(100) < 0.7, LABELS, RNG.integers(0, 6, 100))
    got = pn.confusion_matrix(form(20 + LABELS), form(20 + guess), 26)  # 25 · 26 does not fit into a byte
    np.testing.assert_array_equal(got[20:, 20:], sk.confusion_matrix(LABELS, guess, labels=range(6)))
    assert got.sum() == 100


@pytest.mark.parametrize(
    ("target", "predicted", "said"),
    [
        ([0, 1], [0], "shape (2,)"),
        ([[0, 1]], [[0, 1]], "argmax"),
        ([0, 3], [0, 1], "target must hold class indices 0 … 2, got numbers from 0 to 3"),
        ([0, 1], [-1, 1], "predicted must hold class indices 0 … 2, got numbers from -1 to 1"),
        ([0.5, 1], [0, 1], "target"),
    ],
)
def test_confusion_matrix_of_what_is_no_class(target, predicted, said):
    with pytest.raises(DataError) as caught:
        pn.confusion_matrix(target, predicted, 3)
    assert said in str(caught.value)


# Functions of sklearn.metrics, through a trainer.

SCIKIT = ["f1_score", "precision_score", "balanced_accuracy_score", "cohen_kappa_score", "log_loss", "roc_auc_score"]


def oracle(name, y, probability, weight):
    """Return what a person would write with scikit-learn alone."""
    several = probability.shape[1] > 2
    options = {} if weight is None else {"sample_weight": weight}
    if name in ("f1_score", "precision_score"):
        options["average"] = "macro" if several else "binary"
        options["zero_division"] = 0
    if name == "roc_auc_score" and several:
        options["multi_class"] = "ovr"
    scores = name in ("log_loss", "roc_auc_score")
    if scores and not several:
        return getattr(sk, name)(y, probability[:, -1], **options)
    guess = probability if scores else probability.argmax(1) if probability.shape[1] > 1 else probability[:, 0] > 0.5
    return getattr(sk, name)(y, guess, **options)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    ("outputs", "loss"), [(3, "softmax_cross_entropy"), (2, "softmax_cross_entropy"), (1, "binary_cross_entropy")]
)
def test_scikit_metrics_of_classes(outputs, loss, weighted):
    x, y = blobs(classes=max(outputs, 2))
    model = trainer(mlp(outputs), loss=loss, metrics=SCIKIT)
    history = model.fit(x, y, epochs=2, validation_data=(x, y), verbose=False)
    weight = np.random.default_rng(0).random(len(y)) if weighted else None
    found = model.evaluate(x, y, sample_weight=weight)
    probability = model.predict(x)
    for name in SCIKIT:
        assert found[name] == pytest.approx(oracle(name, y, probability, weight)), name
    assert history[-1]["val_f1_score"] == pytest.approx(oracle("f1_score", y, probability, None))
    assert "f1_score" not in history[-1]  # not one for batches


def test_scikit_metrics_of_one_class_a_sample_written_as_a_row():
    x, y = blobs()
    model = trainer(metrics=SCIKIT)
    model.fit(x, np.eye(3)[y], epochs=1, verbose=False)
    assert model.evaluate(x, np.eye(3)[y]) == pytest.approx(model.evaluate(x, y))


def test_scikit_metrics_of_a_class_that_the_data_lacks():
    x, y = blobs()
    model = trainer(metrics=["log_loss", "f1_score"])
    model.fit(x, y, epochs=1, verbose=False)
    few = y != 2
    expected = sk.log_loss(y[few], model.predict(x[few]), labels=[0, 1, 2])
    assert model.evaluate(x[few], y[few])["log_loss"] == pytest.approx(expected)


def test_scikit_metrics_of_labels():
    x, _ = blobs()
    y = (x[:, :3] > 0.3).astype("int64")
    model = trainer(loss="binary_cross_entropy", metrics=["f1_score", "roc_auc_score"])
    model.fit(x, y, epochs=2, verbose=False)
    found, probability = model.evaluate(x, y), model.predict(x)
    assert found["f1_score"] == pytest.approx(sk.f1_score(y, probability > 0.5, average="macro"))
    assert found["roc_auc_score"] == pytest.approx(sk.roc_auc_score(y, probability))


@pytest.mark.parametrize("outputs", [1, 2])
def test_scikit_metrics_of_a_regression(outputs):
    x, _ = blobs()
    y = x[:, :outputs] ** 2
    model = trainer(mlp(outputs), loss="mean_squared_error", metrics=["median_absolute_error"])
    model.fit(x, y, epochs=1, verbose=False)
    found = model.evaluate(x, y)
    assert found["median_absolute_error"] == pytest.approx(sk.median_absolute_error(y, model.predict(x)))


def share_of_hits(y_true, y_pred):
    assert y_pred.shape == y_true.shape == (len(y_true),)
    return (y_true == y_pred).mean()


def weighed_error(y_true, y_pred, sample_weight=None, average="left alone"):
    assert average == "left alone"
    return np.average(abs(y_true - y_pred), weights=sample_weight)


def test_functions_are_metrics():
    # scikit-learn's are the ones of that name; a custom one has a column under its own.
    x, y = blobs()
    model = trainer(metrics=[sk.f1_score, sk.log_loss, "accuracy", share_of_hits])
    assert model.metrics[:2] == (metrics.ScikitMetric("f1_score"), metrics.ScikitMetric("log_loss"))
    history = model.fit(x, y, epochs=2, validation_data=(x, y), verbose=False)
    found, probability = model.evaluate(x, y), model.predict(x)
    assert found["f1_score"] == pytest.approx(oracle("f1_score", y, probability, None))
    assert found["share_of_hits"] == found["accuracy"] == (y == model.predict_classes(x)).mean()
    assert history[-1]["val_share_of_hits"] == found["share_of_hits"]
    assert "share_of_hits" not in history[-1]  # not one for batches


@pytest.mark.parametrize("weight", [None, np.linspace(0.1, 3, 120)])
def test_a_custom_function_of_a_regression_takes_weights(weight):
    x, _ = blobs()
    model = trainer(mlp(1), loss="mean_squared_error", metrics=["mae", weighed_error])
    model.fit(x, x[:, 0], epochs=1, verbose=False)
    found = model.evaluate(x, x[:, 0], sample_weight=weight)
    error = abs(x[:, 0] - model.predict(x)[:, 0])
    assert found["weighed_error"] == pytest.approx(found["mae"]) == pytest.approx(np.average(error, weights=weight))


def test_a_custom_function_is_saved_by_name_and_given_at_load(tmp_path):
    x, y = blobs()
    model = trainer(metrics=[share_of_hits, sk.f1_score])
    model.fit(x, y, epochs=1, verbose=False)
    model.save(tmp_path / "net.safetensors")
    again = pn.load(tmp_path / "net.safetensors", custom={"share_of_hits": share_of_hits})
    assert again.metrics == model.metrics
    assert again.evaluate(x, y) == model.evaluate(x, y)
    with pytest.raises(ConfigError, match="share_of_hits"):
        pn.load(tmp_path / "net.safetensors")


@pytest.mark.parametrize(("mode", "epochs"), [("max", 4), ("min", 2)])
def test_the_direction_of_a_custom_function_is_given(mode, epochs):
    x, y = blobs()
    values = iter([0.5, 0.6, 0.7, 0.8])

    def rising_loss(y_true, y_pred):
        return next(values)

    def fit(**options):
        hooks = [pn.EarlyStopping("val_rising_loss", patience=1, **options)]
        model = trainer(metrics=[rising_loss])
        model.fit(x, y, epochs=4, validation_fraction=0.2, callbacks=hooks, verbose=False)
        return model

    with pytest.raises(ConfigError, match=r"metric 'rising_loss' does not say .* give mode="):
        fit()
    model = fit(mode=mode)
    assert len(model.history) == epochs


def accuracy(y_true, y_pred):
    """Not ours."""


def f1_score(y_true, y_pred):
    """Not scikit-learn's."""


def alone(y_true):
    """A function of one argument."""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("acuracy", "did you mean 'accuracy'?"),
        ("top_0", "unknown metric 'top_0'"),
        ("silhouette_score", "unknown metric"),  # of sklearn.metrics, but it compares no predictions
        ("ConfusionMatrixDisplay", "unknown metric"),
        (pn.Accuracy, "make one of it: Accuracy()"),
        (3, "expected a name or a Metric, got 3"),
        (sk.silhouette_score, "unknown metric 'silhouette_score'"),
        (lambda y_true, y_pred: 0.0, "no name); write def name(y_true, y_pred): ..."),
        (partial(sk.fbeta_score, beta=2), "no name); write def name(y_true, y_pred): ..."),
        (accuracy, "the name 'accuracy' is taken"),
        (f1_score, "the name 'f1_score' is taken"),
        (alone, "does not take (y_true, y_pred)"),
    ],
)
def test_unknown_metrics(name, said):
    with pytest.raises(ConfigError) as caught:
        metrics.get(name)
    assert said in str(caught.value)


def test_without_scikit_learn_the_message_tells_how_to_get_it(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(metrics.named, "importlib", SimpleNamespace(import_module=missing))
    assert metrics.get("top_3") == pn.TopK(3)
    with pytest.raises(ConfigError, match=r'pip install "portanet\[sklearn\]"'):
        metrics.get("f1_score")


def test_a_function_whose_result_is_no_number():
    x, y = blobs()
    model = trainer(metrics=["confusion_matrix"])
    with pytest.raises(ConfigError, match=r"'confusion_matrix': expected one number"):
        model.fit(x, y, epochs=1, validation_fraction=0.2, verbose=False)


def test_a_function_that_takes_no_weights():
    x, _ = blobs()
    model = trainer(mlp(1), loss="mean_squared_error", metrics=["max_error"])
    model.fit(x, x[:, 0], epochs=1, verbose=False)
    with pytest.raises(ConfigError, match="takes no sample weights"):
        model.evaluate(x, x[:, 0], sample_weight=np.ones(len(x)))


def test_a_class_that_is_never_predicted_is_no_warning():
    x, y = blobs()
    model = trainer([pn.Dense(3, weight_init="zeros")], metrics=["precision_score"])
    model.init((5,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.evaluate(x, y)
