"""Seconds per epoch of 784-500-150-10 on MNIST (ReLU, softmax, batch 128, SGD) beside a plain PyTorch loop.

usage: env -u OPENBLAS_CORETYPE python -m tests.benchmarks.mnist_epoch [--rounds 5] [--backends numpy,torch,jax]

All take turns (A B C A B C …) on the same data in one process; the ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch

import portanet as pn
from portanet.backends.diagnosis import blas
from tests.benchmarks.turns import Turns

BATCH = 128


def ours(backend: str, data: pn.data.Dataset) -> Callable[[], None]:
    net = [pn.Rescale(1 / 255), pn.Flatten()]
    net += [pn.Dense(500, weight_init="he_normal"), pn.ReLU(), pn.Dense(150, weight_init="he_normal"), pn.ReLU()]
    trainer = pn.Trainer([*net, pn.Dense(10)], optimizer=pn.SGD(lr=0.1), metrics=["accuracy"], backend=backend)

    def epoch() -> None:
        trainer.fit(data.x, data.y, epochs=1, batch_size=BATCH, verbose=False)

    return epoch


def theirs(data: pn.data.Dataset) -> Callable[[], None]:
    nn = torch.nn
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 500), nn.ReLU(), nn.Linear(500, 150), nn.ReLU(), nn.Linear(150, 10)
    )
    optimizer, criterion = torch.optim.SGD(net.parameters(), lr=0.1), nn.CrossEntropyLoss()
    x, y = torch.from_numpy(data.x.astype("float32") / 255), torch.from_numpy(data.y)

    def epoch() -> None:
        order = torch.randperm(len(x))
        total, hits = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        for start in range(0, len(x), BATCH):
            rows = order[start : start + BATCH]
            output = net(x[rows])
            loss = criterion(output, y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(rows)
            hits += (output.detach().argmax(1) == y[rows]).sum()
        float(total), int(hits)

    return epoch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--backends", default="numpy,torch,jax")
    args = parser.parse_args()
    data = pn.data.load("mnist")
    runs = {f"portanet on {name}": ours(name, data) for name in args.backends.split(",")}
    runs["PyTorch by itself"] = theirs(data)
    turns = Turns(runs, args.rounds)
    print(blas.describe(), f"torch threads {torch.get_num_threads()}")
    for name in runs:
        share = turns.ratio(name, "PyTorch by itself")
        print(f"{name:20} {turns.median(name):6.2f} s an epoch   {share:5.2f} of PyTorch")


if __name__ == "__main__":
    main()
