"""The default command on real tables, beside scikit-learn's MLP in its usual pipeline and gradient boosting.

python -m tests.benchmarks.tables [--seeds 5] [TABLE ...]

Each seed holds out another fifth. Accuracy, or r2; mean and spread over the seeds, and seconds of one fit.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from portanet.cli.main import run as cli

TABLES = {
    "penguins": ("species", ()),
    "penguins-raw": ("Species", ()),
    "titanic": ("survived", ()),
    "german": ("risk", ()),
    "Default": ("default", ()),
    "OJ": ("Purchase", ()),
    "Wage": ("wage", ("logwage",)),
    "Hitters": ("Salary", ()),
    "Bikeshare": ("bikers", ("casual", "registered")),
    "diamonds": ("price", ()),
    "flights": ("arr_delay", ("dep_time", "dep_delay", "arr_time", "air_time")),
}


def ours(train: Path, test: pd.DataFrame, target: str, drop: tuple[str, ...], seed: int) -> float:
    """Return the score of the default command's network on held-out rows."""
    folder = train.parent
    run, rows, out = folder / f"run-{seed}", folder / "test.csv", folder / "out.csv"
    test.drop(columns=target).to_csv(rows, index=False)
    words = ["train", train, "--target", target, "--out", run, "--seed", seed, "--backend", "numpy", "--quiet"]
    words += ["--drop", ",".join(drop)] if drop else []
    for command in (words, ["predict", run, rows, "-o", out, "--backend", "numpy"]):
        if code := cli([str(word) for word in command]):
            raise SystemExit(code)
    found = pd.read_csv(out, dtype=str, keep_default_na=False)
    if "label" in found:
        return float(np.mean(found["label"].to_numpy() == test[target].astype(str).to_numpy()))
    return r2(test[target].to_numpy(), found["value"].astype(float).to_numpy())


def r2(y: Any, p: Any) -> float:
    """Return the share of the variance that is explained."""
    return float(1 - np.sum((y - p) ** 2) / np.sum((y - np.mean(y)) ** 2))


def theirs(kind: str, x: pd.DataFrame, y: pd.Series, test: pd.DataFrame, truth: pd.Series, seed: int) -> float:
    """Return the score of scikit-learn's MLP in the usual pipeline, or of gradient boosting."""
    classes = y.dtype.kind not in "fi" or y.nunique() < 20
    text = make_column_selector(dtype_include=["object", "str", "bool", "category"])
    number = make_column_selector(dtype_include="number")
    model: Any
    if kind == "boosting":
        codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=200)
        front = make_column_transformer((codes, text), remainder="passthrough")
        model = make_pipeline(
            front, (HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor)(random_state=seed)
        )
    else:
        onehot = OneHotEncoder(handle_unknown="ignore", max_categories=200)
        scaled = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
        front = make_column_transformer((scaled, number), (onehot, text))
        model = make_pipeline(
            front, (MLPClassifier if classes else MLPRegressor)(early_stopping=True, random_state=seed)
        )
        model = model if classes else TransformedTargetRegressor(model, transformer=StandardScaler())
    return float(model.fit(x, y).score(test, truth))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("tables", nargs="*", default=list(TABLES))
    asked = parser.parse_args()
    folder = Path(os.environ.get("PORTANET_DATA", "../shared/data")) / "tables"
    print(f"{'table':14}{'portanet':>26}{'MLP of scikit-learn':>26}{'gradient boosting':>26}")
    for name in asked.tables:
        target, drop = TABLES[name]
        path = next(folder.glob(f"{name}.csv*"))
        whole = pd.read_csv(path).dropna(subset=[target])
        found: dict[str, list[float]] = {"ours": [], "mlp": [], "boosting": []}
        seconds = dict.fromkeys(found, 0.0)
        for seed in range(asked.seeds):
            train, test = train_test_split(whole, test_size=0.2, random_state=seed)
            own = Path(tempfile.mkdtemp()) / f"{name}.csv"
            train.to_csv(own, index=False)
            x, held = (part.drop(columns=[target, *drop]) for part in (train, test))
            for kind in found:
                began = time.perf_counter()
                if kind == "ours":
                    score = ours(own, test, target, drop, seed)
                else:
                    score = theirs(kind, x, train[target], held, test[target], seed)
                found[kind].append(score)
                seconds[kind] = time.perf_counter() - began
            shutil.rmtree(own.parent)
        cells = (f"{fmean(s):.4f} ± {pstdev(s):.4f} {seconds[kind]:6.1f} s" for kind, s in found.items())
        print(f"{name:14}" + "".join(f"{cell:>26}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
