"""Networks in files: safetensors, with the description of the network as JSON in its metadata. Never pickle.

What is saved are host arrays, so that a network trained on any backend is loaded on any other. The preprocessing
(Rescale, Standardize) is part of the network and travels with it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portanet import backends, losses, optimizers
from portanet.errors import ConfigError, DataError
from portanet.layers import Layer
from portanet.layers.config import from_config
from portanet.random import generator

if TYPE_CHECKING:
    from portanet.model import Model
    from portanet.trainer import Trainer

__all__ = ["load", "save"]

FORMAT = 1


def describe(model: Model) -> dict[str, Any]:
    """Return all but the arrays of a trained network as plain values."""
    optimizer = getattr(model, "optimizer", None)
    return {
        "format": FORMAT,
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
        "classes": list(model.classes),
        "buffers": sorted(model.buffers),
        "epoch": getattr(model, "epoch", 0),
    }


def save(model: Model, path: str | os.PathLike[str]) -> None:
    """Write the network, its parameters and its preprocessing to `path`, in one piece or not at all.

    Raises
    ------
    ConfigError
        If the network has no weights yet, or holds something that no file can describe (a function as initializer).
    DataError
        If the file cannot be written.
    """
    from safetensors.numpy import save as to_bytes

    model._check_weights("save")
    arrays = model.snapshot()
    try:
        text = json.dumps(describe(model), default=_plain)
    except TypeError as error:
        message = (
            f"save: the network holds something that a file cannot describe ({error}); name initializers by strings"
        )
        raise ConfigError(message) from None
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
    ConfigError
        If it needs a layer, an activation or a metric that is not known here.
    """
    from portanet.trainer import Trainer

    tensors, about = read(path)
    custom = custom or {}
    runs_on = backends.get(backend)
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
            classes=about["classes"],
        )
        input_shape = tuple(int(n) for n in about["input_shape"])
        buffers = {name: tensors.pop(name) for name in about["buffers"]}
        epoch = int(about["epoch"])
        out_shape = _check_arrays(net, tensors, buffers, input_shape)
        trainer.adopt(tensors, buffers, input_shape, out_shape)
    except ConfigError as error:
        message = f"{path}: {error}"
        raise ConfigError(message) from None
    except DataError as error:
        message = f"{path}: {error}; the file is damaged or was edited"
        raise DataError(message) from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        message = (
            f"{path}: its description is incomplete or of another kind ({error!r}); save it anew with this version"
        )
        raise DataError(message) from None
    trainer.epoch = epoch
    return trainer


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arrays in a file by their names, and its description. Raises DataError like :func:`load`."""
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        found = "a folder" if Path(path).is_dir() else "nothing"
        message = f"{path}: expected a file written by portanet, found {found} there"
        raise DataError(message)
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get("portanet")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no dict
        about = None if text is None else json.loads(text)
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        message = (
            f"{path}: expected a safetensors file written by portanet, got one that is damaged or another ({error})"
        )
        raise DataError(message) from None
    if text is None:
        message = f"{path}: expected a file written by portanet, got a safetensors file of another program's"
        raise DataError(message)
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        got = about.get("format") if isinstance(about, dict) else about
        message = f"{path}: expected format {FORMAT}, got {got!r}; load it with the version of portanet that wrote it"
        raise DataError(message)
    return arrays, about


def write(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write `content` to a temporary file beside `path`, then put it in the place of `path` in one step.

    Raises
    ------
    DataError
        If the folder is missing or cannot be written to.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o666 & ~_umask())
            Path(temporary).replace(path)
            _sync_folder(path.parent)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        message = f"{path}: cannot be written ({error.strerror or error}); give a folder that exists and has room"
        raise DataError(message) from None


def _sync_folder(folder: Path) -> None:
    """Let a new name in a folder outlast a power failure, where the system has a way to ask for it."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        with contextlib.suppress(OSError):  # not every file system syncs folders
            os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _check_arrays(
    net: Layer, params: dict[str, Any], buffers: dict[str, Any], input_shape: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the shape of the outputs of one sample, if the arrays are those that the network needs."""
    wanted, out_shape = net.init(generator(0), input_shape)
    for name in sorted({*wanted, *params}):
        expected = tuple(wanted[name].shape) if name in wanted else "no such array"
        got = tuple(params[name].shape) if name in params else "none"
        if expected != got:
            message = f"array {name!r}: expected shape {expected}, got {got}"
            raise DataError(message)
    host = backends.get("numpy")
    try:  # one sample: what buffers must be, only the layers that take them know
        with host.activate("float64"):
            everything = {name: host.asarray(a, "float64") for name, a in {**params, **buffers}.items()}
            net.forward(everything, host.xp.zeros((1, *input_shape)))
    except (KeyError, ValueError) as error:
        message = f"its arrays {sorted(buffers)} do not fit the network ({error})"
        raise DataError(message) from None
    return out_shape


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
