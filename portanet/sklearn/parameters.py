"""What each argument may be, in scikit-learn's terms: its own check tells the rest in its own words."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

from portanet.backends import Backend
from portanet.layers import Layer
from portanet.losses import LOSSES, Loss
from portanet.optimizers import OPTIMIZERS, Optimizer
from portanet.schedules import Schedule
from portanet.sklearn.private import Interval, Options, StrOptions

SCIKIT: dict[str, Any] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
}
"""scikit-learn's own."""

CONSTRAINTS: dict[str, Any] = {
    **SCIKIT,
    "activation": [str, Layer, "array-like"],  # an unknown name is told with the nearest known one
    "warm_start": ["boolean", StrOptions({"exact"})],
    "backend": [None, str, Backend],
    "dtype": [None, StrOptions({"float32", "float64"})],
    "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
    "batch_norm": ["boolean"],
    "optimizer": [None, StrOptions(set(OPTIMIZERS)), Optimizer],
    "schedule": [None, str, Schedule],
    "callbacks": [None, list, tuple],
}
"""All that the estimators share."""

TABLES: dict[str, Any] = {"categorical_features": [None, "array-like", StrOptions({"from_dtype"})]}
"""What only those take whose samples are rows of features."""

OUR_LOSSES = [StrOptions(set(LOSSES)), Loss]
