"""What an estimator takes, where its answers go, and what it says of what it cannot take."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason='scikit-learn is not installed: pip install "portanet[sklearn]"')

from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import LabelBinarizer, scale

from portanet import backends
from portanet.backends.host import to_host
from portanet.sklearn import MLPClassifier, MLPRegressor
from portanet.sklearn.labels import Labels
from tests.backends.at_hand import require
from tests.small import blobs

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = blobs(n=90)
FAST = {"hidden_layer_sizes": (6,), "max_iter": 8, "random_state": 0, "batch_size": 20}


def classifier(**options):
    return MLPClassifier(**{**FAST, **options})


def regressor(**options):
    return MLPRegressor(**{**FAST, **options})


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"shuffle": False}, {"solver": "lbfgs"}], ids=str)
def test_sparse_samples_are_as_good_as_dense_ones(form, options):
    few = np.where(X > 1, X, 0.0)
    dense, rows = classifier(**options).fit(few, Y), classifier(**options).fit(form(few), Y)
    np.testing.assert_allclose(rows.coefs_[0], dense.coefs_[0], rtol=1e-9)
    np.testing.assert_allclose(rows.predict_proba(form(few)), dense.predict_proba(few), rtol=1e-9)
    np.testing.assert_allclose(rows.transform(form(few)), dense.transform(few), rtol=1e-9)


def test_sparse_samples_become_dense_a_batch_at_a_time(monkeypatch):
    largest = []
    of_class = sparse.csr_array.toarray

    def toarray(self):
        largest.append(self.shape[0])
        return of_class(self)

    monkeypatch.setattr(sparse.csr_array, "toarray", toarray)
    classifier(batch_size=7).fit(sparse.csr_array(X), Y)
    assert max(largest) == 7


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_tables_keep_their_names(library):
    frames = pytest.importorskip(library, reason=f"{library} is not installed: pip install {library}")
    names = list("abcde")
    table = frames.DataFrame({name: X[:, i] for i, name in enumerate(names)})
    labels = frames.Series(["xyz"[i] for i in Y])
    found = classifier().fit(table, labels)
    assert list(found.feature_names_in_) == names
    np.testing.assert_array_equal(found.predict_proba(table), classifier().fit(X, Y).predict_proba(X))
    assert set(found.predict(table)) <= set("xyz")
    with pytest.raises(ValueError, match="feature names should match"):
        found.predict(table[["b", "a", "c", "d", "e"]])
    transformed = found.set_output(transform=library).transform(table)
    assert isinstance(transformed, frames.DataFrame)
    assert list(transformed.columns) == [f"mlpclassifier{i}" for i in range(6)]


@pytest.mark.parametrize("kind", [classifier, regressor])
def test_answers_come_back_to_where_the_samples_live(kind, backend, dtype):
    if backend.name == "jax" and dtype == "float64":
        pytest.skip("JAX makes float64 arrays only where it is asked to")
    x = backend.asarray(X, dtype)
    found, host = kind().fit(x, backend.asarray(Y, "int32")), kind().fit(X.astype(dtype), Y)
    rtol = 1e-9 if dtype == "float64" else 2e-3
    for name in ("predict", "transform", *(("predict_proba", "predict_log_proba") if kind is classifier else ())):
        answer, expected = getattr(found, name)(x), getattr(host, name)(X.astype(dtype))
        assert backends.of(answer).spec == backend.spec
        np.testing.assert_allclose(to_host(answer), expected, rtol=rtol, atol=rtol, err_msg=name)
    assert found.score(x, backend.asarray(Y, "int32")) == pytest.approx(host.score(X.astype(dtype), Y), rel=rtol)
    assert all(backends.of(a).spec == backend.spec for a in (*found.coefs_, *found.intercepts_))
    # What was fitted there is loaded where there is none of it, and answers what it is asked from.
    loaded = pickle.loads(pickle.dumps(found))
    assert all(isinstance(a, np.ndarray) for a in (*loaded.coefs_, *loaded.intercepts_))
    np.testing.assert_allclose(loaded.predict(X.astype(dtype)), host.predict(X.astype(dtype)), rtol=rtol, atol=rtol)
    assert backends.of(loaded.predict(x)).spec == backend.spec
    loaded.partial_fit(X.astype(dtype), Y)  # and goes on there, with the optimizer's state


@pytest.mark.parametrize("name", ["torch", "jax", "strict"])
def test_a_backend_by_name_takes_and_returns_host_arrays(name):
    require(name)
    found, host = classifier(backend=name, dtype="float64").fit(X, Y), classifier().fit(X, Y)
    assert isinstance(found.coefs_[0], np.ndarray)
    np.testing.assert_allclose(found.predict_proba(X), host.predict_proba(X), rtol=1e-9)


def test_text_labels_of_foreign_samples():
    torch = require("torch")
    found = classifier().fit(torch.asarray(X), np.array(["a", "b", "c"])[Y])
    assert set(found.predict(torch.asarray(X))) <= set("abc")


def test_errors_are_scikit_learns():
    for kind in (classifier, regressor):
        with pytest.raises(NotFittedError):
            kind().predict(X)
        with pytest.raises(NotFittedError):
            kind().transform(X)
        with pytest.raises(ValueError, match=r"hidden_layer_sizes must be > 0, got \[-1\]"):
            kind(hidden_layer_sizes=[-1]).fit(X, Y)
        with pytest.raises(ValueError, match=r"X has 4 features, but .* is expecting 5 features"):
            kind().fit(X, Y).predict(X[:, :4])
        with pytest.raises(ValueError, match=r"The 'alpha' parameter of .* must be a float in the range"):
            kind(alpha=-1).fit(X, Y)
        with pytest.raises(AttributeError, match="has no attribute 'partial_fit'"):
            _ = kind(solver="lbfgs").partial_fit
        with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
            kind(early_stopping=True).partial_fit(X, Y, **({"classes": [0, 1, 2]} if kind is classifier else {}))
        with pytest.warns(UserWarning, match="It is going to be clipped"):
            kind(batch_size=1000).fit(X, Y)
        with pytest.raises(ValueError, match="The validation set is too small"):
            kind(early_stopping=True, validation_fraction=0.1).fit(X[:9], Y[:9])
    with pytest.raises(ValueError, match="warm_start can only be used where `y` has the same classes"):
        classifier(warm_start=True).fit(X, Y).fit(X, Y + 1)
    with pytest.raises(ValueError, match="`y` has classes not in"):
        classifier().fit(X, Y).partial_fit(X, Y + 1)
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        classifier().partial_fit(X, Y)


def test_training_that_diverges_is_told_as_scikit_learn_tells_it():
    far = regressor(solver="sgd", learning_rate_init=10.0, max_iter=50)
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        far.fit(1e4 * X, 1e4 * scale(X[:, 0]))


def test_foreign_samples_are_checked_where_they_live():
    torch = require("torch")
    x = torch.asarray(X)
    found = classifier().fit(x, Y)
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array instead"):
        found.predict(x[:, 0])
    with pytest.raises(ValueError, match="X has 4 features"):
        found.predict(x[:, :4])
    with pytest.raises(ValueError, match="contains NaN or infinity"):
        found.predict(x / 0.0)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        classifier().fit(x, Y[:-1])


def test_sparse_labels_of_several_classes_are_split_off_too():
    several = (X[:, :3] > 0).astype(int)
    found, wanted = (classifier(early_stopping=True).fit(X, y) for y in (sparse.csr_matrix(several), several))
    np.testing.assert_array_equal(found.predict_proba(X), wanted.predict_proba(X))


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint16"])
@pytest.mark.parametrize("classes", [1, 2, 3, 30])
def test_whole_numbers_as_labels_are_what_scikit_learn_makes_of_them(classes, dtype):
    """They take a short way past its checks."""
    y = (7 * np.arange(40) % classes + 3).astype(dtype)
    expected, labels = LabelBinarizer().fit(y), Labels(y)
    np.testing.assert_array_equal(labels.classes, expected.classes_)
    assert labels.classes.dtype == expected.classes_.dtype
    assert labels.kind == expected.y_type_
