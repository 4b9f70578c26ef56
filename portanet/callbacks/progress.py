"""Progress on stderr: a live bar in a terminal, a plain line an epoch in a log."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any

from portanet.callbacks.base import Callback, TrainerView


class Progress(Callback):
    """Shows epoch, loss, metrics and the time left; reads the device at most twice a second."""

    interval = 0.5
    every_batch = False
    writes = True
    acts = False

    def on_fit_begin(self, trainer: TrainerView, end: int) -> None:
        self._first, self._end, self._began = trainer.epoch, end, time.monotonic()
        self._shown = self._began
        self._bar: Any = None
        if sys.stderr.isatty() and end > trainer.epoch:
            from rich.console import Console
            from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TaskProgressColumn(),
                TimeRemainingColumn(),
            )
            self._bar = Bar(
                *columns,
                TextColumn("{task.fields[numbers]}", markup=False),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("epoch", total=1.0, numbers="")
            self._bar.start()

    def on_batch_end(self, trainer: TrainerView, batch: int, batches: int) -> None:
        now = time.monotonic()
        if self._bar is None or now - self._shown < self.interval:
            return
        self._shown = now
        done = trainer.epoch - self._first + batch / batches
        self._bar.update(
            self._task,
            completed=done / (self._end - self._first),
            description=f"epoch {trainer.epoch + 1}/{self._end}",
            numbers=in_words(trainer.meter.result()),
        )

    def on_epoch_end(self, trainer: TrainerView, row: dict[str, float]) -> None:
        epoch = int(row["epoch"])
        left = (time.monotonic() - self._began) / (epoch - self._first) * (self._end - epoch)
        line = f"epoch {epoch:>{len(str(self._end))}}/{self._end}  {in_words(row)}  {row['seconds']:.2f} s"
        if left >= 1:
            line += f"  {clock(left)} left"
        if self._bar is None:
            with contextlib.suppress(OSError):  # a log on a full disk is no reason to stop
                print(line, file=sys.stderr, flush=True)
        else:
            self._bar.console.print(line, highlight=False, markup=False)

    def on_fit_end(self, trainer: TrainerView) -> None:
        if self._bar is not None:
            self._bar.stop()


def in_words(row: dict[str, float]) -> str:
    """Return what was measured in one line."""
    return "  ".join(f"{name} {value:#.4g}" for name, value in row.items() if name not in ("epoch", "lr", "seconds"))


def clock(seconds: float) -> str:
    """Return a time as minutes and seconds, with hours where there are any."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}" if minutes >= 60 else f"{minutes}:{seconds:02}"
