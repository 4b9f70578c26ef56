"""Callbacks that append each epoch's row to a file.

A training that was killed may have written rows after its last checkpoint. Once it is resumed it trains these epochs
again, to the same numbers: their rows are in the file already, and are not written a second time.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from portanet.callbacks.base import Callback, TrainerView
from portanet.checks import check_path
from portanet.errors import ConfigError
from portanet.files.atomic import append

__all__ = ["CSVLogger", "JSONLLogger"]


class _Logger(Callback):
    """Base of both: which epochs of a resumed training the file holds already."""

    writes = True
    acts = False

    def __init__(self, path: str | Path) -> None:
        self.path = check_path(f"{type(self).__name__}: path", path)
        self._written = 0

    def on_fit_begin(self, trainer: TrainerView, end: int) -> None:
        self._written = 0
        for epoch in self._epochs() if trainer.resumed and self.path.is_file() else ():
            with contextlib.suppress(TypeError, ValueError):
                self._written = int(epoch)

    def on_epoch_end(self, trainer: TrainerView, row: dict[str, float]) -> None:
        if row["epoch"] > self._written:
            self._append(row)

    def _append(self, row: dict[str, float]) -> None:
        raise NotImplementedError

    def _epochs(self) -> Iterable[Any]:
        """Return what stands in the file's rows as their epochs."""
        raise NotImplementedError


class JSONLLogger(_Logger):
    """Appends each epoch's row to a file as one line of JSON."""

    def _append(self, row: dict[str, float]) -> None:
        append(self.path, json.dumps(row) + "\n")

    def _epochs(self) -> Iterable[Any]:
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                yield json.loads(line)["epoch"]
            except (ValueError, KeyError, TypeError):
                continue  # no row of ours


class CSVLogger(_Logger):
    """Appends each epoch's row to a CSV file; the first row's names are its header.

    A later row has to have the same names, also where the file comes from an earlier training.
    """

    def _append(self, row: dict[str, float]) -> None:
        lines = io.StringIO(newline="")
        writer = csv.writer(lines)
        header = []
        if self.path.is_file():
            with self.path.open(newline="", encoding="utf-8") as file:
                header = next(csv.reader(file), [])
        if not header:
            writer.writerow(row)
        elif header != list(row):
            message = f"CSVLogger: {self.path} has the columns {', '.join(header)}, got a row of {', '.join(row)}"
            raise ConfigError(message + "; give this training a file of its own")
        writer.writerow(row.values())
        append(self.path, lines.getvalue())

    def _epochs(self) -> Iterable[Any]:
        with self.path.open(newline="", encoding="utf-8", errors="replace") as file:
            for row in csv.DictReader(file):
                yield row.get("epoch")
