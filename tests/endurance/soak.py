"""Resident memory over thousands of fits: a leak of a kilobyte a fit would show.

usage: python -m tests.endurance.soak [--fits 5000] [--first 100]

Each fit makes a trainer, trains it with dropout, validation, callbacks and a checkpoint, evaluates, predicts, saves,
loads, copies and resumes; every second one fails in a callback, and is then forgotten.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import tempfile
from pathlib import Path

import portanet as pn
from tests.endurance.faults import MEMORY
from tests.hostile.watch import status
from tests.small import blobs


class Breaks(pn.Callback):
    """Raises behind the second batch."""

    def on_batch_end(self, trainer: pn.Trainer, batch: int, batches: int) -> None:
        if batch == 2:
            raise ArithmeticError


def fit(seed: int, folder: Path) -> None:
    """Do all that a fit is followed by."""
    x, y = blobs(n=64)
    net = [pn.Standardize.of(x), pn.Dense(16), pn.BatchNorm(), pn.ReLU(), pn.Dropout(0.2), pn.Dense(3)]
    trainer = pn.Trainer(net, metrics=["accuracy"], backend="numpy", seed=seed, schedule="cosine")
    saved = pn.TrainingCheckpoint(folder / "training", steps=2)
    hooks = [pn.EarlyStopping("val_loss"), saved, *([Breaks()] if seed % 2 else [])]
    try:
        trainer.fit(x, y, epochs=2, batch_size=16, validation_fraction=0.25, callbacks=hooks, verbose=False)
    except ArithmeticError:
        return
    trainer.evaluate(x, y)
    trainer.predict(x)
    trainer.save(folder / "net")
    pn.load(folder / "net").predict(x)
    again = pn.Trainer(net, metrics=["accuracy"], backend="numpy", seed=seed, schedule="cosine")
    again.resume(saved.path)


def resident() -> int:
    """Return this process' resident memory in bytes, what was freed given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return status("VmRSS")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fits", type=int, default=5000)
    parser.add_argument("--first", type=int, default=100, help="number of fits behind which growth is counted")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        for i in range(args.fits):
            fit(i, Path(name))
            if i + 1 == args.first:
                before = resident()
                print(f"{before / 1e6:.1f} MB after {args.first} fits", flush=True)
    after = resident()
    grown, more = after - before, args.fits - args.first
    print(f"{after / 1e6:.1f} MB after {args.fits} fits: {grown / 1e3:+.0f} kB, {grown / more:.0f} bytes a fit")


if __name__ == "__main__":
    main()
