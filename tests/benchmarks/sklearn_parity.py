"""Losses and scores beside scikit-learn's MLPs: five of its data sets, each solver, several seeds.

usage: python -m tests.benchmarks.sklearn_parity [--seeds 20] [--epochs 50]

The score is that of the test half. The last column is the largest difference between two losses of one seed, as a
share of scikit-learn's: all solvers take the same steps from the same draws, and L-BFGS alone lets rounding grow, the
more the longer it runs. The seconds are those of all fits together.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
from sklearn import datasets, neural_network
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

from portanet.sklearn import MLPClassifier, MLPRegressor

SETS = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "breast_cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "diabetes": datasets.load_diabetes,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=50)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    head = f"{'data':<14}{'solver':<8}{'loss, theirs':>22}{'loss, ours':>22}{'score, theirs':>15}{'score, ours':>13}"
    print(f"{head}{'s, theirs':>11}{'s, ours':>9}{'difference':>12}")
    for name, load in SETS.items():
        X, y = load(return_X_y=True)
        number = name == "diabetes"
        parts = train_test_split(scale(X), scale(y) if number else y, test_size=0.5, random_state=0)
        pair = (neural_network.MLPRegressor, MLPRegressor) if number else (neural_network.MLPClassifier, MLPClassifier)
        for solver in ("sgd", "adam", "lbfgs"):
            loss, score, seconds = (np.zeros((2, arguments.seeds)) for _ in range(3))
            for seed in range(arguments.seeds):
                for i, kind in enumerate(pair):
                    limits = {"max_iter": arguments.epochs, "random_state": seed}
                    estimator = kind(hidden_layer_sizes=(30,), solver=solver, alpha=0.01, **limits)
                    began = time.perf_counter()
                    estimator.fit(parts[0], parts[2])
                    seconds[i, seed] = time.perf_counter() - began
                    loss[i, seed], score[i, seed] = estimator.loss_, estimator.score(parts[1], parts[3])
            told = [f"{row.mean():.6f} ± {row.std():.6f}" for row in loss]
            line = f"{name:<14}{solver:<8}{told[0]:>22}{told[1]:>22}{score[0].mean():>15.4f}{score[1].mean():>13.4f}"
            apart = np.abs(loss[1] - loss[0]) / np.abs(loss[0])
            print(f"{line}{seconds[0].sum():>11.2f}{seconds[1].sum():>9.2f}{apart.max():>12.1e}", flush=True)


if __name__ == "__main__":
    main()
