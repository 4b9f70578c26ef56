"""The small network of handwritten digits that is installed with the library: plain arrays of float16 in an npz file.

It is made by ``python -m tests.play.make_digits``. An npz file, unlike safetensors, can also be read in a browser,
where Python runs without compiled packages.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from portanet.layers.config import layers_from

if TYPE_CHECKING:
    from portanet.training.trainer import Trainer

__all__ = ["DIGITS", "load", "save"]

DIGITS = Path(__file__).parent / "digits.npz"
"""The file that is installed."""


def load(path: str | os.PathLike[str] = DIGITS) -> tuple[Trainer, float]:
    """Return the network in `path` on NumPy, and its accuracy on MNIST's 10,000 test images, from 0 to 1.

    Parameters
    ----------
    path : str or path
        A file of :func:`save`.
    """
    from portanet.training.trainer import Trainer

    with np.load(path, allow_pickle=False) as file:
        about = json.loads(str(file["about"]))
        params = {name: file[name].astype(np.float32) for name in about["params"]}
    trainer = Trainer(
        layers_from([about["net"]])[0], backend="numpy", metrics=["accuracy"], classes=tuple(about["classes"])
    )
    trainer.init(tuple(about["input_shape"]))
    shape = (*trainer.places, trainer.outputs)
    trainer.adopt(params, {}, tuple(about["input_shape"]), shape)
    return trainer, float(about["accuracy"])


def save(trainer: Trainer, path: str | os.PathLike[str], x: Any, y: Any) -> None:
    """Write the network to `path` with its weights rounded to float16, and its accuracy on `x` and `y` after that."""
    rounded = {name: p.astype(np.float16) for name, p in trainer.snapshot()["params"].items()}
    trainer.restore({"params": {name: p.astype(np.float32) for name, p in rounded.items()}, "buffers": {}})
    about = {
        "net": trainer.net.config(),
        "classes": list(trainer.classes),
        "input_shape": trainer.input_shape,
        "accuracy": round(trainer.evaluate(x, y)["accuracy"], 6),
        "params": list(rounded),
    }
    np.savez_compressed(path, about=np.array(json.dumps(about)), **rounded)
