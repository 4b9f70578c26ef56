"""Answers for a single row: a fitted 30-50-50-3 network of portanet's, scikit-learn's, and torch's.

usage: python -m tests.benchmarks.sklearn_predict [--rounds 50]

Each of portanet's and scikit-learn's calls checks its input: shape, number of features, finiteness. torch's network is
an nn.Sequential under no_grad with a tensor that is ready, so it checks nothing. The three take turns; the times are
medians over the rounds of 300 calls each, and the share is the median of the rounds' own.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
from sklearn.neural_network import MLPClassifier as Theirs

from portanet.sklearn import MLPClassifier

CALLS = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 30)), rng.integers(0, 3, 300)
    row = x[:1]
    fitted = [kind((50, 50), max_iter=5, random_state=0).fit(x, y) for kind in (Theirs, MLPClassifier)]
    np.testing.assert_allclose(fitted[1].predict_proba(x), fitted[0].predict_proba(x), rtol=1e-9)
    print(f"{'one row of 30-50-50-3, float64':<32}{'µs':>8}{'of scikit-learn':>18}")
    for method in ("predict", "predict_proba"):
        runs: dict[str, Callable[[], object]] = {
            f"scikit-learn's {method}": partial(getattr(fitted[0], method), row),
            f"portanet's {method}": partial(getattr(fitted[1], method), row),
        }
        torch_run = torch_forward(fitted[0], row)
        if torch_run is not None:
            runs["torch's forward pass"] = torch_run
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(arguments.rounds):
            for name, run in runs.items():
                began = time.perf_counter()
                for _ in range(CALLS):
                    run()
                seconds[name].append((time.perf_counter() - began) / CALLS)
        first, *_ = seconds.values()
        for name, taken in seconds.items():
            share = statistics.median(a / b for a, b in zip(taken, first, strict=True))
            print(f"{name:<32}{1e6 * statistics.median(taken):>8.1f}{share:>18.2f}", flush=True)


def torch_forward(model: Theirs, row: np.ndarray) -> Callable[[], object] | None:
    """Return a call of the same network in torch, or None where torch is not installed."""
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return None
    layers = []
    for weight, bias in zip(model.coefs_, model.intercepts_, strict=True):
        layer = torch.nn.Linear(*weight.shape).double()
        layer.weight.data, layer.bias.data = torch.asarray(weight.T.copy()), torch.asarray(bias)
        layers += [layer, torch.nn.ReLU()]
    net, ready = torch.nn.Sequential(*layers[:-1], torch.nn.Softmax(dim=1)), torch.asarray(row)

    def run() -> object:
        with torch.no_grad():
            return net(ready)

    np.testing.assert_allclose(run().numpy(), model.predict_proba(row), rtol=1e-9)  # type: ignore[attr-defined]
    return run


if __name__ == "__main__":
    main()
