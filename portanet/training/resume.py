"""A training saved, and resumed as if nothing had happened.

Saved are parameters, buffers, the optimizer's state, the schedule's, the callbacks', the place within the epoch with
what was measured in it, and the history. Random numbers need no state: seed, epoch and step name them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from portanet.callbacks.base import Callback, TrainerView
from portanet.engine.state import TrainState
from portanet.errors import DataError
from portanet.files.checkpoint import read_checkpoint, write_checkpoint
from portanet.files.description import as_text, check_shapes, describe
from portanet.training.history import History

__all__ = ["load", "restore", "save", "take_up"]

_OF_THE_MOMENT = ("format", "epoch", "buffers", "outputs", "metrics", "classes", "schedule", "columns")
"""Fields that may differ between a checkpoint and the trainer that resumes from it."""


def save(trainer: TrainerView, path: str | os.PathLike[str]) -> None:
    """Write the whole training to `path`, in one piece or not at all.

    Raises
    ------
    ConfigError
        If the network holds something that no file can describe.
    DataError
        If the file cannot be written.
    """
    state = trainer.state
    training = {
        "params": state.params,
        "buffers": state.buffers,
        "optimizer": {slot: int(own) if slot == "t" else own for slot, own in state.opt_state.items()},
        "schedule": dict(state.schedule),
        "rate_factor": state.rate_factor,
        "epoch": state.epoch,
        "position": state.step,
        "end": trainer.last_epoch,
        "finished": trainer.finished,
        "seconds": state.meter.seconds,
        "history": trainer.history.state(),
        "meter": state.meter.state() if state.step else {"sizes": [], "columns": []},
        "fitted": {} if trainer.fit_info is None else trainer.fit_info.described(),
        "callbacks": [{"type": type(hook).__name__, "state": hook.state()} for hook in _with_state(trainer)],
    }
    write_checkpoint(path, json.loads(as_text(describe(trainer))), training, trainer.backend)


def load(trainer: TrainerView, path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the state in the file at `path`, of a training such as `trainer` was made for.

    Raises
    ------
    DataError
        If there is none, it is damaged, or that of another training; the message lists what differs.
    """
    about, state = read_checkpoint(path)
    now = json.loads(as_text(describe(trainer)))
    known = [key for key in now if key not in _OF_THE_MOMENT and not (key == "input_shape" and not now[key])]
    parts = _differences({key: about.get(key) for key in known}, {key: now[key] for key in known})
    if parts:
        message = f"{path}: it is the checkpoint of another training: {'; '.join(parts)}; make the trainer as it was"
        raise DataError(message)
    return state


def restore(trainer: TrainerView, noted: Mapping[str, Any]) -> None:
    """Give a trainer the weights, the optimizer's state, the history and the place within the epoch of a checkpoint."""
    arrays = {**noted["params"], **noted["buffers"]}
    shapes = {name: tuple(a.shape) for name, a in arrays.items()}
    out_shape = check_shapes(trainer.net, shapes, list(noted["buffers"]), noted["input_shape"])
    meter, history, end = trainer.engine.meter(), History(), int(noted["end"])
    meter.load_state(noted["meter"])
    meter.seconds = float(noted["seconds"])
    history.load_state(noted["history"])
    state = TrainState(
        *(noted["params"], noted["buffers"], noted["optimizer"], meter, noted["epoch"], noted["position"]),
        rate_factor=float(noted.get("rate_factor", 1.0)),  # files of 0.1.0 lack it
        schedule=noted["schedule"],
    )
    state.check_like(state._replace(opt_state=trainer.optimizer.init(noted["params"])))
    # All of it is there: the trainer is changed from here on.
    trainer.adopt(noted["params"], noted["buffers"], noted["input_shape"], out_shape)
    trainer.restore_state(state)
    trainer.history.rows, trainer.last_epoch = history.rows, end


def take_up(trainer: TrainerView, noted: Mapping[str, Any]) -> None:
    """Give schedule and callbacks of a fit that has begun what they had noted.

    Raises
    ------
    DataError
        If the fit is to other data, by other batches, or with other callbacks.
    """
    try:
        _take_up(trainer, noted)
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else error
        message = f"fit: its checkpoint is damaged or was edited ({why}); use the checkpoint of another run"
        raise DataError(message) from None


def _take_up(trainer: TrainerView, noted: Mapping[str, Any]) -> None:
    assert trainer.fit_info is not None
    now = trainer.fit_info.described() if noted["fitted"].get("data") else {}
    parts = _differences({key: noted["fitted"].get(key) for key in now}, now)
    hooks = _with_state(trainer)
    kept, came = [c["type"] for c in noted["callbacks"]], [type(hook).__name__ for hook in hooks]
    if kept != came:
        parts.append(f"callbacks were {', '.join(kept) or 'none'}, are {', '.join(came) or 'none'}")
    if parts:
        message = (
            f"fit: it cannot resume from its checkpoint, since it is another fit: {'; '.join(parts)}; fit as before"
        )
        raise DataError(message)
    trainer.schedule.load_state(noted["schedule"])
    for hook, own in zip(hooks, noted["callbacks"], strict=True):
        hook.load_state(own["state"])
    if noted["finished"]:
        trainer.stop(noted["finished"], finished=True)


def _with_state(trainer: TrainerView) -> list[Callback]:
    return [hook for hook in trainer.callbacks if type(hook).state is not Callback.state]


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return in words where two mappings of the same keys differ."""
    return [f"{key} was {_short(before[key])}, is {_short(now[key])}" for key in now if before[key] != now[key]]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:197]}..."
