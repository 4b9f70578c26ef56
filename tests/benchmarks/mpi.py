"""Trainings by 1, 2 and 4 processes: images a second, the share spent in sums, and how far they come from one process.

usage: python -m tests.benchmarks.mpi [--rounds 3] [--steps 60] [--net dense|cnn]

The network 784-256-128-10 at a global batch of 1,024 images in float32 (MNIST where PORTANET_DATA has it, else numbers
drawn at random). One process has as many BLAS threads as there are processors; several share them. Rounds go in turns;
ratios are medians of those within a round. Processes are started anew for each: what is timed begins behind ten steps.
"products" are the matrix products of a step's dense layers alone, by NumPy into ready arrays, by all processes at once:
no step can be faster than that. "apart" are processes that each train on their share of the rows and tell each other
nothing: no sum of gradients, however fast, can make the ranks faster than that.

In float32 two trainings of a network with ReLU come apart whatever adds the sums in another order, since a unit whose
input is 0 but for rounding is on in one and off in the other; ``--net tanh`` has none.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]


def network(kind: str) -> list[Any]:
    import portanet as pn

    if kind == "dense":
        return [pn.Dense(256), pn.ReLU(), pn.Dense(128), pn.ReLU(), pn.Dense(10)]
    if kind == "tanh":
        return [pn.Dense(256), pn.Tanh(), pn.Dense(128), pn.Tanh(), pn.Dense(10)]
    if kind == "500-150":
        return [pn.Dense(500), pn.ReLU(), pn.Dense(150), pn.ReLU(), pn.Dense(10)]
    if kind == "wide":
        return [pn.Dense(4096), pn.ReLU(), pn.Dense(4096), pn.ReLU(), pn.Dense(10)]
    conv = [pn.Conv2D(32, 3), pn.ReLU(), pn.Conv2D(64, 3), pn.ReLU(), pn.MaxPool2D(2), pn.Dropout(0.25), pn.Flatten()]
    return [pn.Reshape((28, 28, 1)), *conv, pn.Dense(128), pn.ReLU(), pn.Dropout(0.5), pn.Dense(10)]


def images(n: int) -> tuple[Any, Any]:
    """Return so many images as rows of bytes' shares, and their classes."""
    if os.environ.get("PORTANET_DATA"):
        from portanet.data import load

        found = load("mnist")
        return (np.asarray(found.x[:n]).reshape(n, -1) / 255).astype(np.float32), np.asarray(found.y[:n])
    rng = np.random.default_rng(0)
    return rng.random((n, 784), np.float32), rng.integers(0, 10, n)


class Clock:
    """Seconds of steps, and of the sums within them, behind the first ten."""

    def __init__(self, trainer: Any, warm: int) -> None:
        self.trainer, self.warm, self.seen, self.began, self.sums = trainer, warm, 0, 0.0, 0.0

    def on_step(self) -> None:
        self.seen += 1
        if self.seen == self.warm:
            self.began, self.sums = time.perf_counter(), self._in_sums()

    def result(self) -> tuple[float, float]:
        return time.perf_counter() - self.began, self._in_sums() - self.sums

    def _in_sums(self) -> float:
        return float(self.trainer.ranks.seconds) if self.trainer.ranks is not None else 0.0


