"""An epoch of networks and tables of odd shapes, beside torch: long, wide, deep, many classes, many words.

usage: env -u OPENBLAS_CORETYPE python -m tests.benchmarks.shapes [--rounds 7] [--only deep]

Each library trains the same network by SGD on the same data in batches of 128, shuffled, in turns; ratios are medians
over the rounds.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

import portanet as pn
from portanet.backends import keep_memory
from tests.benchmarks.turns import Turns

BATCH = 128


@dataclass(frozen=True)
class Shape:
    """A network of dense layers with ReLU, and the number of its samples; `words` and `units` of an embedding."""

    samples: int
    sizes: tuple[int, ...]
    words: int = 0
    units: int = 0


SHAPES = {
    "long": Shape(400_000, (20, 64, 2)),
    "wide": Shape(2_000, (20_000, 100, 2)),
    "deep": Shape(5_000, (64, *[64] * 50, 10)),
    "classes": Shape(5_000, (64, 256, 5_000)),
    "words": Shape(5_000, (8 * 32, 2), words=20_000, units=32),
}


def data(shape: Shape) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, shape.sizes[-1], shape.samples)
    if shape.words:
        ids = shape.sizes[0] // shape.units
        return rng.integers(0, shape.words, (shape.samples, ids)).astype("float32"), y
    return rng.standard_normal((shape.samples, shape.sizes[0]), "float32"), y


def here(shape: Shape, x: Any, y: Any) -> Callable[[], object]:
    *hidden, last = shape.sizes[1:]
    front = [pn.Embedding(shape.words, shape.units), pn.Flatten()] if shape.words else []
    net = [*front, *(layer for units in hidden for layer in (pn.Dense(units), pn.ReLU())), pn.Dense(last)]
    trainer = pn.Trainer(net, optimizer=pn.SGD(lr=0.01), backend="numpy")
    return lambda: trainer.fit(x, y, epochs=1, batch_size=BATCH, verbose=False)


def there(shape: Shape, x: Any, y: Any) -> Callable[[], object]:
    nn = torch.nn
    layers: list[Any] = [nn.Embedding(shape.words, shape.units), nn.Flatten()] if shape.words else []
    for inputs, units in itertools.pairwise(shape.sizes):
        layers += [nn.Linear(inputs, units), nn.ReLU()]
    net = nn.Sequential(*layers[:-1])
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    tx, ty = torch.from_numpy(x), torch.from_numpy(y)
    tx = tx.long() if shape.words else tx

    def epoch() -> None:
        for rows in torch.randperm(len(tx)).split(BATCH):
            loss = nn.functional.cross_entropy(net(tx[rows]), ty[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return epoch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=list(SHAPES))
    args = parser.parse_args()
    keep_memory()
    for name, shape in SHAPES.items():
        if args.only in (None, name):
            x, y = data(shape)
            turns = Turns({"portanet": here(shape, x, y), "torch": there(shape, x, y)}, args.rounds)
            ours, theirs = (1e3 * turns.median(which) for which in ("portanet", "torch"))
            print(f"{name:8} {ours:8.1f} ms, torch {theirs:8.1f} ms, {turns.ratio('portanet', 'torch'):5.2f} of torch")


if __name__ == "__main__":
    main()
