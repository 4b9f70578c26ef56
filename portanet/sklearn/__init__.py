"""scikit-learn's multi-layer perceptrons, finished, on any device.

:class:`MLPClassifier` and :class:`MLPRegressor` take every argument of scikit-learn's own, with the same meaning, and
have every fitted attribute; and then some. :class:`CNNClassifier` classifies images by the same arguments.
:class:`FleetGridSearchCV` and :class:`FleetRandomizedSearchCV` are its searches, with many fits trained at once.
"""

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError as error:
    message = 'portanet.sklearn: scikit-learn is not installed: pip install "portanet[sklearn]"'
    raise ImportError(message) from error

from portanet.sklearn.classifier import MLPClassifier
from portanet.sklearn.cnn import CNNClassifier
from portanet.sklearn.regressor import MLPRegressor
from portanet.sklearn.search import FleetBackend, FleetGridSearchCV, FleetRandomizedSearchCV

__all__ = [
    "CNNClassifier",
    "FleetBackend",
    "FleetGridSearchCV",
    "FleetRandomizedSearchCV",
    "MLPClassifier",
    "MLPRegressor",
]
