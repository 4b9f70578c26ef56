"""Start a training from the weights of a trained network, whole or in part: transfer learning, fine-tuning."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from portanet.errors import DataError, ShapeError
from portanet.files import weights
from portanet.files.regular import own_file
from portanet.initializers import ShapesOnly
from portanet.training.model import Model
from portanet.typing import Shape

logger = logging.getLogger("portanet")

OF_A_RUN = "best.safetensors"


@dataclass(frozen=True)
class LoadedWeights:
    """What became of the arrays of a file and of a network.

    Attributes
    ----------
    taken : tuple of str
        Parameters and buffers that the network has from the file.
    left : tuple of str
        Those of the network that keep the values they had: the initial ones, before the first fit.
    unused : tuple of str
        Arrays of the file that the network has not taken.
    """

    taken: tuple[str, ...]
    left: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"took {len(self.taken)} of {len(self.taken) + len(self.left)} arrays: {_listed(self.taken)}"]
        parts += [f"left as they were: {_listed(self.left)}"] if self.left else []
        parts += [f"not used of the file: {_listed(self.unused)}"] if self.unused else []
        return "; ".join(parts)


def load_weights(model: Model, path: str | os.PathLike[str], *, strict: bool) -> LoadedWeights:
    """Give a network the parameters and buffers in a file; see :meth:`portanet.Trainer.load_weights`."""
    place = own_file(path, OF_A_RUN) if Path(path).is_dir() else Path(path)
    with weights.opened(place) as file:
        known = _input_shape(file)
        shape = model.input_shape or known
        try:
            wanted, out_shape = model.net.init(ShapesOnly(), shape)
        except ShapeError as error:
            message = f"{place}: samples of its shape {shape} do not fit this network ({error}); call init() before"
            raise ShapeError(message) from None
        own = {name: tuple(p.shape) for name, p in wanted.items()} | model.net.buffer_shapes(shape)
        taken = tuple(name for name in own if file.shapes.get(name) == own[name])
        left, unused = (tuple(n for n in names if own.get(n) != file.shapes.get(n)) for names in (own, file.shapes))
        if (strict and (left or unused)) or not taken:
            differ = [_difference(name, own.get(name), file.shapes.get(name)) for name in dict.fromkeys(left + unused)]
            fix = "strict=False takes the others" if taken else "no array fits by name and shape"
            message = f"{place}: it holds another network's arrays: {_listed(differ, '; ')}; {fix}"
            raise DataError(message)
        arrays = file.arrays(taken)
    if model.input_shape is None:
        model.init(shape)
    params, buffers = ({n: arrays.get(n, a) for n, a in had.items()} for had in model.snapshot().values())
    model.adopt(params, buffers, shape, out_shape)
    found = LoadedWeights(taken, left, unused)
    logger.info("%s: %s", place, found)
    return found


def _input_shape(file: weights.WeightsFile) -> Shape:
    shape = file.about.get("input_shape")
    if "training" in file.about or not isinstance(shape, list) or not all(isinstance(n, int) and n > 0 for n in shape):
        got = "the checkpoint of a training" if "training" in file.about else "one that was edited"
        message = f"{file.path}: expected the file of a saved network, got {got}; take one of trainer.save()"
        raise DataError(message)
    return tuple(shape)


def _difference(name: str, own: Shape | None, other: Shape | None) -> str:
    return f"{name}: expected {own or 'no such array'}, got {other or 'none'}"


def _listed(names: Sequence[str], between: str = ", ") -> str:
    """Return the names, the first 20 of a long list."""
    more = [f"… and {len(names) - 20} more"] if len(names) > 20 else []
    return between.join([*names[:20], *more])
