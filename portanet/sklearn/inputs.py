"""What an estimator is handed: host arrays are checked by scikit-learn, arrays of other libraries where they live."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj
from scipy.sparse import issparse
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d, validate_data

from portanet import backends
from portanet.backends.base import dtype_name
from portanet.backends.host import to_host
from portanet.data.batching.prepare import take_rows
from portanet.data.batching.sparse import SparseRows
from portanet.typing import Array

Samples: TypeAlias = Any
"""A host array, :class:`~portanet.data.batching.sparse.SparseRows`, or an array of another library."""

FLOATS = ("float64", "float32")


def is_foreign(x: Any) -> bool:
    """Whether `x` is an array of another library than NumPy."""
    return is_array_api_obj(x) and not isinstance(x, np.ndarray | np.generic)


def host(x: Any) -> Any:
    """Return `x` on the host where it is an array of another library; all else as it is."""
    return to_host(x) if is_foreign(x) else x


def samples(estimator: Any, x: Any, *, reset: bool) -> Samples:
    """Return checked samples in float32 or float64; host data of whatever form as an array or as sparse rows.

    Raises
    ------
    ValueError
        In scikit-learn's words: for a wrong shape or number of features, for what is not finite, for an empty array.
    """
    if not reset and _plainly_fits(estimator, x):
        return x
    if not is_foreign(x):
        floats = tuple(np.dtype(name) for name in FLOATS)
        x = validate_data(estimator, x, accept_sparse=["csr", "csc"], dtype=floats, reset=reset)
        return SparseRows(x) if issparse(x) else x
    if x.ndim != 2:
        message = f"Expected 2D array, got {x.ndim}D array instead: reshape one feature to (n, 1), one sample to (1, n)"
        raise ValueError(message)
    if x.shape[0] == 0 or x.shape[1] == 0:
        message = f"Found array with shape {tuple(x.shape)} while a minimum of 1 sample and 1 feature is required."
        raise ValueError(message)
    validate_data(estimator, x, skip_check_array=True, reset=reset)  # the number of features, and names
    place = backends.of(x)
    if dtype_name(x) not in FLOATS:
        x = place.asarray(x, "float32" if dtype_name(x) in ("float16", "bfloat16") else "float64")
    xp = array_namespace(x)
    with place.activate(dtype_name(x)):
        if not bool(xp.all(xp.isfinite(x))):
            message = "Input X contains NaN or infinity; fill in or leave out those rows."
            raise ValueError(message)
    return x


def table(x: Any) -> Any:
    """Return what may hold categories as a table or host array of two axes.

    Raises
    ------
    ValueError
        If it is sparse, or has another number of axes.
    """
    if issparse(x):
        message = "categorical_features: sparse samples have no categories; make them dense: X.toarray()"
        raise ValueError(message)
    x = host(x)
    x = x if hasattr(x, "shape") else np.array(x, dtype=object)
    if len(x.shape) != 2:
        message = f"Expected 2D array, got {len(x.shape)}D array instead: reshape one feature to (n, 1)"
        raise ValueError(message)
    return x


def _plainly_fits(estimator: Any, x: Any) -> bool:
    """Whether `x` is what scikit-learn's checks let pass unchanged; they take longer than a small network does."""
    return (
        type(x) is np.ndarray
        and x.dtype.char in "df"  # its name takes as long as a small product
        and x.ndim == 2
        and x.shape[0] > 0
        and x.shape[1] == estimator.n_features_in_
        and not hasattr(estimator, "feature_names_in_")
        and math.isfinite(x.sum())  # an overflow is looked into by scikit-learn
    )


def targets(x: Samples, y: Any, *, numeric: bool) -> Any:
    """Return checked targets on the host, one a sample of `x`; a column of them as one axis, which is warned of."""
    if y is None:
        message = "This MLP estimator requires y to be passed, but the target y is None."
        raise ValueError(message)
    dtype = "numeric" if numeric else None
    if type(y) is np.ndarray and y.dtype.kind in "iu" and y.shape == (x.shape[0],) and y.size:
        return y  # what follows would let it pass unchanged
    y = check_array(host(y), accept_sparse="csr", ensure_2d=False, dtype=dtype, input_name="y", allow_nd=False)
    if numeric and getattr(y, "dtype", np.dtype(float)).kind == "O":
        y = y.astype(np.float64)
    check_consistent_length(x, y)
    if y.ndim == 2 and y.shape[1] == 1 and not issparse(y):
        y = column_or_1d(y, warn=True)
    return y


def rows(x: Any, chosen: Any) -> Any:
    """Return the rows `chosen` of samples, targets or weights, where these live; None of None."""
    if x is None:
        return None
    if issparse(x):
        return x[chosen]
    return x.take(chosen) if isinstance(x, SparseRows) else take_rows(x, chosen)


def returned(place: backends.Backend, x: Array) -> Array:
    """Return the answer `x` (host or device) in the place of the question."""
    return place.to_numpy(x) if place.name == "numpy" else place.asarray(x)
