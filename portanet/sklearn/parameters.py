"""The arguments that the estimators share: their defaults, and what each may be, in scikit-learn's terms."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

from portanet.backends import Backend
from portanet.layers import Layer
from portanet.losses import LOSSES, Loss
from portanet.optimizers import OPTIMIZERS, Optimizer
from portanet.schedules import Schedule
from portanet.sklearn.private import SCIKIT_CONSTRAINTS, Interval, StrOptions


@dataclass(kw_only=True, eq=False, repr=False)
class Arguments:
    """The constructor's arguments that all estimators have, kept unchanged, as scikit-learn asks."""

    solver: str = "adam"
    alpha: float = 0.0001
    batch_size: int | str = "auto"
    learning_rate: str = "constant"
    learning_rate_init: float = 0.001
    power_t: float = 0.5
    max_iter: int = 200
    shuffle: bool = True
    random_state: Any = None
    tol: float = 1e-4
    verbose: Any = False
    warm_start: bool | str = False
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_iter_no_change: int = 10
    max_fun: int = 15000
    backend: Any = None
    dtype: str | None = None
    dropout: Any = 0.0
    batch_norm: bool = False
    optimizer: Any = None
    schedule: Any = None
    callbacks: Any = None


CONSTRAINTS: dict[str, Any] = {
    **SCIKIT_CONSTRAINTS,
    "activation": [str, Layer, "array-like"],  # for an unknown name the nearest known one is named
    "warm_start": ["boolean", StrOptions({"exact"})],
    "backend": [None, str, Backend],
    "dtype": [None, StrOptions({"float32", "float64"})],
    "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
    "batch_norm": ["boolean"],
    "optimizer": [None, StrOptions(set(OPTIMIZERS)), Optimizer],
    "schedule": [None, str, Schedule],
    "callbacks": [None, list, tuple],
    "loss": [StrOptions(set(LOSSES)), Loss, str],
}
"""What all estimators take: scikit-learn's own constraints, and those of what it does not have."""

TABLES: dict[str, Any] = {"categorical_features": [None, "array-like", StrOptions({"from_dtype"})]}
"""What only those take whose samples are rows of features."""
