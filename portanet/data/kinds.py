"""What text in a column is: numbers, yes and no, dates. It is asked of the distinct values, which are few."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime

GROUPED, COMMA = "1,000", "0,5"
"""Forms of numbers with a comma: it separates thousands, or is the decimal comma. The form "" has no comma."""

_PAIRS = (("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"))
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
_DECIMAL = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?|[+-]?\d{1,3}(\.\d{3})+(,\d*)?")
_DAYS = ("%d.%m.%Y", "%Y/%m/%d", "%Y.%m.%d", "%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y", "%d-%b-%Y", "%d %b %Y")
_FORMATS = [" ".join(both) for both in itertools.product(_DAYS, ("", "%H:%M", "%H:%M:%S"))]
_LOOKS_LIKE_DATE = re.compile(r"\d{1,4}[-/. ](\d{1,2}|[A-Za-z]{3})[-/. ]\d{1,4}([T ].*)?")


def is_number(cell: str) -> bool:
    """Whether a cell holds a number as data files write them; Python's 1_000 is none."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def resembles_number(cell: str) -> bool:
    """Whether a cell holds a number, perhaps with commas: it is neither a name nor a label."""
    return is_number(cell) or bool(_THOUSANDS.fullmatch(cell) or _DECIMAL.fullmatch(cell))


def as_numbers(values: Sequence[str], form: str) -> list[float] | None:
    """Return text as finite numbers of a form; None if one of the values is none."""
    if form == COMMA:
        if not all(_DECIMAL.fullmatch(value) for value in values if "," in value or "." in value):
            return None
        values = [value.replace(".", "").replace(",", ".") for value in values]
    elif form == GROUPED:
        values = [value.replace(",", "") if _THOUSANDS.fullmatch(value) else value for value in values]
    try:
        found = [float(value) for value in values]
    except ValueError:
        return None
    return found if all(map(math.isfinite, found)) and not any("_" in value for value in values) else None


def number_form(values: Sequence[str], decimal: str | None) -> str | None:
    """Return the form of numbers, "" for one without commas; None if not all of the values are numbers.

    Raises
    ------
    ValueError
        If a comma may be the decimal comma and the separator of thousands: ``1,234`` alone, and no `decimal` decides.
    """
    asked = {None: ("", GROUPED, COMMA), ".": ("", GROUPED), ",": (COMMA,)}[decimal]
    forms = [form for form in asked if as_numbers(values, form) is not None]
    if forms == [GROUPED, COMMA]:
        raise ValueError(next(value for value in values if "," in value))
    return forms[0] if forms else None


def yes_or_no(values: Sequence[str]) -> tuple[str, str] | None:
    """Return two values in the order no, yes; None if they are none. True or False alone is enough."""
    lower = {value.lower(): value for value in values}
    for no, yes in _PAIRS:
        alone = no == "false" and bool(values) and set(lower) < {no, yes}
        if len(values) == len(lower) and (set(lower) == {no, yes} or alone):
            return lower.get(no, no), lower.get(yes, yes)
    return None


def date_form(values: Sequence[str]) -> str | None:
    """Return how dates are written, ``"iso"`` or a format of strptime; None if not all of the values are dates."""
    if not values or not all(_LOOKS_LIKE_DATE.fullmatch(value) for value in values):
        return None
    return next((form for form in ("iso", *map(str.strip, _FORMATS)) if as_seconds(values, form) is not None), None)


def as_seconds(values: Sequence[str], form: str) -> list[float] | None:
    """Return dates as seconds from 1970; None if one of the values is none. Without a time zone they are of UTC."""
    try:
        found = [datetime.fromisoformat(v) if form == "iso" else datetime.strptime(v, form) for v in values]
        return [(date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() for date in found]
    except (ValueError, OverflowError):
        return None
