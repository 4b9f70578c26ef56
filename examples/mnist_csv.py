"""Train a network without biases on MNIST as CSV, in mini-batches and full batches, and compare with PyTorch.

usage: python examples/mnist_csv.py [--backend auto] [--smoke] [--out plots/mnist_csv]

MNIST is read from the folder PORTANET_DATA, or downloaded. It is written as label-first CSV, a common format, and read
back. If PyTorch is installed, it trains the same network from the same weights on the same data, alternating with
portanet after each epoch. Both are timed: whole epochs with shuffling, losses and accuracies, without the test set. A
full run takes a few minutes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import portanet as pn
from portanet import plot
from portanet.backends import keep_memory
from portanet.plot.style import canvas, colours, dress, legend

PARTS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
NEEDS_DATA = tuple(f"{part}-ubyte.gz" for part in PARTS)
WAYS = {"mini-batches of 100": (100, 1.0, 10), "full batch": (None, 0.5, 30)}  # batch size, learning rate, epochs
Row = dict[str, float]


def through_csv(most: int) -> pn.data.Dataset:
    """Write MNIST (at most `most` rows of each part) as CSV, read it, and return it with pixels from 0 to 1."""
    mnist = pn.data.load("mnist")
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        pn.data.write_csv(Path(folder) / "mnist_train.csv", mnist.x[:most], mnist.y[:most])
        pn.data.write_csv(Path(folder) / "mnist_test.csv", mnist.x_test[:most], mnist.y_test[:most])
        written = time.perf_counter()
        size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6
        data = pn.data.load(folder)
        read = time.perf_counter() - written
    print(f"{size:.0f} MB of CSV: written in {written - began:.1f} s, read back in {read:.1f} s: {data.x.shape}")
    assert (data.x == mnist.x[:most].reshape(-1, 784)).all()
    x, x_test = (part.astype("float32") / 255 for part in (data.x, data.x_test))
    return pn.data.Dataset("MNIST as CSV", x, data.y, x_test, data.y_test, data.classes)


def ours(data: pn.data.Dataset, lr: float, backend: str) -> pn.Trainer:
    net = [pn.Dense(200, bias=False), pn.Sigmoid(), pn.Dense(10, bias=False), pn.Sigmoid()]
    trainer = pn.Trainer(net, pn.SumSquaredError(), pn.SGD(lr=lr), metrics=["accuracy"], backend=backend, seed=0)
    trainer.init(data.x.shape[1:])
    return trainer


def theirs(
    data: pn.data.Dataset, lr: float, batch_size: int | None, weights: dict
) -> tuple[Callable[[], Row], Callable[[], Row]]:
    """Return a function that trains the same network in PyTorch for an epoch, and one that tests it."""
    import torch
    from torch import nn

    net = nn.Sequential(nn.Linear(784, 200, bias=False), nn.Sigmoid(), nn.Linear(200, 10, bias=False), nn.Sigmoid())
    with torch.no_grad():
        for i in (0, 2):
            net[i].weight.copy_(torch.from_numpy(weights[f"{i}.weight"]).T)
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    x, y, x_test, y_test = map(torch.from_numpy, (data.x, data.y, data.x_test, data.y_test))
    one_hot = nn.functional.one_hot(y, 10).float()
    n, size = len(x), batch_size or len(x)

    def epoch() -> Row:
        order = torch.randperm(n) if size < n else None
        total, hits = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        for start in range(0, n, size):
            rows = slice(None) if order is None else order[start : start + size]
            output = net(x[rows])
            loss = 0.5 * ((output - one_hot[rows]) ** 2).sum() / len(output)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(output)
            hits += (output.detach().argmax(1) == y[rows]).sum()
        return {"loss": float(total) / n, "accuracy": int(hits) / n}

    def test() -> Row:
        with torch.no_grad():
            output = net(x_test)
        loss = 0.5 * ((output - nn.functional.one_hot(y_test, 10)) ** 2).sum() / len(output)
        return {"val_loss": float(loss), "val_accuracy": float((output.argmax(1) == y_test).float().mean())}

    return epoch, test


class Turns(pn.Callback):
    """Trains one epoch in PyTorch after each epoch of portanet, and stores the metrics and seconds of both."""

    def __init__(self, data: pn.data.Dataset, other: tuple[Callable[[], Row], Callable[[], Row]] | None) -> None:
        self.data, self.other = data, other
        names = ("portanet", "PyTorch") if other else ("portanet",)
        self.rows: dict[str, list[Row]] = {name: [] for name in names}
        self.seconds = dict.fromkeys(names, 0.0)

    def on_epoch_end(self, trainer: pn.Trainer, row: Row) -> None:
        tested = {f"val_{name}": value for name, value in trainer.evaluate(self.data.x_test, self.data.y_test).items()}
        self.rows["portanet"].append({**row, **tested})
        self.seconds["portanet"] += row["seconds"]
        if self.other:
            epoch, test = self.other
            began = time.perf_counter()
            theirs = epoch()
            self.seconds["PyTorch"] += time.perf_counter() - began
            self.rows["PyTorch"].append({"epoch": row["epoch"], **theirs, **test()})


def train(data: pn.data.Dataset, batch_size: int | None, lr: float, epochs: int, backend: str) -> Turns:
    """Train with both libraries, alternating after each epoch."""
    trainer = ours(data, lr, backend)
    try:
        turns = Turns(data, theirs(data, lr, batch_size, trainer.snapshot()["params"]))
    except ImportError:
        print("PyTorch is not installed: portanet runs alone")
        turns = Turns(data, None)
    trainer.fit(data.x, data.y, epochs=epochs, batch_size=batch_size, callbacks=[turns], verbose=False)
    return turns


def draw(curves: dict[str, dict[str, list[Row]]], path: Path) -> None:
    """Plot loss and accuracy; if the libraries agree, the thin line is inside the wide one."""
    figure = canvas(10.4, 7.6)
    dresses = {"portanet": (colours(2)[0], 5.0, 0.45), "PyTorch": (colours(2)[1], 1.5, 1.0)}
    for i, (way, rows) in enumerate(curves.items()):
        for j, (measure, factor, unit) in enumerate((("loss", 1, "mean per sample"), ("accuracy", 100, "%"))):
            axes = figure.add_subplot(len(curves), 2, 2 * i + j + 1)
            handles, names = [], []
            for name, run in rows.items():
                colour, width, alpha = dresses[name]
                for part, prefix, style in (("training", "", "-"), ("test", "val_", "--")):
                    x, y = zip(*((row["epoch"], factor * row[prefix + measure]) for row in run), strict=True)
                    handles += axes.plot(x, y, style, color=colour, linewidth=width, alpha=alpha)
                    names.append(f"{name}, {part}")
            dress(axes, f"{measure.capitalize()}, {way}", "epoch", f"{measure} ({unit})")
            axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
            if i == j == 0:
                legend(axes, handles, names, loc="best", handlelength=3.5)
    plot.save(figure, path)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--smoke", action="store_true", help="a few seconds instead of a full training")
    parser.add_argument("--out", type=Path, default=Path("plots/mnist_csv"))
    args = parser.parse_args(argv)
    keep_memory()
    args.out.mkdir(parents=True, exist_ok=True)
    data = through_csv(2000 if args.smoke else 60000)
    warm_up = pn.data.Dataset(
        "a part", data.x[:1000], data.y[:1000], data.x_test[:1000], data.y_test[:1000], data.classes
    )
    train(warm_up, 100, 0.1, 1, args.backend)  # so that no timing includes loading at the first use
    curves = {}
    total: dict[str, float] = {}
    print(f"\n{'784-200-10, no biases':22}{'':12}{'epochs':>6}{'seconds':>9}{'of PyTorch':>12}{'test accuracy':>15}")
    for way, (batch_size, lr, epochs) in WAYS.items():
        turns = train(data, batch_size, lr, 2 if args.smoke else epochs, args.backend)
        rows, seconds = turns.rows, turns.seconds
        for name, run in rows.items():
            ratio = f"{seconds[name] / seconds['PyTorch']:.2f}" if "PyTorch" in seconds else "-"
            accuracy = f"{run[-1]['val_accuracy']:.2%}"
            print(f"{way:22}{name:12}{len(run):6}{seconds[name]:9.2f}{ratio:>12}{accuracy:>15}", flush=True)
            total[name] = total.get(name, 0.0) + seconds[name]
        curves[way] = rows
    for name, spent in total.items():
        ratio = f"{spent / total['PyTorch']:.2f}" if "PyTorch" in total else "-"
        print(f"{'both':22}{name:12}{'':6}{spent:9.2f}{ratio:>12}")
    draw(curves, args.out / "curves.png")
    print("picture:", args.out / "curves.png")


if __name__ == "__main__":
    main()
