"""From labels as they were read to targets: class indices with their names, or numbers to regress."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn, TypeAlias

import numpy as np

from portanet.data.cells import name_of
from portanet.data.dataset import Dataset, HostArray
from portanet.data.files import shown
from portanet.data.numbers import is_number
from portanet.errors import DataError
from portanet.names import is_safe, listed

logger = logging.getLogger("portanet")

Labels: TypeAlias = list[str] | HostArray
"""Labels of ``n`` samples as they were read: text, or numbers of shape ``(n,)``, ``(n, 1)`` or ``(n, outputs)``."""

Targets: TypeAlias = tuple[HostArray, HostArray | None, tuple[str, ...]]
"""``(y, y_test, classes)`` as a `Dataset` holds them."""

Task: TypeAlias = Literal["classification", "regression"]

Where: TypeAlias = Callable[[int], str]
"""Says for a message where sample `i` stands: a file and a line, or an array and an index."""

_EXACT = 2.0**53  # beyond it, neighbouring whole numbers are one float64
_ZEROS = re.compile(r"0\d+")
_FEW = 20  # distinct labels that are always classes
_MOST = 100_000  # distinct labels of text in a table read in pieces: more are no classes


class Part(NamedTuple):
    """The training or the test part of a data set as it was read: samples, labels, and each label's place."""

    x: Any
    labels: Labels
    place: Where


def dataset(path: Path, train: Part, test: Part | None, task: Task | None = "classification", **about: Any) -> Dataset:
    """Return the data set of both parts, with the labels encoded; raise as :func:`encode`, or if samples differ."""
    x_test, labels_test, test_where = test or (None, None, None)
    if x_test is not None and train.x.shape[1:] != x_test.shape[1:]:
        message = f"{path}: the training samples have the shape {train.x.shape[1:]}, "
        raise DataError(message + f"those of the test part {x_test.shape[1:]}; give one kind")
    if task is None and isinstance(train.labels, list):
        check_repeated(path, train.labels)
    y, y_test, classes = encode(train.labels, labels_test, task=task, where=train.place, test_where=test_where)
    if task is None and len(classes) > _FEW and all(map(is_number, classes)):
        words = "%s: the %d whole numbers of the target are taken as classes; --task regression takes them as numbers"
        logger.info(words, path, len(classes))
    return Dataset(str(path), train.x, y, x_test, y_test, classes, **about)


def encode(
    train: Labels, test: Labels | None, *, task: Task | None, where: Where, test_where: Where | None = None
) -> Targets:
    """Return the targets of both parts and the names of the classes.

    Without `task`, labels that are no numbers are classes, and so are whole numbers, unless there are so many that they
    are rather counted or measured: more than 20 distinct ones that are not numbered one by one from 0 or 1 (years,
    ages), or in more than half of the samples; or more than 100 in more than a tenth. Other numbers are a regression.
    Rows of zeros with a single one (one-hot) are classes.

    Targets are indices ``(n,)`` in int64, or float64 for a regression. Classes are the distinct labels of the training
    part, numbers by size and text by letters; there are none for a regression.

    Raises
    ------
    DataError
        If a label is not finite, no number in a regression, or of a class that the training part does not have.
    """
    test_where = test_where or where
    y = _numbers(train, where, task)
    y_test = None if test is None else _numbers(test, test_where, task)
    if y is None or (test is not None and y_test is None):
        # A mixture of numbers and text is text: every label stays as it is written.
        return _text_classes(_text(train), None if test is None else _text(test), where, test_where)
    parts = [y] if y_test is None else [y, y_test]
    if task != "regression" and all(map(_is_onehot, parts)) and len({part.shape[1] for part in parts}) == 1:
        names = tuple(str(i) for i in range(y.shape[1]))
        return np.argmax(y, axis=1), None if y_test is None else np.argmax(y_test, axis=1), names
    if task == "regression" or (task is None and (y.ndim > 1 or _is_measured(y))):
        return y, y_test, ()
    if y.ndim > 1:
        message = f"{where(0)}: expected one label a sample, or one-hot rows, got {y.shape[1]} numbers; give one column"
        raise DataError(message)
    written = {float(name): name for name in set(train) if _ZEROS.fullmatch(name)} if isinstance(train, list) else {}
    return _number_classes(y, y_test, where, test_where, written)


def _numbers(labels: Labels, where: Where, task: Task | None) -> HostArray | None:
    """Return the labels in float64, checked to be finite; None if they are text and not for a regression."""
    if isinstance(labels, list):
        number: dict[str, float] = {}
        for name in dict.fromkeys(labels):  # distinct labels are few: each is converted once
            if is_number(name):
                number[name] = float(name)
            elif task != "regression":
                return None
            else:
                place = where(labels.index(name))
                message = f"{place}: expected a number to regress, got {shown(name)}; "
                raise DataError(message + "leave out the task or name another target")
        values = np.asarray([number[name] for name in labels], dtype=np.float64)
    else:
        values = labels.astype(np.float64)
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not finite.all():
        sample = int(np.argmin(finite))
        message = f"{where(sample)}: expected a finite label, got {values[sample]}; correct it or drop the row"
        raise DataError(message)
    return values


def _text(labels: Labels) -> list[str]:
    return labels if isinstance(labels, list) else [name_of(value) for value in np.ravel(labels).tolist()]


