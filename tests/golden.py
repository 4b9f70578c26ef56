"""Golden trainings: the history and the weights of every kind of training, to the last bit.

``python -m tests.golden --record`` writes ``tests/golden.json``. Do this only after a change that is meant to alter the
numbers; say why in the commit message.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import portanet as pn
from portanet.backends.host import HostArray
from tests.mpi import jobs
from tests.small import blobs

FILE = Path(__file__).with_name("golden.json")
BACKENDS = ("numpy", "torch", "jax")
X, Y = blobs(n=203, features=6, classes=3, seed=5)
W = np.random.default_rng(1).uniform(0.2, 2.0, 203)
PLAIN = [pn.Dense(16), pn.ReLU(), pn.Dense(3)]
NORM = [pn.Dense(16), pn.BatchNorm(), pn.ReLU(), pn.Dropout(0.3), pn.Dense(3)]
DROP = [pn.Dense(16), pn.Tanh(), pn.Dropout(0.3), pn.Dense(3)]


class Stop(pn.Callback):
    """Stops within the second epoch."""

    def on_batch_end(self, trainer: Any, batch: int, batches: int) -> None:
        if trainer.epoch == 1 and batch == 3:
            trainer.stop("test")


class OnDisk:
    """Samples that come by blocks, as those of a file do."""

    blocks = 40

    def __len__(self) -> int:
        return len(X)

    def read(self, start: int, stop: int) -> tuple[Any, Any]:
        return X[start:stop], Y[start:stop]


def _fitted(net: Any, optimizer: pn.Optimizer, backend: str, x: Any = X, y: Any = Y, **options: Any) -> Any:
    fit = {"epochs": 4, "batch_size": 32, "validation_data": (X[:50], Y[:50]), "verbose": False}
    fit |= options.pop("fit", {})
    trainer = pn.Trainer(net, optimizer=optimizer, metrics=["accuracy"], backend=backend, seed=7, **options)
    trainer.fit(x, y, **fit)
    return trainer


def plain(backend: str) -> Any:
    return _fitted(PLAIN, pn.Adam(0.01), backend, schedule="cosine", fit={"sample_weight": W})


def scanned(backend: str) -> Any:
    """No callback, no validation: on JAX many batches are one call."""
    fit = {"batch_size": 5, "validation_data": None}
    return _fitted(DROP, pn.SGD(0.05, momentum=0.9), backend, dtype="float64", fit=fit, l2=1e-3)


def norm(backend: str) -> Any:
    return _fitted(NORM, pn.AdamW(0.01), backend, class_weight="balanced")


def plateau(backend: str) -> Any:
    schedule = pn.Plateau("val_loss", patience=1, gamma=0.5, min_delta=0.02)
    return _fitted(PLAIN, pn.SGD(0.3), backend, schedule=schedule, fit={"epochs": 8})


def lower_lr(backend: str) -> Any:
    """Relu networks of squared errors at an absurd rate, halved until they hold."""
    options = {"on_divergence": "lower_lr", "epochs": 6}
    return _fitted(PLAIN, pn.SGD(60.0), backend, loss="sum_squared_error", fit=options)


def stopped(backend: str) -> Any:
    """Stopped within an epoch, saved, and resumed by another trainer."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "training.safetensors"
        save = pn.TrainingCheckpoint(path, steps=2)
        first = _fitted(NORM, pn.Adam(0.01), backend, fit={"callbacks": [Stop(), save]})
        assert first.position == 3
        second = pn.Trainer(first.net, optimizer=pn.Adam(0.01), metrics=["accuracy"], backend=backend, seed=7)
        left = second.resume(path)
        options = {"batch_size": 32, "validation_data": (X[:50], Y[:50]), "verbose": False}
        second.fit(X, Y, epochs=left, callbacks=[pn.TrainingCheckpoint(path, steps=2)], **options)
        return second


def streamed(backend: str) -> Any:
    return _fitted(NORM, pn.SGD(0.05), backend, OnDisk(), None)


def fleet(backend: str) -> Any:
    found = pn.Fleet(DROP, 3, optimizer=pn.Adam(0.01), metrics=["accuracy"], lr=[0.01, 0.02, 0.01], backend=backend)
    found.fit(X, Y, epochs=3, batch_size=32, validation_data=(X[:50], Y[:50]))
    return list(found)


def ranks(backend: str) -> Any:
    """One of two processes."""
    return _fitted(DROP, pn.Adam(0.01), backend, ranks="mpi")


CASES = {f.__name__: f for f in (plain, scanned, norm, plateau, lower_lr, stopped, streamed, fleet)}


def result(trainers: Any) -> dict[str, Any]:
    """Return what a training has come to: rows as exact numbers, weights as a digest and their norm."""
    trainers = trainers if isinstance(trainers, list) else [trainers]
    rows = [
        {name: float(value).hex() for name, value in row.items() if name != "seconds"}
        for trainer in trainers
        for row in trainer.history
    ]
    digest, square = hashlib.sha256(), 0.0
    for trainer in trainers:
        for own in trainer.snapshot().values():
            for name in sorted(own):
                array: HostArray = own[name]
                digest.update(f"{name} {array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
                square += float((array.astype("float64") ** 2).sum())
    return {"rows": rows, "weights": digest.hexdigest(), "norm": square**0.5}


def by_ranks(backend: str) -> dict[str, Any]:
    """Return the result of two processes."""
    code, out, err = jobs.run(2, "-m", "tests.golden", "--rank", backend)
    assert code == 0, err
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def machine() -> list[str]:
    """Return what the last bit depends on: the processor, and the versions of the libraries."""
    place = Path("/proc/cpuinfo")
    lines = place.read_text().splitlines() if place.exists() else [platform.processor()]
    processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), lines[0])
    libraries = [f"{name} {metadata.version(name)}" for name in BACKENDS if importlib.util.find_spec(name)]
    return [processor, os.environ.get("OPENBLAS_CORETYPE", ""), *libraries]


def main() -> None:
    if sys.argv[1] == "--rank":
        trainer = ranks(sys.argv[2])
        if trainer.ranks.rank == 0:
            print(json.dumps(result(trainer)))
        return
    found = {f"{name} {backend}": result(case(backend)) for backend in BACKENDS for name, case in CASES.items()}
    found |= {f"ranks {backend}": by_ranks(backend) for backend in BACKENDS}
    FILE.write_text(json.dumps({"machine": machine(), "trainings": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
