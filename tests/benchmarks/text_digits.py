"""The 32×32 text digits, 1024-16-16-10, sigmoid, squared error, one by one, lr 0.01: the course of two initializers.

usage: python -m tests.benchmarks.text_digits PATH [--epochs 140]     PATH: a folder or zip of trainingDigits/3_17.txt …
"""

from __future__ import annotations

import argparse

import portanet as pn


class EveryTenth(pn.Callback):
    """Prints a line every ten epochs."""

    def on_epoch_end(self, trainer: pn.Trainer, row: dict[str, float]) -> None:
        if row["epoch"] % 10 == 0:
            print(f"{row['epoch']:5}  loss {row['loss']:.4f}  training set {row['accuracy']:.4f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("--epochs", type=int, default=140)
    args = parser.parse_args()
    data = pn.data.load(args.path)
    for init, epochs in (("normal", args.epochs), ("glorot_normal", min(100, args.epochs))):
        print(f"weights by {init}, biases 0")
        net: list[pn.Layer] = [pn.Flatten()]
        for units in (16, 16, 10):
            net += [pn.Dense(units, weight_init=init), pn.Sigmoid()]
        trainer = pn.Trainer(net, pn.SumSquaredError(), pn.SGD(lr=0.01), metrics=["accuracy"], backend="numpy")
        trainer.fit(data.x, data.y, epochs=epochs, batch_size=1, callbacks=[EveryTenth()], verbose=False)
        for part, x, y in (("training", data.x, data.y), ("test", data.x_test, data.y_test)):
            print(f"{part} files: accuracy {trainer.evaluate(x, y)['accuracy']:.4f}")


if __name__ == "__main__":
    main()
