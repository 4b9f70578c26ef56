"""One step of training at a time, for loops of your own: GANs, online learning, reinforcement learning."""

from __future__ import annotations

from typing import Any

from array_api_compat import is_array_api_obj

from portanet.data.batching import prepare
from portanet.data.batching.finite import on_host
from portanet.data.batching.weighting import weights
from portanet.engine.engine import Engine, Program
from portanet.engine.state import TrainState
from portanet.errors import ConfigError, ShapeError
from portanet.random import epoch_word
from portanet.typing import Array

__all__ = ["Online"]

_EPOCH = -1  # no fit has it: these steps draw dropout masks of their own


class Online:
    """Takes single steps of a trainer, and counts them.

    The number of a step names its dropout masks. It is the optimizer's own count, which is read from the device only
    after something else has changed the trainer's state.
    """

    def __init__(self) -> None:
        self._state: TrainState | None = None
        self._step = 0

    def step(self, trainer: Any, x: Any, y: Any, weight: Any, lr: float | None) -> Array:
        """Take a step; see :meth:`portanet.Trainer.train_batch`."""
        engine: Engine = trainer.engine
        program, backend = engine.program, engine.backend
        if trainer.strategy.size > 1:
            message = f"train_batch: expected one process, got {trainer.strategy.size}; use fit()"
            raise ConfigError(message)
        with backend.activate(program.dtype):
            x, y, weight = _checked(trainer, x, y, weight)
            state: TrainState = trainer.state
            if state is not self._state:
                self._step = int(state.opt_state["t"])
            rate = program.optimizer.lr * state.rate_factor if lr is None else lr
            counters = {"lr": float(rate), "seed": epoch_word(program.seed, _EPOCH), "step": self._step}
            params, buffers, opt_state, loss, _ = engine.compiled(
                *(state.params, state.buffers, state.opt_state, x, y, weight, counters)
            )
            trainer.state = self._state = state.stepped(params, buffers, opt_state, 0)
            self._step += 1
        return loss


def _checked(trainer: Any, x: Any, y: Any, weight: Any) -> tuple[Array, Array, Array | None]:
    """Return a batch on the device: checked for shapes and class indices, and not for numbers that are not finite."""
    program, asarray = trainer.program, trainer.backend.asarray
    if trainer.input_shape is None:
        trainer.init(tuple(prepare.samples(x, program.dtype).shape[1:]))
    shape = trainer.input_shape
    if not is_array_api_obj(x):  # a list, a frame
        x = prepare.samples(x, program.dtype, shape)
    elif tuple(x.shape[1:]) != shape:
        message = f"x: expected samples of shape {shape}, got {tuple(x.shape[1:])}; retrain for different data"
        raise ShapeError(message)
    n, places = x.shape[0], trainer.places
    if on_host(y):
        y = _host_targets(y, (n, *places), trainer.outputs, program)
    if weight is not None and on_host(weight):
        weight = weights(weight, None, y, n, trainer.outputs, program.dtype, places=places)
    return asarray(x), asarray(y), None if weight is None else asarray(weight)


def _host_targets(y: Any, rows: tuple[int, ...], outputs: int, program: Program) -> Array:
    if (
        outputs > 1
        and getattr(y, "shape", ()) == rows
        and y.dtype.kind in "iu"
        and y.size
        and 0 <= y.min() <= y.max() < outputs
    ):
        return y.astype("int32", copy=False)  # by far the most frequent, in a tenth of the time
    return prepare.targets(y, rows[0], outputs, program.loss, program.dtype, places=rows[1:])
