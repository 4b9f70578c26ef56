"""Train a convolutional network on MNIST for one epoch and for several; plot its mistakes and its first filters.

usage: python examples/mnist_cnn.py [--backend auto] [--epochs 8] [--smoke] [--out plots/mnist_cnn]

The network is that of the tutorial and of Keras's MNIST example: convolutions of 32 and 64 3×3 windows, max-pooling,
dropout .25, 128 dense units, dropout .5. MNIST is read from the folder PORTANET_DATA, or downloaded. If PyTorch is
installed, it trains the same network in the same way for one epoch. On two CPU cores an epoch takes one to two minutes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import portanet as pn
from portanet import plot
from portanet.backends import keep_memory
from portanet.plot.style import canvas

PARTS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
NEEDS_DATA = tuple(f"{part}-ubyte.gz" for part in PARTS)
LR, BETA2, BATCH = 0.002, 0.99, 64  # AdamW, one-cycle: the rate rises from 4 % over 30 % of the steps, then falls
KERAS = {"one": "-", "more": "99.25%"}  # from the header of Keras's example, for 12 epochs


def train(data: pn.data.Dataset, epochs: int, backend: str, *, augment: bool = False) -> pn.Trainer:
    net: list[pn.Layer] = [pn.Rescale.of(data.x), pn.Reshape((28, 28, 1))]
    net += [pn.Augment(shift=2, rotate=10)] if augment else []
    net += [pn.Conv2D(32, 3), pn.ReLU(), pn.Conv2D(64, 3), pn.ReLU(), pn.MaxPool2D(2), pn.Dropout(0.25), pn.Flatten()]
    net += [pn.Dense(128, weight_init="he_normal"), pn.ReLU(), pn.Dropout(0.5), pn.Dense(10)]
    optimizer = pn.AdamW(lr=LR, beta2=BETA2)
    trainer = pn.Trainer(
        net, "softmax_cross_entropy", optimizer, ["accuracy"], backend=backend, schedule="one-cycle", seed=0
    )
    trainer.fit(data.x, data.y, epochs=epochs, batch_size=BATCH, validation_data=(data.x_test, data.y_test))
    return trainer


def pytorch(data: pn.data.Dataset, weights: dict[str, np.ndarray]) -> tuple[float, float] | None:
    """Train the same network from the same weights for an epoch; return the test accuracy and the seconds."""
    try:
        import torch
    except ImportError:
        return None
    nn = torch.nn
    body = [nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)]
    head = [nn.Flatten(), nn.Linear(64 * 12 * 12, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)]
    net = nn.Sequential(*body, *head)
    orders = [(3, 2, 0, 1), (3, 2, 0, 1), (1, 0), (1, 0)]
    kernels = [w for name, w in weights.items() if name.endswith("weight")]
    kernels[2] = kernels[2].reshape(12, 12, 64, 128).transpose(2, 0, 1, 3).reshape(-1, 128)  # torch: channels first
    with torch.no_grad():
        for layer, kernel, order in zip((net[0], net[2], net[7], net[10]), kernels, orders, strict=True):
            layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel.transpose(order))))
            layer.bias.zero_()
    scale = pn.Rescale.of(data.x)
    x, x_test = (
        torch.from_numpy(np.float32(part))[:, None] * scale.scale + scale.offset for part in (data.x, data.x_test)
    )
    y, y_test = torch.from_numpy(data.y), torch.from_numpy(data.y_test)
    optimizer = torch.optim.AdamW(net.parameters(), lr=LR, betas=(0.9, BETA2), weight_decay=0.01)
    began, steps = time.perf_counter(), -(-len(x) // BATCH)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    for i in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = LR * pn.OneCycle().factor((i + 0.5) / steps, 1)
        rows = order[i * BATCH : (i + 1) * BATCH]
        loss = nn.functional.cross_entropy(net(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        guess = torch.cat([net(part).argmax(1) for part in x_test.split(1000)])
    return float((guess == y_test).float().mean()), time.perf_counter() - began


def draw_filters(kernel: np.ndarray) -> Any:
    """Plot the filters of the first layer, (3, 3, 1, n): violet for positive weights, orange for negative."""
    count = kernel.shape[3]
    figure = canvas(8.4, 4.7)
    most = float(np.abs(kernel).max())
    for i in range(count):
        axes = figure.add_subplot(-(-count // 8), 8, i + 1)
        shown = axes.imshow(kernel[:, :, 0, i], cmap="PuOr", vmin=-most, vmax=most, interpolation="nearest")
        axes.set_axis_off()
    figure.suptitle(f"What the {count} filters of the first layer look for", fontweight="bold")
    bar = figure.colorbar(shown, ax=figure.axes, shrink=0.8, aspect=30, pad=0.02)
    bar.set_label("weight: violet wants ink, orange none", fontsize=11)
    return figure


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--epochs", type=int, default=8, help="of the longer training, which augments the images")
    parser.add_argument("--smoke", action="store_true", help="a few seconds instead of a full training")
    parser.add_argument("--out", type=Path, default=Path("plots/mnist_cnn"))
    args = parser.parse_args(argv)
    keep_memory()
    epochs, most = (1, 256) if args.smoke else (args.epochs, 60000)
    mnist = pn.data.load("mnist")
    data = pn.data.Dataset(
        "mnist", mnist.x[:most], mnist.y[:most], mnist.x_test[:most], mnist.y_test[:most], mnist.classes
    )

    one = train(data, 1, args.backend)
    start = pn.Trainer(one.net, seed=0, backend="numpy")
    start.init(data.x.shape[1:])
    beside = pytorch(data, start.snapshot()["params"])
    more = train(data, epochs, args.backend, augment=True)
    print(f"\n{'test accuracy':36}{'tutorial':>10}{'here':>10}{'(seconds)':>11}{'PyTorch':>10}{'(seconds)':>11}")
    rows = [("one epoch", KERAS["one"], one, beside), (f"{epochs} epochs, augmented", KERAS["more"], more, None)]
    for name, tutorial, run, other in rows:
        cells = f"{other[0]:10.2%}{other[1]:11.1f}" if other else f"{'-':>10}{'-':>11}"
        print(
            f"{name:36}{tutorial:>10}{run.history[-1]['val_accuracy']:10.2%}{sum(run.history['seconds']):11.1f}{cells}"
        )

    args.out.mkdir(parents=True, exist_ok=True)
    figures = {"curves": plot.curves(more.history), **plot.draw(more, data)}
    figures["filters"] = draw_filters(more.snapshot()["params"]["3.weight"])
    for name, figure in figures.items():
        plot.save(figure, args.out / f"{name}.png")
    print("pictures:", *(args.out / f"{name}.png" for name in figures))


if __name__ == "__main__":
    main()
