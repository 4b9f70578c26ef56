"""Networks in files: safetensors, with the description of the network as JSON in its metadata. Never pickle.

What is saved are host arrays, so that a network trained on any backend is loaded on any other. The preprocessing
(Rescale, Standardize) is part of the network and travels with it.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from portanet import backends, losses, optimizers
from portanet.errors import ConfigError, DataError, ModelFileError
from portanet.files import weights as weights_file
from portanet.files.atomic import write
from portanet.initializers import ShapesOnly
from portanet.layers import Layer
from portanet.layers.config import from_config
from portanet.typing import Shape

if TYPE_CHECKING:
    from portanet.training.trainer import Trainer

__all__ = ["load", "save"]


def describe(model: Any) -> dict[str, Any]:
    """Return all but the arrays of a trained network as plain values."""
    optimizer = getattr(model, "optimizer", None)
    return {
        "format": weights_file.FORMAT,
        "net": model.net.config(),
        "loss": _named(model.loss, losses.LOSSES),
        "optimizer": None if optimizer is None else _named(optimizer, optimizers.OPTIMIZERS),
        "metrics": [metric.name for metric in model.metrics],
        "dtype": model.dtype,
        "seed": model.seed,
        "l1": model.l1,
        "l2": model.l2,
        "penalty_per_sample": model.penalty_per_sample,
        "input_shape": list(model.input_shape or ()),
        "outputs": model.outputs,
        # Names of another number than there are outputs name none of them (a regression on class indices, say).
        "classes": list(model.classes) if _named_right(model.classes, model.outputs) else [],
        "buffers": sorted(model.buffers),
        "epoch": getattr(model, "epoch", 0),
    }


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write the network, its parameters and its preprocessing to `path`, in one piece or not at all.

    Raises
    ------
    ConfigError
        If the network has no weights yet, or holds something that no file can describe (a function as initializer).
    DataError
        If the file cannot be written.
    """
    from safetensors.numpy import save as to_bytes

    model.check_weights("save")
    arrays = model.snapshot()
    try:
        text = json.dumps(describe(model), default=_plain)
    except TypeError as error:
        message = f"save: the network holds something that a file cannot describe ({error}); "
        raise ConfigError(message + "name initializers by strings") from None
    write(path, to_bytes({**arrays["params"], **arrays["buffers"]}, metadata={"portanet": text}))


def load(
    path: str | os.PathLike[str],
    *,
    backend: str | backends.Backend = "numpy",
    custom: Mapping[str, Any] | None = None,
) -> Trainer:
    """Return the network in `path`, ready to predict, to be evaluated and to be trained further.

    Parameters
    ----------
    path : str or path
        A file of :func:`save`.
    backend : str or Backend
        Where it shall run, whatever it was trained on.
    custom : dict, optional
        Layers and metrics of one's own by their names: nothing is ever imported or run from the file.

    Raises
    ------
    DataError
        If the file is missing, no safetensors file of portanet's, or holds other arrays than its description says.
    ModelFileError
        If it needs a layer, an activation or a metric that is not known here, or sets one to what cannot be.
    """
    from portanet.training.trainer import Trainer

    custom = custom or {}
    runs_on = backends.get(backend)
    with weights_file.opened(path) as file:
        about = file.about
        try:
            # As a list of one layer, so that a network that is no Sequential comes back as what it was.
            net = from_config([about["net"]], custom).layers[0]
            trainer = Trainer(
                net,
                losses.LOSSES[about["loss"]["name"]](**about["loss"]["options"]),
                _optimizer(about["optimizer"]),
                [custom.get(name, name) for name in about["metrics"]],
                backend=runs_on,
                dtype=about["dtype"],
                seed=about["seed"],
                l1=about["l1"],
                l2=about["l2"],
                penalty_per_sample=about.get("penalty_per_sample", False),  # files of 0.1.0 lack it
                classes=_names(about["classes"]),
            )
            input_shape = tuple(_whole(n, 1) for n in about["input_shape"])
            epoch = _whole(about["epoch"], 0)
            buffers = _names(about["buffers"])
            out_shape = check_shapes(net, dict(file.shapes), buffers, input_shape)
            if not _named_right(trainer.classes, out_shape[-1]):
                message = f"expected names of classes for {out_shape[-1]} outputs, got {len(trainer.classes)}"
                raise DataError(message)
            # Now that all sizes are known to be those of the network, the arrays may take memory.
            arrays = file.arrays()
            trainer.adopt(arrays, {name: arrays.pop(name) for name in buffers}, input_shape, out_shape)
        except ConfigError as error:
            message = f"{path}: {error}"
            raise ModelFileError(message) from None
        except DataError as error:
            message = str(error) if str(error).startswith(f"{path}: ") else f"{path}: {error}; the file was edited"
            raise DataError(message) from None
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            message = f"{path}: its description is incomplete or of another kind ({error!r:.200}); "
            raise DataError(message + "save it anew with this version") from None
    trainer.epoch = epoch
    return trainer


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arrays in a file by their names, and its description. Raises DataError like :func:`load`."""
    with weights_file.opened(path) as file:
        return file.arrays(), file.about


def check_shapes(net: Layer, shapes: dict[str, Shape], buffers: Sequence[str], input_shape: Shape) -> Shape:
    """Return the shape of the outputs of one sample, if the arrays are those that the network needs.

    Nothing is allocated: the sizes in the description are as little to be trusted as those in the header.
    """
    wanted, out_shape = net.init(ShapesOnly(), input_shape)
    kept = {name: shapes.pop(name) for name in buffers if name in shapes}
    _compare({name: tuple(p.shape) for name, p in wanted.items()}, shapes)
    _compare(net.buffer_shapes(input_shape), kept)  # behind the parameters, which bound the buffers' sizes
    return out_shape


def _compare(wanted: Mapping[str, Shape], got: Mapping[str, Shape]) -> None:
    for name in sorted({*wanted, *got}):
        if wanted.get(name) != got.get(name):
            expected = f"shape {wanted[name]}" if name in wanted else "no such array"
            message = f"array {name!r}: expected {expected}, got {got.get(name, 'none')!s:.60}"
            raise DataError(message)


def _named_right(classes: Sequence[str], outputs: int) -> bool:
    return len(classes) in {0, outputs, max(outputs, 2)}


def _whole(value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        message = f"expected a whole number of {least} or more, got {value!r:.60}"
        raise ValueError(message)
    return value


def _names(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value) or len(set(value)) < len(value):
        message = f"expected a list of different names, got {value!r:.60}"
        raise ValueError(message)
    return value


def _plain(number: Any) -> Any:
    """Return a number of an array library, as options may be, as a plain one."""
    if hasattr(number, "item") and getattr(number, "shape", None) == ():
        return number.item()
    message = f"{type(number).__name__} {number!r}"
    raise TypeError(message)


def _named(thing: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return a loss or an optimizer as its registered name and its options."""
    for name, kind in known.items():
        if type(thing) is kind:
            return {"name": name, "options": dataclasses.asdict(thing)}
    message = (
        f"save: {type(thing).__name__} is not one of the library's own ({', '.join(known)}), so a file cannot name it"
    )
    raise ConfigError(message)


def _optimizer(about: dict[str, Any] | None) -> optimizers.Optimizer:
    return optimizers.get(about["name"], **about["options"]) if about else optimizers.SGD()
