"""GridSearchCV over portanet's MLPClassifier and over scikit-learn's: the same data, grid, seed and processes.

usage: env -u OPENBLAS_CORETYPE python -m tests.benchmarks.sklearn_search [--rounds 5] [--jobs 2]

scikit-learn's digits, four candidates, three folds, 30 epochs. The two take turns; the share is the median of the
rounds' own. The workers are started before the first round.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings

from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as Theirs

from portanet.sklearn import MLPClassifier

GRID = {"hidden_layer_sizes": [(50,), (100, 50)], "alpha": [1e-4, 1e-1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    x, y = load_digits(return_X_y=True)
    x = x / 16
    seconds: dict[str, list[float]] = {"scikit-learn": [], "portanet": []}
    print(f"{'GridSearchCV, ' + str(arguments.jobs) + ' processes':<30}{'s':>8}{'best score':>12}  best")
    for i in range(arguments.rounds + 1):
        for name, kind in zip(seconds, (Theirs, MLPClassifier), strict=True):
            search = GridSearchCV(kind(max_iter=30, random_state=0), GRID, cv=3, n_jobs=arguments.jobs)
            began = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                search.fit(x, y)
            if i:  # the first one starts the workers, and loads the libraries in them
                seconds[name].append(time.perf_counter() - began)
                told = f"{seconds[name][-1]:>8.2f}{search.best_score_:>12.4f}  {search.best_params_}"
                print(f"round {i}: {name:<21}{told}", flush=True)
    theirs, ours = seconds.values()
    share = statistics.median(b / a for a, b in zip(theirs, ours, strict=True))
    print(f"portanet takes {share:.2f} of scikit-learn's time")


if __name__ == "__main__":
    main()
