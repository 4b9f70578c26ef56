"""What is printed: results on stdout as tables or JSON, all else on stderr as plain lines."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click

from portanet.names import escaped, escaped_json

_MANY = 1000  # rows
_CHOICE = "portanet.backends"  # the logger of the line that says which backend "auto" took


def say(line: str) -> None:
    """Print a line on stderr, control characters written out; one that finds no room there is no reason to end."""
    with contextlib.suppress(OSError):
        click.echo(escaped(line), err=True)


def echo(line: str = "") -> None:
    """Print a line on stdout, control characters written out: names from a file are not to steer the terminal."""
    click.echo(escaped(line))


def as_json(value: Any) -> str:
    """Return `value` as JSON that every parser reads, and no terminal obeys; a number that is not finite is null."""
    return escaped_json(json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False))


def print_json(value: Any) -> None:
    """Print `value` as JSON on stdout."""
    click.echo(as_json(value))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """Print a table on stdout; the columns whose indices stand in `right` are aligned there.

    In a terminal it is as wide as that; in a pipe or a file no row is broken.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if len(rows) > _MANY:
        _print_many([header, *rows], right)
        return
    width = None if sys.stdout.isatty() else 10_000
    colors: Any = None if os.environ.get("NO_COLOR") else "auto"  # rich itself would still print in bold
    console = Console(file=sys.stdout, width=width, color_system=colors)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for i, name in enumerate(header):
        table.add_column(Text(escaped(name)), justify="right" if i in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(escaped(cell)) for cell in row))  # Text: a name in [brackets] is no style
    console.print(table)


def _print_many(rows: Sequence[Sequence[str]], right: Sequence[int]) -> None:
    """Print the rows of a long table, none of them broken: rich takes half a millisecond for each."""
    from rich.cells import cell_len

    cells = [[escaped(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        gaps = (" " * (width - cell_len(cell)) for width, cell in zip(widths, row, strict=True))
        parts = (gap + cell if i in right else cell + gap for i, (gap, cell) in enumerate(zip(gaps, row, strict=True)))
        echo("  ".join(parts))


def numbers(row: dict[str, float]) -> str:
    """Return named numbers in one line: ``loss 0.1234  accuracy 0.9876``."""
    return "  ".join(f"{name} {value:.4f}" for name, value in row.items())


class _ToStderr(logging.Handler):
    """Prints records as plain lines: ``portanet: running on numpy``."""

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        # click.echo looks sys.stderr up now: it may have been replaced since the handler was made.
        say(line if line.startswith("portanet: ") else f"portanet: {line}")


@contextlib.contextmanager
def logging_to_stderr() -> Iterator[None]:
    """Print the library's messages on stderr as long as the block runs."""
    logger, choice = logging.getLogger("portanet"), logging.getLogger(_CHOICE)
    handler, levels = _ToStderr(), (logger.level, choice.level)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(levels[0])
        choice.setLevel(levels[1])


def only_warnings() -> None:
    """Print no information, and not which backend was chosen, until this command ends."""
    logging.getLogger("portanet").setLevel(logging.WARNING)
    logging.getLogger(_CHOICE).setLevel(logging.ERROR)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