def products(shapes: list[tuple[int, int]], rows: int, seconds: float = 0.5) -> float:
    """Return the seconds of a step's matrix products alone, for dense layers of these weights' shapes."""
    rng = np.random.default_rng(0)
    jobs: list[tuple[Any, Any, Any]] = []
    for i, (n_in, n_out) in enumerate(shapes):
        x, w, dy = (rng.random(shape, np.float32) for shape in ((rows, n_in), (n_in, n_out), (rows, n_out)))
        pairs = [(x, w), (x.T, dy), (dy, w.T)][: 2 if i == 0 else 3]  # nobody asks for the first layer's dx
        jobs += [(a, b, np.empty((a.shape[0], b.shape[1]), np.float32)) for a, b in pairs]
    times, until = [], time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        for a, b, out in jobs:
            np.matmul(a, b, out=out)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def work(kind: str, batch: int, steps: int, file: str, apart: bool) -> None:
    """Train as one of the processes; rank 0 prints the figures and writes the weights."""
    import portanet as pn
    from portanet.backends import keep_memory
    from portanet.distributed import launch

    keep_memory()  # as the command line does
    warm = 10 if steps > 20 else 2
    several = launch.size() > 1 or "PMI_SIZE" in os.environ
    ranks = pn.Ranks() if several else None
    first = ranks is None or ranks.rank == 0
    if apart and ranks is not None:
        batch, ranks = batch // ranks.size, None
    x, y = images(batch * (warm if batch * warm <= 60_000 else 1))
    trainer = pn.Trainer(network(kind), optimizer=pn.SGD(0.05, momentum=0.9), backend="numpy", seed=1, ranks=ranks)
    clock = Clock(trainer, warm)

    class Hook(pn.Callback):
        def on_batch_end(self, trainer: Any, batch: int, batches: int) -> None:
            clock.on_step()

    epochs = -(-(steps + warm) // max(1, len(x) // batch))
    trainer.fit(x, y, epochs=epochs, batch_size=batch, callbacks=[Hook()], verbose=False)
    seconds, sums = clock.result()
    done = clock.seen - warm
    shapes = [p.shape for name, p in sorted(trainer.params.items()) if p.ndim == 2]
    alone = products(shapes, batch // (1 if ranks is None else ranks.size))
    if first:
        np.savez(file, **trainer.params)
        print(json.dumps({"step": seconds / done, "sums": sums / done, "products": alone}))


def measured(ranks: int, kind: str, batch: int, steps: int, file: str, apart: bool = False) -> dict[str, float]:
    """Return what so many processes were seen to do; 1 is a process without MPI, which has all processors' threads."""
    words = [
        sys.executable,
        "-m",
        "tests.benchmarks.mpi",
        "--work",
        kind,
        str(batch),
        str(steps),
        file,
        "apart" if apart else "",
    ]
    beside = Path(sys.executable).parent / "mpiexec"
    threads = max(1, len(os.sched_getaffinity(0)) // ranks)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    env = {**os.environ, **dict.fromkeys(names, str(threads))}
    if ranks > 1:
        words = [str(beside) if beside.exists() else "mpiexec", "-n", str(ranks), *words]
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--net", default="dense", choices=["dense", "tanh", "500-150", "cnn", "wide"])
    parser.add_argument("--ranks", default="1,2,4")
    parser.add_argument("--work", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        kind, batch, steps, file, apart = args.work
        work(kind, int(batch), int(steps), file, bool(apart))
        return 0
    counts = [(int(n), False) for n in args.ranks.split(",")]
    counts += [(n, True) for n, _ in counts if n > 1]
    rows: dict[tuple[int, bool], list[dict[str, float]]] = {kind: [] for kind in counts}
    differ: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(args.rounds):
            for n, apart in counts:
                file = f"{folder}/{n}{' apart' if apart else ''}.npz"
                rows[n, apart].append(measured(n, args.net, args.batch, args.steps, file, apart))
                if not apart:  # those that are see other rows
                    one, own = np.load(f"{folder}/{counts[0][0]}.npz"), np.load(file)
                    differ[n] = max(float(np.abs(one[k] - own[k]).max() / np.abs(one[k]).max()) for k in one.files)
    print(f"{args.net}, global batch {args.batch}, {args.steps} steps, {args.rounds} rounds in turns, float32")
    print(
        "ranks     threads each  ms a step  products  images a second  ratio to 1 (lowest, highest)  in Allreduce  "
        "weights differ"
    )
    for n, apart in counts:
        ratios = [one["step"] / own["step"] for one, own in zip(rows[counts[0]], rows[n, apart], strict=True)]
        step, sums, alone = (statistics.median(r[k] for r in rows[n, apart]) for k in ("step", "sums", "products"))
        end = "" if apart else f"{sums / step:11.1%}  {differ[n]:14.1e}"
        print(
            f"{f'{n} apart' if apart else n:<8}  {max(1, len(os.sched_getaffinity(0)) // n):12}  {1e3 * step:9.2f}  "
            f"{1e3 * alone:8.2f}  {args.batch / step:15,.0f}  "
            f"{statistics.median(ratios):10.2f} ({min(ratios):.2f}, {max(ratios):.2f})      {end}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
