"""Train the small network of handwritten digits that ``portanet play`` ships, and write it with its accuracy.

usage: python -m tests.play.make_digits [--epochs 6] [--backend auto] [--out portanet/play/digits.npz]

MNIST is read from the folder PORTANET_DATA, or downloaded. The weights are rounded to float16, which halves the file;
the accuracy that is printed, and is written into the file, is that of the rounded weights.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import portanet as pn
from portanet.play import shipped

OUT = Path(__file__).parents[2] / "portanet" / "play" / "digits.npz"


def network() -> list[pn.Layer]:
    """Two convolutions and a hidden layer: 14,410 parameters."""
    net: list[pn.Layer] = [pn.Reshape((28, 28, 1)), pn.Rescale(1 / 255), pn.Augment(shift=2, rotate=12)]
    net += [pn.Conv2D(8, 3), pn.ReLU(), pn.MaxPool2D(2), pn.Conv2D(16, 3), pn.ReLU(), pn.MaxPool2D(2)]
    return [*net, pn.Flatten(), pn.Dense(32), pn.ReLU(), pn.Dense(10)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    data = pn.data.load("mnist")
    trainer = pn.Trainer(
        network(),
        pn.SoftmaxCrossEntropy(),
        pn.AdamW(lr=0.004),
        ["accuracy"],
        backend=args.backend,
        schedule="one-cycle",
        seed=0,
        classes=[str(i) for i in range(10)],
    )
    trainer.fit(data.x, data.y, epochs=args.epochs, batch_size=128, validation_data=(data.x_test, data.y_test))
    shipped.save(trainer, args.out, data.x_test, data.y_test)
    again, accuracy = shipped.load(args.out)
    found = float(np.mean(again.predict_classes(data.x_test) == data.y_test))
    size = sum(p.size for p in again.params.values())
    print(f"{args.out}: {args.out.stat().st_size:,} bytes, {size:,} parameters, test accuracy {found:.2%}")
    assert abs(found - accuracy) < 1e-6


if __name__ == "__main__":
    main()
