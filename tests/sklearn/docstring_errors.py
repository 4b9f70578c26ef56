"""Prints what numpydoc finds in each estimator's docstrings, with scikit-learn's own list of what it asks for, as JSON.

A process of its own: scikit-learn's module of these checks is a test, and uses marks that only its own settings know.
"""

from __future__ import annotations

import json
import sys

from numpydoc.validate import validate
from sklearn.base import BaseEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.tests.test_docstrings import filter_errors
from sklearn.utils._testing import assert_docstring_consistency

import portanet.sklearn as family


class Bare:
    """no capital, no full stop"""

    def __init__(self, a):
        pass


def main() -> None:
    public_names = [getattr(family, name) for name in family.__all__]
    searches = [kind for kind in public_names if issubclass(kind, BaseSearchCV)]
    kinds = [kind for kind in public_names if issubclass(kind, BaseEstimator) and kind not in searches]
    found = {}
    for kind in kinds + searches:
        public = [name for name in dir(kind) if not name.startswith("_")]
        told = [m for m in public if callable(getattr(kind, m)) or isinstance(getattr(kind, m), property)]
        for method in (None, *told):
            path = f"{kind.__module__}.{kind.__name__}" + (f".{method}" if method else "")
            errors = filter_errors(validate(path)["errors"], method, Klass=kind)
            theirs = ("PR09",) if kind in searches else ()  # full stops that scikit-learn's own entries lack
            found[path] = [error for error in errors if error[0] not in theirs]
    found["tests.sklearn.docstring_errors.Bare"] = list(
        filter_errors(validate("tests.sklearn.docstring_errors.Bare")["errors"], None, Klass=Bare)
    )
    own = ["loss", "hidden_layer_sizes", "activation"]
    assert_docstring_consistency(kinds, include_params=True, exclude_params=own)
    assert_docstring_consistency(kinds, include_attrs=True, exclude_attrs=["coefs_, intercepts_", "n_features_in_"])
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
