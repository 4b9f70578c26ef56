"""Train a 1024-16-16-10 network of sigmoids on text digits, one sample at a time, and compare weight initializations.

usage: python examples/text_digits.py [DIGITS] [--backend auto] [--epochs 140] [--smoke] [--out plots/text_digits]

DIGITS is a folder or zip of text digits; the default is digits.zip in the folder PORTANET_DATA. A full run takes ten
minutes. The tutorial left open why networks with different initial weights converge so differently. The second part
trains six initializations, and measures the activations and gradients of each layer before training.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import portanet as pn
from portanet import plot
from portanet.plot.style import canvas, colours, dress, legend

NEEDS_DATA = ("digits.zip",)
INITS = {
    "standard normal": "normal",
    "uniform [0, 1)": "uniform",
    "zeros": "zeros",
    "ones": "ones",
    "Glorot": "glorot_normal",
    "He": "he_normal",
}
RATES = (0.01, 0.1)
FLOOR = 1e-16  # smaller values, and 0, are drawn here


def trainer(init: str, lr: float, backend: str) -> pn.Trainer:
    net: list[pn.Layer] = [pn.Flatten()]
    for units in (16, 16, 10):
        net += [pn.Dense(units, weight_init=init), pn.Sigmoid()]
    return pn.Trainer(net, pn.SumSquaredError(), pn.SGD(lr=lr), metrics=["accuracy"], backend=backend, seed=0)


def pytorch(data: pn.data.Dataset, epochs: int, weights: dict[str, np.ndarray]) -> tuple[float, float, float] | None:
    """Train the same network from the same weights; return its best training accuracy, test accuracy and seconds."""
    try:
        import torch
    except ImportError:
        return None
    nn = torch.nn
    pairs = [p for n in (16, 16, 10) for p in (nn.LazyLinear(n), nn.Sigmoid())]
    net = nn.Sequential(nn.Flatten(), *pairs)
    x, y, x_test, y_test = (torch.from_numpy(np.asarray(a)) for a in (data.x, data.y, data.x_test, data.y_test))
    x, x_test = x.float(), x_test.float()
    net(x[:1])  # infers the input sizes of the lazy layers
    with torch.no_grad():
        for i in (1, 3, 5):
            net[i].weight.copy_(torch.from_numpy(weights[f"{i}.weight"]).T)
            net[i].bias.zero_()
    optimizer, target = torch.optim.SGD(net.parameters(), lr=0.01), nn.functional.one_hot(y.long(), 10).float()
    best, generator, began = 0.0, torch.Generator().manual_seed(0), time.perf_counter()
    for _ in range(epochs):
        right = 0
        for i in torch.randperm(len(x), generator=generator).tolist():
            output = net(x[i : i + 1])
            loss = 0.5 * ((output - target[i]) ** 2).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right += int(output.argmax()) == int(y[i])
        best = max(best, right / len(x))
    seconds = time.perf_counter() - began
    with torch.no_grad():
        return best, float((net(x_test).argmax(1) == y_test).float().mean()), seconds


def converge(data: pn.data.Dataset, epochs: int, backend: str, out: Path) -> None:
    """Train as in the tutorial and with Glorot's initialization; print the table, plot loss and accuracy."""
    runs = {}
    for name, most in (("standard normal", epochs), ("Glorot", min(100, epochs))):
        run = trainer(INITS[name], 0.01, backend)
        run.init(data.x.shape[1:])
        weights = run.snapshot()["params"]
        run.fit(data.x, data.y, epochs=most, batch_size=1, validation_data=(data.x_test, data.y_test), verbose=False)
        runs[name] = run.history
    normal, glorot = runs.values()
    there = {name: next((str(r["epoch"]) for r in h if r["accuracy"] >= 0.9), "not yet") for name, h in runs.items()}
    beside = pytorch(data, len(glorot), weights)
    theirs = [f"{beside[0]:.1%}", f"{beside[1]:.1%}", f"{beside[2]:.1f}"] if beside else ["-"] * 3
    title = "1024-16-16-10, sigmoid, squared error, one by one, lr 0.01"
    print(f"\n{title:66}{'tutorial':>9}{'here':>9}{'PyTorch':>9}")
    for what, tutorial, here, other in (
        ("standard normal: epoch at which 90 % of the training set is right", "140", there["standard normal"], "-"),
        (f"standard normal: accuracy in training at epoch {len(normal)}", "90 %", f"{normal[-1]['accuracy']:.1%}", "-"),
        ("standard normal: test files, last epoch", "-", f"{normal[-1]['val_accuracy']:.1%}", "-"),
        ("Glorot: epoch of 90 %", "-", there["Glorot"], "-"),
        (
            f"best accuracy in training (Glorot, epoch {len(glorot)})",
            "98.7 %",
            f"{max(glorot['accuracy']):.1%}",
            theirs[0],
        ),
        ("Glorot: test files, last epoch", "-", f"{glorot[-1]['val_accuracy']:.1%}", theirs[1]),
        ("Glorot: seconds", "-", f"{sum(glorot['seconds']):.1f}", theirs[2]),
    ):
        print(f"{what:66}{tutorial:>9}{here:>9}{other:>9}")
    plot.save(plot.curves(runs), out / "loss.png")


