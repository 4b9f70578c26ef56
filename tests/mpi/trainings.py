"""Trainings of every kind, alone and by several processes: ``mpiexec -n 4 python -m tests.mpi.trainings FILE EPOCHS``.

Rank 0 writes what each has come to after its epochs, at most EPOCHS.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import Any

import numpy as np

import portanet as pn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(1290, 20))
Y = (X @ RNG.normal(size=(20, 4))).argmax(axis=1)
W = RNG.uniform(size=1290)
IMAGES = RNG.normal(size=(300, 8, 8, 1))
CLASSES = RNG.integers(0, 3, 300)
CURVES = np.sin(X[:, :3])


class OnDisk:
    """Rows that come by blocks, as those of a file do."""

    blocks = 100

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, rows: slice) -> OnDisk:
        return OnDisk(rows.stop)  # the first of them, to be held out

    def read(self, start: int, stop: int) -> tuple[Any, Any]:
        return X[start:stop], Y[start:stop]


DENSE = [pn.Dense(32), pn.ReLU(), pn.Dropout(0.3), pn.Dense(16), pn.Tanh(), pn.Dense(4)]
NORM = [pn.Dense(24, bias=False), pn.BatchNorm(), pn.ReLU(), pn.Dropout(0.2), pn.Dense(4)]
CONV = [
    pn.Augment(shift=1.5, rotate=15, flip=True),
    *(pn.Conv2D(6, 3, bias=False), pn.BatchNorm(), pn.ReLU(), pn.MaxPool2D(2), pn.Flatten(), pn.Dense(3)),
]
TAGGER = [pn.Dense(8), pn.ReLU(), pn.BatchNorm(), pn.LayerNorm(), pn.Dropout(0.3), pn.Dense(3)]
TOKENS = RNG.normal(size=(67, 6, 4))
TAGS = TOKENS[:, :, :3].argmax(axis=-1)
PADDING = (RNG.random((67, 6)) < 0.7) * RNG.uniform(0.5, 2, (67, 6))
RATED = [pn.Sequential([pn.Dense(32, rate=0), pn.ReLU()], rate=0.5), pn.Residual([pn.Dense(32)], rate=0.1), pn.Dense(4)]
RESIDUAL = [pn.Dense(12), pn.Residual([pn.Dense(12, bias=False), pn.BatchNorm(), pn.ReLU()]), pn.Dense(4)]


def case(
    net: Any, x: Any = X, y: Any = Y, *, tolerance: float = 1e-12, ranks: Any = None, **given: Any
) -> dict[str, Any]:
    """Return a training: its network, its data, how it is fitted, and how close it must come."""
    fit = {"epochs": 4, "batch_size": 128, **given.pop("fit", {})}
    trainer = {"dtype": "float64", "backend": "numpy", "seed": 3, "metrics": ["accuracy", "top_2"], **given}
    return {"net": net, "x": x, "y": y, "tolerance": tolerance, "ranks": ranks or {}, "trainer": trainer, "fit": fit}


# 1290 samples by 128 are ten steps and one of ten rows: 220 steps in 20 epochs.
# 67 by 16 leave three rows, 66 by 13 leave one.
CASES = {
    "sgd": case(DENSE, optimizer=pn.SGD(0.05, momentum=0.9), fit={"epochs": 20}),
    "float32": case(DENSE, optimizer=pn.SGD(0.05, momentum=0.9), dtype="float32", tolerance=1e-5, fit={"epochs": 20}),
    "adam, weights, norm": case(NORM, optimizer="adam", fit={"sample_weight": W, "epochs": 20}),
    "norm in float32": case(NORM, optimizer=pn.SGD(0.05), dtype="float32", tolerance=1e-5, fit={"epochs": 20}),
    "penalties, clipped": case(
        DENSE, l1=1e-3, l2=1e-2, penalty_per_sample=True, optimizer=pn.Adam(clip_norm=0.5), class_weight="balanced"
    ),
    "images": case(CONV, IMAGES, CLASSES, optimizer=pn.SGD(0.05), fit={"batch_size": 32}),
    "residual": case(RESIDUAL, optimizer=pn.SGD(0.05), schedule="cosine"),
    "r2": case(
        [pn.Dense(8), pn.Tanh(), pn.Dense(3)],
        X[:67],
        CURVES[:67],
        loss="mean_squared_error",
        metrics=["r2", "mae"],
        fit={"batch_size": 16, "epochs": 40},
    ),
    "tokens, weights of places": case(
        TAGGER,
        TOKENS,
        TAGS,
        optimizer="adam",
        l2=1e-2,
        penalty_per_sample=True,
        fit={"batch_size": 16, "sample_weight": PADDING, "validation_data": (TOKENS[:31], TAGS[:31], PADDING[:31])},
        metrics=["accuracy", "f1_score"],
    ),
    "rates": case(RATED, optimizer=pn.AdamW(clip_norm=0.5), l2=1e-2, fit={"batch_size": 64}),
    "one by one": case(DENSE, X[:66], Y[:66], fit={"batch_size": 1, "epochs": 3}),
    "a row is left": case(DENSE, X[:66], Y[:66], fit={"batch_size": 13, "epochs": 35}),
    "a row is joined": case(NORM, X[:66], Y[:66], fit={"batch_size": 13, "epochs": 10, "join_last": True}),
    "a row of a file is joined": case(NORM, OnDisk(1281), None, optimizer=pn.SGD(0.05), fit={"join_last": True}),
    "all at once": case(NORM, fit={"batch_size": None, "epochs": 40, "shuffle": False}),
    "in order": case(DENSE, fit={"shuffle": False}),
    "an order of one's own": case(DENSE, fit={"shuffle": lambda n: np.random.default_rng(5).permutation(n)}),
    "metrics of scikit-learn": case(
        DENSE, metrics=["f1_score"], fit={"epochs": 2, "validation_data": (X[:101], Y[:101], W[:101])}
    ),
    "read from disk": case(NORM, OnDisk(1290), None, optimizer=pn.SGD(0.05)),
    "torch": case(NORM, backend="torch", optimizer="adam"),
    "jax": case(DENSE, backend="jax", optimizer="adam", fit={"epochs": 3}),
}


FEW = (
    "sgd",
    "float32",
    "norm in float32",
    "all at once",
    "adam, weights, norm",
    "r2",
    "a row is left",
    "a row is joined",
    "metrics of scikit-learn",
    "tokens, weights of places",
)
"""Those that are done by four processes too, all that are long among them: two cores take long for them."""


def missing(name: str) -> str:
    """Return why a training cannot be done here; nothing where it can."""
    library = CASES[name]["trainer"]["backend"]
    return "" if library == "numpy" or importlib.util.find_spec(library) else f"{library} is not installed"


def trained(name: str, ranks: Any, epochs: int) -> dict[str, Any]:
    """Return weights, buffers, the history and an evaluation of a training of at most so many epochs."""
    c = CASES[name]
    fit = {**c["fit"], "epochs": min(epochs, c["fit"]["epochs"])}
    trainer = pn.Trainer(c["net"], **c["trainer"], ranks=ranks)
    n = len(c["x"])
    held = (c["x"][: n // 3], None if c["y"] is None else c["y"][: n // 3])
    history = trainer.fit(c["x"], c["y"], **{"validation_data": held, **fit}, verbose=False)
    rows = [[value for key, value in row.items() if key != "seconds"] for row in history]
    measured = trainer.evaluate(*held).values()
    few = trainer.evaluate(X[:3], Y[:3]) if name == "sgd" else {}
    state = {**trainer.snapshot()["params"], **trainer.snapshot()["buffers"]}
    return {**state, "history": np.asarray(rows), "evaluated": np.asarray([*measured, *few.values()])}


def main() -> None:
    file, epochs = sys.argv[1], int(sys.argv[2])
    found: dict[str, Any] = {}
    for name in CASES:
        if not missing(name) and (name in FEW or pn.Ranks().size == 2):
            ranks = pn.Ranks(**CASES[name]["ranks"])
            result = trained(name, ranks, epochs)
            everybody = ranks.gather([value.tobytes() for key, value in result.items() if key != "history"])
            assert all(each == everybody[0] for each in everybody), f"{name}: the ranks have come to different weights"
            found |= {f"{name}/{key}": value for key, value in result.items()}
    if ranks.rank == 0:
        np.savez(file + ".part.npz", **found)
        os.replace(file + ".part.npz", file)


if __name__ == "__main__":
    main()
