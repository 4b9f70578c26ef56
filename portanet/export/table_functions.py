"""Rows of a table as the inputs of a network, in NumPy and the standard library: what scripts for tables hold."""

from __future__ import annotations

import csv
import math
from datetime import UTC, datetime
from typing import Any

import numpy as np

from portanet.data.cells import MISSING
from portanet.data.columns import PARTS
from portanet.data.numbers import as_numbers

# What a script holds in place of these: its own table's.
COLUMNS: list[dict[str, Any]] = []
READING: dict[str, Any] = {}


def read_rows(path: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file, each with its cells by the names of the columns."""
    with open(path, encoding=READING.get("encoding", "utf-8-sig"), newline="") as file:
        comment = READING.get("comment")
        lines = [line for line in file if line.strip() and not (comment and line.lstrip().startswith(comment))]
    if not lines:
        message = "expected a table, got an empty file"
        raise ValueError(message)
    delimiter = READING.get("delimiter") or max("\t;,|", key=lines[0].count)
    header, *rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    if not READING.get("names", True):
        rows.insert(0, header)
        header = [c["name"] for c in READING["places"]]
        if len(rows[0]) > len(header):  # the target is there too
            header.insert(READING["target"], "")
    for i, row in enumerate(rows):
        if len(row) != len(header):
            message = f"row {i}: expected {len(header)} cells, got {len(row)}"
            raise ValueError(message)
    return [dict(zip([name.strip() for name in header], row, strict=True)) for row in rows]


def encode(rows: list[dict[str, Any]]) -> np.ndarray:
    """Return the inputs of the network for rows with their cells by the names of the columns."""
    rows = list(rows)
    lost = [c["name"] for c in COLUMNS if any(c["name"] not in row for row in rows)]
    if lost:
        message = f"expected the columns of the training table, got none called {', '.join(map(repr, lost))}"
        raise ValueError(message)
    return np.stack([part for c in COLUMNS for part in inputs(c, [plain(row[c["name"]]) for row in rows])], axis=1)


def plain(value: Any) -> str | float | None:
    """Return a cell as a number, or as a file holds it; None where it is missing."""
    if value is None or value != value:
        return None
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        return float(value)
    found = value.isoformat() if isinstance(value, datetime) else str(value).strip()
    return None if found.lower() in MISSING else found


def inputs(c: dict[str, Any], cells: list[str | float | None]) -> list[np.ndarray]:
    """Return what is made of the cells of a column."""
    if c["kind"] == "category":
        places = {name: i for i, name in enumerate(c["categories"])}
        missing = len(places) if c["flag"] else -1
        return [np.array([missing if cell is None else places.get(category(cell), -1) for cell in cells], float)]
    gaps = np.array([cell is None for cell in cells])
    if c["refuse"] and gaps.any():
        message = f"column {c['name']!r}: {gaps.sum()} values are missing"
        raise ValueError(message)
    values = np.where(gaps, c["fill"], [math.nan if cell is None else value_of(c, cell) for cell in cells])
    flag = [gaps.astype(float)] if c["flag"] else []
    if c["kind"] != "date":
        return [values, *flag]
    turns = [2 * math.pi / PARTS[part] * values for part in c["parts"]]
    return [values / PARTS["day"], *(wave(turn) for turn in turns for wave in (np.sin, np.cos)), *flag]


def value_of(c: dict[str, Any], cell: str | float) -> float:
    """Return a cell of numbers, of yes and no, or of dates (seconds from 1970) as a number."""
    try:
        if c["kind"] == "date":
            cell = str(cell)
            date = datetime.fromisoformat(cell) if c["form"] == "iso" else datetime.strptime(cell, c["form"])
            date = date.replace(year=1970) if c["form"][:2] in ("%H", "%I") else date
            return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
        if c["kind"] == "boolean":
            return float([name.lower() for name in c["categories"]].index(category(cell).lower()))
        return number(cell, c["form"])
    except ValueError:
        message = f"column {c['name']!r}: expected a {c['kind']}, got {cell!r}"
        raise ValueError(message) from None


def number(cell: str | float, form: str) -> float:
    """Return a number as it is written in a column of this form, with a decimal comma for example."""
    if isinstance(cell, float):
        return cell
    found = as_numbers([cell], form)
    if found is None:
        raise ValueError
    return found[0]


def category(cell: str | float) -> str:
    """Return the name of a category: numbers as 3 and not 3.0."""
    try:
        value = number(cell, "")
    except ValueError:
        return str(cell)
    return str(int(value)) if value == int(value) else repr(value)
