"""scikit-learn's searches with the candidates and folds trained as fleets: many networks in one batched product."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

from joblib import parallel_config
from joblib.parallel import ParallelBackendBase, SequentialBackend
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from portanet import backends
from portanet.fleet.lockstep import Scheduler

__all__ = ["FleetBackend", "FleetGridSearchCV", "FleetRandomizedSearchCV"]

logger = logging.getLogger("portanet")

MOST = 64  # networks at a time where nothing else is asked for


class FleetBackend(ParallelBackendBase):
    """A backend of joblib: fits of portanet's estimators are trained as fleets, in this process.

    ``with joblib.parallel_config(FleetBackend()):`` around any tool of scikit-learn that fits many estimators
    (``cross_validate``, ``HalvingGridSearchCV``, ``learning_curve``, ...). Each fit runs in a thread of its own, one at
    a time; where all have come to an epoch, the networks of one shape are stepped together. What a fleet cannot hold
    (L-BFGS, batch_norm, convolutions, estimators of others) is fitted alone, one fit after the other.

    n_jobs is the number of fits at a time: -1 or None for 64, 1 for none in a fleet.

    Attributes
    ----------
    fleets : list of int
        How many fits each fleet held, the largest first.
    alone : dict
        Why fits were in none, and how many.
    """

    default_n_jobs = -1
    uses_threads = True
    supports_sharedmem = True
    supports_retrieve_callback = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.fleets: list[int] = []
        self.alone: dict[str, int] = {}

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        if n_jobs == 0:
            message = "n_jobs == 0 in Parallel has no meaning"
            raise ValueError(message)
        return MOST if n_jobs is None or n_jobs < 0 else int(n_jobs)

    def configure(self, n_jobs: int | None = 1, parallel: Any = None, **options: Any) -> int:
        self.parallel = parallel
        most = self.effective_n_jobs(n_jobs)
        self._pool = ThreadPoolExecutor(most)
        self._scheduler = Scheduler(most)
        return most

    def submit(self, func: Any, callback: Any = None) -> Future[Any]:
        self._scheduler.announce()
        future = self._pool.submit(self._scheduler.run, func)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    apply_async = submit  # its name before joblib 1.5

    def retrieve_result_callback(self, out: Future[Any]) -> Any:
        return out.result()

    @contextlib.contextmanager
    def retrieval_context(self) -> Iterator[None]:
        """Begin: the first tasks have all been submitted."""
        self._scheduler.open()
        yield
        self.fleets = sorted([*self.fleets, *self._scheduler.fleets], reverse=True)
        for reason, count in self._scheduler.alone.items():
            self.alone[reason] = self.alone.get(reason, 0) + count
        self._scheduler = Scheduler(self._scheduler.most)  # for the next call

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """End the threads, after the epoch that runs."""
        self._scheduler.end()
        self._pool.shutdown(cancel_futures=True)
        if ensure_ready:
            self.configure(n_jobs=self.parallel.n_jobs, parallel=self.parallel)

    def terminate(self) -> None:
        self._pool.shutdown()

    def get_nested_backend(self) -> tuple[Any, None]:
        # What is parallel within a fit runs there, one after the other.
        return SequentialBackend(nesting_level=(self.nesting_level or 0) + 1), None


class _InFleets:
    """A search whose fits are trained as fleets."""

    n_jobs: int | None

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Run the search: scikit-learn's own, with the fits trained as fleets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Their labels or targets.
        **params : dict
            What scikit-learn's search takes beside them: sample_weight, groups, ...

        Returns
        -------
        self : object
            The fitted search.
        """
        backend = FleetBackend()
        # Threads that leave catch_warnings in another order than they entered it would change the filters for good.
        with warnings.catch_warnings(), parallel_config(backend, n_jobs=_room(X)):
            super().fit(X, y, **params)  # type: ignore[misc]
        self.fleets_, self.alone_ = backend.fleets, backend.alone
        for reason, count in self.alone_.items():
            logger.warning("%s: %d fits were trained alone: %s", type(self).__name__, count, reason)
        return self


