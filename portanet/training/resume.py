"""A training saved, and resumed as if nothing had happened.

Saved are parameters, buffers, the optimizer's state, the schedule's, the callbacks', the place within the epoch with
what was measured in it, and the history. Random numbers need no state: seed, epoch and step name them.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from portanet import checks
from portanet.callbacks.base import Callback, TrainerView
from portanet.callbacks.learning_rate import LearningRateSchedule
from portanet.checks import Number, Validator
from portanet.data.batching.batches import Batches
from portanet.engine.state import TrainState
from portanet.errors import DataError
from portanet.files.checkpoint import read_checkpoint, write_checkpoint
from portanet.files.description import as_text, check_shapes, describe, differences, in_words
from portanet.files.schema import LIST, OBJECT, TEXT, WHOLE, check_values
from portanet.training.history import History

__all__ = ["check", "load", "restore", "save", "take_up"]


_STATE: dict[str, Validator] = {
    **dict.fromkeys(("params", "buffers", "optimizer", "meter"), OBJECT),
    **dict.fromkeys(("epoch", "position", "end"), WHOLE),
    "seconds": Number(0),
}
_FIT: dict[str, Validator] = {"schedule": OBJECT, "finished": TEXT, "fitted": OBJECT, "callbacks": LIST}


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
        "meter": state.meter.state() if state.step else {"sizes": [], "steps": 0, "columns": []},
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
    parts = differences(about, trainer)
    if parts:
        message = f"{path}: it is the checkpoint of another training: {'; '.join(parts)}; make the trainer as it was"
        raise DataError(message)
    return state


def restore(trainer: TrainerView, noted: Mapping[str, Any]) -> None:
    """Give a trainer the weights, the optimizer's state, the history and the place within the epoch of a checkpoint."""
    check_values(noted, _STATE)
    if not 1 <= len(noted["input_shape"]) <= 8 or any(type(n) is not int for n in noted["input_shape"]):
        message = f"input_shape is {noted['input_shape']!r:.40}"
        raise ValueError(message)
    arrays = {**noted["params"], **noted["buffers"]}
    shapes = {name: tuple(a.shape) for name, a in arrays.items()}
    out_shape = check_shapes(trainer.net, shapes, list(noted["buffers"]), noted["input_shape"])
    meter, history, end = trainer.engine.meter(), History(), int(noted["end"])
    meter.load_state(noted["meter"])
    meter.seconds = float(noted["seconds"])
    if noted["position"] and meter.steps != noted["position"]:
        message = f"position is {noted['position']}, with the numbers of {meter.steps} batches"
        raise ValueError(message)
    history.load_state(noted["history"])
    if history.rows and noted["epoch"] > max(row["epoch"] for row in history.rows):
        message = f"epoch is {noted['epoch']}, after a history of {len(history)}"
        raise ValueError(message)
    state = TrainState(
        *(noted["params"], noted["buffers"], noted["optimizer"], meter, noted["epoch"], noted["position"]),
        rate_factor=checks.check("rate_factor", noted.get("rate_factor", 1.0), Number(0)),  # files of 0.1.0 lack it
        schedule=noted["schedule"],
    )
    state.check_like(state._replace(opt_state=trainer.optimizer.init(noted["params"])))
    # All of it is there: the trainer is changed from here on.
    trainer.adopt(noted["params"], noted["buffers"], noted["input_shape"], out_shape)
    trainer.restore_state(state)
    trainer.history.rows, trainer.last_epoch = history.rows, end


def check(trainer: TrainerView, noted: Mapping[str, Any]) -> None:
    """Compare a fit that is about to begin with the one in a checkpoint, and look at all that was noted of it.

    Raises
    ------
    DataError
        If the fit is to other data, by other batches, or with other callbacks, or the checkpoint was edited.
    """
    with _reworded():
        _check(trainer, noted)


def take_up(trainer: TrainerView, noted: Mapping[str, Any]) -> None:
    """Give schedule and callbacks of a fit that has begun what they had noted; raise DataError as :func:`check`."""
    with _reworded():
        trainer.schedule.load_state(noted["schedule"])
        for hook, own in zip(_with_state(trainer), noted["callbacks"], strict=True):
            hook.load_state(own["state"])
        if noted["finished"]:
            trainer.stop(noted["finished"], finished=True)


@contextlib.contextmanager
def _reworded() -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else error
        message = f"fit: its checkpoint is damaged or was edited ({why}); use the checkpoint of another run"
        raise DataError(message) from None


def _check(trainer: TrainerView, noted: Mapping[str, Any]) -> None:
    assert trainer.fit_info is not None
    check_values(noted, _FIT)
    train = trainer.fit_info.data
    steps = len(train) if isinstance(train, Batches) else None
    now = trainer.fit_info.described() if noted["fitted"].get("data") else {}
    parts = in_words({key: noted["fitted"].get(key) for key in now}, now)
    hooks = _with_state(trainer)
    kept, came = [c["type"] for c in noted["callbacks"]], [type(hook).__name__ for hook in hooks]
    if kept != came:
        parts.append(f"callbacks were {', '.join(kept) or 'none'}, are {', '.join(came) or 'none'}")
    if parts:
        message = (
            f"fit: it cannot resume from its checkpoint, since it is another fit: {'; '.join(parts)}; fit as before"
        )
        raise DataError(message)
    if steps is not None and noted["position"] and noted["position"] >= steps:
        message = f"position is {noted['position']}, of an epoch of {steps} steps"
        raise ValueError(message)
    schedules = [hook.schedule for hook in trainer.callbacks if isinstance(hook, LearningRateSchedule)]
    copy.deepcopy(schedules[-1] if schedules else trainer.schedule).load_state(noted["schedule"])
    for hook, own in zip(hooks, noted["callbacks"], strict=True):
        hook.check_state(trainer, own["state"])


def _with_state(trainer: TrainerView) -> list[Callback]:
    return [hook for hook in trainer.callbacks if type(hook).state is not Callback.state]
