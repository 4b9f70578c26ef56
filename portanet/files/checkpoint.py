"""A training in a file: all that it takes to go on as if nothing had happened.

Parameters, buffers, the optimizer's state, the schedule's, the callbacks', the place within the epoch with what was
measured in it, and the history. Random numbers need no state: seed, epoch and step name them. The file is safetensors
with JSON in its metadata, as a saved network is.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from portanet.backends import Backend
from portanet.data.batching.batches import Batches
from portanet.data.batching.sparse import SparseRows
from portanet.data.batching.stream import StreamedBatches
from portanet.engine.meter import Meter
from portanet.errors import DataError
from portanet.files import weights as weights_file
from portanet.files.atomic import write
from portanet.files.description import as_text, check_shapes, describe

if TYPE_CHECKING:
    from portanet.callbacks.base import Callback
    from portanet.training.trainer import Trainer

HEADER = 64 << 20  # bytes: files of 0.1.0 hold the history there, some 150 a row

_OF_THE_MOMENT = ("format", "epoch", "buffers", "outputs", "metrics", "classes", "schedule")
"""What may differ between the description of a checkpoint and that of the trainer that goes on from it."""


def save(trainer: Trainer, path: str | os.PathLike[str]) -> None:
    """Write the whole training to `path`, in one piece or not at all.

    Raises
    ------
    ConfigError
        If the network holds something that no file can describe.
    DataError
        If the file cannot be written.
    """
    from safetensors.numpy import save as to_bytes

    arrays: dict[str, Any] = {}
    state = _packed(_state(trainer), "", arrays, trainer.backend)
    about = {**describe(trainer), "training": state}
    write(path, to_bytes(arrays, metadata={"portanet": as_text(about)}))


def load(trainer: Trainer, path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the state in the file at `path`, of a training such as `trainer` was made for.

    Raises
    ------
    DataError
        If there is none, it is damaged, or that of another training; what differs is told.
    """
    with weights_file.opened(path, HEADER) as file:
        about, arrays = file.about, file.arrays()
    if "training" not in about:
        message = f"{path}: expected the checkpoint of a training, got a saved network; load it by portanet.load"
        raise DataError(message)
    now = json.loads(as_text(describe(trainer)))
    known = [key for key in now if key not in _OF_THE_MOMENT and not (key == "input_shape" and not now[key])]
    different = [key for key in known if about.get(key) != now[key]]
    if different:
        parts = "; ".join(f"{key} was {_short(about.get(key))}, is {_short(now[key])}" for key in different)
        message = f"{path}: it is the checkpoint of another training: {parts}; make the trainer as it was"
        raise DataError(message)
    try:
        state = _unpacked(about["training"], arrays)
        state["input_shape"] = tuple(about["input_shape"])
    except (KeyError, TypeError) as error:
        message = f"{path}: it is damaged or was edited ({error!r}); take the checkpoint of another run"
        raise DataError(message) from None
    return dict(state)


def restore(trainer: Trainer, state: dict[str, Any]) -> None:
    """Give a trainer the weights, the optimizer's state, the history and the place within the epoch of a checkpoint."""
    arrays = {**state["params"], **state["buffers"]}
    shapes = {name: tuple(a.shape) for name, a in arrays.items()}
    out_shape = check_shapes(trainer.net, shapes, list(state["buffers"]), state["input_shape"])
    for slot in trainer.optimizer.slots:
        if {name: tuple(a.shape) for name, a in state["optimizer"][slot].items()} != {
            n: shapes[n] for n in state["params"]
        }:
            message = f"the optimizer's {slot} does not fit the weights"
            raise DataError(message)
    trainer.adopt(state["params"], state["buffers"], state["input_shape"], out_shape)
    trainer.adopt_state(state["optimizer"])
    trainer.epoch, trainer.position = int(state["epoch"]), int(state["position"])
    trainer.history.load_state(state["history"])
    trainer.meter = Meter(trainer.backend, trainer.metrics)
    trainer.meter.load_state(state["meter"])
    trainer._spent, trainer._end = float(state["seconds"]), int(state["end"])


def take_up(trainer: Trainer, state: dict[str, Any]) -> None:
    """Give schedule and callbacks of a fit that has begun what they had noted.

    Raises
    ------
    DataError
        If the fit is to other data, by other batches, or with other callbacks.
    """
    trainer._resumed = None
    try:
        _take_up(trainer, state)
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"fit: its checkpoint is damaged or was edited ({error!r}); take the checkpoint of another run"
        raise DataError(message) from None


def _take_up(trainer: Trainer, state: dict[str, Any]) -> None:
    now = fitted(trainer) if state["fitted"].get("data") else {}
    different = [key for key in now if state["fitted"].get(key) != now[key]]
    kept, came = [c["type"] for c in state["callbacks"]], [type(hook).__name__ for hook in _with_state(trainer)]
    parts = [f"{key} was {_short(state['fitted'].get(key))}, is {_short(now[key])}" for key in different]
    if kept != came:
        parts.append(f"callbacks were {', '.join(kept) or 'none'}, are {', '.join(came) or 'none'}")
    if parts:
        message = (
            f"fit: it cannot go on from its checkpoint, since it is another fit: {'; '.join(parts)}; fit as before"
        )
        raise DataError(message)
    trainer.schedule.load_state(state["schedule"])
    for hook, noted in zip(_with_state(trainer), state["callbacks"], strict=True):
        hook.load_state(noted["state"])
    trainer._finished = state["finished"]


def fingerprint(data: Batches) -> str:
    """Return the SHA-256 of samples, targets and weights: their shapes, dtypes and numbers (of a few, if on disk)."""
    if isinstance(data, StreamedBatches):
        return data.fingerprint()
    digest = hashlib.sha256()
    sparse = [data.x.matrix.data, data.x.matrix.indices, data.x.matrix.indptr] if isinstance(data.x, SparseRows) else []
    for array in (*(sparse or [data.x]), data.y, data.weight):
        if array is not None:
            host = data.backend.to_numpy(array)
            digest.update(f"{host.shape} {host.dtype.name} ".encode())
            digest.update(host.data if host.flags.c_contiguous else host.tobytes())
    return digest.hexdigest()


def _state(trainer: Trainer) -> dict[str, Any]:
    """Return the whole training as nested dicts and lists of plain values and arrays."""
    optimizer = {slot: int(own) if slot == "t" else own for slot, own in trainer.opt_state.items()}
    return {
        "params": trainer.params,
        "buffers": trainer.buffers,
        "optimizer": optimizer,
        "schedule": trainer.schedule.state(),
        "epoch": trainer.epoch,
        "position": trainer.position,
        "end": trainer._end,
        "finished": trainer._finished,
        "seconds": trainer._spent,
        "history": trainer.history.state(),
        "meter": trainer.meter.state() if trainer.position else {"sizes": [], "columns": []},
        "fitted": fitted(trainer),
        "callbacks": [{"type": type(hook).__name__, "state": hook.state()} for hook in _with_state(trainer)],
    }


def fitted(trainer: Trainer) -> dict[str, Any]:
    """Return what the fit is to, with the data's fingerprint, which is worked out once a fit, when it is wanted."""
    data = trainer._fitted.get("data")
    if isinstance(data, Batches):
        trainer._fitted["data"] = fingerprint(data)
    return dict(trainer._fitted)


def _with_state(trainer: Trainer) -> list[Callback]:
    from portanet.callbacks.base import Callback

    return [hook for hook in trainer._hooks if type(hook).state is not Callback.state]


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


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:197]}..."
