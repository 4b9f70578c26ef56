"""Categorical features: which they are, their categories as numbers for an embedding, and the layers that take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.preprocessing import OrdinalEncoder
from sklearn.utils.validation import check_array

from portanet.data.cells import categories, name_of, text
from portanet.data.columns import CATEGORY, NUMBER, Column
from portanet.data.plan import Plan
from portanet.errors import ConfigError
from portanet.layers import Embedding, Flatten, Layer, Parallel, Sequential

CATEGORICAL_TYPES = ("category", "Categorical", "Enum")  # of pandas and polars, by name
UNKNOWN = -1  # beyond the categories: Embedding gives zeros for it


class Categories:
    """The categories of a table's categorical features, as the first fit saw them.

    Missing values (None, NaN, NA) are a category of their own, if there were some. A category that was not seen then
    gets the number -1, for which :class:`portanet.Embedding` gives zeros. `mask` says which features are categorical;
    `known` has the categories of each, sorted, a missing value last.
    """

    def __init__(self, X: Any, mask: np.ndarray[Any, Any]) -> None:
        self.mask = mask
        encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=UNKNOWN)
        self._encoder = encoder.fit(self._categorical(X))
        self.known: list[Any] = self._encoder.categories_
        self._medians = [float(np.median(column)) for column in self._numbers(X).T]

    def encode(self, X: Any) -> np.ndarray[Any, Any]:
        """Return the table as numbers, the categorical features in front; raises ValueError as scikit-learn does."""
        codes = self._encoder.transform(self._categorical(X))
        last = np.array([len(known) - 1 if _is_missing(known[-1]) else UNKNOWN for known in self.known])
        codes = np.where(np.isnan(codes), last, codes)
        numbers = self._numbers(X)
        return np.concatenate([codes.astype(numbers.dtype), numbers], axis=1) if numbers.shape[1] else codes

    def layer(self) -> Layer:
        """Return the layer that makes vectors of the categories, and lets the numbers pass as they are."""
        # Drawn with variance 1, as standardised numbers have it: smaller vectors are learned late.
        vectors = [Embedding(len(known), width(len(known)), weight_init="normal:1.0") for known in self.known]
        embeddings = [Sequential((layer, Flatten())) for layer in vectors]
        numbers = int(np.count_nonzero(~self.mask))
        passed, sizes = ([Flatten()], [numbers]) if numbers else ([], [])
        return Parallel((*embeddings, *passed), (*([1] * len(embeddings)), *sizes))

    def plan(self, names: Sequence[str]) -> Plan:
        """Return the plan of the columns, for files: it takes frames without scikit-learn.

        Raises
        ------
        ConfigError
            If categories are not told apart by their text, or one of them stands for a missing value there.
        """
        header = bool(len(names))
        names = [str(name) for name in names] if header else [f"column {i + 1}" for i in range(len(self.mask))]
        columns = [Column(name, NUMBER) for name in names]
        for i, median in zip(np.flatnonzero(~self.mask), self._medians, strict=True):
            columns[i] = replace(columns[i], fill=median)
        for i, known in zip(np.flatnonzero(self.mask), self.known, strict=True):
            flag = _is_missing(known[-1])
            texts = [_text(value) for value in (known[:-1] if flag else known)]
            found = categories(text(texts)).values
            if found != texts:
                odd = next(own for own in texts if own not in found or texts.count(own) > 1)
                message = f"column {names[i]!r}: the category {odd!r} has no text of its own in a file; rename it, or "
                raise ConfigError(message + "keep this estimator by pickle")
            columns[i] = Column(names[i], CATEGORY, categories=tuple(texts), flag=flag)
        return Plan(tuple(columns), header=header)

    def order(self, plan: Plan) -> list[int]:
        """Return which of the categorical features is each of the first inputs of a plan."""
        places = [plan.columns[i].name for i in np.flatnonzero(self.mask)]
        return [places.index(c.name) for c in plan.kept[: len(places)]]

    def _numbers(self, X: Any) -> np.ndarray[Any, Any]:
        """Return the features that are numbers."""
        rest = np.flatnonzero(~self.mask)
        if not len(rest):
            return np.empty((len(X), 0))
        own = X.iloc[:, rest] if hasattr(X, "iloc") else X[:, rest]
        found: np.ndarray[Any, Any] = check_array(own, dtype=(np.float64, np.float32))
        return found

    def _categorical(self, X: Any) -> np.ndarray[Any, Any]:
        """Return the categorical features as host objects, every kind of missing value as NaN."""
        columns = np.flatnonzero(self.mask)
        if isinstance(X, np.ndarray) and X.dtype.kind != "O":
            return X[:, columns]
        return np.stack([_objects(X.iloc[:, i] if hasattr(X, "iloc") else X[:, int(i)]) for i in columns], axis=1)


def width(categories: int) -> int:
    """Return the length of the vectors for so many categories, min(600, 1.6 k^0.56), rounded.

    Source: Howard & Gugger 2020, fastai (Information 11(2), 108), whose rule of thumb it is; embeddings of categories:
    Guo & Berkhahn 2016, arXiv:1604.06737.
    """
    wanted: float = 1.6 * categories**0.56
    return min(600, round(wanted))


def find(X: Any, wanted: Any) -> np.ndarray[Any, Any] | None:
    """Return which features of a table are categorical, as a mask, or None where none is.

    Parameters
    ----------
    X : array or table of shape (n_samples, n_features)
    wanted : None, "from_dtype", or a sequence of bool, of int, or of str
        As in scikit-learn's HistGradientBoostingClassifier.

    Raises
    ------
    ConfigError
        If it names what is no feature.
    """
    names = list(getattr(X, "columns", ()))
    if wanted is None:
        return None
    features = int(X.shape[1])
    mask = np.zeros(features, bool)
    if isinstance(wanted, str):  # "from_dtype", as its own check has reported
        if names:
            mask[:] = [str(kind).partition("(")[0] in CATEGORICAL_TYPES for kind in X.dtypes]
        return mask if mask.any() else None
    given = np.asarray(wanted)
    if given.size == 0:
        return None
    if given.dtype.kind == "b" and given.shape == (features,):
        mask |= given
    elif given.dtype.kind == "i" and given.ndim == 1 and (-features <= given).all() and (given < features).all():
        mask[given] = True
    elif given.dtype.kind in "UO" and given.ndim == 1 and set(given) <= set(names):
        mask |= np.isin(names, given)
    else:
        expected = f"names among {names}, " if names else ""
        expected += f"numbers from 0 to {features - 1}, or {features} times True or False"
        message = f"categorical_features: expected {expected}, got {wanted!r:.200}"
        raise ConfigError(message)
    return mask if mask.any() else None


def _objects(column: Any) -> np.ndarray[Any, Any]:
    """Return a column as host objects, with NaN for None and pandas' NA."""
    found = np.empty(len(column), dtype=object)
    found[:] = [np.nan if _is_missing(value) else value for value in column]
    return found


def _text(value: Any) -> str:
    """Return a category as a file holds it: 3 and not 3.0."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return name_of(float(value)) if number else str(value)


def _is_missing(value: Any) -> bool:
    return value is None or type(value).__name__ in ("NAType", "NaTType") or bool(value != value)