def _is_onehot(y: HostArray) -> bool:
    return y.ndim == 2 and bool(np.all((y == 0) | (y == 1)) and np.all(np.sum(y, axis=1) == 1))


def _is_measured(y: HostArray) -> bool:
    """Whether numbers are rather measured than names of classes."""
    if np.any(y != np.floor(y)):
        return True
    values, n = np.unique(y), len(y)
    distinct = len(values)
    counted = values[0] in (0, 1) and values[-1] == values[0] + distinct - 1  # as classes are numbered
    return distinct > _FEW and (not counted or 2 * distinct > n or (distinct > 100 and 10 * distinct > n))


def _number_classes(
    y: HostArray, y_test: HostArray | None, where: Where, test_where: Where, written: dict[float, str]
) -> Targets:
    """Return the classes of numbers, in their order; one written with zeros in front, as 01, keeps these."""
    values = np.unique(y)
    large = np.flatnonzero(np.abs(y) >= _EXACT)
    if len(large):
        place, value = where(int(large[0])), y[large[0]]
        message = f"{place}: the label is out of range: expected a number below 2**53, got {value:g}; "
        raise DataError(message + "number the classes from 0")
    classes = tuple(written.get(value) or name_of(value) for value in values.tolist())
    if y_test is not None:
        strange = np.flatnonzero(~np.isin(y_test, values))
        if len(strange):
            _refuse_strange(f"{y_test[strange[0]]:g}", classes, test_where(int(strange[0])))
        y_test = np.searchsorted(values, y_test).astype(np.int64)
    return np.searchsorted(values, y).astype(np.int64), y_test, classes


def _text_classes(train: list[str], test: list[str] | None, where: Where, test_where: Where) -> Targets:
    classes = tuple(sorted(set(train)))
    for name in classes:
        if not is_safe(name):  # it would be printed, saved, and put into scripts
            message = (
                f"{where(train.index(name))}: expected a label without control characters, in characters that exist, "
            )
            raise DataError(message + f"got {shown(name)}; rename it")
    index = {name: i for i, name in enumerate(classes)}
    for sample, name in enumerate(test or ()):
        if name not in index:
            _refuse_strange(name, classes, test_where(sample))
    y_test = None if test is None else np.asarray([index[name] for name in test], dtype=np.int64)
    return np.asarray([index[name] for name in train], dtype=np.int64), y_test, classes


def _refuse_strange(name: str, classes: tuple[str, ...], place: str) -> NoReturn:
    message = f"{place}: the label {shown(name)} does not occur in the training part (its classes: {listed(classes)}); "
    raise DataError(message + "give both parts the same classes")


def check_repeated(path: Path, labels: list[str]) -> None:
    """Raise DataError for text that hardly repeats: free text, or numbers with something else between them."""
    distinct = set(labels)
    if len(distinct) <= _FEW or 2 * len(distinct) <= len(labels):
        return
    numbers = sum(map(is_number, distinct))
    if numbers == len(distinct):
        return
    came = f"{len(distinct)} different ones in {len(labels)} rows"
    if 2 * numbers > len(distinct):
        odd = next(label for label in labels if not is_number(label))
        message = (
            f"{path}: expected numbers or labels as the target, got {came}: most are numbers, {shown(odd)} is none; "
        )
        raise DataError(message + "correct it, or name another target")
    message = f"{path}: expected labels that repeat as the target, got {came}; name another target"
    raise DataError(message + ", or take them as classes all the same by --task classification")


class LabelPieces:
    """Collects labels piece by piece: each distinct text once, and as numbers if there are too many of these."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._codes: dict[str, int] = {}
        self._parts: list[HostArray] = []
        self._numbers: list[HostArray] = []

    def add(self, labels: Labels) -> None:
        texts = labels if isinstance(labels, list) else [str(value) for value in labels.tolist()]
        known = self._codes
        self._parts.append(np.asarray([known.setdefault(text, len(known)) for text in texts], np.int32))
        if len(known) > _MOST:
            self._as_numbers(needed=True)

    def encoded(self, task: Task | None) -> tuple[HostArray, tuple[str, ...]]:
        """Return targets and the names of the classes, as a table in memory has them."""

        def where(i: int) -> str:
            return f"{self.path}, row {i}"

        if self._as_numbers(needed=bool(self._numbers)):
            y, _, classes = encode(np.concatenate(self._numbers), None, task=task, where=where)
            return y, classes
        if task is None:
            names = list(self._codes)
            check_repeated(self.path, [names[i] for part in self._parts for i in part.tolist()])
        # Each name once: what it is encoded to is what all of its labels are.
        index, _, classes = encode(list(self._codes), None, task=task, where=where)
        return index[np.concatenate(self._parts)], classes

    def _as_numbers(self, *, needed: bool) -> bool:
        """Keep the labels so far as numbers, and return whether they are; raise if they are not, but need to be."""
        try:
            values = np.asarray([float(text) for text in self._codes])
        except ValueError:
            if not needed:
                return False
            message = f"{self.path}: expected at most {_MOST} labels of text, got more; name another target"
            raise DataError(message) from None
        self._numbers += [values[part] for part in self._parts]
        self._codes, self._parts = {}, []
        return True
