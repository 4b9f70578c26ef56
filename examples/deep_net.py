"""How deep is too deep for a sigmoid: ten hidden layers on real digits, and the gradient that reaches each of them.

In L-layer notation, for l = 1 … L:  z[l] = a[l-1] W[l] + b[l],  a[l] = g(z[l]),  a[0] = x,  and backwards
δ[L] = ∂J/∂z[L],  δ[l] = (δ[l+1] W[l+1]ᵀ) g'(z[l]),  ∂J/∂W[l] = a[l-1]ᵀ δ[l].  So δ[1] holds L - 1 factors g'.

usage: python examples/deep_net.py [--backend auto] [--smoke] [--out plots/deep_net]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import portanet as pn
from portanet import plot
from portanet.gradient_check import leaves
from portanet.plot.style import COLOURS, canvas, dress, legend

HIDDEN, WIDTH, LR = 10, 64, 0.02
RECIPES = {
    "ReLU, He": ("relu", "he_normal"),
    "sigmoid, Glorot": ("sigmoid", "glorot_normal"),
    "sigmoid, N(0, 1)": ("sigmoid", "normal:1"),
}


def network(activation: str, init: str) -> pn.Sequential:
    hidden = [{"output_dim": WIDTH, "activation": activation, "init": init} for _ in range(HIDDEN)]
    return pn.Sequential.from_config([*hidden, {"output_dim": 10, "init": init}])


def look_inside(trainer: pn.Trainer, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ‖∂J/∂W[l]‖ for l = 1 … L, and the variance of a[l] over the samples, mean over units, for l = 1 … L-1.

    On the host and in float64, wherever it was trained: the layers' lines are the same for every array library.
    """
    net, loss = trainer.net, trainer.loss
    params = {name: p.astype(np.float64) for name, p in trainer.snapshot()["params"].items()}
    prediction, cache = net.forward(params, x)
    _, loss_cache = loss.forward(prediction, y)
    _, grads = net.backward(params, loss.backward(loss_cache), cache, need_dx=False)
    norms = [np.linalg.norm(g) for name, g in grads.items() if name.endswith("weight")][::-1]  # found from the last on
    inputs = [a for _, layer, _, a in leaves(net, params, x) if isinstance(layer, pn.Dense)]  # a[0] … a[L-1]
    return np.array(norms), np.array([a.var(axis=0).mean() for a in inputs[1:]])


def draw_layers(measured: dict[str, list[tuple[np.ndarray, np.ndarray]]]) -> Any:
    figure = canvas(12, 5)
    titles = ("Gradient of each layer's weights", "Activations of each hidden layer")
    units = ("norm of ∂J/∂W[l] (log)", "variance of a[l] over the samples (log)")
    for i, (ax, title, unit) in enumerate(zip(figure.subplots(1, 2), titles, units, strict=True)):
        lines = []
        for found, colour in zip(measured.values(), COLOURS, strict=False):
            for values, style in zip(found, ("o-", "s--"), strict=True):
                across = np.arange(1, len(values[i]) + 1)
                lines += ax.plot(across, values[i], style, color=colour, linewidth=1.8, markersize=5)
        dress(ax, title, "layer l", unit)
        ax.set_yscale("log")
        ax.set_xticks(range(1, HIDDEN + 2 - i))
    names = [f"{name}, {when}" for name in measured for when in ("at initialisation", "trained")]
    legend(figure, lines, names, loc="outside lower center", ncols=3, handlelength=3.5)
    return figure


def main(argv: Sequence[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--smoke", action="store_true", help="a few epochs instead of 30")
    parser.add_argument("--out", type=Path, default=Path("plots/deep_net"))
    args = parser.parse_args(argv)

    data = pn.data.load("digits").flat()
    mean, std = data.x.mean(), data.x.std()
    x, x_test = (data.x - mean) / std, (data.x_test - mean) / std
    trainers, measured = {}, {}
    for name, recipe in RECIPES.items():
        trainer = pn.Trainer(network(*recipe), optimizer=pn.SGD(lr=LR), metrics=["accuracy"], backend=args.backend)
        trainer.init(x.shape[1:])
        before = look_inside(trainer, x, data.y)
        trainer.fit(x, data.y, epochs=4 if args.smoke else 30, batch_size=32, validation_fraction=0.1, verbose=False)
        trainers[name], measured[name] = trainer, [before, look_inside(trainer, x, data.y)]

    print(f"digits, {HIDDEN} hidden layers of {WIDTH}, SGD with lr {LR}, {trainer.epoch} epochs")
    print(f"{'':36}{'‖∂J/∂W[1]‖':>12}{'‖∂J/∂W[L]‖':>12}{'var a[1]':>10}{f'var a[{HIDDEN}]':>10}{'accuracy':>10}")
    result = {}
    for name, trainer in trainers.items():
        result[name] = trainer.evaluate(x_test, data.y_test)["accuracy"]
        for when, (norms, variances) in zip(("at initialisation", "trained"), measured[name], strict=True):
            last = f"{result[name]:.1%}" if when == "trained" else ""
            print(
                f"{f'{name}, {when}':36}{norms[0]:12.1e}{norms[-1]:12.1e}"
                f"{variances[0]:10.1e}{variances[-1]:10.1e}{last:>10}"
            )
    shrinks = {name: (found[0][0][-2] / found[0][0][0]) ** (1 / (HIDDEN - 1)) for name, found in measured.items()}
    print(
        f"At first the gradient shrinks by {shrinks['sigmoid, Glorot']:.1f} per layer with sigmoid and Glorot: "
        f"σ' ≤ 1/4, and weights that keep\nthe signal's size do not make up for it, so layer 1 never learns. With ReLU "
        f"and He (g' is 1 where a unit is on) it is {shrinks['ReLU, He']:.1f}.\n"
        f"N(0, 1) weights are {WIDTH**0.5:.0f} times Glorot's and make up for most of it "
        f"({shrinks['sigmoid, N(0, 1)']:.1f} per layer), but saturate the units: it learns, slowly."
    )

    args.out.mkdir(parents=True, exist_ok=True)
    plot.save(draw_layers(measured), args.out / "layers.png")
    plot.save(plot.curves({name: trainer.history for name, trainer in trainers.items()}), args.out / "training.png")
    return result["ReLU, He"]


if __name__ == "__main__":
    main()
