"""Train a network on real handwritten digits, save it, and load it on the CPU (the example of docs/python.md).

usage: python examples/quickstart.py [--backend auto] [--smoke]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import portanet as pn


def main(argv: Sequence[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--smoke", action="store_true", help="a few seconds instead of a full training")
    args = parser.parse_args(argv)

    data = pn.data.load("digits")  # 8×8 images of real handwriting, from scikit-learn
    net = pn.Sequential(
        [
            pn.Rescale.of(data.x),  # part of the network: saved with it
            pn.Flatten(),
            pn.Dense(64, weight_init="he_normal"),
            pn.ReLU(),
            pn.Dropout(0.2),
            pn.Dense(10),
        ]
    )
    trainer = pn.Trainer(
        net, pn.SoftmaxCrossEntropy(), pn.AdamW(lr=0.003), metrics=["accuracy"], backend=args.backend, seed=0
    )
    trainer.fit(
        data.x,
        data.y,
        epochs=5 if args.smoke else 30,
        batch_size=32,
        validation_fraction=0.1,
        callbacks=[pn.EarlyStopping("val_loss", patience=8)],
    )
    result = trainer.evaluate(data.x_test, data.y_test)
    print(f"test: loss {result['loss']:.4f}, accuracy {result['accuracy']:.4f}")

    with tempfile.TemporaryDirectory() as folder:
        trainer.save(Path(folder) / "digits.safetensors")
        loaded = pn.load(Path(folder) / "digits.safetensors", backend="numpy")  # on whatever device it was trained
        print("first five, loaded again:", loaded.predict_classes(data.x_test[:5]), "labels:", data.y_test[:5])
    return result["accuracy"]


if __name__ == "__main__":
    main()
