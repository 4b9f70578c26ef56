"""The options that say what the columns of a table are, and a table's plan in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from portanet.errors import ConfigError

if TYPE_CHECKING:
    from portanet.data import Dataset, Plan, Reading, Wishes

F = TypeVar("F", bound=Callable[..., Any])

header_option = click.option(
    "--header/--no-header", default=None, help="Tables: whether the first row has the column names. Default: detected."
)
delimiter_option = click.option(
    "--delimiter", metavar="CHAR", help="Tables: the character between two cells; also tab or space."
)
decimal_option = click.option("--decimal", type=click.Choice([".", ","]), help="Tables: the decimal separator.")
encoding_option = click.option(
    "--encoding", metavar="NAME", help="Tables: the text encoding, such as latin-1. Default: utf-8."
)
comment_option = click.option(
    "--comment", metavar="TEXT", help="Tables: skip lines that begin with this text, such as #."
)
drop_option = click.option("--drop", metavar="COLUMNS", help="Tables: leave out these columns, A,B.")
categorical_option = click.option(
    "--categorical", metavar="COLUMNS", help="Tables: take these columns as categories, A,B. Default: those of text."
)
missing_option = click.option(
    "--missing",
    type=click.Choice(["auto", "error", "mean", "median", "drop"]),
    default="auto",
    show_default=True,
    help="Tables: how to treat missing values. auto fills in the median and adds a flag; drop leaves out the rows.",
)


_OPTIONS = (
    *(drop_option, categorical_option, missing_option),
    *(header_option, delimiter_option, decimal_option, encoding_option, comment_option),
)


def table_options(command: F) -> F:
    """Give `command` the options that say how a table is read and what its columns are."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def reading(options: Any) -> Reading:
    """Return what options, as `portanet train` has them, say about the file."""
    from portanet.data import Reading

    return Reading(options.header, options.delimiter, options.decimal, options.encoding, options.comment)


def wishes(options: Any) -> Wishes:
    """Return what the options say about the columns."""
    from portanet.data import Wishes
    from portanet.data.cells import split_names

    drop, categorical = (split_names(names or "") for names in (options.drop, options.categorical))
    return Wishes(drop, categorical, options.missing, options.decimal)


def load_encoded(options: Any, val_fraction: float = 0.0) -> tuple[Dataset, Plan | None]:
    """Return the data of a command that trains several networks, as their inputs, and the plan of its columns.

    It is found from the rows that are not held out for validation.
    """
    from portanet.cli.pictures import load_data
    from portanet.data.batching.prepare import split
    from portanet.data.planned import encoded, plan_of, without_gaps

    wanted = wishes(options)
    found = load_data(options, reading(options))
    found = without_gaps(found, wanted) if options.missing == "drop" else found
    rows = split(found.y, val_fraction, options.seed, stratify=bool(found.classes))[0] if val_fraction else None
    plan = plan_of(found, rows, wanted, reading(options))
    check_table(options, found, plan)
    return encoded(found, plan), plan


def check_table(options: Any, dataset: Dataset, plan: Plan | None) -> None:
    """Raise ConfigError for options about columns where the data has no plan of columns."""
    if plan is None and (options.drop or options.categorical or options.missing != "auto"):
        message = f"{dataset.name}: --drop, --categorical and --missing are for tables with a header that are in memory"
        raise ConfigError(message)


def plan_lines(plan: Plan) -> list[str]:
    """Return the plan as the lines of a table; none where the columns are numbers as they stand."""
    from portanet.data.planning import described

    rows = described(plan)
    if plan.pixels or all(kind == "number" and "; " not in words for _, kind, words in rows):
        return []
    widths = [max(len(row[i]) for row in rows) for i in (0, 1)]
    widths[0] = min(widths[0], 32)
    return [f"{name[:32]:{widths[0]}}  {kind:{widths[1]}}  {words}".rstrip() for name, kind, words in rows]
