"""How far exported networks are from portanet's own: the largest difference of a probability on MNIST's test set.

usage: python -m tests.benchmarks.interchange [--steps 300]

An MLP (784-500-150-10, one epoch) and the network of ``--model cnn`` (so many steps), trained on MNIST, predict its
10,000 test images here, by onnxruntime, by torch (``torch.nn.Sequential`` and ``load_state_dict``), and by the
stand-alone script in a process of its own. The last line of each is of the weights back from torch's file.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from safetensors.torch import load_file

import portanet as pn
from portanet import export
from portanet.data import Dataset

CHUNK = 500  # samples at a time: a convolution's windows of all 10,000 do not fit everywhere


def trained(data: Dataset, model: str, samples: int) -> pn.Trainer:
    """Return the network that ``portanet train mnist --model …`` builds, trained for one epoch of so many samples."""

    def dense(*sizes: int) -> list[pn.Layer]:
        hidden = [layer for size in sizes for layer in (pn.Dense(size, weight_init="he_normal"), pn.ReLU())]
        return [pn.Flatten(), *hidden, pn.Dense(10)]

    images: list[pn.Layer] = [pn.Reshape((28, 28, 1)), pn.Conv2D(32), pn.ReLU(), pn.Conv2D(64), pn.ReLU()]
    body = dense(500, 150) if model == "mlp" else [*images, pn.MaxPool2D(2), pn.Dropout(0.25), *dense(128)]
    net = pn.Sequential([pn.Rescale.of(data.x), *body])
    trainer = pn.Trainer(net, optimizer=pn.Adam(), metrics=["accuracy"], backend="numpy", classes=data.classes)
    trainer.fit(data.x[:samples], data.y[:samples], epochs=1, batch_size=128)
    return trainer


def by_onnx(trainer: pn.Trainer, folder: Path, x: Any) -> Any:
    export.to_onnx(trainer, folder / "model.onnx")
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    return in_parts(lambda part: session.run(None, {"input": part.astype("float32")})[0], x)


def by_torch(trainer: pn.Trainer, folder: Path, x: Any) -> Any:
    export.to_torch(trainer, folder / "model.safetensors")
    space: dict[str, Any] = {}
    exec(export.torch_code(trainer), space)  # the code that `portanet info` prints
    net = space["net"].eval()
    net.load_state_dict(load_file(folder / "model.safetensors"))
    with torch.no_grad():
        return in_parts(lambda part: torch.softmax(net(torch.from_numpy(part).float()), 1).numpy(), x)


def by_script(trainer: pn.Trainer, folder: Path, x: Any) -> Any:
    export.to_numpy_script(trainer, folder / "model.py")
    np.save(folder / "x.npy", x)
    words = [sys.executable, "-I", "model.py", "x.npy", "y.npy"]
    subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return np.load(folder / "y.npy")


def back_again(trainer: pn.Trainer, folder: Path, x: Any) -> Any:
    other = pn.Trainer(trainer.net, trainer.loss, backend="numpy", seed=1)
    other.init(trainer.input_shape)
    export.load_state_dict(other, folder / "model.safetensors")
    return other.predict(x)


def in_parts(predict: Callable[[Any], Any], x: Any) -> Any:
    return np.concatenate([predict(x[i : i + CHUNK]) for i in range(0, len(x), CHUNK)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300, help="of the convolutional network, 128 images each")
    args = parser.parse_args()
    data = pn.data.load("mnist")
    for model, samples in (("mlp", len(data.x)), ("cnn", 128 * args.steps)):
        trainer = trained(data, model, samples)
        ours = trainer.predict(data.x_test)
        accuracy = float((ours.argmax(1) == data.y_test).mean())
        print(f"{model}: {accuracy:.2%} of {len(ours)} test images; largest difference of a probability")
        with tempfile.TemporaryDirectory() as name:
            ways = {"onnxruntime": by_onnx, "torch": by_torch, "script": by_script, "back": back_again}
            for way, predict in ways.items():
                print(f"  {way:12} {abs(predict(trainer, Path(name), data.x_test) - ours).max():.1e}", flush=True)


if __name__ == "__main__":
    main()
