"""The default command on real tables, beside scikit-learn's MLP in its usual pipeline and gradient boosting.

python -m tests.benchmarks.tables [--seeds 5] [--first 0] [TABLE ...]

Each seed holds out another fifth. Accuracy, or r2; mean and spread over the seeds, and seconds of one fit. For portanet
also the most memory that the command took, and for numbers the root of the mean squared error. At the end: on how many
tables it is at least level with each of the others.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
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


MARGINS = {"mlp": 0.005, "boosting": 0.01}
"""How much less still is level."""


def command(*words: object) -> float:
    """Run portanet in a process of its own; return the most memory that it took, in MB."""
    process = subprocess.Popen([sys.executable, "-m", "portanet", *map(str, words)], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(os.waitstatus_to_exitcode(status))
    return used.ru_maxrss / 1024


def ours(train: Path, test: pd.DataFrame, target: str, drop: tuple[str, ...], seed: int) -> tuple[float, float, float]:
    """Return score and error (0 for classes) of the default command on held-out rows, and its memory."""
    folder = train.parent
    run, rows, out = folder / f"run-{seed}", folder / "test.csv", folder / "out.csv"
    test.drop(columns=target).to_csv(rows, index=False)
    words = ["train", train, "--target", target, "--out", run, "--seed", seed, "--backend", "numpy", "--quiet"]
    words += ["--drop", ",".join(drop)] if drop else []
    memory = command(*words)
    command("predict", run, rows, "-o", out, "--backend", "numpy")
    found = pd.read_csv(out, dtype=str, keep_default_na=False)
    if "label" in found:
        return float(np.mean(found["label"].to_numpy() == test[target].astype(str).to_numpy())), 0.0, memory
    y, p = test[target].to_numpy(), found["value"].astype(float).to_numpy()
    return r2(y, p), float(np.sqrt(np.mean((y - p) ** 2))), memory


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
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("tables", nargs="*", default=list(TABLES))
    asked = parser.parse_args()
    folder = Path(os.environ.get("PORTANET_DATA", "../shared/data")) / "tables"
    print(f"{'table':14}{'portanet':>26}{'MLP of scikit-learn':>26}{'gradient boosting':>26}")
    level = {kind: list[str]() for kind in MARGINS}
    for name in asked.tables:
        target, drop = TABLES[name]
        path = next(folder.glob(f"{name}.csv*"))
        whole = pd.read_csv(path).dropna(subset=[target])
        found: dict[str, list[float]] = {"ours": [], "mlp": [], "boosting": []}
        seconds = dict.fromkeys(found, 0.0)
        errors, memory = [], 0.0
        for seed in range(asked.first, asked.first + asked.seeds):
            train, test = train_test_split(whole, test_size=0.2, random_state=seed)
            own = Path(tempfile.mkdtemp()) / f"{name}.csv"
            train.to_csv(own, index=False)
            x, held = (part.drop(columns=[target, *drop]) for part in (train, test))
            for kind in found:
                began = time.perf_counter()
                if kind == "ours":
                    score, error, memory = ours(own, test, target, drop, seed)
                    errors.append(error)
                else:
                    score = theirs(kind, x, train[target], held, test[target], seed)
                found[kind].append(score)
                seconds[kind] = time.perf_counter() - began
            shutil.rmtree(own.parent)
        cells = (f"{fmean(s):.4f} ± {pstdev(s):.4f} {seconds[kind]:6.1f} s" for kind, s in found.items())
        line = f"{name:14}" + "".join(f"{cell:>26}" for cell in cells) + f"  {memory:.0f} MB"
        print(line + (f", rmse {fmean(errors):.5g}" if any(errors) else ""), flush=True)
        for kind, margin in MARGINS.items():
            if fmean(found["ours"]) >= fmean(found[kind]) - margin:
                level[kind].append(name)
    for kind, names in level.items():
        print(
            f"at least level with {kind} (-{MARGINS[kind]}) on {len(names)} of {len(asked.tables)}: {', '.join(names)}"
        )


if __name__ == "__main__":
    main()
