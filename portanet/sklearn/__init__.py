"""scikit-learn's multi-layer perceptrons, finished, on any device.

:class:`MLPClassifier` and :class:`MLPRegressor` take every argument of scikit-learn's own, with the same meaning, and
have every fitted attribute; and then some. :class:`CNNClassifier` classifies images by the same arguments.
:class:`TabularClassifier` and :class:`TabularRegressor` are for tables, with settings tuned on many.
:class:`FleetGridSearchCV` and :class:`FleetRandomizedSearchCV` are its searches, with many fits trained at once.
"""

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError:
    from portanet.errors import need

    need("sklearn", "sklearn", "portanet.sklearn")  # raises

from portanet.sklearn.classifier import MLPClassifier
from portanet.sklearn.cnn import CNNClassifier
from portanet.sklearn.regressor import MLPRegressor
from portanet.sklearn.search import FleetBackend, FleetGridSearchCV, FleetRandomizedSearchCV
from portanet.sklearn.tabular import TabularClassifier, TabularRegressor

__all__ = [
    "CNNClassifier",
    "FleetBackend",
    "FleetGridSearchCV",
    "FleetRandomizedSearchCV",
    "MLPClassifier",
    "MLPRegressor",
    "TabularClassifier",
    "TabularRegressor",
]
