"""Callbacks that append each epoch's row to a file.

A killed training may have written rows after its last checkpoint. After a resume these epochs are repeated with the
same results. Their rows are already in the file and are not written a second time.
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
from portanet.names import listed

__all__ = ["CSVLogger", "JSONLLogger"]


class _Logger(Callback):
    """Base class of both loggers: finds the epochs of a resumed training that are already in the file."""

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
        """Return the epochs of the rows in the file."""
        raise NotImplementedError


class JSONLLogger(_Logger):
    """Append the metrics of each epoch to a file as one line of JSON."""

    def _append(self, row: dict[str, float]) -> None:
        append(self.path, json.dumps(row) + "\n")

    def _epochs(self) -> Iterable[Any]:
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                yield json.loads(line)["epoch"]
            except (ValueError, KeyError, TypeError):
                continue  # not a row of this logger


class CSVLogger(_Logger):
    """Append the metrics of each epoch to a CSV file; the names in the first row are its header.

    Later rows must have the same names, also if the file is from an earlier training.
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
            message = f"CSVLogger: {self.path} has the columns {listed(header)}, got a row of {listed(list(row))}"
            raise ConfigError(message + "; give this training a file of its own")
        writer.writerow(row.values())
        append(self.path, lines.getvalue())

    def _epochs(self) -> Iterable[Any]:
        with self.path.open(newline="", encoding="utf-8", errors="replace") as file:
            for row in csv.DictReader(file):
                yield row.get("epoch")
