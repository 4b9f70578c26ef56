"""What classifier and regressor share: arguments to network and trainer, fits, predictions, pickling."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import is_regressor
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from portanet import backends
from portanet.backends.base import dtype_name
from portanet.data.batching.sparse import SparseRows
from portanet.errors import ConfigError
from portanet.fleet.lockstep import Lockstep, note_alone
from portanet.layers import Layer
from portanet.losses import Loss
from portanet.sklearn import inputs, solvers
from portanet.sklearn.convergence import Data, Progress, descend
from portanet.sklearn.fitted import FittedMLP
from portanet.sklearn.network import Network, build
from portanet.sklearn.parameters import CONSTRAINTS
from portanet.sklearn.private import check_sample_weight
from portanet.sklearn.protocol import SklearnCallbackAdapter, with_callbacks
from portanet.training.fit_inputs import to_batches
from portanet.training.trainer import Trainer
from portanet.typing import Array


def by_epochs(estimator: Any) -> bool:
    """Return whether an estimator trains by epochs; else by L-BFGS."""
    return estimator.optimizer is not None or estimator.solver != "lbfgs"


def can_partial_fit(estimator: Any) -> bool:
    """Return True if an estimator trains by epochs; L-BFGS does not, which is an AttributeError."""
    if not by_epochs(estimator):
        message = f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not stochastic."
        raise AttributeError(message)
    return True


class BaseMLP(FittedMLP):
    """How both estimators are fitted: arguments become a network and a :class:`portanet.Trainer`, which trains it."""

    _parameter_constraints: ClassVar[dict[str, Any]] = CONSTRAINTS

    # What the two differ in.

    def _read_targets(self, x: Any, y: Any, *, first: bool, incremental: bool) -> tuple[Any, Any]:
        """Return targets for the trainer and as scikit-learn's metrics take them; sets the outputs' number and kind."""
        raise NotImplementedError

    def _make_loss(self) -> tuple[Loss, Layer | None]:
        """Return the loss, and the layer after the outputs if the loss contains none."""
        raise NotImplementedError

    def _network_of(self, sizes: list[int], output: Layer | None) -> Network:
        """Return the network with hidden layers of these sizes for the targets that were read, `output` at its end."""
        front = () if self._categories is None else (self._categories.layer(),)
        return build(sizes, self.n_outputs_, self.activation, self.dropout, self.batch_norm, output, front)

    def _decoded(self, outputs: Array) -> Array:
        """Return what outputs on the target's scale stand for: labels or numbers."""
        raise NotImplementedError

    def _score_outputs(self, outputs: Any, y: Any, weight: Any) -> float:
        """Return the score of a network's finite outputs (on the target's scale) for validation."""
        raise NotImplementedError

    # Fits.

    @with_callbacks
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None) -> Self:
        """Fit the network to samples and what is to be predicted of them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples: on the host, or an array of CuPy, torch or JAX, which is then trained on where it lives.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            A classifier's labels, or a row of 0 and 1 a sample where it can have several; a regressor's numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss.
        X_val, y_val : array-like, default=None
            Samples that are scored after each epoch; with `early_stopping` they decide, and nothing is split off.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._fit(X, y, sample_weight, X_val=X_val, y_val=y_val)

    @available_if(can_partial_fit)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch more on these samples.

        Parameters
        ----------
        X, y, sample_weight : array-like
            The samples, their labels or numbers, and their weights.

        Returns
        -------
        self : object
            The estimator.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Array:
        """Return the label of each sample, or its predicted numbers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        y : array of shape (n_samples,) or (n_samples, n_outputs)
            Where X lives, if they are numbers.
        """
        return self._decoded(self._outputs(X, "predict"))

    def _score(self, X: Any, y: Any, sample_weight: Any) -> float:
        outputs = inputs.host(self._outputs(X, "score"))
        return self._score_outputs(outputs, inputs.host(y), inputs.host(sample_weight))

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, *, incremental: bool = False, X_val: Any = None, y_val: Any = None
    ) -> Self:
        self._check_arguments()
        given = self.hidden_layer_sizes
        sizes = list(given) if isinstance(given, Iterable) else [given]
        if any(size <= 0 for size in sizes):
            message = f"hidden_layer_sizes must be > 0, got {sizes}."
            raise ValueError(message)
        first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        x = self._samples(X, reset=first)
        place = backends.of(x)
        target, y = self._read_targets(x, y, first=first, incremental=incremental)
        weight = self._weights(x, y, sample_weight, incremental=incremental)
        if first:
            self._begin(sizes, self.dtype or dtype_name(x.matrix if isinstance(x, SparseRows) else x), x)
        else:
            self.n_iter_ = 0
            if self.warm_start != "exact" or incremental:
                self._progress.random_state, self._progress.order = check_random_state(self.random_state), None
        trainer = self._ready_trainer(place, keep=incremental or self.warm_start == "exact")
        adapter = None
        context = None if incremental else self._callback_context(int(self.max_iter) if by_epochs(self) else 0)
        if context is not None:
            about = {"X": X, "y": y, "metadata": {"sample_weight": sample_weight}}
            adapter = SklearnCallbackAdapter(self, context, self._as_attributes, about)
        if by_epochs(self):
            data, held = Data(x, y, target, weight), self._own_validation(X_val, y_val)
            hooks = [*([] if adapter is None else [adapter]), *(self.callbacks or ())]
            score = self._score_outputs
            descend(self, self._progress, trainer, data, held, hooks, score=score, incremental=incremental)
        else:
            note_alone(f"solver={self.solver!r} minimises over all samples at once")
            whole = x.matrix.toarray() if isinstance(x, SparseRows) else x
            with trainer.backend.activate(trainer.dtype):
                batches = to_batches(trainer, whole, target, weight, x.shape[0])
            limits = {"maxiter": int(self.max_iter), "maxfun": int(self.max_fun), "gtol": float(self.tol)}
            self.loss_, self.n_iter_ = solvers.minimise(trainer, batches, limits, verbose=bool(self.verbose))
        self._take(trainer, place)
        if adapter is not None:
            adapter.done()
        return self

    def _begin(self, sizes: list[int], dtype: str, x: Any) -> None:
        """Set up a network with initial weights, and the attributes that a fit continues from."""
        self.n_iter_ = self.t_ = 0
        loss, output = self._make_loss()
        network = self._network_of(sizes, output)
        features = int(x.shape[1])
        random_state = check_random_state(self.random_state)
        self._seed = 0
        if not by_epochs(self) and (self.batch_norm or np.any(self.dropout)):
            message = "solver='lbfgs' minimises one fixed function; dropout and batch_norm need solver 'adam' or 'sgd'"
            raise ConfigError(message)
        params = network.initial(random_state, features)
        if np.any(self.dropout):  # drawn only where it is used: else all draws are scikit-learn's
            self._seed = int(random_state.randint(2**31 - 1))
        self._network, self._loss, self._dtype = network, loss, dtype
        self.n_layers_ = len(network.weighted) + 1
        buffers = network.net.init_buffers((features,))
        self._buffer_names = frozenset(buffers)
        self.__dict__.update(self._as_attributes(backends.get("numpy"), {**params, **buffers}))
        self._models = {}
        self._trainer: Trainer | None = None
        self._about: tuple[Any, ...] = ()
        self._progress: Progress = Progress(random_state)
        if by_epochs(self):
            self.loss_curve_: list[float] = []
            self.best_loss_ = None if self.early_stopping else np.inf
            self.validation_scores_: list[float] | None = [] if self.early_stopping else None
            self.best_validation_score_: float | None = -np.inf if self.early_stopping else None

    def _weights(self, x: Any, y: Any, sample_weight: Any, *, incremental: bool) -> Any:
        """Return the samples' own weights; the classifier multiplies its classes' in."""
        if sample_weight is None:
            return None
        return check_sample_weight(inputs.host(sample_weight), np.empty((x.shape[0], 1)), dtype=np.float64)

    def _own_validation(self, X_val: Any, y_val: Any) -> Data | None:
        if X_val is None and y_val is None:
            return None
        if X_val is None or y_val is None:
            message = "fit: X_val and y_val belong together, got one of them; give both"
            raise ValueError(message)
        checked = self._samples(X_val, reset=False)
        return Data(checked, inputs.targets(checked, y_val, numeric=is_regressor(self)), None, None)

    def _ready_trainer(self, place: backends.Backend, *, keep: bool) -> Trainer:
        """Return the trainer with the current weights, and with the optimizer's state of before where `keep` says."""
        backend = place if self.backend is None else backends.get(self.backend)
        rate, optimizer = solvers.schedule(self), solvers.optimizer(self)
        about = (self._network.net, self._loss, optimizer, float(self.alpha), self._dtype, backend.spec)
        trainer = self._trainer
        if trainer is None or self._about != about:  # else what is compiled is used again
            trainer = Trainer(
                self._network.net,
                self._loss,
                optimizer,
                backend=backend,
                dtype=self._dtype,
                seed=self._seed,
                l2=float(self.alpha),
                penalty_per_sample=True,
                strategy=Lockstep(),
            )
            self._trainer, self._about = trainer, about
        params, buffers = self._split()
        trainer.adopt(params, buffers, (self.n_features_in_,), (self.n_outputs_,))
        trainer.schedule = rate
        if keep and self._progress.kept and self._progress.kept["optimizer"].keys() == trainer.opt_state.keys():
            with backend.activate(self._dtype):
                asarray = backend.asarray
                for slot, found in self._progress.kept["optimizer"].items():
                    if isinstance(found, dict):
                        copied = ((name, asarray(a, self._dtype)) for name, a in found.items())
                        found = {name: backend.xp.asarray(a, copy=True) for name, a in copied}
                    trainer.opt_state[slot] = found
            trainer.epoch, trainer.schedule = self._progress.kept["epoch"], self._progress.kept["schedule"]
        return trainer
