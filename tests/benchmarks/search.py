"""One search by GridSearchCV serially, under loky and under Dask, and by FleetGridSearchCV: seconds, and whether the
best parameters and all scores are the same.

usage: env -u OPENBLAS_CORETYPE python -m tests.benchmarks.search [--rounds 5] [--epochs 30] [--batch 32,200]

scikit-learn's digits, 12 candidates (four learning rates, three alphas), three folds, one hidden layer of 50. All take
turns; the ratio is the median of the rounds' own. Workers are started, and libraries loaded in them, before the first
round that counts.
"""

from __future__ import annotations

import argparse
import contextlib
import warnings
from collections.abc import Callable
from typing import Any

import distributed
import numpy as np
from joblib import parallel_config
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from portanet.sklearn import FleetGridSearchCV, MLPClassifier, MLPRegressor
from tests.benchmarks.turns import Turns

GRID = {"learning_rate_init": [0.0005, 0.002, 0.01, 0.05], "alpha": [1e-4, 1e-2, 1.0]}


def same(search: GridSearchCV, serial: GridSearchCV) -> str:
    """Return whether the best parameters are the same, and how far the scores are apart."""
    splits = [name for name in serial.cv_results_ if name.startswith("split")]
    worst = max(float(np.abs(search.cv_results_[name] - serial.cv_results_[name]).max()) for name in splits)
    best = "same" if search.best_params_ == serial.best_params_ else "OTHER"
    return f"{best} best parameters, scores at most {worst:g} apart"


def ways(model: Any, x: Any, y: Any) -> dict[str, Callable[[], GridSearchCV]]:
    def under(backend: str, **options: Any) -> GridSearchCV:
        with parallel_config(backend, **options):
            return GridSearchCV(model, GRID, cv=3).fit(x, y)

    return {
        "serial": lambda: GridSearchCV(model, GRID, cv=3).fit(x, y),
        "loky, 2 processes": lambda: under("loky", n_jobs=2),
        "Dask, 2 processes": lambda: under("dask"),
        "fleets": lambda: FleetGridSearchCV(model, GRID, cv=3).fit(x, y),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch", default="32,200")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # too few epochs to converge
    x, y = load_digits(return_X_y=True)
    with contextlib.ExitStack() as begun:
        local = distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
        begun.enter_context(begun.enter_context(local).get_client())
        for kind in (MLPClassifier, MLPRegressor):
            for batch in map(int, args.batch.split(",")):
                model = kind(hidden_layer_sizes=(50,), batch_size=batch, max_iter=args.epochs, random_state=0)
                turns = Turns(ways(model, x / 16, y), args.rounds)
                print(f"{kind.__name__}, batch {batch}, {args.epochs} epochs, 12 candidates × 3 folds")
                for name, found in turns.results.items():
                    figures = f"{turns.median(name):7.2f} s  {turns.ratio(name, 'serial'):5.2f} of serial"
                    print(f"  {name:20}{figures}   {same(found, turns.results['serial'])}", flush=True)


if __name__ == "__main__":
    main()
