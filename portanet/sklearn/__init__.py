"""scikit-learn's multi-layer perceptrons, finished, on any device.

:class:`MLPClassifier` and :class:`MLPRegressor` take every argument of scikit-learn's own, with the same meaning, and
have every fitted attribute; and then some.
"""

from portanet.sklearn.classifier import MLPClassifier
from portanet.sklearn.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
