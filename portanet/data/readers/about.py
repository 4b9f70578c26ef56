"""What stands beside converted arrays: the names of classes and columns, the scale, and the table they were made of."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from portanet.data.dataset import Dataset
from portanet.errors import DataError

__all__ = ["ABOUT", "about", "described"]

ABOUT = "portanet.json"

_LARGEST = 64 << 20  # bytes: names of a million columns


def about(folder: Path) -> dict[str, Any] | None:
    """Return what stands there, or None where nothing does.

    Raises
    ------
    DataError
        If it is damaged.
    """
    path = folder / ABOUT
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(_LARGEST))
        names = [*found["classes"], *found["features"]]
        if not all(isinstance(name, str) for name in names) or not isinstance(found["scale"], float | None):
            raise TypeError
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        message = (
            f"{path}: expected what portanet convert writes, got another or a damaged file; convert the table again"
        )
        raise DataError(message) from None
    return dict(found)


def described(dataset: Dataset, folder: Path) -> Dataset:
    """Return data read from the arrays in a folder with the names that stand beside them.

    Raises
    ------
    DataError
        If there are other classes in the targets than are named.
    """
    found = about(folder)
    if found is None:
        return dataset
    features = tuple(found["features"])
    if not found["classes"]:
        # Whole numbers, few of them, are classes to a reader who knows no better: these were told to be measured.
        y = dataset.y if not dataset.classes else _numbers(dataset)
        return dataclasses.replace(dataset, y=y, classes=(), features=features, scale=found["scale"])
    place = {str(i): i for i in range(len(found["classes"]))}
    strange = [name for name in dataset.classes if name not in place]
    if strange or not dataset.classes:
        message = (
            f"{folder / ABOUT}: it names {len(place)} classes, but the targets hold others; convert the table again"
        )
        raise DataError(message)
    numbered = dataset.with_classes(list(place))
    return dataclasses.replace(numbered, classes=tuple(found["classes"]), features=features, scale=found["scale"])


def _numbers(dataset: Dataset) -> Any:
    import numpy as np

    return np.asarray([float(name) for name in dataset.classes])[dataset.y]
