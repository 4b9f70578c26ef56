"""Train dense networks of three sizes on MNIST: underfitting, overfitting, and remedies.

usage: python examples/mnist_sizes.py [--backend auto] [--epochs 20] [--smoke] [--out plots/mnist_sizes]

MNIST is read from the folder PORTANET_DATA, or downloaded. The first part trains 30, 500-150 and 512-512 hidden units,
as in the tutorial, and scikit-learn's MLPClassifier on the same data for the same number of epochs. The second part
trains the largest network with dropout, weight decay, augmentation, and all three. A full run takes about 15 minutes.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import portanet as pn
from portanet import plot
from portanet.backends import keep_memory
from portanet.plot.style import canvas, colours, dress, legend

PARTS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
NEEDS_DATA = tuple(f"{part}-ubyte.gz" for part in PARTS)
LR, BATCH = 0.1, 128
SIZES = {(30,): "83%", (500, 150): "87%", (512, 512): "88%"}  # what the tutorial reached on the test set
REMEDIES: dict[str, dict[str, Any]] = {
    "none": {},
    "dropout 0.4": {"dropout": 0.4},
    "weight decay 1e-3": {"decay": 1e-3},
    "augmentation": {"augment": True},
    "all three": {"dropout": 0.2, "decay": 1e-4, "augment": True},
}


class TrainingSet(pn.Callback):
    """Evaluates the network on a part of the training set after each epoch.

    The loss and accuracy reported during training are measured with dropout and augmentation, and before each step.
    They cannot be compared with those on the test set.
    """

    def __init__(self, data: pn.data.Dataset) -> None:
        rows = np.random.default_rng(0).permutation(len(data.x))[: len(data.x_test)]
        self.part, self.rows = (data.x[rows], data.y[rows]), []

    def on_epoch_end(self, trainer: pn.Trainer, row: dict[str, float]) -> None:
        self.rows.append(trainer.evaluate(*self.part))


def train(
    data: pn.data.Dataset,
    sizes: Sequence[int],
    epochs: int,
    backend: str,
    *,
    dropout: float = 0.0,
    decay: float = 0.0,
    augment: bool = False,
) -> dict[str, Any]:
    """Train a network; return its errors and losses per epoch on both sets, and the seconds."""
    net: list[pn.Layer] = [pn.Rescale.of(data.x)]
    net += [pn.Augment(shift=2, rotate=10)] if augment else []
    net += [pn.Flatten()]
    for units in sizes:
        net += [pn.Dense(units, weight_init="he_normal"), pn.ReLU()]
        net += [pn.Dropout(dropout)] if dropout else []
    net += [pn.Dense(10)]
    optimizer = pn.SGD(lr=LR, weight_decay=decay)
    trainer = pn.Trainer(net, "softmax_cross_entropy", optimizer, ["accuracy"], backend=backend, seed=0)
    seen, test = TrainingSet(data), (data.x_test, data.y_test)
    history = trainer.fit(
        data.x, data.y, epochs=epochs, batch_size=BATCH, validation_data=test, callbacks=[seen], verbose=False
    )
    return {
        "training": [100 - 100 * row["accuracy"] for row in seen.rows],
        "test": [100 - 100 * a for a in history["val_accuracy"]],
        "test loss": history["val_loss"],
        "seconds": sum(history["seconds"]),
    }


def scikit_learn(data: pn.data.Dataset, sizes: Sequence[int], epochs: int) -> tuple[float, float]:
    """Return the test accuracy and the seconds of MLPClassifier with the same recipe on the same pixels."""
    x, x_test = (pn.Rescale.of(data.x).forward({}, np.float32(part))[0] for part in (data.x, data.x_test))
    model = MLPClassifier(sizes, solver="sgd", momentum=0.0, learning_rate_init=LR, alpha=0.0, batch_size=BATCH)
    model.set_params(max_iter=epochs, tol=0.0, n_iter_no_change=epochs, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # so many epochs are what was asked for
        began = time.perf_counter()
        model.fit(x.reshape(len(x), -1), data.y)
        seconds = time.perf_counter() - began
    return float(model.score(x_test.reshape(len(x_test), -1), data.y_test)), seconds


def draw(runs: dict[str, dict[str, Any]], heading: str) -> Any:
    """Plot the errors on both sets for each run, side by side on one logarithmic scale."""
    figure = canvas(3.1 * len(runs) + 0.6, 4.3)
    panels = figure.subplots(1, len(runs), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (name, run) in zip(panels, runs.items(), strict=True):
        epochs = range(1, len(run["test"]) + 1)
        parts = [np.maximum(run[part], 0.01) for part in ("test", "training")]  # 0.01 %: one image of 10,000
        lines = [
            axes.plot(epochs, part, style, color=ink)[0]
            for part, style, ink in zip(parts, ("-", "--"), colours(2), strict=True)
        ]
        shade = axes.fill_between(epochs, *parts, color="0.9", linewidth=0)
        axes.set_yscale("log")
        dress(axes, f"{name}: {run['test'][-1]:.1f} %", "epoch", "wrong (%)" if axes is panels[0] else "")
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.set_yticks([0.01, 0.1, 1, 10], ["≤ 0.01", "0.1", "1", "10"])
        axes.minorticks_off()
    figure.suptitle(heading, fontweight="bold")
    legend(figure, [*lines, shade], ["test set", "training set", "gap"], loc="outside lower center", ncols=3)
    return figure


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--smoke", action="store_true", help="a few seconds instead of a full training")
    parser.add_argument("--out", type=Path, default=Path("plots/mnist_sizes"))
    args = parser.parse_args(argv)
    keep_memory()
    args.out.mkdir(parents=True, exist_ok=True)
    epochs, most = (2, 2000) if args.smoke else (args.epochs, 60000)
    mnist = pn.data.load("mnist")
    data = pn.data.Dataset(
        "mnist", mnist.x[:most], mnist.y[:most], mnist.x_test[:most], mnist.y_test[:most], mnist.classes
    )

    print(f"plain SGD, lr {LR}, batches of {BATCH}, {epochs} epochs")
    print(f"{'test accuracy':16}{'tutorial':>10}{'here':>10}{'(training':>12}{'seconds)':>10}", end="")
    print(f"{'scikit-learn':>16}{'(seconds)':>11}")
    sizes = {}
    for size, tutorial in SIZES.items():
        name = "-".join(map(str, size))
        sizes[name] = run = train(data, size, epochs, args.backend)
        score, seconds = scikit_learn(data, size, epochs)
        right = [f"{100 - run[part][-1]:.2f}%" for part in ("test", "training")]
        print(f"{name:16}{tutorial:>10}{right[0]:>10}{right[1]:>12}{run['seconds']:10.1f}", end="")
        print(f"{score:>16.2%}{seconds:11.1f}", flush=True)

    print(f"\n{f'{name}, with':20}{'wrong: training':>16}{'test':>9}{'gap':>9}", end="")
    print(f"{'test loss':>14}{'its least':>11}{'seconds':>9}")
    remedies = {}
    for remedy, options in REMEDIES.items():
        remedies[remedy] = run = sizes[name] if not options else train(data, size, epochs, args.backend, **options)
        training, test = run["training"][-1], run["test"][-1]
        losses = f"{run['test loss'][-1]:14.4f}{min(run['test loss']):11.4f}"
        print(
            f"{remedy:20}{training:15.2f}%{test:8.2f}%{test - training:8.2f}%{losses}{run['seconds']:9.1f}", flush=True
        )
    plot.save(draw(sizes, "Small networks underfit, large ones overfit"), args.out / "sizes.png")
    plot.save(draw(remedies, f"{name}: what closes the gap"), args.out / "remedies.png")
    print("pictures:", args.out / "sizes.png", args.out / "remedies.png")


if __name__ == "__main__":
    main()
