"""Writing a data set as a table that other programs read."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

from portanet.data.dataset import HostArray
from portanet.errors import DataError
from portanet.files.atomic import replacing

_ROWS = 4096  # turned into Python's numbers at once: these take thirty times the memory of bytes


def write_csv(
    path: str | os.PathLike[str], x: HostArray, y: HostArray | Sequence[str | float], *, header: Sequence[str] = ()
) -> None:
    """Write samples as rows of CSV, the label first, as MNIST is often passed on.

    The file appears under its name when it is complete. Floats are read back bit for bit.

    Parameters
    ----------
    path : path-like
        File to write; one that exists is replaced.
    x : ndarray, shape (n, ...)
        Samples; each becomes one row.
    y : ndarray or sequence, shape (n,)
        Labels: numbers or strings.
    header : sequence of str
        Names of all columns, the label's first.

    Raises
    ------
    DataError
        If the number of labels or names does not fit, or the file cannot be written.
    """
    path = Path(path)
    rows = x.reshape(len(x), -1)
    labels = y.tolist() if hasattr(y, "tolist") else list(y)
    if len(labels) != len(rows) or (header and len(header) != rows.shape[1] + 1):
        message = (
            f"{path}: expected a label for each of {len(rows)} samples and no header or {rows.shape[1] + 1} names, "
            f"got {len(labels)} labels and {len(header)} names"
        )
        raise DataError(message)
    with replacing(path) as raw:
        file = io.TextIOWrapper(raw, encoding="utf-8", newline="")
        writer = csv.writer(file, lineterminator="\n")
        if header:
            writer.writerow(header)
        for start in range(0, len(rows), _ROWS):
            stop = start + _ROWS
            writer.writerows(
                [label, *row] for label, row in zip(labels[start:stop], rows[start:stop].tolist(), strict=True)
            )
        file.detach()  # written out; who opened it closes it
