"""A network in training: what a checkpoint holds of it, and what of it is copied and pickled."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from portanet import backends, optimizers
from portanet.callbacks.base import Callback
from portanet.engine.engine import Program
from portanet.engine.meter import Meter
from portanet.engine.strategy import Strategy
from portanet.errors import DataError
from portanet.files.atomic import sweep
from portanet.schedules import Schedule
from portanet.training import resume
from portanet.training.fit_info import FitInfo
from portanet.training.history import History
from portanet.training.initial_weights import LoadedWeights, load_weights
from portanet.training.model import Model, part_of
from portanet.training.online import Online
from portanet.typing import Params, Shape


class Resumable(Model):
    """The part of a :class:`~portanet.Trainer` that holds a training: how far it is, how it is resumed and copied."""

    optimizer: optimizers.Optimizer = part_of("program", "optimizer")
    opt_state: dict[str, Any] = part_of("state", "opt_state", settable=True)
    epoch: int = part_of("state", "epoch", settable=True)
    position: int = part_of("state", "step", settable=True)
    rate_factor: float = part_of("state", "rate_factor", settable=True)
    meter: Meter = part_of("state", "meter")
    fit_info: FitInfo | None
    callbacks: Sequence[Callback]

    def __init__(
        self,
        program: Program,
        backend: backends.Backend,
        strategy: Strategy | None,
        classes: Sequence[str],
        schedule: Schedule,
    ) -> None:
        super().__init__(program, backend, strategy, classes)
        self._schedule = schedule  # as given: one that learns, such as Plateau, is copied for each start
        self.schedule = copy.deepcopy(schedule)
        self.history = History()
        self.last_epoch, self.fit_info, self.callbacks = 0, None, ()
        self.stopping = self.finished = ""
        self._resumed: dict[str, Any] | None = None
        self._online = Online()

    def adopt(self, params: Params, buffers: Params, input_shape: Shape, out_shape: Shape) -> None:
        """Take these host arrays as parameters and buffers, with a fresh optimizer; training so far is forgotten."""
        super().adopt(params, buffers, input_shape, out_shape)
        self.history, self.schedule, self._resumed = History(), copy.deepcopy(self._schedule), None

    @property
    def resumed(self) -> bool:
        return self._resumed is not None

    def check_resumed(self) -> None:
        """Raise DataError if the training was resumed and the fit is another one than before, or it was edited."""
        if self._resumed is not None:
            resume.check(self, self._resumed)

    def take_up(self) -> None:
        """Give schedule and callbacks what a checkpoint holds of them, if the training was resumed."""
        if self._resumed is not None:
            resume.take_up(self, self._resumed)
            self._resumed = None  # only now: where another fit was refused, the right one still finds it

    def resume(self, path: str | os.PathLike[str]) -> int:
        """Take up the training in a file of :class:`~portanet.TrainingCheckpoint`, and return the epochs left of it.

        The next :meth:`fit`, for so many epochs and with the same data and callbacks, goes on as if nothing had
        happened: bit for bit on the same backend.

        Raises
        ------
        DataError
            If there is no such file, it is damaged, or that of another network, loss, optimizer, seed or dtype. The
            next fit raises it where data, batch size or callbacks are others.
        """
        noted = resume.load(self, path)
        place = Path(os.path.realpath(path))
        if self.strategy.writes:
            sweep(place.parent, place.name)  # the training may have been killed while it wrote
        try:
            resume.restore(self, noted)
        except (DataError, KeyError, TypeError, ValueError, AttributeError) as error:
            message = f"{path}: it is damaged or was edited ({error}); use the checkpoint of another run"
            raise DataError(message) from None
        self._resumed = noted
        return self.last_epoch - self.epoch

    def load_weights(self, path: str | os.PathLike[str], *, strict: bool = True) -> LoadedWeights:
        """Start from a trained network: take the parameters and buffers in a file, with a fresh optimizer.

        Training so far is forgotten. Before the first fit, the file says the shape of a sample. Preprocessing
        (Rescale, Standardize) is no weight: the network keeps its own.

        Parameters
        ----------
        path : str or path
            A file of :meth:`save`, or a run folder, of which the best weights are taken.
        strict : bool
            Whether the file must hold the arrays of this network and no others; else what has the same name and shape
            is taken, and the rest of the network keeps the values it has.

        Returns
        -------
        LoadedWeights
            The names of what was taken, of what was left, and of what was not used of the file.

        Raises
        ------
        DataError
            If there is no such file, it is damaged, or its arrays do not fit; all that do not are listed.
        """
        return load_weights(self, path, strict=strict)

    def save_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Write the whole training to `path`, for :meth:`resume`."""
        resume.save(self, path)

    def stop(self, reason: str, *, finished: bool = False) -> None:
        """Let training end after the current batch; for callbacks and signals.

        Parameters
        ----------
        reason : str
            Becomes ``history.stopped``.
        finished : bool
            Whether there is nothing left to do, so that a training that is resumed from here ends at once.
        """
        self.stopping, self.finished = reason, reason if finished else ""

    def finite(self) -> bool:
        """Return whether no weight is inf or NaN; waits for the device."""
        with self.backend.activate(self.dtype):
            return self.engine.all_finite(self.state)

    def host_state(self) -> dict[str, Any]:
        """Return the optimizer's state as copies on the host."""
        return self.copy_state().opt_state

    def adopt_state(self, state: dict[str, Any]) -> None:
        """Take a copy of `state` as the optimizer's."""
        self.restore_state(self.state._replace(opt_state=state))

    def __copy__(self) -> Self:
        """Return a trainer of its own: a step writes over arrays, which two trainers cannot share."""
        return copy.deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        """Return all but what is compiled, and the callbacks of a fit that runs; arrays on the host."""
        state = {name: value for name, value in vars(self).items() if name not in ("engine", "take", "_online")}
        info = None if self.fit_info is None else FitInfo(**self.fit_info.described())
        return state | {"state": self.copy_state(), "callbacks": (), "fit_info": info}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._online = Online()
        self.recompile()
        self.restore_state(self.state)
