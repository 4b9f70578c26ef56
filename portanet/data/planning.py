"""Finding the plan of a table's columns from its training rows."""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from portanet.data.cells import Cells, Table, Text, categories, missing, split_names
from portanet.data.columns import BOOLEAN, CATEGORY, DATE, NUMBER, OUT, PARTS, Column, read
from portanet.data.dataset import HostArray
from portanet.data.kinds import date_form, day_first, is_code, yes_or_no
from portanet.data.numbers import COMMA, GROUPED, PLAIN, is_number, number_form
from portanet.data.plan import Plan
from portanet.errors import ConfigError, DataError, unknown
from portanet.names import listed

logger = logging.getLogger("portanet")

_IDENTIFIER = re.compile(
    r"|__index_level_\d+__|id|uuid|guid|index|row_?(id|names?|number)?|unnamed: 0|.*[ _-]id|.*[a-z]I[dD]", re.ASCII
)
_FORMS = {COMMA: "decimal comma", GROUPED: "thousands are separated", PLAIN: "minus signs of typography, or brackets"}
_FEW = 20  # distinct texts that are never too many for a category
_NUMBERS = 0.9  # share of numbers from which a column of text is rather one of numbers with mistakes in it


@dataclass(frozen=True)
class Wishes:
    """What the user says about the columns.

    Attributes
    ----------
    drop, categorical : sequence of str
        Names of columns.
    missing : {"auto", "error", "mean", "median", "drop"}
        What is done about gaps.
    decimal : str or None
        ``","`` or ``"."``.
    """

    drop: Sequence[str] = ()
    categorical: Sequence[str] = ()
    missing: str = "auto"
    decimal: str | None = None


def find(
    x: Any, names: Sequence[str] = (), wishes: Wishes | None = None, *, pixels: bool = False, **about: Any
) -> Plan:
    """Return the plan of a table's columns, found from these rows: those to train on, and no others.

    Parameters
    ----------
    x : Table or ndarray
        Without the target.
    names : sequence of str
        Of the columns of an array.
    pixels : bool
        Whether the columns are pixels: they are all kept, as they are.
    about
        Other attributes of the plan.

    Raises
    ------
    ConfigError
        If a name is that of no column.
    DataError
        With all columns that cannot be decided and how to settle them, or if none is left.
    """
    wishes = wishes or Wishes()
    # By columns in memory: each of them is read several times.
    table = x if isinstance(x, Table) else Table.of_array(x if pixels else np.asfortranarray(x), names)
    for option, wanted in (("--drop", wishes.drop), ("--categorical", wishes.categorical)):
        for name in wanted:
            if name not in (*table.names, about.get("target"), *split_names(about.get("target", ""))):
                raise ConfigError(f"{option}: " + unknown("column", name, table.names))
    if repeated := [name for name, count in Counter(table.names).items() if count > 1]:
        message = f"expected a name of its own for each column, got several {listed(repeated)}; rename them"
        raise DataError(message)
    wishes = replace(wishes, decimal=table.decimal) if wishes.decimal is None else wishes
    found, wrong = [], []
    for name, cells in zip(table.names, table.cells, strict=True):
        try:
            found.append(_column(name, cells, wishes, table.kinds.get(name), pixels=pixels))
        except ValueError as error:
            wrong.append(f"{name!r}: {error}")
    if wrong:
        more = f"; and {len(wrong) - 12} more" if len(wrong) > 12 else ""
        message = f"what these columns are cannot be decided: {'; '.join(wrong[:12])}{more}"
        raise DataError(message)
    plan = Plan(tuple(found), header=table.header, missing=wishes.missing, pixels=pixels, **about)
    if not plan.kept:
        left = "; ".join(f"{c.name!r}: {c.why}" for c in found[:12])
        message = f"expected columns to learn from, but all are left out ({left}); name some of them by --categorical"
        raise DataError(message)
    return plan


