"""scikit-learn's own checks of an estimator: none fails, none is expected to."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("sklearn", reason='scikit-learn is not installed: pip install "portanet[sklearn]"')

from sklearn.utils.estimator_checks import parametrize_with_checks

from portanet.sklearn import CNNClassifier, MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor
from tests.backends.at_hand import require


@pytest.mark.filterwarnings("ignore")  # of small numbers of iterations, and of the data that the checks make up
@parametrize_with_checks(
    [
        *(MLPClassifier(max_iter=50), MLPRegressor(max_iter=50), CNNClassifier((4,), max_iter=50)),
        *(TabularClassifier(hidden_layer_sizes=32, epochs=12), TabularRegressor(hidden_layer_sizes=32, epochs=40)),
    ]
)
def test_estimator(estimator, check):
    check(estimator)


ARRAY_API = """
import warnings
from sklearn.utils.estimator_checks import check_array_api_input, check_array_api_same_namespace
from portanet.sklearn import CNNClassifier, MLPClassifier, MLPRegressor
warnings.simplefilter("ignore")
for kind in (MLPClassifier, MLPRegressor, CNNClassifier):
    estimator = kind(random_state=0, max_iter=20)
    for dtype in ("float64", "float32"):
        arguments = {arguments}
        check_array_api_input(kind.__name__, estimator, *arguments, dtype, check_values=True, check_sample_weight=True)
    check_array_api_same_namespace(kind.__name__, estimator, *arguments)
print("passed")
"""


@pytest.mark.parametrize(
    ("name", "arguments"), [("strict", ("array_api_strict", "device1")), ("torch", ("torch", "cpu"))]
)
def test_array_api(name, arguments):
    # SciPy reads the variable when it is imported, so this is for another process.
    require(name)
    pytest.importorskip("sklearn", minversion="1.9", reason="these checks are scikit-learn 1.9's")
    script = ARRAY_API.replace("{arguments}", repr(arguments))
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.stdout == "passed\n", done.stderr
