"""Callbacks that average weights over the steps of a training."""

from __future__ import annotations

from typing import Any

from portanet.callbacks.base import Callback, TrainerView
from portanet.checks import Number, check
from portanet.files.schema import OBJECT_OR_NONE, check_values
from portanet.typing import Params

__all__ = ["AverageWeights"]

_DECAY = Number(0, below=1)


class AverageWeights(Callback):
    """Keeps an exponential moving average (EMA) of the weights, and puts it in their place when training ends.

    Rule      a ← d a + (1 - d) p after each step, from a = p after the first one
    Source    Polyak & Juditsky 1992, SIAM J. Control Optim. 30; with d: Tarvainen & Valpola 2017, arXiv:1703.01780

    Metrics of the epochs are those of the weights that are trained; buffers (running statistics) are not averaged.
    Weights that are no longer finite are not put in place of others.

    Parameters
    ----------
    decay : float
        d, 0 ≤ d < 1; about 1 / (1 - d) steps are averaged.
    """

    def __init__(self, decay: float = 0.999) -> None:
        check("AverageWeights: decay", decay, _DECAY)
        self.decay = decay
        self._average: Params = {}
        self._trainer: TrainerView | None = None

    def on_fit_begin(self, trainer: TrainerView, end: int) -> None:
        self._average, self._trainer = {}, trainer

    def on_batch_end(self, trainer: TrainerView, batch: int, batches: int) -> None:
        kept, new = self.decay, 1.0 - self.decay
        with trainer.backend.activate(trainer.dtype):
            if not self._average:
                xp = trainer.backend.xp
                self._average = {name: xp.asarray(p, copy=True) for name, p in trainer.params.items()}
                return
            self._average = {name: kept * a + new * trainer.params[name] for name, a in self._average.items()}

    def on_fit_end(self, trainer: TrainerView) -> None:
        average, self._average, self._trainer = self._average, {}, None
        with trainer.backend.activate(trainer.dtype):
            xp = trainer.backend.xp
            if average and all(bool(xp.all(xp.isfinite(a))) for a in average.values()):
                trainer.params = average

    def state(self) -> dict[str, Any]:
        trainer = self._trainer
        if not self._average or trainer is None:
            return {"average": None}
        with trainer.backend.activate(trainer.dtype):
            return {"average": {name: trainer.backend.to_numpy(a).copy() for name, a in self._average.items()}}

    def check_state(self, trainer: TrainerView, state: dict[str, Any]) -> None:
        check_values(state, {"average": OBJECT_OR_NONE})
        if state["average"] is not None:
            trainer.state._replace(params=state["average"]).check_like(trainer.state)

    def load_state(self, state: dict[str, Any]) -> None:
        trainer = self._trainer
        if state["average"] is None or trainer is None:
            return
        with trainer.backend.activate(trainer.dtype):
            backend = trainer.backend
            self._average = {name: backend.asarray(a, trainer.dtype) for name, a in state["average"].items()}
