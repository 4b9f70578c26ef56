"""A data set on the host: what every reader returns and every trainer takes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from portanet.data.pictures.form import Pictures
from portanet.errors import DataError
from portanet.names import listed

HostArray = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Dataset:
    """Samples and targets in host memory, with what is known about them.

    Attributes
    ----------
    name : str
        What the data is called: a known name, or the path it came from.
    x : ndarray, Samples or Table, shape (n, ...)
        Training samples, rows first. Images stay ``uint8`` as they were read: ``(n, h, w)`` or ``(n, h, w, channels)``.
        If they were left on disk (``load(..., stream=True)``), they are :class:`~portanet.data.Samples`; columns with
        gaps, or of more than numbers, are a :class:`~portanet.data.Table`.
    y : ndarray
        Targets: class indices ``(n,)`` in int64 for a classification, floats ``(n,)`` or ``(n, outputs)``
        for a regression.
    x_test, y_test : ndarray or None
        The test part, if the data has one, in the same form.
    x_val, y_val : ndarray or None
        The validation part, if the data has one.
    pictures : Pictures or None
        The form that pictures were brought to, if the samples were read from picture files.
    classes : tuple of str
        Names of the classes in the order of their indices; empty for a regression.
    features : tuple of str
        Names of the columns, if the data has them.
    target, place : str, int
        Name and index of the target's column, if it was one of a table's; several names with commas between them.
    outputs : tuple of str
        Names of several targets.
    labels : bool
        Whether these are labels, 0 or 1 each.
    scale : float or None
        Largest value that the format defines: 255 for images and pixels, 16 for scikit-learn's digits, 1 for text
        digits, None for tables and points. Readers leave `x` as it was read; whoever builds the network divides by it.
    """

    name: str
    x: Any
    y: HostArray
    x_test: Any = None
    y_test: HostArray | None = None
    classes: tuple[str, ...] = ()
    features: tuple[str, ...] = field(default=(), repr=False)
    scale: float | None = None
    target: str = ""
    place: int = -1
    outputs: tuple[str, ...] = ()
    labels: bool = False
    x_val: Any = None
    y_val: HostArray | None = None
    pictures: Pictures | None = None

    def __post_init__(self) -> None:
        parts = (
            ("training", self.x, self.y),
            ("test", self.x_test, self.y_test),
            ("validation", self.x_val, self.y_val),
        )
        for part, x, y in parts:
            if x is None and y is None:
                continue
            wrong = ""
            if x is None or y is None:
                wrong = f"the {part} part has {'targets' if x is None else 'samples'} alone; give both or none"
            elif len(x) != len(y):
                wrong = f"the {part} part has {len(x)} samples and {len(y)} targets; there must be one target a sample"
            elif len(x) == 0:
                fix = "look where its rows were chosen" if part == "training" else "give it samples, or leave it out"
                wrong = f"expected at least one sample in the {part} part, got none; {fix}"
            if wrong:
                message = f"{self.name}: {wrong}"
                raise DataError(message)

    def __len__(self) -> int:
        """Return the number of training samples."""
        return len(self.x)

    def __repr__(self) -> str:
        arrays = {"x": self.x, "y": self.y, "x_val": self.x_val, "x_test": self.x_test}
        parts = [f"{name} {tuple(a.shape)} {a.dtype}" for name, a in arrays.items() if a is not None]
        parts.append(f"{len(self.classes)} classes" if self.classes else "regression")
        return f"<Dataset {self.name}: {', '.join(parts)}>"

    def read(self, start: int, stop: int) -> tuple[HostArray, HostArray]:
        """Return training samples and targets of these rows: a :class:`~portanet.data.Readable` has this method."""
        return (self.x.read(start, stop) if hasattr(self.x, "read") else self.x[start:stop]), self.y[start:stop]

    @property
    def task(self) -> Literal["classification", "regression"]:
        """What is to be learned: a classification if there are classes."""
        return "classification" if self.classes else "regression"

    def flat(self) -> Dataset:
        """Return the same data with each sample as one row of features."""
        parts = (self.x, self.x_test, self.x_val)
        x, x_test, x_val = (x if x is None or x.ndim == 2 else x.reshape(len(x), -1) for x in parts)
        return replace(self, x=x, x_test=x_test, x_val=x_val)

    def with_classes(self, classes: Sequence[str]) -> Dataset:
        """Return the same data with its labels numbered as in `classes`, the names that a network was trained on.

        Data read for an evaluation may hold fewer classes than the training did, and numbers them from 0 by itself.

        Raises
        ------
        DataError
            If the data has no classes, or one that is not in `classes`.
        """
        place = {name: index for index, name in enumerate(classes)}
        same = {_as_number(name): index for name, index in place.items()}
        place |= {own: same[n] for own in self.classes if own not in place and (n := _as_number(own)) in same}
        strange = [name for name in self.classes if name not in place]
        if strange or not self.classes:
            came = f"the class {strange[0]!r}" if strange else "targets that are no classes"
            message = f"{self.name}: expected labels among {listed(classes)}, got {came}; "
            raise DataError(message + "correct the labels or leave them out")
        number = np.asarray([place[name] for name in self.classes], dtype=np.int64)
        y_test, y_val = (None if y is None else number[y] for y in (self.y_test, self.y_val))
        return replace(self, y=number[self.y], y_test=y_test, y_val=y_val, classes=tuple(classes))


def _as_number(name: str) -> str | float:
    """Return the name of a class as a number if it is one: 1 and 1.0 are one class, as is 01."""
    try:
        return float(name)
    except ValueError:
        return name


def fingerprint(dataset: Dataset) -> str:
    """Return the SHA-256, in hexadecimal, over the names, dtypes, shapes and bytes of the arrays of a data set.

    Two data sets with the same fingerprint hold the same numbers, wherever they were read from. Of samples on disk,
    only a few rows at 16 places are read.
    """
    digest = hashlib.sha256()
    for part in ("x", "y", "x_test", "y_test", "x_val", "y_val"):
        array = getattr(dataset, part)
        if array is not None:
            digest.update(f"{part} {array.dtype.str} {array.shape};".encode())
            for own in array.some() if hasattr(array, "some") else [array]:
                digest.update(np.ascontiguousarray(own).data)
    return digest.hexdigest()
