"""Checkpoints: nested dicts and lists of plain values and arrays, in a safetensors file with JSON in its metadata."""

from __future__ import annotations

import json
import os
from typing import Any

from portanet.backends import Backend
from portanet.errors import DataError
from portanet.files import weights
from portanet.files.atomic import write

HEADER = 64 << 20  # bytes: files of 0.1.0 hold the history there, some 150 a row


def write_checkpoint(
    path: str | os.PathLike[str], description: dict[str, Any], training: dict[str, Any], backend: Backend
) -> None:
    """Write the description of a network and the state of its training to `path`, all of it or nothing.

    Raise DataError if the file cannot be written.
    """
    from safetensors.numpy import save as to_bytes

    arrays: dict[str, Any] = {}
    about = {**description, "training": _packed(training, "", arrays, backend)}
    write(path, to_bytes(arrays, metadata={"portanet": json.dumps(about)}))


def read_checkpoint(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the description and the state in the file at `path`, with host arrays.

    Raise DataError if there is none, or it is damaged or no checkpoint.
    """
    with weights.opened(path, HEADER) as file:
        about, arrays = file.about, file.arrays()
    if "training" not in about:
        message = f"{path}: expected the checkpoint of a training, got a saved network; load it by portanet.load"
        raise DataError(message)
    try:
        state = _unpacked(about.pop("training"), arrays)
        state["input_shape"] = tuple(about["input_shape"])
    except (KeyError, TypeError, RecursionError) as error:
        message = f"{path}: it is damaged or was edited ({error!r}); use the checkpoint of another run"
        raise DataError(message) from None
    return about, dict(state)


def _packed(value: Any, name: str, arrays: dict[str, Any], backend: Backend) -> Any:
    """Return nested dicts and lists with their arrays replaced by names, under which they are put into `arrays`."""
    if isinstance(value, dict):
        return {key: _packed(inner, f"{name}/{key}", arrays, backend) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_packed(inner, f"{name}/{i}", arrays, backend) for i, inner in enumerate(value)]
    if hasattr(value, "shape"):
        host = backend.to_numpy(value)
        arrays[name] = host if host.flags.c_contiguous else host.copy()
        return {"array": name}
    return value


def _unpacked(value: Any, arrays: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        if set(value) == {"array"}:
            return arrays[value["array"]]
        return {key: _unpacked(inner, arrays) for key, inner in value.items()}
    return [_unpacked(inner, arrays) for inner in value] if isinstance(value, list) else value
