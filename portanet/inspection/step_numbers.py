"""A training step in numbers: what it holds, as text, HTML and plain values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

from portanet.inspection.formulas import Excerpt, excerpt
from portanet.typing import Array

__all__ = ["Trace", "TraceBlock"]


@dataclass(frozen=True)
class TraceBlock:
    """What one layer, the loss or the optimizer does in a step.

    Attributes
    ----------
    title : str
        ``"Residual 3 > Dense 0"``.
    words : str
        The layer and the numbers that matter, ``Dense 500``; empty if there are none.
    formula : tuple of str
        Lines of its docstring; empty for a class that has none.
    arrays : dict of host arrays
        By the names that the formula uses.
    notes : tuple of str
        Further lines: one entry worked out in numbers.
    """

    title: str
    words: str
    formula: tuple[str, ...]
    arrays: dict[str, Array]
    notes: tuple[str, ...] = ()

    def excerpts(self) -> Iterator[tuple[str, Excerpt]]:
        """Yield the name and the shown part of each array."""
        for name, array in self.arrays.items():
            yield name, excerpt(array, parameter=name not in ("x", "y", "dx", "dy", "z", "t", "p", "dz"))


@dataclass(frozen=True)
class Trace:
    """One training step in numbers; print it, or let a notebook show it.

    Attributes
    ----------
    about : str
        Optimizer, learning rate, dtype, number of samples.
    forward, backward, update : tuple of TraceBlock
        A block a layer (backward: last to first), and a block a parameter.
    loss : TraceBlock
    value : float
        The loss.
    """

    about: str
    forward: tuple[TraceBlock, ...]
    loss: TraceBlock
    backward: tuple[TraceBlock, ...]
    update: tuple[TraceBlock, ...]
    value: float

    @property
    def parts(self) -> dict[str, tuple[TraceBlock, ...]]:
        """The four parts of the step by name."""
        return {"forward": self.forward, "loss": (self.loss,), "backward": self.backward, "update": self.update}

    def __str__(self) -> str:
        lines = [self.about]
        for part, blocks in self.parts.items():
            lines += ["", f"{part.upper()} {'-' * (70 - len(part))}"]
            for block in blocks:
                lines += _text(block)
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.html()

    def html(self) -> str:
        """Return it as HTML, without head and body."""
        found = f"<div><b>{escape(self.about)}</b></div>"
        for part, blocks in self.parts.items():
            found += f"<h4>{part.capitalize()}</h4>" + "".join(map(_html, blocks))
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return all numbers as plain values, for JSON."""

        def plain(block: TraceBlock) -> dict[str, Any]:
            arrays = {name: array.tolist() for name, array in block.arrays.items()}
            return {"title": block.title, "layer": block.words, "formula": list(block.formula), "arrays": arrays}

        return {"about": self.about, "loss": self.value} | {
            part: [plain(block) for block in blocks] for part, blocks in self.parts.items() if part != "loss"
        }


def _text(block: TraceBlock) -> list[str]:
    lines = [f"{block.title}: {block.words}" if block.words else block.title]
    lines += [f"    {line}" for line in block.formula]
    for name, part in block.excerpts():
        shape = f"({', '.join(map(str, part.shape))})"
        lines.append(f"  {name} {shape}{f', shown {part.index}' if part.index else ''}")
        lines += [f"    {line}" for line in part.lines()]
    return [*lines, *(f"  {line}" for line in block.notes), ""]


def _html(block: TraceBlock) -> str:
    title = f"{block.title}: {block.words}" if block.words else block.title
    rows = "".join(f"<div><code>{escape(line)}</code></div>" for line in block.formula)
    for name, part in block.excerpts():
        shape = "×".join(map(str, part.shape)) or "a number"
        where = f", shown {part.index}" if part.index else ""
        rows += f"<div>{escape(name)} <small>{shape}{where}</small><br>{part.html()}</div>"
    rows += "".join(f"<div><code>{escape(line)}</code></div>" for line in block.notes)
    body = f'<div style="margin-left: 1.5em">{rows}</div>'
    return f"<details open><summary>{escape(title)}</summary>{body}</details>"
