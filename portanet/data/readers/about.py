"""The file next to converted arrays: the names of classes and columns, the scale, and the table they were made of."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from portanet.data.dataset import Dataset
from portanet.data.readers.labels import Task
from portanet.errors import DataError
from portanet.files.plain import parsed
from portanet.files.regular import read
from portanet.names import is_safe

ABOUT = "portanet.json"

_LARGEST = 64 << 20  # bytes: names of a million columns


def about(folder: Path) -> dict[str, Any] | None:
    """Return what the file in a folder says, or None if there is none; raise DataError if it is damaged."""
    path = folder / ABOUT
    if not path.is_file():
        return None
    try:
        found = parsed(read(path, _LARGEST))
        names = [*found["classes"], *found["features"]]
        if (
            not all(isinstance(name, str) for name in names)
            or not all(map(is_safe, found["classes"]))
            or not isinstance(found["scale"], float | None)
        ):
            raise TypeError
    except (OSError, ValueError, KeyError, TypeError):
        message = f"{path}: expected what portanet convert writes, got another or a damaged file; "
        raise DataError(message + "convert the table again") from None
    return dict(found)


def described(dataset: Dataset, folder: Path) -> Dataset:
    """Return data read from the arrays in a folder with the names next to them; raise DataError if these do not fit."""
    found = about(folder)
    if found is None:
        return dataset
    names = tuple(found["classes"])
    if names:
        indices = [str(i) for i in range(len(names))]
        if not dataset.classes or not set(dataset.classes) <= set(indices):
            message = f"{folder / ABOUT}: it names {len(names)} classes, but the targets hold others; "
            raise DataError(message + "convert the table again")
        dataset = dataset.with_classes(indices)
    elif dataset.classes:
        # A reader takes few whole numbers for classes if it knows no better: these are measured.
        dataset = dataclasses.replace(dataset, y=np.asarray(dataset.classes, np.float64)[dataset.y])
    return dataclasses.replace(dataset, classes=names, features=tuple(found["features"]), scale=found["scale"])


def source_of(path: Path, target: str | int | None, task: Task | None) -> dict[str, Any]:
    """Return what distinguishes a table, and how it is read, from another."""
    file, chosen = path.stat(), None if target is None else str(target)
    return {"name": path.name, "bytes": file.st_size, "changed": file.st_mtime_ns, "target": chosen, "task": task}


def is_of(found: dict[str, Any], path: Path, target: str | int | None, task: Task | None) -> bool:
    """Whether a conversion is that of this table, as it is now, with this target and for this task."""
    made, now = dict(found["source"]), source_of(path, target, task)
    learns = "classification" if found["classes"] else "regression"
    return made == now or (task == learns and made | {"task": task} == now)