class FleetGridSearchCV(_InFleets, GridSearchCV):
    """GridSearchCV with candidates and folds trained as fleets, in this process.

    Results are those of scikit-learn's. Fits may differ in learning_rate_init, alpha, random_state, their samples, and
    in whatever ends or paces a training (max_iter, tol, early_stopping, learning_rate, ...). Candidates that differ in
    anything else (hidden_layer_sizes, activation, batch_size, solver, ...) have fleets of their own. What no fleet can
    hold (lbfgs, batch_norm, CNNClassifier, sparse samples, another library's estimators) is fitted alone, and logged.
    ``mean_fit_time`` counts the waiting for the others.

    Parameters
    ----------
    estimator, param_grid, scoring : as in GridSearchCV
        What is searched, and by which score.
    n_jobs : int, default=None
        Number of fits at a time: None for what memory has room for, 64 at most; 1 for none in a fleet.
    refit, cv, verbose, pre_dispatch, error_score, return_train_score : as in GridSearchCV
        How the folds are made, what is kept of them, and what is done with the best candidate.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_ : as in GridSearchCV
        All results, and the best candidate.
    n_splits_, refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_ : as in GridSearchCV
        Folds, seconds of the last fit, whether there are several scores, and what the best estimator knows.
    fleets_ : list of int
        How many fits each fleet held, the largest first.
    alone_ : dict
        Why fits were in none, and how many.

    See Also
    --------
    FleetRandomizedSearchCV : The same for candidates that are drawn.
    FleetBackend : The same for any other tool of scikit-learn.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from portanet.sklearn import FleetGridSearchCV, MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((10,), max_iter=500, tol=0.01, random_state=0)
    >>> search = FleetGridSearchCV(model, {"alpha": [0.001, 0.1], "learning_rate_init": [0.01, 0.1]}, cv=3).fit(X, y)
    >>> search.fleets_, bool(search.best_score_ > 0.9)
    ([12], True)
    """


class FleetRandomizedSearchCV(_InFleets, RandomizedSearchCV):
    """RandomizedSearchCV with candidates and folds trained as fleets, in this process.

    Results are those of scikit-learn's; FleetGridSearchCV tells what a fleet holds.

    Parameters
    ----------
    estimator, param_distributions, n_iter, scoring : as in RandomizedSearchCV
        What is searched, and by which score.
    n_jobs : int, default=None
        Number of fits at a time: None for what memory has room for, 64 at most; 1 for none in a fleet.
    refit, cv, verbose, pre_dispatch, random_state, error_score, return_train_score : as in RandomizedSearchCV
        How the folds are made, what is kept of them, and what is done with the best candidate.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_ : as in RandomizedSearchCV
        All results, and the best candidate.
    n_splits_, refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_ : as in RandomizedSearchCV
        Folds, seconds of the last fit, whether there are several scores, and what the best estimator knows.
    fleets_ : list of int
        How many fits each fleet held, the largest first.
    alone_ : dict
        Why fits were in none, and how many.

    See Also
    --------
    FleetGridSearchCV : The same for a grid.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from portanet.sklearn import FleetRandomizedSearchCV, MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((10,), max_iter=500, tol=0.01, random_state=0)
    >>> drawn = {"alpha": loguniform(1e-5, 0.1), "learning_rate_init": loguniform(0.005, 0.05)}
    >>> search = FleetRandomizedSearchCV(model, drawn, n_iter=4, cv=3, random_state=0).fit(X, y)
    >>> search.fleets_, bool(search.best_score_ > 0.9)
    ([12], True)
    """


def _room(x: Any) -> int:
    """Return how many fits may hold their part of the samples at a time: half of the free memory, at most."""
    memory, size = backends.get("numpy").memory(), getattr(x, "nbytes", 0)
    return MOST if memory is None or not size else max(2, min(MOST, memory.free // (2 * size)))
