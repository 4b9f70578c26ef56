"""From scikit-learn: a fitted multi-layer perceptron as a network of portanet's."""

from __future__ import annotations

from typing import Any

import numpy as np

from portanet import losses
from portanet.errors import ConfigError, unknown
from portanet.layers import Dense, Layer, Sequential
from portanet.layers.custom import ACTIVATIONS
from portanet.training.trainer import Trainer

_HIDDEN = {"identity": None, "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}
_LOSSES = {"softmax": "softmax_cross_entropy", "logistic": "binary_cross_entropy", "identity": "sum_squared_error"}
_LOSSES["exp"] = "poisson"


def from_sklearn(estimator: Any, **options: Any) -> Trainer:
    """Return a trainer with the network of a fitted estimator: it predicts the same, is saved, exported and trained on.

    Weights, activations, the output and the names of the classes are taken over, the optimizer's state is not. A
    classifier of two classes has one output here, the probability of the second class, as within scikit-learn.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        scikit-learn's, or that of :mod:`portanet.sklearn`, whose regressor's own losses become SumSquaredError and
        Poisson: the same gradient and the same predictions.
    **options
        Of the :class:`portanet.Trainer`: optimizer, backend, metrics … The loss, the penalty ``l2``, ``dtype`` and
        ``classes`` are the estimator's, unless they are given.

    Raises
    ------
    ConfigError
        If it is another kind of object, is not fitted, or has an activation that portanet does not know.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from portanet.export import from_sklearn
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((20,), random_state=0, max_iter=500).fit(X, y)
    >>> float(abs(from_sklearn(model, backend="numpy").predict(X) - model.predict_proba(X)).max()) < 1e-12
    True
    """
    wanted = "a Trainer, or an MLPClassifier or MLPRegressor of portanet.sklearn or scikit-learn"
    if not hasattr(type(estimator), "fit") or not hasattr(estimator, "hidden_layer_sizes"):
        message = f"expected {wanted}, got {type(estimator).__name__}; of a pipeline give the last step"
        raise ConfigError(message)
    if not hasattr(estimator, "coefs_"):
        message = f"{type(estimator).__name__}: it has no weights yet; call fit(X, y) first"
        raise ConfigError(message)
    loss: losses.Loss | str
    if not hasattr(estimator, "as_model"):
        net, loss, arrays, dtype = _of_scikit(estimator)
        buffers: dict[str, Any] = {}
    else:
        model = estimator.as_model()
        net, loss, dtype = model.net, model.loss, model.dtype
        arrays, buffers = model.params, model.buffers
    given: dict[str, Any] = {"loss": loss, "l2": float(estimator.alpha), "penalty_per_sample": True, "dtype": dtype}
    given["classes"] = [str(name) for name in getattr(estimator, "classes_", ())]
    trainer = Trainer(net, **{**given, **options})
    trainer.adopt(arrays, buffers, (int(estimator.n_features_in_),), (int(estimator.n_outputs_),))
    return trainer


def _of_scikit(estimator: Any) -> tuple[Layer, str, dict[str, Any], str]:
    """Return network, loss, parameters and dtype of scikit-learn's own estimator."""
    name, output = estimator.activation, estimator.out_activation_
    for kind, word, known in (("activation", name, _HIDDEN), ("output activation", output, _LOSSES)):
        if not isinstance(word, str) or word not in known:
            raise ConfigError(f"{type(estimator).__name__}: " + unknown(kind, word, known))
    hidden = _HIDDEN[name]
    layers: list[Layer] = []
    arrays = {}
    for weight, bias in zip(estimator.coefs_, estimator.intercepts_, strict=True):
        layers += [ACTIVATIONS[hidden]] if hidden and layers else []
        arrays[f"{len(layers)}.weight"], arrays[f"{len(layers)}.bias"] = np.asarray(weight), np.asarray(bias)
        layers.append(Dense(int(weight.shape[1])))
    single = all(array.dtype == np.float32 for array in arrays.values())
    return Sequential(tuple(layers)), _LOSSES[output], arrays, "float32" if single else "float64"
