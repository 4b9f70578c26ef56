"""Fitted networks in files that hold no code, and in pickles that are read where their library is absent."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn", reason='scikit-learn is not installed: pip install "portanet[sklearn]"')

import portanet as pn
from portanet.sklearn import CNNClassifier, MLPClassifier, MLPRegressor
from tests.backends.at_hand import require
from tests.small import blobs

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = blobs(n=90)
FAST = {"hidden_layer_sizes": (6,), "max_iter": 5, "random_state": 0}
COUNTS = np.abs(Y).astype(float)

FITTED = {
    "classes": lambda: MLPClassifier(**FAST).fit(X, np.array(["a", "b", "c"])[Y]),
    "two classes": lambda: MLPClassifier(**FAST).fit(X, Y == 1),
    "batch_norm": lambda: MLPClassifier(batch_norm=True, dropout=0.2, **FAST).fit(X, Y),
    "numbers": lambda: MLPRegressor(**FAST).fit(X, X[:, :2]),
    "lbfgs": lambda: MLPRegressor(solver="lbfgs", **FAST).fit(X, X[:, 0]),
    "poisson": lambda: MLPRegressor("poisson", **FAST).fit(X, COUNTS),
    "huber": lambda: MLPRegressor(pn.Huber(0.5), **FAST).fit(X, COUNTS),
    "images": lambda: CNNClassifier((3,), image_shape=(5, 1), **FAST).fit(X, Y),
}


@pytest.mark.parametrize("name", FITTED)
def test_a_saved_network_answers_as_the_estimator(name, tmp_path):
    found = FITTED[name]()
    found.save(tmp_path / "net.safetensors")
    loaded = pn.load(tmp_path / "net.safetensors")
    outputs = loaded.predict(X)
    if isinstance(found, MLPRegressor):
        np.testing.assert_allclose(outputs.squeeze(), found.predict(X), rtol=1e-12)
    else:
        np.testing.assert_allclose(outputs, found.predict_proba(X)[:, -outputs.shape[1] :], rtol=1e-12)
        assert list(loaded.classes) == [str(c) for c in found.classes_]
        assert list(np.array(loaded.classes)[loaded.predict_classes(X)]) == [str(c) for c in found.predict(X)]
    assert loaded.dtype == "float64"


def test_what_a_file_cannot_hold_is_told(tmp_path):
    found = MLPClassifier(categorical_features=[0], **FAST).fit(np.c_[Y, X], Y)
    with pytest.raises(ValueError, match="cannot hold the categories"):
        found.save(tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match="not fitted yet"):
        MLPClassifier().save(tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


ELSEWHERE = """
import pickle, sys

class Absent:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "jax"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent)
import numpy as np
with open(sys.argv[1], "rb") as file:
    found, x, expected = pickle.load(file)
np.testing.assert_allclose(found.predict_proba(x), expected, rtol=1e-9)
found.partial_fit(x, found.predict(x))
assert not {"torch", "jax"} & set(sys.modules)
print("answered")
"""


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_fitted_there_and_read_where_that_library_is_absent(name, tmp_path):
    backend = require(name)
    x = backend.asarray(X.astype("float32"))
    found = MLPClassifier(**FAST).fit(x, Y)
    assert not isinstance(found.coefs_[0], np.ndarray)
    with open(tmp_path / "fitted.pickle", "wb") as file:
        pickle.dump((found, X, pickle.loads(pickle.dumps(found)).predict_proba(X)), file)
    command = [sys.executable, "-W", "ignore", "-c", ELSEWHERE, str(tmp_path / "fitted.pickle")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == "answered\n", done.stderr
