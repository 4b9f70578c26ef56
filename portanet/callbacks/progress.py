"""Progress on stderr: a live bar in a terminal, a plain line an epoch in a log."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any

from portanet.callbacks.base import Callback, TrainerView


class Displayed(Callback):
    """Base of what shows a fit: how far it is, when to show that again, the line of an epoch."""

    interval = 0.5
    """Seconds between two updates within an epoch, each of which reads the device."""
    every_batch = False
    writes = True
    acts = False

    def on_fit_begin(self, trainer: TrainerView, end: int) -> None:
        self._first, self._end, self._began = trainer.epoch, end, time.monotonic()
        self._shown = self._began

    def due(self) -> bool:
        """Return whether it is time to show how far the fit is, and count it as shown."""
        now = time.monotonic()
        found = now - self._shown >= self.interval
        if found:
            self._shown = now
        return found

    def share(self, epoch: float) -> float:
        """Return the share of this fit that is done at `epoch`; `epoch` counts those of earlier fits too."""
        return (epoch - self._first) / (self._end - self._first)

    def left(self, epoch: float) -> str:
        """Return the time left at `epoch`; nothing if that is below a second."""
        left = (time.monotonic() - self._began) * (self._end - epoch) / max(epoch - self._first, 1e-9)
        return f"  {clock(left)} left" if left >= 1 else ""

    def title(self, epoch: int) -> str:
        """Return the name of an epoch, as wide for each."""
        return f"epoch {epoch:>{len(str(self._end))}}/{self._end}"

    def line(self, row: dict[str, float]) -> str:
        """Return the line of an epoch that has ended."""
        epoch = int(row["epoch"])
        return f"{self.title(epoch)}  {in_words(row)}  {row['seconds']:.2f} s{self.left(epoch)}"


class Progress(Displayed):
    """Shows epoch, loss, metrics and the time left; reads the device at most twice a second."""

    def on_fit_begin(self, trainer: TrainerView, end: int) -> None:
        super().on_fit_begin(trainer, end)
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
        if self._bar is not None and self.due():
            self._bar.update(
                self._task,
                completed=self.share(trainer.epoch + batch / batches),
                description=self.title(trainer.epoch + 1),
                numbers=in_words(trainer.meter.result()),
            )

    def on_epoch_end(self, trainer: TrainerView, row: dict[str, float]) -> None:
        line = self.line(row)
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
