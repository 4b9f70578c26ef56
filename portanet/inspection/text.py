"""Tables as text and as HTML, bytes in words: what terminals and notebooks show."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from html import escape
from typing import Any

__all__ = ["brief", "bytes_in_words", "html_table", "shape_words", "text_table"]

Rows = Sequence[Sequence[str]]


def text_table(header: Sequence[str], rows: Rows, right: Collection[int] = ()) -> list[str]:
    """Return the lines of a table; the columns whose indices are in `right` are aligned there."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    every = [header, ["-" * width for width in widths], *rows]
    lines = []
    for row in every:
        cells = [
            cell.rjust(n) if i in right else cell.ljust(n) for i, (cell, n) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def html_table(header: Sequence[str], rows: Rows, right: Collection[int] = (), caption: str = "") -> str:
    """Return a table as HTML; spaces at the begin of a cell are kept."""

    def line(tag: str, row: Sequence[str]) -> str:
        cells = []
        for i, cell in enumerate(row):
            align = "right" if i in right else "left"
            cells.append(f'<{tag} style="text-align: {align}; white-space: pre-wrap">{escape(cell)}</{tag}>')
        return f"<tr>{''.join(cells)}</tr>"

    head = f"<caption>{escape(caption)}</caption>" if caption else ""
    body = "".join(line("td", row) for row in rows)
    return f"<table>{head}<thead>{line('th', header)}</thead><tbody>{body}</tbody></table>"


def shape_words(shape: Sequence[int]) -> str:
    """Return the shape of a sample as people write it: ``28×28``."""
    return "×".join(map(str, shape))


def bytes_in_words(size: int) -> str:
    """Return a number of bytes in the unit that suits it: ``1.55 MB``."""
    power = min((len(str(size)) - 1) // 3, 4)
    return f"{size / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


def brief(thing: Any) -> str:
    """Return a dataclass as its type, its learning rate, and the other fields that are not at their defaults."""
    parts = [
        f"{field.name}={getattr(thing, field.name)!r}"
        for field in (dataclasses.fields(thing) if dataclasses.is_dataclass(thing) else ())
        if field.name == "lr" or getattr(thing, field.name) != field.default
    ]
    return f"{type(thing).__name__}({', '.join(parts)})"
