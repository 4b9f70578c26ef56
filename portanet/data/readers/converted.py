"""Tables of text that were converted beside themselves, and are taken from there."""

from __future__ import annotations

import dataclasses
import logging
import time
from pathlib import Path
from typing import Any

from portanet.data.dataset import Dataset
from portanet.data.readers.about import about
from portanet.data.readers.arrays import read_npy
from portanet.data.readers.convert import convert_table, source_of
from portanet.data.readers.labels import Task
from portanet.errors import DataError

__all__ = ["Lines", "converted", "folder_beside"]

logger = logging.getLogger("portanet")

_PACE = 30.0  # seconds between two lines of progress


def folder_beside(path: Path) -> Path:
    """Return the folder that a table is converted into where none is named: ``big-npy`` for ``big.csv.gz``."""
    return path.with_name(path.name.partition(".")[0] + "-npy")


def converted(path: Path, target: str | int | None, task: Task | None) -> Dataset:
    """Return a table whose samples stay on disk: it is converted beside itself where it was not yet.

    Raises
    ------
    DataError
        As :func:`convert_table`; or if the folder holds the arrays of another table.
    """
    if path.is_dir():
        message = f"{path}: a folder of tables is not read from disk; give the training table itself"
        raise DataError(message)
    folder = folder_beside(path)
    found = about(folder) if folder.is_dir() else None
    if found is not None and _is_of(found, path, target, task):
        logger.info("%s: it was converted before, into %s", path, folder)
    elif folder.exists():
        message = (
            f"{folder}: it holds something else than {path} as it is now, with this target; remove it, or convert the "
            f"table into another folder, and train on that: portanet convert {path} --out DIR"
        )
        raise DataError(message)
    else:
        logger.info("%s: converting it once into %s", path, folder)
        convert_table(path, folder, target=target, task=task, progress=Lines(path))
    return dataclasses.replace(read_npy(folder, stream=True), name=str(path))


class Lines:
    """Tells every half minute how far a conversion is."""

    def __init__(self, path: Path) -> None:
        self.path, self.size, self._told = path, path.stat().st_size, time.monotonic()

    def __call__(self, done: int) -> None:
        if time.monotonic() - self._told >= _PACE:
            self._told = time.monotonic()
            share = f", {100 * done / self.size:.0f} %" if self.path.suffix != ".gz" else ""
            logger.info("%s: %.1f GB converted%s", self.path, done / 1e9, share)


def _is_of(found: dict[str, Any], path: Path, target: str | int | None, task: Task | None) -> bool:
    """Whether a conversion is that of this table, as it is now, with this target and for this task."""
    made, now = dict(found["source"]), source_of(path, target, task)
    learns = "classification" if found["classes"] else "regression"
    return made == now or (task == learns and made | {"task": task} == now)
