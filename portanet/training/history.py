"""What was seen while training, an epoch a row."""

from __future__ import annotations

import math
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, overload

from portanet import backends
from portanet.errors import unknown

__all__ = ["History"]

_NUMBER, _WHOLE, _ABSENT = 0, 1, 2
_NOT_FINITE = {3: math.nan, 4: math.inf, 5: -math.inf}
"""Marks beside the finite numbers of a history's table, for what such a table cannot hold by itself."""


class History:
    """The rows of a training: ``history["val_loss"]`` is a column, ``history[-1]`` the last epoch.

    A row holds ``epoch`` (1, 2, ...), ``loss`` and the metrics over the epoch's batches as they went by, the same with
    ``val_`` in front where there are validation data, ``lr`` and ``seconds``.

    Attributes
    ----------
    rows : list of dict
    stopped : str
        Why training ended: ``"epochs"`` if it ran to its end, else what stopped it.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.stopped = "epochs"

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, float]]:
        return iter(self.rows)

    @overload
    def __getitem__(self, key: int) -> dict[str, float]: ...
    @overload
    def __getitem__(self, key: str) -> list[float]: ...
    def __getitem__(self, key: str | int) -> list[float] | dict[str, float]:
        if not isinstance(key, str):
            return self.rows[key]
        found = [row[key] for row in self.rows if key in row]
        if not found and self.rows:
            raise KeyError(unknown("column of the history", key, {name for row in self.rows for name in row}))
        return found

    def state(self) -> dict[str, Any]:
        """Return the rows as a table, of which a checkpoint is made; what callbacks put there that is no number is not.

        As arrays they may be as many as they like; a file's header, where the plain values stand, has a largest size.
        """
        names = list({name: None for row in self.rows for name in row})
        columns = [_marked([row.get(name) for row in self.rows]) for name in names]
        xp = backends.get("numpy").xp
        table = xp.reshape(xp.asarray(columns, dtype=xp.float64), (len(names), 2, len(self.rows)))
        return {"names": names, "table": table}

    def load_state(self, state: dict[str, Any] | list[dict[str, float]]) -> None:
        """Take back what :meth:`state` returned, or the rows themselves, which files of 0.1.0 hold.

        Raises
        ------
        ValueError, KeyError, TypeError
            If it is something else.
        """
        if isinstance(state, dict):
            columns = [map(_value, *column) for column in state["table"].tolist()]
            pairs = [zip(state["names"], row, strict=True) for row in zip(*columns, strict=True)]
            rows = [{name: value for name, value in row if value is not None} for row in pairs]
        else:
            rows = [dict(row) for row in state]
        for row in rows:
            if not {"epoch", "loss"} <= set(row) or not all(isinstance(value, int | float) for value in row.values()):
                message = f"the history has a row {row!r:.200}"
                raise ValueError(message)
        self.rows = rows

    def __repr__(self) -> str:
        last = ", ".join(f"{k} {v:.4g}" for k, v in self.rows[-1].items()) if self.rows else "nothing yet"
        return f"<History of {len(self)} epochs: {last}>"


def _marked(column: list[Any]) -> tuple[list[float], list[int]]:
    """Return a finite number for each value, and what it stands for."""
    if set(map(type, column)) == {float} and all(map(math.isfinite, column)):  # as nearly all are
        return column, [_NUMBER] * len(column)
    marks = [_mark(value) for value in column]
    return [float(value) if mark < _ABSENT else 0.0 for value, mark in zip(column, marks, strict=True)], marks


def _mark(value: Any) -> int:
    if not isinstance(value, Real):
        return _ABSENT
    if math.isfinite(value):
        return _WHOLE if isinstance(value, Integral) else _NUMBER
    return next(mark for mark, other in _NOT_FINITE.items() if str(other) == str(float(value)))  # nan equals nothing


def _value(number: float, mark: float) -> float | None:
    return int(number) if mark == _WHOLE else None if mark == _ABSENT else _NOT_FINITE.get(int(mark), number)