def at_the_start(init: str, x: np.ndarray, y: np.ndarray) -> dict[str, list[float]]:
    """Measure activations and gradients of the three layers before the first step, in float64.

    ``activations``: variance of a unit's output over the images, mean over the units; 0 if all images look the same.
    ``gradients``: variance of ∂loss/∂(sigmoid's input) over images and units; 0 if no gradient arrives.
    ``spread``: standard deviation of the sigmoid's input over the images, mean over the units.
    ``flat``: share of outputs outside 0.01 … 0.99, for which the sigmoid's slope y (1 - y) is below 0.01.
    ``apart``: variance between the units of a layer, mean over the images; 0 if they are copies of each other.
    """
    model = trainer(init, 0.0, "numpy")
    model.init(x.shape[1:])
    found = {name: [] for name in ("activations", "gradients", "spread", "flat", "apart")}
    caches, value = [], x.astype("float64")
    for layer, part in zip(model.net.layers, model.net.split(model.params), strict=True):
        before, part = value, {name: p.astype("float64") for name, p in part.items()}
        value, cache = layer.forward(part, before)
        caches.append((layer, part, cache))
        if isinstance(layer, pn.Sigmoid):
            found["activations"].append(float(value.var(axis=0).mean()))
            found["spread"].append(float(before.std(axis=0).mean()))
            found["flat"].append(float((abs(value - 0.5) > 0.49).mean()))
            found["apart"].append(float(value.var(axis=1).mean()))
    _, cache = model.loss.forward(value, y)
    dy = model.loss.backward(cache) * len(x)  # the loss is a mean over images; this is the gradient of each image
    for layer, part, cache in reversed(caches[1:]):  # without Flatten
        dy, _ = layer.backward(part, dy, cache)
        if isinstance(layer, pn.Sigmoid):
            found["gradients"].insert(0, float(dy.var()))
    return found


def explain(start: dict[str, dict[str, list[float]]], reached: dict[str, float]) -> None:
    """Print what the measurements before training predict, and whether the training confirms it."""
    stuck = [n for n, m in start.items() if m["gradients"][0] < FLOOR]
    flat, unweighted = ([n for n in stuck if (start[n]["flat"][0] > 0.99) == at_one] for at_one in (True, False))
    copies = [n for n, m in start.items() if max(m["apart"][:2]) < FLOOR]
    print(f"\n1. No gradient reaches the first layer of {', '.join(stuck)}. Its outputs are 1, where the sigmoid")
    print(f"   has no slope ({', '.join(flat)}), or the weights on the way back are 0 ({', '.join(unweighted)}).")
    print(f"2. The hidden units of {', '.join(copies)} put out the same: they are moved alike, and stay one unit.")
    pace = {n: m["gradients"][0] ** 0.5 / m["spread"][0] for n, m in start.items() if n not in stuck}
    order, chance = sorted(pace, key=pace.__getitem__), max(reached[n] for n in stuck)
    shown = order == sorted(pace, key=reached.__getitem__) and reached[order[0]] > 2 * chance
    print("3. The others should learn the sooner, the larger the first layer's gradient is beside what it has to move,")
    print("   the spread of the sigmoid's input over the images,", "and do:" if shown else "not borne out in this run:")
    for n in order:
        spread, beyond = start[n]["spread"][0], f"{start[n]['flat'][0]:4.0%} of its outputs at 0 or 1"
        quotient = f"{pace[n] * spread:.4f} / {spread:5.2f} = {pace[n]:.4f}"
        print(f"   {n:16}{quotient}; {beyond}; accuracy {reached[n]:.1%} at lr {RATES[0]}")
    print("   Without a gradient:", ", ".join(f"{n} {reached[n]:.1%}" for n in stuck))


