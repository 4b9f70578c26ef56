"""Epochs ahead of their rows: a device is not waited for behind each epoch where nobody looks at its row."""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING

from portanet.callbacks import learning_rate as rollback
from portanet.schedules import Schedule

if TYPE_CHECKING:
    from portanet.data.batching.batches import Batches, Order
    from portanet.engine.meter import Meter
    from portanet.training.trainer import Trainer

SPAN = 0.1  # seconds between two readings; longer epochs are read one by one
MOST = 64  # rows that wait at most: few enough for Ctrl-C to be heard soon


class Ahead:
    """The rows of whole epochs that are still on the device, of a fit in which nobody asks for them one by one.

    To read a loss is to wait for the device, which then has nothing to do until the host has come back with the next
    epoch: on small data that is a third of the time. So the rows of short epochs are read some at a time. An epoch that
    turns out to have diverged while others ran after it is run again, from the weights kept last and row by row: the
    same steps, stopped where they would have been.

    Parameters
    ----------
    trainer : Trainer
        In a fit that has begun.
    validation : Batches or None
    shuffle : bool or callable
        Of that fit: who sees its rows is told by these, the callbacks, the processes and the schedule.

    Attributes
    ----------
    allowed : bool
        Whether rows may wait at all: where nobody sees them, or the weights behind them, before the fit ends.
    looked : bool
        Whether somebody sees the weights behind the epoch that was taken last. Those that nobody sees need not be
        looked at: the next epoch's loss would tell.
    """

    def __init__(self, trainer: Trainer, validation: Batches | None, shuffle: bool | Order) -> None:
        self.trainer = trainer
        self._hooked = bool(trainer._hooks or trainer.ranks)
        learns = type(trainer.schedule).observe is not Schedule.observe
        self.allowed, self.looked = not (self._hooked or validation or learns or callable(shuffle)), False
        self._held: list[tuple[dict[str, float], Meter]] = []
        self._since, self._short = 0.0, False
        self._until, self._stop = 0, ""  # the epoch that diverged, and the stop that was asked for behind it

    @property
    def on(self) -> bool:
        """Whether the next epoch's row may wait."""
        return self.allowed and self._short and self.trainer.epoch >= self._until

    @property
    def waiting(self) -> bool:
        """Whether there are rows that were not read."""
        return bool(self._held)

    def take(self, row: dict[str, float], *, due: bool) -> dict[str, float] | None:
        """Return the row of the last epoch with all its numbers, or None where training just goes on.

        The rows before it are in the history then. No row waits any longer where its weights are `due` to be kept.
        """
        trainer = self.trainer
        ends = bool(trainer._stop or trainer.position) or trainer.epoch == trainer._end
        self.looked = self._hooked or ends or due
        if "loss" in row:  # it was read at once
            self._short = row.get("seconds", SPAN) < SPAN
            self._since = time.monotonic()
            if row["epoch"] == self._until:
                trainer._stop = trainer._stop or self._stop
            return row
        self._held.append((row, trainer.meter))
        if not self.looked and len(self._held) < MOST and time.monotonic() - self._since < SPAN:
            return None
        *before, last = self._read()
        bad = next((row for row in before if not math.isfinite(row["loss"])), None)
        if bad is None:
            trainer.history.rows += before
            return last
        self._until, self._stop, trainer._stop = int(bad["epoch"]), trainer._stop, ""
        assert trainer._kept is not None
        rollback.go_back(trainer, trainer._kept)
        while trainer.history.rows and trainer.history.rows[-1]["epoch"] > trainer.epoch:
            trainer.history.rows.pop()
        return None

    def finish(self) -> None:
        """Leave no row behind where an error has ended the training, if the device can still be asked."""
        with contextlib.suppress(Exception):
            self.trainer.history.rows += self._read()

    def _read(self) -> list[dict[str, float]]:
        """Return the rows that waited; the time that this takes is shared by them."""
        began, held, self._held = time.monotonic(), self._held, []
        rows = [{"epoch": row["epoch"], **meter.result(), **row} for row, meter in held]
        now = time.monotonic()
        for row in rows:
            if "seconds" in row:  # not in that of a part of an epoch
                row["seconds"] += (now - began) / len(rows)
        self._short, self._since = (now - self._since) / len(rows) < SPAN, now
        return rows
