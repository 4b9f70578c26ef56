"""A fitted network: its weights, what it answers, and how it travels between processes and machines."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from portanet import backends
from portanet.backends.host import to_host
from portanet.engine.engine import Program
from portanet.errors import ConfigError
from portanet.layers import Sequential
from portanet.losses import Loss
from portanet.optimizers import SGD
from portanet.sklearn import inputs
from portanet.sklearn.categories import Categories, find
from portanet.sklearn.convergence import NOT_FINITE, Progress
from portanet.sklearn.losses import public
from portanet.sklearn.network import Network
from portanet.sklearn.parameters import Arguments
from portanet.sklearn.private import ScikitEstimator
from portanet.training.model import Model
from portanet.training.trainer import Trainer
from portanet.typing import Array, Params


class FittedMLP(Arguments, ClassNamePrefixFeaturesOutMixin, TransformerMixin, ScikitEstimator):
    """What both estimators do once they are fitted.

    ``coefs_`` and ``intercepts_`` are what predicts, as in scikit-learn, and live where the samples of the fit lived;
    ``_rest`` holds what a network has beside them (BatchNorm's parameters and buffers).
    """

    hidden_layer_sizes: Any
    activation: Any
    loss: Any
    categorical_features: Any = None  # an argument of those that take tables
    _network: Network
    _loss: Loss
    _dtype: str
    _buffer_names: frozenset[str]
    _models: dict[str, tuple[Model, tuple[Array, ...]]]
    coefs_: list[Array]
    intercepts_: list[Array]
    _rest: Params
    n_features_in_: int
    n_outputs_: int
    _categories: Categories | None = None

    def _samples(self, X: Any, *, reset: bool) -> Any:
        """Return checked samples as rows of numbers, where they live; with `reset`, learn what such samples are.

        Categories become numbers, in front of the features that are numbers.
        """
        if reset:
            wanted = self.categorical_features
            self.is_categorical_ = None if wanted is None else find(inputs.table(X), wanted)
            self._categories = None
        if self.is_categorical_ is None:
            return inputs.samples(self, X, reset=reset)
        rows = inputs.table(X)
        validate_data(self, rows, skip_check_array=True, reset=reset)  # the number of features, and names
        if reset:
            self._categories = Categories(rows, self.is_categorical_)
        assert self._categories is not None
        codes = self._categories.encode(rows)
        return backends.of(X).asarray(codes) if inputs.is_foreign(X) else codes

    @property
    def embeddings_(self) -> list[Array]:
        """The vectors (categories, width) of each categorical feature, where the samples of the fit lived."""
        return [self._rest[f"0.{i}.0.weight"] for i in range(len(self.categories_))]

    @property
    def categories_(self) -> list[Any]:
        """The categories of each categorical feature, as the first fit saw them; a missing value last."""
        if self._categories is None:
            message = f"{type(self).__name__} has no categories: none were fitted; give categorical_features"
            raise AttributeError(message)
        return self._categories.known

    def transform(self, X: Any, layer: int = -1) -> Array:
        """Return what a hidden layer makes of the samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        layer : int, default=-1
            Which hidden layer: 0 is the first one, -1 the last.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_units)
            The layer's activations.
        """
        check_is_fitted(self)
        ends = self._network.ends
        if not -len(ends) <= layer < len(ends):
            message = f"transform: expected a layer from {-len(ends)} to {len(ends) - 1}, got {layer}"
            message += "" if ends else "; there is no hidden layer: give hidden_layer_sizes"
            raise ConfigError(message)
        x = self._samples(X, reset=False)
        return self._answer(x, "transform", ends[layer])

    @property
    def _n_features_out(self) -> int:
        """Number of units of the last hidden layer, which :meth:`transform` returns."""
        return int(self.coefs_[-1].shape[0])

    def save(self, path: str | PathLike[str]) -> None:
        """Write the fitted network to a file that holds numbers and names alone: nothing in it is ever run.

        :func:`portanet.load` reads it, on any backend, and without scikit-learn: what it returns predicts rows of
        numbers, or of categorical features a frame, as this estimator does, and can be evaluated, trained further and
        exported.

        Parameters
        ----------
        path : str or path
            Where to; a file of that name is replaced.

        Raises
        ------
        ConfigError
            If there is a loss or a custom layer, or a category, that the file cannot hold.
        DataError
            If the file cannot be written.
        """
        self.as_model().save(path)

    def as_model(self) -> Model:
        """Return the fitted network with its weights, for what takes networks: exports and trainers.

        Returns
        -------
        model : portanet.training.model.Model
            On the host; its weights are copies.

        Raises
        ------
        ConfigError
            If there is a category that a file cannot hold.
        """
        check_is_fitted(self)
        fitted = self._model(backends.get("numpy"), None)
        program = replace(fitted.program, loss=public(self._loss), l2=float(self.alpha), penalty_per_sample=True)
        model = Model(program, fitted.backend, classes=tuple(map(str, getattr(self, "classes_", ()))))
        model.state, model.input_shape, model.outputs = fitted.state, fitted.input_shape, fitted.outputs
        return model if self._categories is None else self._with_columns(model, self._categories)

    def _with_columns(self, model: Model, found: Categories) -> Model:
        """Return the model with a plan of columns, and its embeddings in the order of the plan's inputs."""
        plan = found.plan(getattr(self, "feature_names_in_", ()))
        order = found.order(plan)
        first: Any  # a Parallel
        first, *others = self._network.net.layers
        parts = list(first.layers)
        parts[: len(order)] = [parts[i] for i in order]
        net = Sequential((replace(first, layers=tuple(parts)), *others))
        moved = Model(replace(model.program, net=net), model.backend, classes=model.classes)
        names = {f"0.{i}.0.weight": f"0.{order.index(i)}.0.weight" for i in order}
        params = {names.get(name, name): p for name, p in model.params.items()}
        # The vectors come in another order, so the rows of the weights after them do too.
        ends = np.cumsum([0, *(vectors.shape[1] for vectors in self.embeddings_)])
        weight = params["1.weight"]
        rows = np.concatenate([*(np.arange(ends[i], ends[i + 1]) for i in order), np.arange(ends[-1], len(weight))])
        params["1.weight"] = weight[rows]
        moved.state = model.state._replace(params=params)
        moved.input_shape, moved.outputs, moved.columns = model.input_shape, model.outputs, plan
        return moved

    def _outputs(self, X: Any, method: str) -> Array:
        """Return the network's outputs on the target's scale, shape (n, outputs), where `X` lives."""
        check_is_fitted(self)
        return self._answer(self._samples(X, reset=False), method)

    def _answer(self, x: Any, method: str, end: int | None = None) -> Array:
        """Return the outputs of the whole network for checked samples, or of its first `end` layers."""
        place = backends.of(x)
        self._check_place(place, method)
        backend = place if self.backend is None else backends.get(self.backend)
        model = self._model(backend, end)
        return inputs.returned(place, model.predict(x, raw=end is not None, to_numpy=place.name == "numpy"))

    def _check_place(self, place: backends.Backend, method: str) -> None:
        """Under scikit-learn's array API dispatch refuse arrays that live elsewhere, as its estimators do."""
        if not get_config().get("array_api_dispatch"):
            return  # weights are small: they are brought to where the samples are
        home = backends.of(self.coefs_[0])
        if home.spec != place.spec:
            what = f"Inputs passed to {type(self).__name__}.{method}()"
            got = f"expected an array on {home.spec}, got one on {place.spec}"
            message = f"{what} must use the same namespace and the same device as those passed to fit(): {got}; "
            raise ValueError(message + "convert it, or turn array_api_dispatch off")

    def _model(self, backend: backends.Backend, end: int | None) -> Model:
        """Return what predicts on `backend`, of the whole network or of its first `end` layers; kept for the next time.

        A compiler may have worked for it, and weights may have travelled: they do so again only where others were set.
        """
        key = f"{backend.spec} {end}"
        model, placed = self._models.get(key, (None, ()))
        weights = (*self.coefs_, *self.intercepts_)
        if model is not None and all(a is b for a, b in zip(weights, placed, strict=True)):
            return model
        if model is None:
            whole = self._network.net
            net = whole if end is None else Sequential(whole.layers[:end])
            model = Model(Program(net, self._loss, SGD(), dtype=self._dtype), backend)
            model.input_shape, model.outputs = (self.n_features_in_,), self.n_outputs_
        with backend.activate(self._dtype):
            model.params, model.buffers = (
                {
                    name: backend.asarray(a, self._dtype)
                    for name, a in own.items()
                    if end is None or int(name.partition(".")[0]) < end
                }
                for own in self._split()
            )
        self._models[key] = model, weights
        return model

    def _split(self) -> tuple[Params, Params]:
        """Return parameters and buffers under the network's names."""
        network = self._network
        weights = zip(network.weight_names, self.coefs_, strict=True)
        biases = zip(network.bias_names, self.intercepts_, strict=True)
        params = {**dict(weights), **dict(biases), **self._rest}
        return params, {name: params.pop(name) for name in self._buffer_names}

    def _as_attributes(self, place: backends.Backend, everything: Params) -> dict[str, Any]:
        """Return parameters and buffers as the attributes that hold them, in `place`."""
        with place.activate(self._dtype):
            arrays = {name: place.asarray(a, self._dtype) for name, a in everything.items()}
        return {
            "coefs_": [arrays.pop(name) for name in self._network.weight_names],
            "intercepts_": [arrays.pop(name) for name in self._network.bias_names],
            "_rest": arrays,
        }

    def _take(self, trainer: Trainer, place: backends.Backend) -> None:
        """Take a trainer's weights over, to where the samples live."""
        if not all(np.isfinite(trainer.backend.to_numpy(p)).all() for p in trainer.params.values()):
            raise ValueError(NOT_FINITE)
        self.__dict__.update(self._as_attributes(place, {**trainer.params, **trainer.buffers}))

    def __getstate__(self) -> dict[str, Any]:
        # Host arrays, and nothing that is compiled: what was fitted on a GPU is loaded where there is none.
        state = {name: _on_host(value) for name, value in super().__getstate__().items()}
        if "_models" in state:
            state.update(_models={}, _trainer=None)
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _on_host(value: Any) -> Any:
    """Return a fitted attribute with the arrays of other libraries in it as host arrays."""
    if isinstance(value, list):
        return [_on_host(item) for item in value]
    if type(value) is dict:
        return {name: _on_host(item) for name, item in value.items()}
    if isinstance(value, Progress):
        return Progress(**_on_host(dict(vars(value))))
    return to_host(value) if inputs.is_foreign(value) else value
