"""All that changes while a network trains, as one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from portanet.backends import Backend
from portanet.engine.meter import Meter
from portanet.typing import Params

__all__ = ["TrainState"]

_MOST = 2**53  # of a count: a float holds each of them


class TrainState(NamedTuple):
    """Parameters, buffers, the optimizer's state, and the place within the training.

    Random numbers need no field: seed, epoch and step name all draws.

    A step may write over the arrays of the state that it is given (they are donated), and adds to that state's meter:
    the state before a step must not be used after it. What is to outlive a step is copied by :meth:`to_host`.

    Attributes
    ----------
    params, buffers : dict of arrays
        Under flat names.
    opt_state : dict
        ``"t"``, the number of steps, and a dict of arrays for each slot of the optimizer.
    epoch : int
        Number of whole epochs.
    step : int
        Number of steps of the epoch after them; 0 between epochs.
    rate_factor : float
        Multiplies the learning rate, in addition to the schedule.
    meter : Meter
        What was measured in the epoch that is half done, with its seconds; between epochs, in the last one.
    schedule : mapping
        What the schedule has learned from the epochs so far.
    """

    params: Params
    buffers: Params
    opt_state: dict[str, Any]
    meter: Meter
    epoch: int = 0
    step: int = 0
    rate_factor: float = 1.0
    schedule: Mapping[str, Any] = {}  # never written to

    def stepped(self, params: Params, buffers: Params, opt_state: dict[str, Any], steps: int = 1) -> TrainState:
        """Return the state after so many more steps, with these arrays."""
        _, _, _, meter, epoch, step, factor, schedule = self  # _replace would take as long as a small layer
        return TrainState(params, buffers, opt_state, meter, epoch, step + steps, factor, schedule)

    def check_like(self, other: TrainState) -> None:
        """Raise ValueError unless the arrays have the names and shapes of those of `other`, and counts are counts."""
        parts = {"params": (self.params, other.params), "buffers": (self.buffers, other.buffers)}
        parts |= {slot: (own, other.opt_state.get(slot, {})) for slot, own in self.opt_state.items() if slot != "t"}
        if self.opt_state and self.opt_state.keys() != other.opt_state.keys():
            message = f"the optimizer's state has {sorted(self.opt_state)}, not {sorted(other.opt_state)}"
            raise ValueError(message)
        for part, both in parts.items():
            mine, its = ({name: tuple(a.shape) for name, a in own.items()} for own in both)
            if mine != its:
                names = sorted({name for name, _ in mine.items() ^ its.items()})
                message = f"{part}: {', '.join(map(repr, names[:5]))}: not as in the network"
                raise ValueError(message)
        for name, n in {"epoch": self.epoch, "step": self.step, "t": self.opt_state.get("t", 0)}.items():
            if type(n) is not int or not 0 <= n <= _MOST:
                message = f"{name} is {n!r:.40}"
                raise ValueError(message)

    def map(self, change: Callable[[Any], Any]) -> TrainState:
        """Return the state with each array changed."""
        params, buffers = ({name: change(a) for name, a in own.items()} for own in (self.params, self.buffers))
        return self._replace(params=params, buffers=buffers, opt_state=map_slots(self.opt_state, change))

    def to_host(self, backend: Backend) -> TrainState:
        """Return a copy in host arrays."""
        copied = self.map(lambda a: backend.to_numpy(a).copy())
        # Between epochs nobody asks for what was measured in the last one.
        return copied._replace(meter=self.meter.copy() if self.step else Meter(backend, self.meter.metrics))

    def to_device(self, backend: Backend, dtype: str) -> TrainState:
        """Return a copy in arrays of `backend`; those of the state may be the caller's own."""
        found = self.map(copier(backend, dtype))
        opt_state = {slot: backend.count(own) if slot == "t" else own for slot, own in found.opt_state.items()}
        return found._replace(opt_state=opt_state, meter=self.meter.copy())


def copier(backend: Backend, dtype: str) -> Callable[[Any], Any]:
    """Return what copies an array of whatever library to one of `backend`."""
    return lambda a: backend.copied(a, dtype)


def map_slots(opt_state: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """Return an optimizer's state with each array changed; ``t``, the number of its steps, as a plain number."""
    return {
        slot: int(own) if slot == "t" else {name: change(array) for name, array in own.items()}
        for slot, own in opt_state.items()
    }
