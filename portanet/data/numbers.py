"""How numbers are written in text: decimal points and commas, separated thousands, currency signs, percents, units."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

PLAIN = "0.5"
GROUPED = "1,000"
COMMA = "0,5"
"""Forms of numbers, each as an example.

With liberties (a minus sign of typography, brackets for a loss); with thousands that are separated; with a decimal
comma. What stands around each number is a part of the form, as in "$1,000" and "0,5 €". The form "" is what data files
have: what Python reads, and nothing around it.
"""

_FORM = re.compile(r"(\D*?)(0\.5|1,000|0,5)(\D*)", re.DOTALL)
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:(?P<mark>[,' ])\d{3}(?:(?P=mark)\d{3})*)(\.\d*)?")
_DECIMAL = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?|[+-]?\d{1,3}(?:(?P<mark>[.' ])\d{3}(?:(?P=mark)\d{3})*)(,\d*)?")
_POINTS = re.compile(r"[+-]?\d{1,3}(\.\d{3})+")
_TYPE = str.maketrans({"\u00a0": " ", "\u2007": " ", "\u2009": " ", "\u202f": " ", "\u2212": "-", "\u2019": "'"})
_AROUND = re.compile(r"[(+-]?\s*(?P<before>[^\d\s(+.,'-]{0,4}?)\s*[+-]?[\d.,' ]*\d[.,]?\s*(?P<after>[^\d\s)]{0,8})\)?")
_CODES = "USD EUR GBP CHF JPY CNY INR RUB AUD CAD SEK NOK DKK PLN CZK HUF BRL Fr Fr. kr kr. zł Kč Ft Rs Rs."
_CURRENCY = frozenset(f"$ US$ A$ C$ R$ € £ ¥ ₹ ₩ ₽ ₺ ₴ ₫ ฿ {_CODES}".split())
_SHARES = frozenset("%‰")
_UNIT = re.compile(r"[A-Za-zµ°²³/%]{1,8}")
_MANY = 20  # distinct numbers from which a word after each of them is a unit; few are rather names: 2WD and 4WD


def is_number(cell: str) -> bool:
    """Whether a cell holds a number as data files write them; Python's 1_000 is none."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def resembles_number(cell: str) -> bool:
    """Whether a cell holds a number, perhaps with commas: it is neither a name nor a label."""
    cell = cell.translate(_TYPE)
    return is_number(cell) or bool(_THOUSANDS.fullmatch(cell) or _DECIMAL.fullmatch(cell))


def as_numbers(values: Sequence[str], form: str) -> list[float] | None:
    """Return text as finite numbers of a form; None if one of the values is none."""
    bare: list[str] = []
    for value in values:
        own = value if not form else _bare(value, form)
        if own is None:
            return None
        bare.append(own)
    try:
        found = [float(value) for value in bare]
    except ValueError:
        return None
    return found if all(map(math.isfinite, found)) and not any("_" in value for value in values) else None


def number_form(values: Sequence[str], decimal: str | None) -> str | None:
    """Return the form of numbers, "" for one that Python reads; None if not all of the values are numbers.

    Raises
    ------
    ValueError
        If a comma may be the decimal comma and the separator of thousands: ``1,234`` alone, and no `decimal` decides.
    """
    points = decimal == "," and any("." in value for value in values)
    if not points and as_numbers(values, "") is not None:
        return ""
    around = _around(values)
    if around is None:
        return None
    before, after = around
    asked = {None: (PLAIN, GROUPED, COMMA), ".": (PLAIN, GROUPED), ",": (COMMA, PLAIN)}[decimal]
    forms = [before + base + after for base in asked]
    found = [(form, numbers) for form in forms if (numbers := as_numbers(values, form)) is not None]
    if not found:
        return None
    if any(numbers != found[0][1] for _, numbers in found) and decimal is None:
        raise ValueError(next(value for value in values if "," in value or "." in value))
    form = found[0][0]
    return "" if form == PLAIN and as_numbers(values, "") is not None else form


def decimal_of(columns: Iterable[Sequence[str]]) -> str | None:
    """Return the decimal separator that the columns of a table show, of which each is its values; None if none does.

    A column shows it where its numbers have one reading alone; columns that show different ones show none.
    """
    shown = set()
    for values in columns:
        if any("," in value for value in values):
            try:
                form = number_form(values, None)
            except ValueError:
                continue  # 1,234: another column may show it
            if form is not None and COMMA in form:
                shown.add(",")
            elif form is not None and GROUPED in form:
                shown.add(".")
    return shown.pop() if len(shown) == 1 else None


def has_unit(form: str) -> bool:
    """Whether something stands around the numbers of a form."""
    return form not in ("", PLAIN, GROUPED, COMMA)


def points_between(values: Sequence[str]) -> bool:
    """Whether points may separate thousands in numbers that Python reads too: 12.345."""
    return any(_POINTS.fullmatch(value) for value in values)


def _around(values: Sequence[str]) -> tuple[str, str] | None:
    """Return what stands before and after each of the numbers, the same for all; None if it is no sign or unit."""
    found = set()
    for value in values:
        match = _AROUND.fullmatch(value.translate(_TYPE))
        if match is None:
            return None
        found.add((match["before"], match["after"]))
        if len(found) > 1:
            return None
    before, after = found.pop() if found else ("", "")
    known = before in _CURRENCY or not before
    unit = not after or after in _CURRENCY or after in _SHARES or (not before and _UNIT.fullmatch(after) is not None)
    rare = len(values) <= _MANY and bool(after) and after not in _CURRENCY and after not in _SHARES
    brackets = all(value.startswith("(") for value in values)  # not a loss in each row
    return (before, after) if known and unit and not rare and not brackets else None


def _bare(value: str, form: str) -> str | None:
    """Return a number as Python reads it; None where it is not of the form."""
    match = _FORM.fullmatch(form)
    if match is None:
        return None
    before, base, after = match.groups()
    value, sign = value.translate(_TYPE).strip(), ""
    if value[:1] == "(" and value[-1:] == ")":  # a loss, as accounts write it
        value, sign = value[1:-1].strip(), "-"
    for part in (0, 1):  # -$5 and $-5
        if value[:1] in ("+", "-") and value[1:2] not in ("+", "-"):
            if sign:
                return None
            sign, value = value[0], value[1:].lstrip()
        if part == 0:
            if not value.startswith(before):
                return None
            value = value[len(before) :].strip()
    if not value.endswith(after) or value[:1] in ("+", "-"):
        return None
    value = value[: len(value) - len(after)].strip()
    if base == COMMA and ("," in value or "." in value or " " in value or "'" in value):
        if not _DECIMAL.fullmatch(value):
            return None
        value = re.sub(r"[.' ]", "", value).replace(",", ".")
    elif base == GROUPED and _THOUSANDS.fullmatch(value):
        value = re.sub(r"[,' ]", "", value)
    return sign + value if value[:1].isdigit() or value[:1] == "." else None
