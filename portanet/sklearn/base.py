"""What classifier and regressor share: arguments to network and trainer, fits, predictions, pickling."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
from sklearn.utils import check_random_state

from portanet import backends, optimizers, schedules
from portanet.data.batching.sparse import SparseRows
from portanet.errors import ConfigError
from portanet.fleet.lockstep import Lockstep, note_alone
from portanet.layers import Layer
from portanet.losses import Loss
from portanet.sklearn import inputs
from portanet.sklearn.convergence import Progress, Training, Validation, descend
from portanet.sklearn.fitted import FittedMLP
from portanet.sklearn.network import Network, build
from portanet.sklearn.parameters import CONSTRAINTS
from portanet.sklearn.private import check_sample_weight
from portanet.sklearn.protocol import SklearnCallbackAdapter
from portanet.sklearn.solvers import EpsHatAdam, LearningRate, MomentumSGD, minimise
from portanet.training.fit_inputs import to_batches
from portanet.training.trainer import Trainer


def by_epochs(estimator: Any) -> bool:
    """Return whether an estimator trains by epochs; else by L-BFGS."""
    return estimator.optimizer is not None or estimator.solver != "lbfgs"


class BaseMLP(FittedMLP):
    """How both estimators are fitted: arguments become a network and a :class:`portanet.Trainer`, which trains it."""

    _parameter_constraints: ClassVar[dict[str, Any]] = CONSTRAINTS

    # What the two differ in.

    def _read_targets(self, x: Any, y: Any, *, first: bool, incremental: bool) -> tuple[Any, Any]:
        """Return targets for the trainer and as scikit-learn's metrics take them; sets the outputs' number and kind."""
        raise NotImplementedError

    def _make_loss(self) -> tuple[Loss, Layer | None]:
        """Return the loss, and the layer behind the outputs where the loss contains none."""
        raise NotImplementedError

    def _network_of(self, sizes: list[int], output: Layer | None) -> Network:
        """Return the network with hidden layers of these sizes for the targets that were read, `output` at its end."""
        front = () if self._categories is None else (self._categories.layer(),)
        return build(sizes, self.n_outputs_, self.activation, self.dropout, self.batch_norm, output, front)

    def _strata(self, y: Any) -> Any:
        """Return what a validation part is to have the same shares of, or None."""
        return None

    def _score_outputs(self, outputs: Any, y: Any, weight: Any) -> float:
        """Return the score of a network's outputs (on the target's scale) for validation; NaN where they are."""
        raise NotImplementedError

    # Fits.

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, *, incremental: bool = False, X_val: Any = None, y_val: Any = None
    ) -> BaseMLP:
        self._validate_params()
        sizes = self._sizes()
        first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        x = self._samples(X, reset=first)
        place = inputs.place_of(x)
        target, y = self._read_targets(x, y, first=first, incremental=incremental)
        weight = self._weights(x, y, sample_weight, incremental=incremental)
        if first:
            dtype = self.dtype or inputs.width(x)
            self._begin(sizes, dtype, x)
        else:
            self._resume_random(incremental=incremental)
        trainer = self._ready_trainer(place, keep=incremental or self.warm_start == "exact")
        told = None
        if hasattr(self, "_skl_callbacks") and not incremental:
            epochs = int(self.max_iter) if self._iterative else 0
            context = self._init_callback_context(max_subtasks=epochs)
            told = SklearnCallbackAdapter(
                self, context, self._as_attributes, X=X, y=y, metadata={"sample_weight": sample_weight}
            )
        if self._iterative:
            data = Training(x, target, y, weight)
            hooks = [*([] if told is None else [told]), *(self.callbacks or ())]
            descend(
                *(self, self._progress, trainer, data, self._own_validation(X_val, y_val), hooks),
                score=self._score_outputs,
                strata=self._strata,
                incremental=incremental,
            )
        else:
            note_alone(f"solver={self.solver!r} minimises over all samples at once")
            whole = x.matrix.toarray() if isinstance(x, SparseRows) else x
            with trainer.backend.activate(trainer.dtype):
                batches = to_batches(trainer, whole, target, weight, x.shape[0])
            self.loss_, self.n_iter_ = minimise(
                trainer,
                batches,
                max_iter=int(self.max_iter),
                max_fun=int(self.max_fun),
                tol=float(self.tol),
                verbose=bool(self.verbose),
            )
        self._take(trainer, place)
        if told is not None:
            told.done()
        return self

    def _sizes(self) -> list[int]:
        given = self.hidden_layer_sizes
        sizes = list(given) if isinstance(given, Iterable) else [given]
        if any(size <= 0 for size in sizes):
            message = f"hidden_layer_sizes must be > 0, got {sizes}."
            raise ValueError(message)
        return sizes

    @property
    def _iterative(self) -> bool:
        """Whether training goes by epochs; else by L-BFGS."""
        return by_epochs(self)

    def _begin(self, sizes: list[int], dtype: str, x: Any) -> None:
        """Set up a network with initial weights, and the attributes that a fit goes on from."""
        self.n_iter_ = self.t_ = 0
        loss, output = self._make_loss()
        network = self._network_of(sizes, output)
        features = int(x.shape[1])
        random_state = check_random_state(self.random_state)
        self._seed = 0
        if not self._iterative and (self.batch_norm or np.any(self.dropout)):
            message = "solver='lbfgs' minimises one fixed function; dropout and batch_norm need solver 'adam' or 'sgd'"
            raise ConfigError(message)
        params = network.initial(random_state, features)
        if np.any(self.dropout):  # drawn only where it is used: else all draws are scikit-learn's
            self._seed = int(random_state.randint(2**31 - 1))
        self._network, self._loss, self._dtype = network, loss, dtype
        self.n_layers_ = len(network.weighted) + 1
        buffers = network.net.init_buffers((features,))
        self._buffer_names = frozenset(buffers)
        self._set_arrays(backends.get("numpy"), {**params, **buffers})
        self._models = {}
        self._trainer: Trainer | None = None
        self._about: tuple[Any, ...] = ()
        self._progress: Progress = Progress(random_state)
        if self._iterative:
            self.loss_curve_: list[float] = []
            self.best_loss_ = None if self.early_stopping else np.inf
            self.validation_scores_: list[float] | None = [] if self.early_stopping else None
            self.best_validation_score_: float | None = -np.inf if self.early_stopping else None

    def _resume_random(self, *, incremental: bool) -> None:
        if self.warm_start != "exact" or incremental:
            self._progress.random_state, self._progress.order = check_random_state(self.random_state), None
        self.n_iter_ = 0

    def _weights(self, x: Any, y: Any, sample_weight: Any, *, incremental: bool) -> Any:
        """Return the samples' own weights; the classifier multiplies its classes' in."""
        if sample_weight is None:
            return None
        return check_sample_weight(inputs.host(sample_weight), np.empty((x.shape[0], 1)), dtype=np.float64)

    def _own_validation(self, X_val: Any, y_val: Any) -> Validation | None:
        if X_val is None and y_val is None:
            return None
        if X_val is None or y_val is None:
            message = "fit: X_val and y_val belong together, got one of them; give both"
            raise ValueError(message)
        checked = self._samples(X_val, reset=False)
        return Validation(checked, self._validation_targets(checked, y_val), None)

    def _validation_targets(self, x: Any, y: Any) -> Any:
        return inputs.targets(x, y, numeric=False)

    def _ready_trainer(self, place: backends.Backend, *, keep: bool) -> Trainer:
        """Return the trainer with the current weights, and with the optimizer's state of before where `keep` says."""
        backend = place if self.backend is None else backends.get(self.backend)
        rate = self._schedule()
        optimizer = self._optimizer()
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

    def _optimizer(self) -> optimizers.Optimizer:
        lr = float(self.learning_rate_init)
        if isinstance(self.optimizer, optimizers.Optimizer):
            return self.optimizer
        if self.optimizer is not None:
            return optimizers.get(self.optimizer, lr=lr)
        if self.solver == "sgd":
            return MomentumSGD(lr, momentum=float(self.momentum), nesterov=bool(self.nesterovs_momentum))
        return EpsHatAdam(lr, beta1=float(self.beta_1), beta2=float(self.beta_2), eps=float(self.epsilon))

    def _schedule(self) -> schedules.Schedule:
        if self.schedule is not None:
            return copy.deepcopy(schedules.get(self.schedule))
        kind = self.learning_rate if self.optimizer is None and self.solver == "sgd" else "constant"
        return LearningRate(kind, float(self.learning_rate_init), float(self.power_t))
