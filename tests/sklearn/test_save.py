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
    names = np.array(["none", "1", "two"], dtype=object)[Y]
    found = MLPClassifier(categorical_features=[0], **FAST).fit(np.c_[names, X.astype(object)], Y)
    with pytest.raises(ValueError, match="the category 'none' has no text of its own in a file"):
        found.save(tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match="not fitted yet"):
        MLPClassifier().save(tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


def test_categories_are_saved_with_the_network(tmp_path):
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    many = [f"k{i:02d}" for i in range(12)]  # more than become zeros and a one: these come after the others
    frame = pandas.DataFrame(
        {
            "many": rng.choice(many, 200),
            "size": rng.normal(size=200),
            "few": rng.choice(["a", "b", None], 200),
            "number": rng.integers(0, 4, 200).astype(float),
        }
    )
    frame["few"] = frame["few"].astype(object)
    y = (frame["size"] > 0).astype(int) + (frame["few"] == "a")
    found = MLPClassifier(categorical_features=["many", "few", "number"], **FAST).fit(frame, y)
    found.save(tmp_path / "net.safetensors")
    loaded = pn.load(tmp_path / "net.safetensors")
    later = frame.iloc[:40].copy()
    later.loc[0, "many"], later.loc[1, "few"], later.loc[2, "number"] = "k99", "never seen", 17.0
    np.testing.assert_allclose(loaded.predict(later), found.predict_proba(later), rtol=1e-12)
    shuffled = later[["number", "few", "size", "many"]]
    np.testing.assert_allclose(loaded.predict(shuffled), found.predict_proba(later), rtol=1e-12)


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
