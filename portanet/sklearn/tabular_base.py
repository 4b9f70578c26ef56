"""What the estimators for tables share: columns as numbers, the fleet that a recipe describes, and its predictions."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from portanet import backends
from portanet.backends import Backend
from portanet.engine.engine import Program
from portanet.fleet import Fleet
from portanet.optimizers import SGD
from portanet.recipes import RECIPES
from portanet.recipes.recipe import held_out
from portanet.sklearn.columns import Columns
from portanet.sklearn.private import Interval, StrOptions
from portanet.training.model import Model

_WHOLE = Interval(Integral, 1, None, closed="left")


@dataclass(kw_only=True, eq=False, repr=False)
class BaseTabular(BaseEstimator):
    """What both estimators of tables share: columns to numbers, the recipe's fleet, predictions."""

    recipe: str = "realmlp"
    n_ens: int = 1
    categorical_features: Any = None
    hidden_layer_sizes: Any = None
    epochs: int | None = None
    batch_size: int = 256
    learning_rate: float | None = None
    validation_fraction: float | None = None
    random_state: Any = None
    backend: Any = None
    verbose: bool = False

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "recipe": [StrOptions(set(RECIPES))],
        "n_ens": [_WHOLE],
        "categorical_features": [None, "array-like"],
        "hidden_layer_sizes": [None, "array-like", _WHOLE],
        "epochs": [None, _WHOLE],
        "batch_size": [_WHOLE],
        "learning_rate": [None, Interval(Real, 0, None, closed="neither")],
        "validation_fraction": [None, Interval(Real, 0, 1, closed="left")],
        "random_state": ["random_state"],
        "backend": [None, str, Backend],
        "verbose": ["boolean"],
    }

    def _checked(self, X: Any, **options: Any) -> Any:
        """Return samples (and ``options["y"]``) as scikit-learn checks them: numbers, which may be missing."""
        return validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", **options)

    def _trained(self, X: Any, target: Any, *, classes: int, outputs: int) -> Self:
        """Train the fleet on checked rows; `target` holds indices of classes, or numbers of deviation 1."""
        random_state = check_random_state(self.random_state)
        self._columns = Columns(X, self.categorical_features)
        x = self._columns.encode(X)
        train, held = self._split(target, random_state, stratified=bool(classes))
        sizes = self.hidden_layer_sizes
        options: dict[str, Any] = (
            {} if sizes is None else {"hidden": [sizes] if isinstance(sizes, Integral) else list(sizes)}
        )
        options |= {} if self.learning_rate is None else {"lr": float(self.learning_rate)}
        found = RECIPES[self.recipe](
            x[train],
            classes=classes,
            outputs=outputs,
            categories=self._columns.categories,
            epochs=self.epochs,
            batch_size=int(self.batch_size),
            **options,
        )
        fleet = Fleet(
            found.net,
            int(self.n_ens),
            found.loss,
            found.optimizer,
            seeds=[int(seed) for seed in random_state.randint(2**31 - 1, size=self.n_ens)],
            schedule=found.schedule,
            backend="numpy" if self.backend is None else self.backend,
        )
        for member in fleet:
            found.start(member)
        fleet.fit(
            x[train],
            target[train],
            epochs=found.epochs,
            batch_size=found.batch_size,
            validation_data=None if held is None else (x[held], target[held]),
            callbacks=[] if held is None else [found.keep_best()],
            verbose=bool(self.verbose),
        )
        self.n_epochs_ = found.epochs
        self.validation_losses_ = [[float(row.get("val_loss", np.nan)) for row in member.history] for member in fleet]
        self._net, self._loss, self._outputs = found.net, found.loss, fleet[0].outputs
        self._weights = [member.snapshot() for member in fleet]
        self._models: dict[str, list[Model]] = {}
        return self

    def _split(self, target: Any, random_state: Any, *, stratified: bool) -> tuple[Any, Any]:
        """Return the rows to train on and those whose loss decides which epoch is kept, None without such."""
        rows = np.arange(len(target))
        share = self.validation_fraction
        share = held_out(len(rows)) if share is None else share
        if not share or not held_out(len(rows)):
            return rows, None
        by_class = target if stratified and np.bincount(target).min() > 1 else None
        options = {"test_size": share, "random_state": random_state}
        try:
            train, held = train_test_split(rows, stratify=by_class, **options)
        except ValueError:  # fewer validation rows than classes
            train, held = train_test_split(rows, **options)
        return train, held

    def _mean(self, X: Any) -> Any:
        """Return the mean of the networks' outputs for samples, (n, outputs)."""
        check_is_fitted(self)
        x = self._columns.encode(self._checked(X, reset=False))
        place = backends.get("numpy" if self.backend is None else self.backend)
        if place.spec not in self._models:
            self._models[place.spec] = [self._model(place, weights) for weights in self._weights]
        models = self._models[place.spec]
        return sum(model.predict(x).astype(np.float64) for model in models) / len(models)

    def _model(self, place: Backend, weights: Any) -> Model:
        # In float64, so that the rounding of products over other rows beside it does not show in a row's answer.
        model = Model(Program(self._net, self._loss, SGD(), dtype="float64"), place)
        shape = (self._columns.width,)
        model.adopt(weights["params"], weights["buffers"], shape, (self._outputs,))
        return model

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "_models" in state:
            state["_models"] = {}
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
