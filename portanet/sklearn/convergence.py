"""A fit by epochs: when it ends by scikit-learn's rule, and the attributes that tell how it went."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import shuffle

from portanet.callbacks.base import Callback, TrainerView
from portanet.engine.state import TrainState
from portanet.errors import DivergedError
from portanet.sklearn import inputs
from portanet.sklearn.solvers import LearningRate
from portanet.training.trainer import Trainer

Score: TypeAlias = Callable[[Any, Any, Any], float]

NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)


@dataclass
class Progress:
    """What an estimator remembers of its fits, beside the fitted attributes, for the next one."""

    random_state: Any
    order: Any = None  # of the samples in the last epoch: scikit-learn shuffles it again for the next
    stalled: int = 0  # epochs without an improvement
    best_weights: dict[str, Any] | None = None  # those with the best validation score
    kept: dict[str, Any] = field(default_factory=dict)  # the optimizer's state, epoch and schedule


class Data(NamedTuple):
    """Samples, targets as scikit-learn's metrics take them and for the loss, and weights (or None)."""

    x: Any
    y: Any
    target: Any
    weight: Any


class Convergence(Callback):
    """Writes an estimator's fitted attributes after each epoch, and ends the training when nothing improves.

    ``t_`` grows by `samples` an epoch. `validation` is scored by ``score(outputs, y, weight)``; that decides if the
    estimator's `early_stopping` is on, else the training loss does.
    """

    def __init__(self, estimator: Any, progress: Progress, samples: int, validation: Data | None, score: Score) -> None:
        self.estimator, self.progress, self.samples = estimator, progress, samples
        self.validation, self.score = validation, score
        self._best: TrainState | None = None

    def on_epoch_end(self, trainer: TrainerView, row: dict[str, float]) -> None:
        e = self.estimator
        e.n_iter_ += 1
        e.loss_ = row["loss"]
        e.t_ += self.samples
        e.loss_curve_.append(e.loss_)
        if e.verbose:
            print(f"Iteration {e.n_iter_}, loss = {e.loss_:.8f}")
        better = self._scored(trainer) if self.validation is not None else False
        if not e.early_stopping:
            assert e.best_loss_ is not None
            better = not e.loss_ > e.best_loss_ - e.tol
            e.best_loss_ = min(e.best_loss_, e.loss_)
        self.progress.stalled = 0 if better else self.progress.stalled + 1
        rate = trainer.schedule if isinstance(trainer.schedule, LearningRate) else None
        if rate is not None:
            rate.seen(e.t_)
        if self.progress.stalled > e.n_iter_no_change:
            self._end(trainer, rate)

    def on_fit_end(self, trainer: TrainerView) -> None:
        best = self.progress.best_weights
        if self.estimator.early_stopping and best is not None:
            # With its optimizer's state; the steps of an epoch that was interrupted are given up.
            opt_state = trainer.opt_state if self._best is None else self._best.opt_state
            trainer.restore_state(trainer.state._replace(**best, opt_state=opt_state, step=0))

    def _scored(self, trainer: TrainerView) -> bool:
        """Append the validation score; return whether it is better than the best by the tolerance."""
        e = self.estimator
        assert self.validation is not None
        assert e.validation_scores_ is not None
        assert e.best_validation_score_ is not None
        outputs = trainer.predict(self.validation.x)
        finite = np.isfinite(outputs).all()
        score = self.score(outputs, self.validation.y, self.validation.weight) if finite else np.nan
        e.validation_scores_.append(score)
        if e.verbose:
            print(f"Validation score: {score:f}")
        better = not score < e.best_validation_score_ + e.tol
        if score > e.best_validation_score_:
            e.best_validation_score_ = score
            if e.early_stopping:
                self._best = best = trainer.copy_state()
                self.progress.best_weights = {"params": best.params, "buffers": best.buffers}
        return better

    def _end(self, trainer: TrainerView, rate: LearningRate | None) -> None:
        e = self.estimator
        what = "Validation score" if e.early_stopping else "Training loss"
        said = f"{what} did not improve more than tol={e.tol:f} for {e.n_iter_no_change} consecutive epochs."
        if rate is not None and rate.decrease():
            self.progress.stalled = 0
            said += f" Setting learning rate to {rate.initial * rate.current:f}"
        else:
            trainer.stop("no improvement")
            said += " Stopping." if rate is None or rate.kind != "adaptive" else " Learning rate too small. Stopping."
        if e.verbose:
            print(said)


def descend(
    e: Any,
    progress: Progress,
    trainer: Trainer,
    data: Data,
    validation: Data | None,
    hooks: Sequence[Callback],
    *,
    score: Score,
    incremental: bool,
) -> None:
    """Train by epochs until nothing improves or `max_iter` is reached; one epoch where `incremental`."""
    if incremental and (e.early_stopping or e.schedule is not None):
        what = "early_stopping=True" if e.early_stopping else "a schedule: it cannot know when training ends"
        message = f"partial_fit does not support {what}"
        raise ValueError(message)
    if e.early_stopping and validation is None:
        data, validation = _held_out(e, progress, data)
    if validation is not None and e.validation_scores_ is None:
        e.validation_scores_, e.best_validation_score_ = [], -np.inf
    n = int(data.x.shape[0])

    def order(n: int) -> Any:
        # As scikit-learn draws it: each epoch shuffles the order of the one before.
        if progress.order is None or len(progress.order) != n:
            progress.order = np.arange(n)
        progress.order = shuffle(progress.order, random_state=progress.random_state)
        return progress.order

    try:
        trainer.fit(
            data.x,
            data.target,
            epochs=1 if incremental else int(e.max_iter),
            batch_size=_batch_size(e.batch_size, n),
            sample_weight=data.weight,
            shuffle=order if e.shuffle else False,
            callbacks=[Convergence(e, progress, n, validation, score), *hooks],
            verbose=False,
            join_last=True,
        )
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=4)
    except DivergedError as error:
        raise ValueError(NOT_FINITE) from error
    if trainer.history.stopped == "epochs" and not incremental:
        limit = f"Maximum iterations ({e.max_iter})"
        message = f"Stochastic Optimizer: {limit} reached and the optimization hasn't converged yet."
        warnings.warn(message, ConvergenceWarning, stacklevel=4)
    progress.kept = {"optimizer": trainer.opt_state, "epoch": trainer.epoch, "schedule": trainer.schedule}


def _held_out(e: Any, progress: Progress, data: Data) -> tuple[Data, Data]:
    """Split a validation part off, the same as scikit-learn does from the same random state."""
    strata = data.y if is_classifier(e) and e.n_outputs_ == 1 else None
    rows, seed, share = np.arange(data.x.shape[0]), progress.random_state, e.validation_fraction
    train, held = train_test_split(rows, random_state=seed, test_size=share, stratify=strata)
    if len(held) < 2:
        message = "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
        raise ValueError(message)
    train_part, held_part = (Data(*(inputs.rows(part, rows) for part in data)) for rows in (train, held))
    return train_part, held_part


def _batch_size(wanted: int | str, n: int) -> int:
    if wanted == "auto":
        return min(200, n)
    if int(wanted) > n:
        message = "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
        warnings.warn(message, stacklevel=5)
    return min(int(wanted), n)
