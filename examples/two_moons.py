"""Train a 2-25-50-50-25-1 network on two moons and draw its decision boundary during training.

The recipe is that of Skalski 2018, "Let's code a neural network in plain NumPy": 1000 points with noise 0.2, a tenth
held out, ReLU layers with a sigmoid output, full-batch gradient descent with learning rate 0.01 for 10,000 epochs. The
same run also trains a faster recipe, and the tutorial's recipe with scikit-learn (and Keras, if it is installed).

usage: python examples/two_moons.py [--backend auto] [--smoke] [--out plots/two_moons]
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import portanet as pn
from portanet import plot
from portanet.backends import keep_memory
from portanet.plot.style import COLOURS, canvas, dress, legend

SIZES, LR = (2, 25, 50, 50, 25, 1), 0.01
GRID = np.stack(np.meshgrid(np.linspace(-1.7, 2.7, 176), np.linspace(-1.3, 1.8, 124)), axis=-1)  # (124, 176, 2)


class Snapshots(pn.Callback):
    """Stores the predictions on the grid, and the test accuracy, after each of the given epochs."""

    def __init__(self, epochs: Sequence[int], data: pn.data.Dataset) -> None:
        self.epochs, self.data, self.found = set(epochs), data, {}

    def on_fit_begin(self, trainer: pn.Trainer, end: int) -> None:
        self.on_epoch_end(trainer, {"epoch": 0})

    def on_epoch_end(self, trainer: pn.Trainer, row: dict[str, float]) -> None:
        if row["epoch"] in self.epochs:
            p = trainer.predict(GRID.reshape(-1, 2)).reshape(GRID.shape[:2])
            self.found[row["epoch"]] = p, share_right(trainer.predict_classes, self.data.x_test, self.data.y_test)


def share_right(predict: Any, x: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(predict(x.astype(np.float32)) == y))


def train(data: pn.data.Dataset, init: str, optimizer: pn.Optimizer, backend: str, **options: Any) -> pn.Trainer:
    pairs = itertools.pairwise(zip(SIZES, [*["relu"] * 5, "sigmoid"], strict=True))
    config = [{"input_dim": a, "output_dim": b, "activation": g, "init": init} for (a, _), (b, g) in pairs]
    net = pn.Sequential.from_config(config)  # [{"input_dim": 2, "output_dim": 25, "activation": "relu", ...}, ...]
    trainer = pn.Trainer(net, pn.BinaryCrossEntropy(), optimizer, ["accuracy"], backend=backend)
    trainer.fit(data.x, data.y, verbose=False, **options)
    return trainer


def scikit_learn(x: np.ndarray, y: np.ndarray, epochs: int) -> tuple[Any, float]:
    """Return a function that predicts classes, and the training time in seconds."""
    model = MLPClassifier(SIZES[1:-1], solver="sgd", momentum=0.0, learning_rate_init=LR, alpha=0.0)
    model.set_params(batch_size=len(x), max_iter=epochs, tol=0.0, n_iter_no_change=epochs, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # so many epochs are what was asked for
        began = time.perf_counter()
        return model.fit(x, y).predict, time.perf_counter() - began


def keras(x: np.ndarray, y: np.ndarray, epochs: int) -> tuple[Any, float] | None:
    try:
        import keras
    except ImportError:
        return None
    model = keras.Sequential([keras.layers.Dense(n, "sigmoid" if n == 1 else "relu") for n in SIZES[1:]])
    model.compile(keras.optimizers.SGD(LR), "binary_crossentropy")
    began = time.perf_counter()
    model.fit(x, y, epochs=epochs, batch_size=len(x), verbose=0)
    return lambda new: model.predict(new, verbose=0)[:, 0] > 0.5, time.perf_counter() - began


def draw_boundary(snapshots: Snapshots, data: pn.data.Dataset) -> Any:
    colours = LinearSegmentedColormap.from_list("moons", ["#66AAD0", "white", "#E69E66"])
    figure = canvas(12, 5.9)
    axes = figure.subplots(2, 3, sharex=True, sharey=True, subplot_kw={"aspect": "equal"})
    for ax, (epoch, (p, right)) in zip(axes.flat, sorted(snapshots.found.items()), strict=True):
        shading = ax.contourf(GRID[..., 0], GRID[..., 1], p, np.linspace(0, 1, 21), cmap=colours)
        if p.min() < 0.5 < p.max():
            ax.contour(GRID[..., 0], GRID[..., 1], p, [0.5], colors="0.15", linewidths=1.4)
        for c, marker in enumerate("os"):
            ax.plot(*data.x[data.y == c].T, marker, color=COLOURS[c], markersize=2.6, markeredgewidth=0)
        dress(ax, f"Epoch {epoch:,}: accuracy {right:.0%}", "", "")
        ax.grid(visible=False)
    figure.colorbar(shading, ax=axes, ticks=np.linspace(0, 1, 5), label="probability of class 1 (line: 0.5)")
    return figure


def draw_loss(runs: dict[str, pn.Trainer]) -> Any:
    figure = canvas(7.5, 4.4)
    ax = figure.add_subplot()
    ax.set_prop_cycle(color=COLOURS)
    lines = [ax.plot(t.history["epoch"], t.history["loss"])[0] for t in runs.values()]
    dress(ax, "Training loss", "epoch (log)", "binary cross-entropy (mean per sample)")
    ax.set(xscale="log", ylim=(0, None))
    legend(figure, lines, list(runs), loc="outside lower center", ncols=2)
    return figure


def main(argv: Sequence[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--smoke", action="store_true", help="a few seconds instead of 10,000 epochs")
    parser.add_argument("--out", type=Path, default=Path("plots/two_moons"))
    args = parser.parse_args(argv)
    keep_memory()
    epochs, none = (100 if args.smoke else 10_000), "not measured"

    moons = pn.data.moons(1000, noise=0.2, seed=0)  # a fifth is held out: join it, and hold out a tenth
    x, y = np.concatenate([moons.x, moons.x_test]), np.concatenate([moons.y, moons.y_test])
    data = pn.data.hold_out(dataclasses.replace(moons, x=x, y=y, x_test=None, y_test=None), 0.1)
    fresh = pn.data.moons(10_000, noise=0.2, seed=1)  # standard error: 2 % with 100 points, 0.2 % with 8000

    snapshots = Snapshots([round(epochs * s) for s in (0, 0.1, 0.2, 0.5, 0.7, 1)], data)
    full = {"epochs": epochs, "batch_size": None, "callbacks": [snapshots]}
    plain = train(data, "normal:0.1", pn.SGD(lr=LR), args.backend, **full)
    quick = train(data, "he_normal", pn.Adam(lr=0.003), args.backend, epochs=30, batch_size=32)
    x, held_out = data.x.astype(np.float32), (data.x_test, data.y_test)
    columns = {
        "here": (plain.predict_classes, sum(plain.history["seconds"])),
        "scikit-learn": scikit_learn(x, data.y, epochs),
        "Keras": keras(x, data.y, epochs),
        "here, faster": (quick.predict_classes, sum(quick.history["seconds"])),
    }
    print(f"{epochs:,} epochs of SGD on all {len(x)} points, lr {LR}; faster: 30 of Adam, lr 0.003, batches of 32")
    print(f"{'':24}{'tutorial (says)':>16}" + "".join(f"{name:>14}" for name in columns))
    for part, says, xs, ys in (("held out", "95-96%", *held_out), ("fresh", none, fresh.x, fresh.y)):
        cells = [f"{share_right(c[0], xs, ys):.1%}" if c else none for c in columns.values()]
        print(f"{f'accuracy, {len(xs):,} {part}':24}{says:>16}" + "".join(f"{cell:>14}" for cell in cells))
    print(f"{'seconds':24}{none:>16}" + "".join(f"{f'{c[1]:.1f}' if c else none:>14}" for c in columns.values()))

    args.out.mkdir(parents=True, exist_ok=True)
    plot.save(draw_boundary(snapshots, data), args.out / "boundary.png")
    runs = {f"full batch, SGD, {epochs:,} epochs": plain, "batches of 32, Adam, 30 epochs": quick}
    plot.save(draw_loss(runs), args.out / "loss.png")
    return share_right(quick.predict_classes, *held_out)


if __name__ == "__main__":
    main()
