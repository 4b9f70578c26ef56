"""Handwritten digits as text, a 1024-16-16-10 network of sigmoids, one by one; and how its weights should begin.

usage: python examples/text_digits.py [DIGITS] [--backend auto] [--epochs 140] [--smoke] [--out plots/text_digits]

DIGITS is a folder or zip of trainingDigits/3_17.txt …, else digits.zip in the folder PORTANET_DATA. A full run takes
about seven minutes. A tutorial left open why networks that begin differently converge so differently: the second part
trains six beginnings, and measures at the start what each layer passes on, of the images forward, of the error back.
"""

from __future__ import annotations

import argparse
import os
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
FLOOR = 1e-16  # where the picture draws what is smaller, 0 among it


def trainer(init: str, lr: float, backend: str) -> pn.Trainer:
    net: list[pn.Layer] = [pn.Flatten()]
    for units in (16, 16, 10):
        net += [pn.Dense(units, weight_init=init), pn.Sigmoid()]
    return pn.Trainer(net, pn.SumSquaredError(), pn.SGD(lr=lr), metrics=["accuracy"], backend=backend, seed=0)


def converge(data: pn.data.Dataset, epochs: int, backend: str, out: Path) -> None:
    """Train as the tutorial did, and from Glorot's weights; print the table, draw loss and accuracy."""
    runs = {}
    for name, most in (("standard normal", epochs), ("Glorot", min(100, epochs))):
        run = trainer(INITS[name], 0.01, backend)
        test = None if data.x_test is None else (data.x_test, data.y_test)
        run.fit(data.x, data.y, epochs=most, batch_size=1, validation_data=test, verbose=False)
        runs[name] = run.history
    normal, glorot = runs.values()
    there = {name: next((str(r["epoch"]) for r in h if r["accuracy"] >= 0.9), "not yet") for name, h in runs.items()}
    print(f"\n{'1024-16-16-10, sigmoid, squared error, one by one, lr 0.01':62}{'tutorial':>10}{'here':>10}")
    for what, tutorial, here in (
        ("standard normal: epoch at which 90 % of the training set is right", "140", there["standard normal"]),
        (f"standard normal: accuracy in training at epoch {len(normal)}", "90 %", f"{normal[-1]['accuracy']:.1%}"),
        ("Glorot: epoch of 90 %", "-", there["Glorot"]),
        (f"best accuracy in training (Glorot, epoch {len(glorot)})", "98.7 %", f"{max(glorot['accuracy']):.1%}"),
        *((f"{n}: test files, last epoch", "-", f"{h[-1].get('val_accuracy', np.nan):.1%}") for n, h in runs.items()),
    ):
        print(f"{what:66}{tutorial:>8}{here:>9}")
    plot.save(plot.curves(runs), out / "loss.png")


def at_the_start(init: str, x: np.ndarray, y: np.ndarray) -> dict[str, list[float]]:
    """Measure by hand, in float64, what each of the three layers passes on before the first step.

    ``activations``: variance over the images of what a unit puts out, mean over the units: 0 if all images look alike.
    ``gradients``: variance of ∂loss/∂(sigmoid's input) over images and units: 0 if nothing arrives to learn from.
    ``apart``: variance between the units of a layer, mean over the images: 0 if they are copies of each other.
    """
    model = trainer(init, 0.0, "numpy")
    model.init(x.shape[1:])
    net, found = model.net, {"activations": [], "gradients": [], "apart": []}
    caches, value = [], x.astype("float64")
    for layer, part in zip(net.layers, net.split(model.params), strict=True):
        part = {name: p.astype("float64") for name, p in part.items()}
        value, cache = layer.forward(part, value)
        caches.append((layer, part, cache))
        if isinstance(layer, pn.Sigmoid):
            found["activations"].append(float(value.var(axis=0).mean()))
            found["apart"].append(float(value.var(axis=1).mean()))
    _, cache = model.loss.forward(value, y)
    dy = model.loss.backward(cache) * len(x)  # the loss is a mean over the images: this is each image's own gradient
    for layer, part, cache in reversed(caches[1:]):  # without Flatten
        dy, _ = layer.backward(part, dy, cache)
        if isinstance(layer, pn.Sigmoid):
            found["gradients"].insert(0, float(dy.var()))
    return found


