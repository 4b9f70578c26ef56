"""What was seen while training, an epoch a row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import overload

from portanet.errors import unknown


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

    def __repr__(self) -> str:
        last = ", ".join(f"{k} {v:.4g}" for k, v in self.rows[-1].items()) if self.rows else "nothing yet"
        return f"<History of {len(self)} epochs: {last}>"
