"""Frames of pandas, polars and pyarrow, by narwhals, as tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from portanet.data.cells import Cells, Table, Text, merged, name_of, plain, text
from portanet.data.columns import CATEGORY
from portanet.data.dataset import HostArray
from portanet.errors import DataError
from portanet.names import listed

_LIBRARIES = ("pandas", "polars", "pyarrow", "modin", "cudf")


def is_frame(x: Any) -> bool:
    """Whether `x` is a frame: columns with names. No library is imported for the question."""
    own = type(x).__module__.partition(".")[0] in _LIBRARIES
    return own and (hasattr(x, "columns") or hasattr(x, "column_names")) and len(getattr(x, "shape", ())) == 2


def table(frame: Any, what: str = "x") -> Table:
    """Return the columns of a frame; raise DataError with those that hold lists or other frames."""
    import narwhals as nw

    found = nw.from_native(frame, eager_only=True)
    names, cells, kinds, odd = [str(name) for name in found.columns], list[Cells](), dict[str, str](), list[str]()
    for name, own in zip(names, found.columns, strict=True):
        column = found.get_column(own)
        if column.dtype in (nw.List, nw.Array, nw.Struct, nw.Binary):
            odd.append(f"{name!r} ({column.dtype})")
            continue
        if column.dtype in (nw.Categorical, nw.Enum):
            kinds[name] = CATEGORY
        cells.append(_cells(column, nw))
    if odd:
        message = f"{what}: expected columns of numbers, text or dates, got {listed(odd)}; leave them out"
        raise DataError(message)
    return Table(names, cells, kinds=kinds)


def _cells(column: Any, nw: Any) -> Cells:
    if column.dtype.is_numeric():
        values = column.cast(nw.Float64).to_list()
        return np.asarray([np.nan if value is None else value for value in values], np.float64)
    if column.dtype == nw.Duration:
        return np.asarray([np.nan if v is None or v != v else v.total_seconds() for v in column.to_list()], np.float64)
    native = column.to_native()
    if hasattr(native, "unify_dictionaries"):  # of pyarrow
        return plain(_coded(native))
    return plain(text(map(_text, column.to_list())))


def _coded(column: Any) -> Text:
    """Return a column of pyarrow by its distinct texts, without a text of its own for each row."""
    coded = column if str(column.type).startswith("dictionary") else column.dictionary_encode()
    chunks = coded.unify_dictionaries().chunks
    if not chunks:
        return text(())
    codes = np.concatenate([chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in chunks])
    values = [_text(value) for value in chunks[0].dictionary.to_pylist()]
    check_codes(codes, len(values), least=-1)
    return merged(codes, values)


def check_codes(codes: HostArray, values: int, least: int = 0) -> None:
    """Raise ValueError if a number in a column is that of none of its distinct texts: pyarrow does not look at them."""
    if len(codes) and (codes.min() < least or codes.max() >= values):
        message = "a number in a column of text is that of no text"
        raise ValueError(message)


def _text(value: Any) -> str | None:
    """Return a cell as a file of text would hold it."""
    if value is None or value != value or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float):
        return name_of(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