def explain(start: dict[str, dict[str, list[float]]], reached: dict[str, float]) -> None:
    """Sort the beginnings by what was measured, and say it."""
    blind = [n for n, m in start.items() if m["activations"][1] < 1e-9 and m["activations"][0] < 1e-4]
    copies = [n for n in start if max(start[n]["apart"][:2]) < 1e-20]
    silent = [n for n in start if start[n]["gradients"][0] < 1e-12]
    good = [n for n in start if n not in {*blind, *copies, *silent}]
    print(f"\nNo image is told from another ({', '.join(blind)}): a hidden unit's output has a variance of less than")
    print("1e-9 over the images, because its input is the same for all (zeros), or so large that the sigmoid is at 1.")
    print(f"No gradient reaches the first layer ({', '.join(silent)}): sigmoid' = y (1 - y) is 0 where y is 1, or the")
    print(
        f"weights on its way are 0. Units that are copies of each other ({', '.join(copies)}) get the same gradient and"
    )
    print("stay copies: such a layer of 16 is a layer of 1.")
    if len(good) > 1:
        order = sorted(good, key=lambda n: start[n]["activations"][0], reverse=True)
        wide, narrow = order[0], order[1:]
        print(f"The others learn. The images vary most behind the first layer of {wide}:", end=" ")
        print(f"{start[wide]['activations'][0]:.3f}, of 0.25 at most, where a")
        print("sigmoid is only 0 or 1 and has no slope between:", end=" ")
        print(", ".join(f"{n} {start[n]['activations'][0]:.3f}" for n in narrow), "keep it where it bends.")
    lost = [reached[n] for n in reached if n not in good]
    print(f"After the study: accuracy {min(reached[n] for n in good):.1%} or more for {', '.join(good)};", end=" ")
    print(f"{max(lost):.1%} or less for the rest." if lost else "")


def study(data: pn.data.Dataset, epochs: int, backend: str, out: Path) -> None:
    """Train six beginnings at two learning rates, measure their start, draw both in one picture."""
    start = {name: at_the_start(init, data.x, data.y) for name, init in INITS.items()}
    figure = canvas(11, 8.6)
    ink = dict(zip(INITS, colours(len(INITS)), strict=True))
    reached = dict.fromkeys(INITS, 0.0)
    print(f"\n{f'accuracy in training, epoch {epochs}':34}" + "".join(f"{f'lr {lr}':>10}" for lr in RATES), end="")
    print("   variance at the start, layer by layer: of activations          of gradients")
    lines, panels = {}, [figure.add_subplot(2, 2, i + 1) for i in range(len(RATES))]
    for name, init in INITS.items():
        print(f"{name:34}", end="", flush=True)
        for lr, axes in zip(RATES, panels, strict=True):
            run = trainer(init, lr, backend)
            rows = run.fit(data.x, data.y, epochs=epochs, batch_size=1, verbose=False)
            axes.plot(rows["epoch"], [100 * a for a in rows["accuracy"]], ".-", color=ink[name], linewidth=1.8)
            dress(axes, f"Accuracy, learning rate {lr}", "epoch", "training set (%)")
            axes.set_ylim(0, 102)
            reached[name] = max(reached[name], rows[-1]["accuracy"])
            print(f"{rows[-1]['accuracy']:10.1%}", end="", flush=True)
        print("   ", *(f"{v:9.1e}" for part in ("activations", "gradients") for v in start[name][part]))
    for i, (part, label) in enumerate((("activations", "over the images"), ("gradients", "over images and units"))):
        axes = figure.add_subplot(2, 2, 3 + i)
        for k, name in enumerate(INITS):
            places = [layer + 0.03 * (k - 2.5) for layer in (1, 2, 3)]  # side by side: some lie on each other
            values = [max(v, FLOOR) for v in start[name][part]]
            lines[name] = axes.plot(places, values, "o-", color=ink[name], linewidth=1.8, markersize=6)[0]
        dress(axes, f"Variance of the {part} at the start", "layer", label)
        axes.set_yscale("log")
        axes.set_xticks([1, 2, 3])
        axes.set_yticks([10.0**e for e in range(-16, 1, 4)], ["0 or less\nthan 1e-16", "1e-12", "1e-8", "1e-4", "1"])
    legend(figure, list(lines.values()), list(lines), loc="outside lower center", ncols=6)
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
    data = pn.data.load(args.digits)
    part = slice(None, None, 12) if args.smoke else slice(None)  # the digits are in the order of their labels
    data = pn.data.Dataset(data.name, data.x[part], data.y[part], data.x_test, data.y_test, data.classes)
    converge(data, 3 if args.smoke else args.epochs, args.backend, args.out)
    study(data, 1 if args.smoke else 20, args.backend, args.out)
    print("pictures:", *sorted(str(path) for path in args.out.glob("*.png")))


if __name__ == "__main__":
    main()