def _column(name: str, cells: Cells, wishes: Wishes, kind: str | None, *, pixels: bool) -> Column:
    if name in wishes.drop:
        return Column(name, OUT, "asked for by --drop")
    if pixels:
        return Column(name, NUMBER)
    gaps = missing(cells)
    n = int(len(gaps) - gaps.sum())
    flag = n < len(gaps) and wishes.missing in ("auto", "drop")
    if wishes.missing == "error" and n < len(gaps):
        message = f"{len(gaps) - n} values are missing; fill them in, or allow gaps by --missing auto"
        raise ValueError(message)
    if n == 0:
        return Column(name, OUT, "no value in it")
    if name in wishes.categorical or kind == CATEGORY:
        return _category(name, cells, n, len(gaps), asked=name in wishes.categorical)
    if not isinstance(cells, Text):
        return _number(name, cells[~gaps], len(gaps), flag, wishes)
    used = [value for value, count in zip(cells.values, cells.counts(), strict=True) if count]
    infinite = [value for value in used if is_number(value) and math.isinf(float(value))]
    if infinite and all(map(is_number, used)):
        message = f"expected finite numbers, got {infinite[0]:.40}; correct it, or leave the column out by --drop"
        raise ValueError(message)
    if (pair := yes_or_no(used)) is not None:
        if len(used) == 1 and n == len(gaps):
            return Column(name, OUT, f"always {used[0]!r}")
        values = read(Column(name, BOOLEAN, categories=pair), cells)[~gaps]
        return Column(name, BOOLEAN, "", pair, fill=float(np.mean(values) > 0.5), flag=flag)
    if is_code(used) and (code := _category(name, cells, n, len(gaps), asked=False)).kind != OUT:
        return code
    try:
        form = number_form(used, wishes.decimal)
    except ValueError as error:
        message = (
            f"{error.args[0]!r} may have a decimal comma or separate thousands; say which by --decimal , or --decimal ."
        )
        raise ValueError(message) from None
    if form is not None:
        values = read(Column(name, NUMBER, form=form), cells)[~gaps]
        return _number(name, values, len(gaps), flag, wishes, form)
    if (form := date_form(used)) is not None:
        why = "or is the day first?" if day_first(used, form) else ""
        return _date(name, read(Column(name, DATE, form=form), cells)[~gaps], form, flag, why)
    numbers = [is_number(value) for value in cells.values]
    share = cells.counts()[numbers].sum() / n
    if share >= _NUMBERS and len(used) > _FEW:
        bad = next(value for value in used if not is_number(value))
        message = (
            f"most of it are numbers, but {int(n - share * n + 0.5)} are not, {bad[:40]!r} for one; correct them, take "
            "the column as text by --categorical, or leave it out by --drop"
        )
        raise ValueError(message)
    return _category(name, cells, n, len(gaps), asked=False)


def _category(name: str, cells: Cells, n: int, rows: int, *, asked: bool) -> Column:
    found = categories(cells)
    known = sorted(value for value, count in zip(found.values, found.counts(), strict=True) if count)
    if len(known) == 1 and n == rows:
        return Column(name, OUT, f"always {known[0][:40]!r}")
    if not asked and len(known) > _FEW:
        if len(known) == n:
            return Column(name, OUT, "an identifier or text: all values differ")
        if 2 * len(known) > n or (_IDENTIFIER.fullmatch(name) and 10 * len(known) > n):
            return Column(name, OUT, f"an identifier or text: {len(known)} different values in {n} rows")
    return Column(name, CATEGORY, "", tuple(known), flag=n < rows)


def _number(name: str, values: HostArray, rows: int, flag: bool, wishes: Wishes, form: str = "") -> Column:
    lowest, highest = float(values.min()), float(values.max())
    if lowest == highest and len(values) == rows:
        return Column(name, OUT, f"always {lowest:g}")
    if len(values) > _FEW and (_IDENTIFIER.fullmatch(name) or _IDENTIFIER.fullmatch(name.lower())):
        distinct = len(np.unique(values))
        if 2 * distinct > len(values) and np.all(values == np.floor(values)):
            return Column(name, OUT, f"an identifier by its name: {distinct} different values in {len(values)} rows")
    mean, std = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    fill = 0.0
    if len(values) < rows or flag or wishes.missing != "error":
        fill = mean if wishes.missing == "mean" else float(np.median(values))
    return Column(name, NUMBER, form=form, fill=fill, flag=flag, mean=mean, std=std)


def _date(name: str, seconds: HostArray, form: str, flag: bool, why: str) -> Column:
    """Return the column of dates; a period matters if there are several of its kind, and several places within it."""
    span = float(seconds.max() - seconds.min())
    if span == 0 and not flag:
        return Column(name, OUT, "always the same date")
    parts = tuple(p for p, long in PARTS.items() if span >= long / 4 and len(np.unique(np.floor(seconds % long))) > 1)
    mean, std = float(seconds.mean()), float(seconds.std())
    return Column(
        name, DATE, why, form=form, fill=float(np.median(seconds)), flag=flag, parts=parts, mean=mean, std=std
    )


def described(plan: Plan) -> list[tuple[str, str, str]]:
    """Return name, kind, and in words what becomes of each column."""
    return [(c.name, c.kind, _words(c)) for c in plan.columns]


def _words(c: Column) -> str:
    if c.kind == OUT:
        return c.why
    words = []
    if c.kind == CATEGORY:
        shown = ", ".join(name[:24] for name in c.categories[:5]) + (", ..." if len(c.categories) > 5 else "")
        words.append(f"{len(c.categories)}: {shown}")
        words += ["missing ones as a category of their own"] if c.flag else []
    elif c.kind == BOOLEAN:
        words.append(f"{c.categories[0]} 0, {c.categories[1]} 1")
    elif c.kind == NUMBER:
        words.append(f"mean {c.mean:.4g}, deviation {c.std:.4g}")
        words += [_FORMS.get(c.form, f"written like {c.form}")] if c.form else []
    else:
        words.append("a number" + "".join(f", time of the {part}" for part in c.parts))
        words += [f"read as {c.form}" + (f", {c.why}" if c.why else "")] if c.form != "iso" else []
    if c.flag and c.kind != CATEGORY:
        fill = c.categories[int(c.fill)] if c.kind == BOOLEAN else "the median" if c.kind == DATE else f"{c.fill:.4g}"
        words.append(f"missing ones are filled with {fill} and have a flag")
    return "; ".join(words)
