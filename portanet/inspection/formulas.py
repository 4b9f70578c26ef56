"""The formulas in the docstrings of layers, losses and optimizers, and arrays as numbers to read."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from html import escape
from typing import Any

from portanet.typing import Array, Shape

__all__ = ["Excerpt", "excerpt", "formula", "number"]

_ROWS, _COLUMNS = 5, 10  # of an array that are shown
_BLUE, _ORANGE = "0, 114, 178", "213, 94, 0"


def formula(thing: Any, word: str) -> tuple[str, ...]:
    """Return the lines that follow `word` (Forward, Backward, Rule) in the docstring of an object's class, if any."""
    found: list[str] = []
    for line in (inspect.getdoc(type(thing)) or "").splitlines():
        head, more = re.match(r"(\w+)\s{2,}(\S.*)", line), re.match(r"\s{4,}(\S.*)", line)
        if head is not None and head[1] == word:
            found.append(head[2])
        elif found and more is not None:
            found.append(more[1])
        elif found:
            break
    return tuple(re.sub(r"(\w) {1,2}=", r"\1 =", line) for line in found)


def number(value: float) -> str:
    """Return a number in four digits."""
    value += 0.0  # -0 is 0
    return f"{value:.4g}" if abs(value) >= 5e-5 or value == 0 else f"{value:.1e}"


@dataclass(frozen=True)
class Excerpt:
    """The part of an array around its largest entry.

    Attributes
    ----------
    shape : tuple of int
        Of the whole array.
    index : str
        Which part it is, as in brackets; empty if it is the whole array.
    rows : list of list of float
    """

    shape: Shape
    index: str
    rows: list[list[float]]

    def lines(self) -> list[str]:
        """Return the numbers as lines of text."""
        cells = [[number(value) for value in row] for row in self.rows]
        width = max((len(cell) for row in cells for cell in row), default=0)
        return ["  ".join(cell.rjust(width) for cell in row) for row in cells]

    def html(self) -> str:
        """Return the numbers as a table: blue above 0, orange below."""
        largest = max((abs(value) for row in self.rows for value in row), default=0.0) or 1.0
        body = ""
        for row in self.rows:
            cells = ""
            for value in row:
                colour = f"rgba({_BLUE if value > 0 else _ORANGE}, {0.45 * abs(value) / largest:.2f})"
                cells += f'<td style="text-align: right; background: {colour}">{escape(number(value))}</td>'
            body += f"<tr>{cells}</tr>"
        return f'<table style="display: inline-table; margin: 2px 0; font-family: monospace">{body}</table>'


def excerpt(array: Array, *, parameter: bool = False) -> Excerpt:
    """Return the part of a host array around its largest entry.

    Parameters
    ----------
    array : host array
        Of samples, (n, ...), or of a parameter.
    parameter : bool
        Whether its first axis is not that of samples: of four axes the first two are then shown, as of a kernel.
    """
    shape = tuple(array.shape)
    place = [0] * len(shape)
    if array.size:
        flat = int(abs(array).argmax())
        for axis in range(len(shape) - 1, -1, -1):
            flat, place[axis] = divmod(flat, shape[axis])
    kept = list(range(len(shape)))[-2:]
    if len(shape) >= 4:
        kept = [0, 1] if parameter else [1, 2]
    spans, words = list[Any](place), [str(i) for i in place]
    for axis, most in zip(kept, (_ROWS, _COLUMNS)[-len(kept) :] if kept else (), strict=True):
        start = max(0, min(place[axis] - most // 2, shape[axis] - most))
        spans[axis] = slice(start, min(start + most, shape[axis]))
        words[axis] = ":" if shape[axis] <= most else f"{start}:{spans[axis].stop}"
    part = array[tuple(spans)]
    rows = part.reshape(-1, part.shape[-1]) if part.ndim else part.reshape(1, 1)
    whole = all(word == ":" for word in words)
    return Excerpt(shape, "" if whole else f"[{', '.join(words)}]", rows.tolist())
