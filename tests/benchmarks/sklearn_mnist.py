"""A fit on all of MNIST beside scikit-learn's: seconds and test accuracy.

usage: env -u OPENBLAS_CORETYPE python -m tests.benchmarks.sklearn_mnist [--rounds 2] [--epochs 10] [--backend numpy]

784-500-150-10, Adam, batches of 200, float32, pixels divided by 255; the same arguments and the same seed for both,
which take turns. The share is the median of the rounds' own. The processors' time is told beside the clock's, since
it says more on a machine that others use, too.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings

from sklearn.neural_network import MLPClassifier as Theirs

from portanet.data import load
from portanet.sklearn import MLPClassifier


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--backend", default="numpy")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    data = load("mnist").flat()
    x, x_test = (part.astype("float32") / 255 for part in (data.x, data.x_test))
    options = {"hidden_layer_sizes": (500, 150), "max_iter": arguments.epochs, "batch_size": 200, "random_state": 0}
    kinds = {
        "scikit-learn": lambda: Theirs(**options),
        f"portanet on {arguments.backend}": lambda: MLPClassifier(backend=arguments.backend, **options),
    }
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    work: dict[str, list[float]] = {name: [] for name in kinds}
    for i in range(arguments.rounds):
        for name, make in kinds.items():
            began, worked = time.perf_counter(), time.process_time()
            model = make().fit(x, data.y)
            seconds[name].append(time.perf_counter() - began)
            work[name].append(time.process_time() - worked)
            said = f"loss {model.loss_:.6f}, test accuracy {model.score(x_test, data.y_test):.4f}"
            times = f"{seconds[name][-1]:>8.1f} s, {work[name][-1]:>8.1f} s of processors"
            print(f"round {i + 1}: {name:<22}{times}, {model.n_iter_} epochs, {said}", flush=True)
    for what, taken in (("time", seconds), ("processors' time", work)):
        theirs, ours = taken.values()
        share = statistics.median(b / a for a, b in zip(theirs, ours, strict=True))
        print(f"portanet takes {share:.2f} of scikit-learn's {what}")


if __name__ == "__main__":
    main()
