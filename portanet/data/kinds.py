"""What text in a column is: yes and no, dates. It is asked of the distinct values, which are few."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from datetime import UTC, datetime

_PAIRS = (("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"))
_DAYS = (
    *("%d.%m.%Y", "%Y/%m/%d", "%Y.%m.%d", "%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y", "%d-%b-%Y", "%d %b %Y"),
    *("%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%a, %d %b %Y", "%d.%m.%y", "%m/%d/%y", "%d/%m/%y", "%m-%d-%y", "%d-%m-%y"),
    *("%d-%b-%y", "%d %b %y", "%Y-%m", "%Y/%m", "%m/%Y", "%b %Y", "%B %Y", "%b-%Y"),
)
_TIMES = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p", "%H:%M:%S.%f")
_FORMATS = [*(" ".join(both).strip() for both in itertools.product(_DAYS, ("", *_TIMES))), *_TIMES]
_PART = r"(\d{1,4}|[A-Za-z]{3,9})"
_LOOKS_LIKE_DATE = re.compile(
    rf"([A-Za-z]{{3}},? )?{_PART}[-/. ,]+{_PART}([-/. ,]+\d{{2,4}})?([T ].*)?"
    r"|\d{1,2}:\d\d(:\d\d(\.\d+)?)?( ?[AaPp][Mm])?"
)
_SWAPPED = {"%m/%d/%": "%d/%m/%", "%m-%d-%": "%d-%m-%"}


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
    return next((form for form in ("iso", *_FORMATS) if as_seconds(values, form) is not None), None)


def day_first(values: Sequence[str], form: str) -> bool:
    """Whether dates that were read with the month first may as well begin with the day."""
    other = _SWAPPED.get(form[:7])
    return other is not None and as_seconds(values, other + form[7:]) is not None


def as_seconds(values: Sequence[str], form: str) -> list[float] | None:
    """Return dates as seconds from 1970; None if one of the values is none. Without a time zone they are of UTC.

    Times of day are those of the first of January 1970.
    """
    try:
        found = [datetime.fromisoformat(v) if form == "iso" else datetime.strptime(v, form) for v in values]
        found = [date.replace(year=1970) for date in found] if form[:2] in ("%H", "%I") else found
        return [(date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() for date in found]
    except (ValueError, OverflowError):
        return None


def is_code(values: Sequence[str]) -> bool:
    """Whether values are codes of digits, as 01067 for a place: equally long, and one of them begins with 0."""
    lengths = {len(value) for value in values}
    digits = len(lengths) == 1 and lengths.pop() > 1 and all(value.isdecimal() for value in values)
    return digits and any(value.startswith("0") for value in values)
