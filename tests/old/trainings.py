"""Trainings that an older portanet has begun; ``python -m tests.old.trainings FOLDER`` saves them where they stop.

The files beside this one were written by the code of revision c4f0cbc, before trainers had one state and EarlyStopping
kept the optimizer's state of its best epoch.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import portanet as pn

FOLDER = Path(__file__).parent
RNG = np.random.default_rng(0)
Y = RNG.integers(0, 3, 100)
X = RNG.normal(size=(100, 4)) + 1.5 * np.eye(3, 4)[Y]
EPOCHS = 8


class StopAt(pn.Callback):
    """Stops after a batch of an epoch, both counted from 1."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.at = (epoch, batch)

    def on_batch_end(self, trainer: Any, batch: int, batches: int) -> None:
        if (trainer.epoch + 1, batch) == self.at:
            trainer.stop("interrupted")


NORM = [pn.Dense(4, bias=False), pn.BatchNorm(), pn.Tanh(), pn.Dropout(0.2), pn.Dense(3)]
DENSE = [pn.Dense(4), pn.ReLU(), pn.Dense(3)]
HOOKS: dict[str, Any] = {
    "plain": lambda: [],
    "within": lambda: [pn.EarlyStopping("val_loss", patience=9), pn.LowerRate()],
    "finished": lambda: [pn.EarlyStopping("val_loss", patience=2, min_delta=0.5)],
}


def make(name: str) -> pn.Trainer:
    """Return a trainer that has not begun."""
    every: dict[str, dict[str, Any]] = {
        "plain": {"net": NORM, "optimizer": "adamw", "schedule": "cosine"},
        # The rate is too high: three epochs diverge, and later the plateau lowers it too.
        "within": {
            "net": [pn.Dense(4), pn.ReLU(), pn.Dense(1)],
            "optimizer": pn.SGD(lr=4.0, momentum=0.5),
            "loss": "mean_squared_error",
            "schedule": pn.Plateau("val_loss", patience=1, gamma=0.7),
        },
        "finished": {"net": NORM, "optimizer": pn.Adam(lr=0.05), "dtype": "float32"},
    }
    options = every[name]
    given = {"backend": "numpy", "dtype": "float64", "seed": 3, "metrics": [], **options}
    return pn.Trainer(given.pop("net"), **given)


def fit(trainer: pn.Trainer, name: str, epochs: int, *more: pn.Callback) -> None:
    """Train as all of that name are trained."""
    y = Y.astype(float) if name == "within" else Y
    hooks: Sequence[pn.Callback] = [*more, *HOOKS[name]()]
    trainer.fit(
        *(X, y),
        epochs=epochs,
        batch_size=16,
        validation_fraction=0.2,
        callbacks=list(hooks),
        verbose=False,
    )


def ended(trainer: pn.Trainer) -> dict[str, Any]:
    """Return what a training has come to, to the last bit."""
    digest = hashlib.sha256()
    for part, own in sorted(trainer.snapshot().items()):
        for name, array in sorted(own.items()):
            digest.update(f"{part} {name}".encode() + array.tobytes())
    rows = [{name: float(v).hex() for name, v in row.items() if name != "seconds"} for row in trainer.history]
    return {"weights": digest.hexdigest(), "rows": rows, "epoch": trainer.epoch, "stopped": trainer.history.stopped}


def main(folder: Path) -> None:
    stops = {"plain": (3, 5), "within": (5, 3)}
    ends = {}
    for name in HOOKS:
        stop, path = [StopAt(*stops[name])] if name in stops else [], folder / f"{name}.safetensors"
        fit(make(name), name, EPOCHS, *stop, pn.TrainingCheckpoint(path))
        trainer = make(name)
        fit(trainer, name, trainer.resume(path))
        ends[name] = ended(trainer)
    (folder / "ended.json").write_text(json.dumps(ends, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