def study(data: pn.data.Dataset, epochs: int, backend: str, out: Path) -> None:
    """Train six initializations at two learning rates, and plot their accuracy and initial variances."""
    start = {name: at_the_start(init, data.x, data.y) for name, init in INITS.items()}
    figure, ink, reached = canvas(11, 8.6), dict(zip(INITS, colours(len(INITS)), strict=True)), {}
    print(f"\n{f'accuracy, epoch {epochs}':20}" + "".join(f"{f'lr {lr}':>10}" for lr in RATES), end="")
    print("   variance at the start in layers 1, 2, 3: activations; gradients")
    panels = [figure.add_subplot(2, 2, i + 1) for i in range(len(RATES))]
    for name, init in INITS.items():
        print(f"{name:20}", end="", flush=True)
        for lr, axes in zip(RATES, panels, strict=True):
            run = trainer(init, lr, backend)
            rows = run.fit(data.x, data.y, epochs=epochs, batch_size=1, verbose=False)
            axes.plot(rows["epoch"], [100 * a for a in rows["accuracy"]], ".-", color=ink[name], linewidth=1.8)
            dress(axes, f"Accuracy, learning rate {lr}", "epoch", "training set (%)")
            axes.set(xlim=(0.5, epochs + 0.5), ylim=(0, 102))
            axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
            reached.setdefault(name, rows[-1]["accuracy"])  # with the first learning rate
            print(f"{rows[-1]['accuracy']:10.1%}", end="", flush=True)
        values = [start[name]["activations"], start[name]["gradients"]]
        print("  ", ";".join("".join(f"{v:9.1e}" if v > FLOOR else f"{0:9}" for v in three) for three in values))
    for i, (part, label) in enumerate((("activations", "over the images"), ("gradients", "over images and units"))):
        axes, lines = figure.add_subplot(2, 2, 3 + i), []
        for k, name in enumerate(INITS):
            places = [layer + 0.03 * (k - 2.5) for layer in (1, 2, 3)]  # shifted, since some points coincide
            values = [max(v, FLOOR) for v in start[name][part]]
            lines += axes.plot(places, values, "o-", color=ink[name], linewidth=1.8, markersize=6)
        dress(axes, f"Variance of the {part} at the start", "layer", label)
        axes.set(yscale="log", xticks=[1, 2, 3])
        axes.set_yticks([10.0**e for e in range(-16, 1, 4)], ["≤ 1e-16", "1e-12", "1e-8", "1e-4", "1"])
    legend(figure, lines, list(INITS), loc="outside lower center", ncols=6)
    plot.save(figure, out / "initializers.png")
    explain(start, reached)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("digits", nargs="?", default=Path(os.environ.get("PORTANET_DATA", ".")) / NEEDS_DATA[0])
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--epochs", type=int, default=140)
    parser.add_argument("--smoke", action="store_true", help="a few seconds instead of a full training")
    parser.add_argument("--out", type=Path, default=Path("plots/text_digits"))
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    data, step = pn.data.load(args.digits), 12 if args.smoke else 1  # the digits are in the order of their labels
    data = dataclasses.replace(data, x=data.x[::step], y=data.y[::step])
    converge(data, 3 if args.smoke else args.epochs, args.backend, args.out)
    study(data, 1 if args.smoke else 20, args.backend, args.out)
    print("pictures:", *sorted(map(str, args.out.glob("*.png"))))


if __name__ == "__main__":
    main()
