"""Networks in files: safetensors, with the description of the network as JSON in its metadata. Never pickle.

What is saved are host arrays, so that a network trained on any backend is loaded on any other. The preprocessing
(Rescale, Standardize) is part of the network and travels with it.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from portanet import losses, metrics, optimizers, schedules
from portanet.checks import check_names
from portanet.errors import ConfigError, DataError
from portanet.files import weights as weights_file
from portanet.files.atomic import write
from portanet.initializers import ShapesOnly
from portanet.layers import Layer
from portanet.typing import Shape

__all__ = ["save"]

_OF_THE_MOMENT = ("format", "epoch", "buffers", "outputs", "metrics", "classes", "schedule", "columns")
"""Fields that may differ between a file of a training and the trainer that resumes it."""


def describe(model: Any) -> dict[str, Any]:
    """Return all but the arrays of a trained network as plain values."""
    optimizer = getattr(model, "optimizer", None)
    check_names("save: classes", model.classes)
    return {
        "format": weights_file.FORMAT,
        "net": model.net.config(),
        "loss": _loss(model.loss),
        "optimizer": None if optimizer is None else optimizers.OPTIMIZERS.describe(optimizer),
        "schedule": _schedule(getattr(model, "schedule", None)),
        "metrics": [_metric(metric) for metric in model.metrics],
        "dtype": model.dtype,
        "seed": model.seed,
        "l1": model.l1,
        "l2": model.l2,
        "penalty_per_sample": model.penalty_per_sample,
        "input_shape": list(model.input_shape or ()),
        "outputs": model.outputs,
        # Names of another number than there are outputs name none of them (such as a regression on class indices).
        "classes": list(model.classes) if named_right(model.classes, model.outputs) else [],
        "buffers": sorted(model.buffers),
        "epoch": getattr(model, "epoch", 0),
        **({} if model.columns is None else {"columns": model.columns.as_dict()}),
        **({} if model.pictures is None else {"pictures": model.pictures.as_dict()}),
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
    text = as_text(describe(model))
    write(path, to_bytes({**arrays["params"], **arrays["buffers"]}, metadata={"portanet": text}))


def as_text(about: dict[str, Any]) -> str:
    """Return a description as JSON. Raises ConfigError if it holds something that is not plain values."""
    try:
        return json.dumps(about, default=_plain)
    except TypeError as error:
        message = (
            f"save: the training holds something that a file cannot describe ({error}); name initializers by strings"
        )
        raise ConfigError(message) from None


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arrays in a file by their names, and its description. Raises DataError like :func:`load`."""
    with weights_file.opened(path) as file:
        return file.arrays(), file.about


def differences(about: Mapping[str, Any], model: Any) -> list[str]:
    """Return in words where a description in a file is that of another training than this one."""
    now = json.loads(as_text(describe(model)))
    known = [key for key in now if key not in _OF_THE_MOMENT and not (key == "input_shape" and not now[key])]
    known = [key for key in known if key != "pictures" or key in about]  # files of 0.1.0 have none
    before = {key: about.get(key) for key in known}
    for key, thing in (("loss", model.loss), ("optimizer", model.optimizer)):
        before[key] = _with_defaults(before[key], now[key], thing)
    return in_words(before, {key: now[key] for key in known})


def _with_defaults(before: Any, now: Any, thing: object) -> Any:
    """Return a description with the options that it lacks: before the class had them, it was as by default."""
    if not isinstance(before, dict) or not isinstance(now, dict) or not isinstance(before.get("options"), dict):
        return before
    given = inspect.signature(type(thing)).parameters
    lacking = [own for own in now.get("options", {}) if own not in before["options"] and own in given]
    defaults = {own: given[own].default for own in lacking if given[own].default is not inspect.Parameter.empty}
    return {**before, "options": {**before["options"], **json.loads(as_text(defaults))}}


def in_words(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return in words where two mappings of the same keys differ."""
    return [f"{key} was {_short(before[key])}, is {_short(now[key])}" for key in now if before[key] != now[key]]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:197]}..."


def check_shapes(net: Layer, shapes: dict[str, Shape], buffers: Sequence[str], input_shape: Shape) -> Shape:
    """Return the shape of the outputs of one sample, if the arrays are those that the network needs.

    Nothing is allocated: the sizes in the description are as little to be trusted as those in the header.
    """
    wanted, out_shape = net.init(ShapesOnly(), input_shape)
    kept = {name: shapes.pop(name) for name in buffers if name in shapes}
    _compare({name: tuple(p.shape) for name, p in wanted.items()}, shapes)
    _compare(net.buffer_shapes(input_shape), kept)  # after the parameters, which bound the buffers' sizes
    return out_shape


def _compare(wanted: Mapping[str, Shape], got: Mapping[str, Shape]) -> None:
    for name in sorted({*wanted, *got}):
        if wanted.get(name) != got.get(name):
            expected = f"shape {wanted[name]}" if name in wanted else "no such array"
            message = f"array {name!r}: expected {expected}, got {got.get(name, 'none')!s:.60}"
            raise DataError(message)


def named_right(classes: Sequence[str], outputs: int) -> bool:
    return len(classes) in {0, outputs, max(outputs, 2)}


def _plain(number: Any) -> Any:
    """Return a number of an array library, as options may be, as a plain one."""
    if hasattr(number, "item") and getattr(number, "shape", None) == ():
        return number.item()
    message = f"{type(number).__name__} {number!r}"
    raise TypeError(message)


def _schedule(schedule: schedules.Schedule | None) -> dict[str, Any] | None:
    """Return a schedule's description; None for a custom one that cannot be described: the network is worth saving."""
    if schedule is None:
        return None
    try:
        about: dict[str, Any] = json.loads(as_text(schedules.SCHEDULES.describe(schedule)))
    except (ConfigError, ValueError):
        return None
    return about


def _loss(loss: losses.Loss) -> dict[str, Any]:
    """Return a loss's description, without a unit of 1: files of 0.1.0 know of none."""
    about = losses.LOSSES.describe(loss)
    if about["options"].get("unit") == 1.0:
        del about["options"]["unit"]
    return about


def _metric(metric: metrics.Metric) -> str | dict[str, Any]:
    """Return what :func:`portanet.metrics.get` makes the metric of; a description, if a name does not do."""
    if type(metric) is metrics.TopK or isinstance(metric, metrics.ScikitMetric):
        return metric.name
    about = metrics.METRICS.describe(metric)
    own = about["options"] == {"name": about["name"]}
    return metric.name if own else {**about, "column": metric.name}
