"""A fleet of 64 networks 20-64-64-3 beside 64 fits one after the other, and beside joblib with two processes.

usage: env -u OPENBLAS_CORETYPE python -m tests.benchmarks.fleet [--epochs 1] [--rounds 5] [--groups 1,2,4,8,16,64]

On 10,000 rows with Adam, on NumPy in float32, in turns; ratios are the medians of those within a round. With --groups
only the fleet is timed, in groups of so many. The largest difference is that of any member's weight from the same
weight of its solitary run, relative to the largest one of that array, in both dtypes.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

import portanet as pn
from portanet.backends import keep_memory
from tests.benchmarks.turns import Turns

MEMBERS, ROWS, FEATURES, CLASSES = 64, 10_000, 20, 3
NET = [pn.Dense(64), pn.ReLU(), pn.Dense(64), pn.ReLU(), pn.Dense(CLASSES)]


def samples() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, CLASSES, ROWS)
    return (rng.normal(size=(ROWS, FEATURES)) + np.eye(CLASSES, FEATURES)[y]).astype("float32"), y


def together(batch: int, epochs: int, group: int | None = None, dtype: str = "float32") -> pn.Fleet:
    fleet = pn.Fleet(NET, MEMBERS, optimizer="adam", backend="numpy", group=group, dtype=dtype)
    fleet.fit(*samples(), epochs=epochs, batch_size=batch)
    return fleet


def alone(seed: int, batch: int, epochs: int, dtype: str = "float32") -> pn.Trainer:
    trainer = pn.Trainer(NET, optimizer="adam", backend="numpy", seed=seed, dtype=dtype)
    trainer.fit(*samples(), epochs=epochs, batch_size=batch, verbose=False)
    return trainer


def in_a_process(seed: int, batch: int, epochs: int) -> dict[str, Any]:
    keep_memory()
    return alone(seed, batch, epochs).snapshot()


def largest_difference(batch: int, epochs: int, dtype: str) -> float:
    worst = 0.0
    for seed, member in enumerate(together(batch, epochs, dtype=dtype)):
        expected = alone(seed, batch, epochs, dtype).snapshot()["params"]
        for name, array in member.snapshot()["params"].items():
            worst = max(worst, float(np.abs(array - expected[name]).max() / np.abs(expected[name]).max()))
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--groups")
    args = parser.parse_args()
    from joblib import Parallel, delayed

    keep_memory()
    with Parallel(n_jobs=2) as pool:
        for batch in (32, 256):
            runs: dict[str, Any] = {"fleet": lambda batch=batch: together(batch, args.epochs)}
            if args.groups:
                for group in map(int, args.groups.split(",")):
                    runs[f"groups of {group}"] = lambda batch=batch, group=group: together(batch, args.epochs, group)
            else:
                runs["one after the other"] = lambda batch=batch: [
                    alone(seed, batch, args.epochs) for seed in range(MEMBERS)
                ]
                runs["joblib, two processes"] = lambda batch=batch: pool(
                    delayed(in_a_process)(seed, batch, args.epochs) for seed in range(MEMBERS)
                )
            turns = Turns(runs, args.rounds)
            print(f"batch {batch}, {args.epochs} epochs, {MEMBERS} networks")
            for name in runs:
                print(
                    f"  {name:22} {turns.median(name):7.3f} s   {turns.ratio(name, 'fleet'):5.2f} x the fleet's",
                    flush=True,
                )
            if not args.groups:
                for dtype in ("float32", "float64"):
                    print(f"  largest difference in {dtype}: {largest_difference(batch, args.epochs, dtype):.1e}")


if __name__ == "__main__":
    main()
