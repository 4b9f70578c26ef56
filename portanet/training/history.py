"""What was seen while training, an epoch a row."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Iterator
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, overload

from portanet.backends import get
from portanet.errors import MissingPackageError, unknown
from portanet.files.plain import parsed
from portanet.files.schema import NUMBER, WHOLE, check_numbers, check_values
from portanet.plot.history import curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["History"]

_OLD_MARKS = {3: math.nan, 4: math.inf, 5: -math.inf}
"""What stands for a number that is not finite in the tables of older files; 1 is for a whole number, 2 for none."""


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

    def plot(self) -> Figure:
        """Return the curves of loss and metrics over the epochs as a figure of matplotlib; a notebook shows it."""
        return curves(self.rows)

    def to_pandas(self) -> Any:
        """Return the rows as a DataFrame of pandas, with the epochs as its index."""
        try:
            pandas = importlib.import_module("pandas")
        except ImportError as error:
            message = f"History.to_pandas needs pandas, which is not installed or is broken ({error}); "
            raise MissingPackageError(message + "install it: pip install pandas") from error
        frame = pandas.DataFrame(self.rows)
        return frame.set_index("epoch") if self.rows else frame

    def state(self) -> dict[str, Any]:
        """Return the rows as the bytes of a JSON text, for a checkpoint; values that are no numbers are left out.

        As an array they may be as many as they like; a file's header, where plain values stand, has a largest size.
        """
        rows = [{name: _plain(value) for name, value in row.items() if _is_number(value)} for row in self.rows]
        xp = get("numpy").xp
        return {"json": xp.frombuffer(bytearray(json.dumps(rows).encode()), dtype=xp.uint8)}

    def load_state(self, state: dict[str, Any] | list[dict[str, float]]) -> None:
        """Take back what :meth:`state` returned, or what older files hold: a table of numbers, or the rows themselves.

        Raises
        ------
        ValueError, KeyError, TypeError
            If it is something else.
        """
        rows: Any = state
        if isinstance(state, dict):
            rows = _from_table(**state) if "table" in state else parsed(state["json"].tobytes())
        rows = [dict(row) for row in rows]
        for row in rows:
            check_numbers("a row of the history", row)
            check_values(row, {"epoch": WHOLE, "loss": NUMBER})
        self.rows = rows

    def __repr__(self) -> str:
        last = ", ".join(f"{k} {v:.4g}" for k, v in self.rows[-1].items()) if self.rows else "nothing yet"
        return f"<History of {len(self)} epochs: {last}>"


def _is_number(value: Any) -> bool:
    return type(value) is float or isinstance(value, Real)  # the first is faster, and nearly always so


def _plain(value: Any) -> float:
    return value if type(value) is float else int(value) if isinstance(value, Integral) else float(value)


def _from_table(names: list[str], table: Any) -> list[dict[str, float]]:
    """Return the rows of a table (names, 2, rows) of finite numbers and marks that say what each stands for."""
    rows: list[dict[str, float]] = [{} for _ in range(table.shape[2])]
    for name, (numbers, marks) in zip(names, table.tolist(), strict=True):
        for row, number, mark in zip(rows, numbers, marks, strict=True):
            if mark != 2:
                row[name] = int(number) if mark == 1 else _OLD_MARKS.get(int(mark), number)
    return rows
