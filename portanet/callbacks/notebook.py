"""Progress in a notebook: one display, updated in place."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from portanet.callbacks.base import Callback, TrainerView
from portanet.callbacks.progress import Displayed, Progress, in_words

__all__ = ["NotebookProgress", "Shown", "progress"]

_COLOURS = {"loss": "#0072B2", "val_loss": "#D55E00"}
_WIDTH, _HEIGHT = 360, 90  # pixels of the curves


def progress() -> Callback:
    """Return what shows the progress of a fit: in a notebook a display, else lines on stderr."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return Progress() if getattr(shell, "kernel", None) is None else NotebookProgress()


@dataclass(frozen=True)
class Shown:
    """What the display shows: how far the fit is, the curves of the losses, the last line."""

    done: float
    line: str
    rows: Sequence[dict[str, float]]

    def __repr__(self) -> str:
        return self.line

    def _repr_html_(self) -> str:
        bar = f'<progress value="{self.done:.4f}" max="1" style="width: {_WIDTH}px"></progress>'
        return f"<div>{bar}</div><div><code>{escape(self.line)}</code></div>{self._curves()}"

    def _curves(self) -> str:
        columns = {name: [row[name] for row in self.rows if name in row] for name in _COLOURS}
        drawn = {name: values for name, values in columns.items() if len(values) > 1}
        if not drawn:
            return ""
        low, high = min(map(min, drawn.values())), max(map(max, drawn.values()))
        lines, names = [], []
        for name, values in drawn.items():
            across = _WIDTH / (len(values) - 1)
            heights = [(high - value) / ((high - low) or 1.0) * (_HEIGHT - 4) + 2 for value in values]
            points = " ".join(f"{i * across:.1f},{height:.1f}" for i, height in enumerate(heights))
            lines.append(f'<polyline points="{points}" fill="none" stroke="{_COLOURS[name]}" stroke-width="2"/>')
            names.append(f'<span style="color: {_COLOURS[name]}">{name} {values[-1]:#.4g}</span>')
        svg = f'<svg width="{_WIDTH}" height="{_HEIGHT}" style="border-bottom: 1px solid #ccc">{"".join(lines)}</svg>'
        return f"<div>{svg}</div><div>{' &nbsp; '.join(names)}</div>"


class NotebookProgress(Displayed):
    """Shows epoch, loss, metrics, curves and the time left; reads the device at most twice a second."""

    def on_fit_begin(self, trainer: TrainerView, end: int) -> None:
        super().on_fit_begin(trainer, end)
        self._rows: list[dict[str, float]] = []
        self._last = Shown(0.0, f"epoch {trainer.epoch}/{end}", ())
        display: Any = importlib.import_module("IPython.display")
        self._handle = display.display(self._last, display_id=True)

    def on_batch_end(self, trainer: TrainerView, batch: int, batches: int) -> None:
        if self.due():
            at = trainer.epoch + batch / batches
            line = f"{self.title(trainer.epoch + 1)}  {in_words(trainer.meter.result())}{self.left(at)}"
            self._handle.update(Shown(self.share(at), line, tuple(self._rows)))

    def on_epoch_end(self, trainer: TrainerView, row: dict[str, float]) -> None:
        self._rows.append(dict(row))
        self._last = Shown(self.share(row["epoch"]), self.line(row), tuple(self._rows))
        if self.due():
            self._handle.update(self._last)

    def on_fit_end(self, trainer: TrainerView) -> None:
        self._handle.update(self._last)
