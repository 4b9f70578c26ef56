"""What surrounds the steps: fit and train_batch beside bare steps, a small fit of the estimator beside scikit-learn's,
predictions of a single row, the first of them beside the next, and the peak memory of a process.

usage: env -u OPENBLAS_CORETYPE python -m tests.benchmarks.overheads [--rounds 9]

Peak memory is that of a process of its own which trains 784-500-150-10 for one epoch on 60,000 images of bytes, data
included; it is measured for torch where that is installed.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import importlib.util
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import portanet as pn
from portanet.backends import get, keep_memory
from portanet.bench.workloads import WORKLOADS
from portanet.layers import Layer


def turns(rounds: int, *runs: Callable[[], None]) -> list[list[float]]:
    """Return seconds of each, in turns; the first round warms up."""
    found: list[list[float]] = [[] for _ in runs]
    for i in range(rounds + 1):
        for seconds, run in zip(found, runs, strict=True):
            began = time.perf_counter()
            run()
            if i:
                seconds.append(time.perf_counter() - began)
    return found


def fit_beside_steps(name: str, rounds: int) -> None:
    workload = WORKLOADS[name]
    x, y = workload.data()
    hidden: type[Layer] = pn.ReLU if workload.hidden == "relu" else pn.Sigmoid
    net = [layer for units in workload.sizes[1:-1] for layer in (pn.Dense(units), hidden())]
    loss = "softmax_cross_entropy" if workload.loss == "softmax" else "sum_squared_error"
    trainer = pn.Trainer([*net, pn.Dense(workload.sizes[-1])], loss, pn.SGD(lr=0.01), backend="numpy")
    trainer.init(x.shape[1:])
    spans = range(0, len(x), workload.batch)
    batches = [(x[i : i + workload.batch], y[i : i + workload.batch].astype("int32")) for i in spans]
    step = trainer.backend.compile(trainer.step, donate=(0, 2))
    counters = {"lr": 0.01, "seed": 0, "step": 0}

    def bare() -> None:
        params, buffers, state = trainer.params, trainer.buffers, trainer.opt_state
        with get("numpy").activate():
            for xb, yb in batches:
                params, buffers, state, _, _ = step(params, buffers, state, xb, yb, None, counters)

    def fit() -> None:
        trainer.fit(x, y, epochs=1, batch_size=workload.batch, verbose=False)

    steps = len(batches)
    one, other = turns(rounds, fit, bare)
    ratio = statistics.median(a / b for a, b in zip(one, other, strict=True))
    more = statistics.median(1e6 * (a - b) / steps for a, b in zip(one, other, strict=True))
    print(f"fit beside its bare steps, {name:8} {ratio:5.2f} of them, {more:6.1f} µs a step more")


def predictions(rounds: int) -> None:
    workload = dataclasses.replace(WORKLOADS["mnist"], samples=256)
    x, y = workload.data()
    net = [pn.Dense(500), pn.ReLU(), pn.Dense(150), pn.ReLU(), pn.Dense(10)]
    trainer = pn.Trainer(net, backend="numpy")
    trainer.fit(x, y, epochs=1, verbose=False)
    runs: dict[str, Callable[[], object]] = {"portanet": lambda: trainer.predict(x[:1])}
    if importlib.util.find_spec("torch"):
        import torch

        nn = torch.nn
        other = nn.Sequential(nn.Linear(784, 500), nn.ReLU(), nn.Linear(500, 150), nn.ReLU(), nn.Linear(150, 10))

        def by_torch() -> object:
            with torch.no_grad():
                return torch.softmax(other(torch.from_numpy(x[:1])), 1).numpy()

        runs["torch"] = by_torch
    if importlib.util.find_spec("sklearn"):
        from sklearn.neural_network import MLPClassifier

        model = MLPClassifier((500, 150), max_iter=1, tol=1e9).partial_fit(x, y, classes=range(10))
        runs["scikit-learn"] = lambda: model.predict_proba(x[:1])

    def often(run: Callable[[], object]) -> Callable[[], None]:
        def repeated() -> None:
            for _ in range(300):
                run()

        return repeated

    for name, seconds in zip(runs, turns(rounds, *map(often, runs.values())), strict=True):
        print(f"one row of 784-500-150-10 predicted by {name:13} {1e6 * statistics.median(seconds) / 300:6.0f} µs")


def online(rounds: int, repeats: int = 500) -> None:
    """Print what train_batch takes beside the bare step."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 20)).astype("float32"), rng.integers(0, 3, 32)
    trainer = pn.Trainer([pn.Dense(16), pn.ReLU(), pn.Dense(3)], optimizer=pn.SGD(lr=0.01), backend="numpy")
    trainer.train_batch(x, y)
    step: Any = trainer.engine.compiled
    indices, counters = y.astype("int32"), {"lr": 0.01, "seed": 0, "step": 0}

    def bare() -> None:
        state: list[Any] = [trainer.params, trainer.buffers, trainer.opt_state]
        with get("numpy").activate():
            for _ in range(repeats):
                *state, _, _ = step(*state, x, indices, None, counters)
        trainer.params, trainer.buffers, trainer.opt_state = state

    def batches() -> None:
        for _ in range(repeats):
            trainer.train_batch(x, y)

    more = statistics.median(1e6 * (a - b) / repeats for a, b in zip(*turns(rounds, batches, bare), strict=True))
    print(f"train_batch beside the bare step {more:6.1f} µs more")


