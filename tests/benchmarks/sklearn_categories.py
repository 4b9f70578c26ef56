"""Categorical features as learned vectors beside one-hot columns, with the same network otherwise.

usage: python -m tests.benchmarks.sklearn_categories [--seeds 5]

scikit-learn ships no data with many categories, so one set is real and small in this, two are synthetic: diabetes,
whose only category is the sex; and 6,000 samples with three numbers and two categorical features of 100 categories
each, which have two hidden traits, of which the target is made: by products ("together"), or by sums ("alone"). Scores
are R² in two folds of cross-validation, mean and standard deviation over the seeds.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, scale

from portanet.sklearn import MLPRegressor


def diabetes():
    """Return features, targets, and which features are categories."""
    x, y = load_diabetes(return_X_y=True, scaled=False)
    return x, scale(y), [1]


def traits(together: bool):
    """Return the same of categories with hidden traits, which act together or each by itself."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 100, (2, 6000))
    of_a, of_b = rng.normal(size=(2, 100, 2))
    numbers = rng.normal(size=(6000, 3))
    alone = of_a[a, 0] + of_b[b, 0] + numbers[:, 0]
    y = (of_a[a] * of_b[b]).sum(axis=1) + of_a[a, 0] * numbers[:, 0] + numbers[:, 1] if together else alone
    y += 0.3 * rng.normal(size=6000)
    return np.c_[numbers, a, b], scale(y), [3, 4]


def network(way: str, features: int, columns: list[int], seed: int) -> Pipeline:
    """Return the network behind scaled numbers and categories, as `way` says; the numbers stand in front."""
    rest = [i for i in range(features) if i not in columns]
    options = {"hidden_layer_sizes": (50,), "learning_rate_init": 0.005, "max_iter": 40, "alpha": 1.0}
    categorical = None
    encoder: object = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    if way == "vectors":
        encoder, categorical = "passthrough", list(range(len(rest), features))
    columns_of = make_column_transformer((StandardScaler(), rest), (encoder, columns))
    return make_pipeline(columns_of, MLPRegressor(categorical_features=categorical, random_state=seed, **options))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{'data':<12}{'categories as':<16}{'R²':>18}{'s a fit':>10}")
    for name, (x, y, columns) in {"diabetes": diabetes(), "together": traits(True), "alone": traits(False)}.items():
        for way in ("vectors", "one-hot"):
            began = time.process_time()
            made = (network(way, x.shape[1], columns, seed) for seed in range(arguments.seeds))
            scores = [cross_val_score(model, x, y, cv=2).mean() for model in made]
            seconds = (time.process_time() - began) / (2 * arguments.seeds)
            print(f"{name:<12}{way:<16}{np.mean(scores):>11.3f} ± {np.std(scores):.3f}{seconds:>10.2f}", flush=True)


if __name__ == "__main__":
    main()
