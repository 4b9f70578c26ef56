"""``portanet convert``: Write a table as .npy, which is read from disk piece by piece."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from portanet.cli.output import echo, say
from portanet.cli.parameters import FILE, OUT, column_option, task_option


@click.command()
@click.argument("table", type=FILE)
@click.option("-o", "--out", type=OUT, metavar="DIR", help="New folder. Default: TABLE's name with -npy.")
@column_option
@task_option
def convert(table: Path, out: Path | None, target: str | None, task: Any) -> None:
    """Write a table as .npy, which is read from disk piece by piece.

    TABLE, a CSV or TSV file (also .gz), becomes X.npy and y.npy in a new folder, from which train, evaluate and predict
    read. Neither need fit into memory. The folder appears when it is whole; its path is printed.
    """
    from portanet.data.readers.convert import convert_table, folder_beside

    with _ended_in_order(), _progress(table) as progress:
        folder = convert_table(table, out or folder_beside(table), target=target, task=task, progress=progress)
    size = sum(file.stat().st_size for file in folder.iterdir())
    say(f"{folder}: {size / 1e6:.1f} MB; train on it: portanet train {folder}")
    echo(str(folder))


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that what is half done is removed."""
    main = threading.current_thread() is threading.main_thread()  # no other thread may set a handler
    if not main or signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _progress(table: Path) -> Iterator[Callable[[int], None]]:
    """Yield what shows how many bytes are done: a bar in a terminal, a line every half minute in a log."""
    from portanet.data.files import regular
    from portanet.data.readers.convert import Lines

    regular(table)
    if not sys.stderr.isatty() or table.suffix == ".gz":
        yield Lines(table)
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("converting", total=table.stat().st_size)
        yield lambda done: bar.update(task, completed=done)
