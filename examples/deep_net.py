"""Vanishing gradients: train networks of ten hidden layers on real digits and measure the gradient of each layer.

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
from portanet.plot.style import COLOURS, canvas, dress, legend
from portanet.verify.gradient_check import leaves

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

    Computed on the host in float64, whatever the backend of the trainer: layers run on every array library.
    """
    net, loss = trainer.net, trainer.loss
    params = {name: p.astype(np.float64) for name, p in trainer.snapshot()["params"].items()}
    prediction, cache = net.forward(params, x)
    _, loss_cache = loss.forward(prediction, y)
    _, grads = net.backward(params, loss.backward(loss_cache), cache, need_dx=False)
    norms = [np.linalg.norm(g) for name, g in grads.items() if name.endswith("weight")][::-1]  # last layer first
    inputs = [a for _, layer, _, a in leaves(net, params, x) if isinstance(layer, pn.Dense)]  # a[0] … a[L-1]
    return np.array(norms), np.array([a.var(axis=0).mean() for a in inputs[1:]])


def torch_norm(trainer: pn.Trainer, x: np.ndarray, y: np.ndarray) -> float | None:
    """Return ‖∂J/∂W[1]‖ from PyTorch's autograd at the trainer's weights; None if PyTorch is not installed."""
    try:
        import torch
    except ImportError:
        return None
    params = {n: torch.from_numpy(p).double().requires_grad_() for n, p in trainer.snapshot()["params"].items()}
    names = [name.removesuffix(".weight") for name in params if name.endswith(".weight")]
    g = torch.relu if isinstance(trainer.net.layers[1], pn.ReLU) else torch.sigmoid
    a = torch.from_numpy(x).double()
    for i, name in enumerate(names):
        z = a @ params[f"{name}.weight"] + params[f"{name}.bias"]
        a = g(z) if i < HIDDEN else z
    torch.nn.functional.cross_entropy(a, torch.from_numpy(y)).backward()
    return float(params[f"{names[0]}.weight"].grad.norm())


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
    trainers, measured, autograd = {}, {}, {}
    for name, recipe in RECIPES.items():
        trainer = pn.Trainer(network(*recipe), optimizer=pn.SGD(lr=LR), metrics=["accuracy"], backend=args.backend)
        trainer.init(x.shape[1:])
        before, beside = look_inside(trainer, x, data.y), [torch_norm(trainer, x, data.y)]
        trainer.fit(x, data.y, epochs=4 if args.smoke else 30, batch_size=32, validation_fraction=0.1, verbose=False)
        trainers[name], measured[name] = trainer, [before, look_inside(trainer, x, data.y)]
        autograd[name] = [*beside, torch_norm(trainer, x, data.y)]

    print(f"digits, {HIDDEN} hidden layers of {WIDTH}, SGD with lr {LR}, {trainer.epoch} epochs")
    heads = ("‖∂J/∂W[1]‖", "PyTorch", "‖∂J/∂W[L]‖", "var a[1]", f"var a[{HIDDEN}]", "accuracy")
    print(" " * 36 + "".join(f"{head:>12}" for head in heads))
    result = {}
    for name, trainer in trainers.items():
        result[name] = trainer.evaluate(x_test, data.y_test)["accuracy"]
        parts = zip(("at initialisation", "trained"), measured[name], autograd[name], strict=True)
        for when, (norms, variances), theirs in parts:
            last = f"{result[name]:.1%}" if when == "trained" else ""
            numbers = (norms[0], theirs, norms[-1], variances[0], variances[-1])
            cells = ["-" if number is None else f"{number:.1e}" for number in numbers]
            print(f"{f'{name}, {when}':36}" + "".join(f"{cell:>12}" for cell in (*cells, last)))
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