def first_predictions(rounds: int) -> None:
    """Print the time of a network's first prediction over that of its second, for one row."""
    x = np.random.default_rng(0).normal(size=(1, 784)).astype("float32")
    net = [pn.Dense(500), pn.ReLU(), pn.Dense(150), pn.ReLU(), pn.Dense(10)]
    ratios = []
    for i in range(3 * rounds + 1):
        trainer = pn.Trainer(net, backend="numpy")
        trainer.fit(np.repeat(x, 64, axis=0), np.arange(64) % 10, epochs=1, verbose=False)
        first, second = (timed(functools.partial(trainer.predict, x)) for _ in range(2))
        if i:
            ratios.append(first / second)
    print(f"the first prediction of one row takes {statistics.median(ratios):5.2f} of the second")


def timed(run: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def small_fits(rounds: int) -> None:
    """Print what the estimator's fit of an epoch to 100 rows takes of scikit-learn's."""
    from sklearn import neural_network
    from sklearn.exceptions import ConvergenceWarning

    from portanet.sklearn import MLPClassifier

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(100, 20)), rng.integers(0, 3, 100)

    def by(kind: Any) -> Callable[[], None]:
        def fits() -> None:
            for _ in range(20):
                kind(max_iter=1, random_state=0).fit(x, y)

        return fits

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours, other = turns(rounds, by(MLPClassifier), by(neural_network.MLPClassifier))
    ratio = statistics.median(a / b for a, b in zip(ours, other, strict=True))
    print(f"fit of an epoch to 100 rows: {ratio:5.2f} of scikit-learn's time")


HERE = """
import portanet as pn
net = [pn.Rescale(1 / 255), pn.Dense(500), pn.ReLU(), pn.Dense(150), pn.ReLU(), pn.Dense(10)]
pn.Trainer(net, optimizer=pn.SGD(lr=0.1), backend="numpy").fit(x, y, epochs=1, verbose=False)
"""
TORCH = """
import torch
nn = torch.nn
net = nn.Sequential(nn.Linear(784, 500), nn.ReLU(), nn.Linear(500, 150), nn.ReLU(), nn.Linear(150, 10))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
x, y = torch.from_numpy(x), torch.from_numpy(y)
for rows in torch.randperm(60000).split(128):
    loss = nn.functional.cross_entropy(net(x[rows].float() / 255), y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def peak_memory(code: str) -> float:
    """Return the peak memory, in MB, of a process that trains an epoch on 47 MB of bytes by `code`."""
    data = "import resource, numpy\nrng = numpy.random.default_rng(0)\n"
    data += "x, y = rng.integers(0, 256, (60000, 784), numpy.uint8), rng.integers(0, 10, 60000)\n"
    code = f"{data}{code}print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    # First, while this process is small: a process begins with the peak of the one that started it.
    print(f"peak memory of an epoch on 47 MB of bytes: portanet {peak_memory(HERE):5.0f} MB")
    if importlib.util.find_spec("torch"):
        print(f"peak memory of an epoch on 47 MB of bytes: torch    {peak_memory(TORCH):5.0f} MB")
    keep_memory()
    for name in ("mnist", "online"):
        fit_beside_steps(name, args.rounds)
    online(args.rounds)
    first_predictions(args.rounds)
    predictions(args.rounds)
    if importlib.util.find_spec("sklearn"):
        small_fits(args.rounds)


if __name__ == "__main__":
    main()
