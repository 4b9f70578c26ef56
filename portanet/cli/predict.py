"""``portanet predict``: Write a trained network's predictions for DATA as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from portanet.cli.output import say
from portanet.cli.parameters import (
    any_size_option,
    backend_option,
    part_option,
    stream_option,
    target_option,
    which_option,
)
from portanet.errors import ConfigError

if TYPE_CHECKING:
    from portanet.training.model import Model

_ROWS = 4096  # turned into text at once: as Python's numbers and text they take ten times the memory


@click.command()
@click.argument("run")
@click.argument("data")
@click.option(
    "-o",
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write. Default, or -: standard output.",
)
@click.option("--proba", is_flag=True, help="A column of probabilities a class, instead of the label.")
@click.option(
    "--interval",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="Numbers: add two columns, the bounds of an interval that holds such a share of the targets, for example 0.9. "
    "Its width comes from the errors on the run's validation samples.",
)
@click.option(
    "--escape-formulas",
    is_flag=True,
    help="Put an apostrophe before names that a spreadsheet would run as a formula (=, +, -, @ in front).",
)
@part_option
@which_option
@target_option
@stream_option
@backend_option
@any_size_option
def predict(
    run: str,
    data: str,
    out: Path | None,
    part: str | None,
    which: str,
    target: str | None,
    backend: str,
    *,
    stream: bool | None,
    any_size: bool,
    proba: bool,
    interval: float | None,
    escape_formulas: bool,
) -> None:
    """Write a trained network's predictions for DATA as CSV.

    A row a sample, numbered from 0: its label, or the predicted numbers. RUN is a run folder or a .safetensors file.
    A table may lack the target's column. Open the file of a stranger's network in a spreadsheet only if it was written
    with --escape-formulas: its names may be formulas.
    """
    from portanet.cli import intervals, stored, unlabelled
    from portanet.files.atomic import replacing

    net = stored.model(run, which, backend, any_size=any_size)
    widths = None if interval is None else intervals.widths(run, which, net, interval)
    x = None if target is not None or stream else unlabelled.read(data, net)
    if x is None:
        dataset = stored.data_for(net, run, data, target, stream=stream)
        _, x, _ = stored.part_of(dataset, part)
    found = _table(net, stored.shaped(x, net, data), proba=proba, inert=escape_formulas)
    pieces = _csv(*(found if widths is None else intervals.with_bounds(*found, widths, net.loss.target_range)))
    if out is None or str(out) == "-":
        for piece in pieces:
            click.echo(piece, nl=False)
        return
    with replacing(out) as file:
        for piece in pieces:
            file.write(piece.encode())
    say(f"{out}: {len(x)} predictions")


def _csv(header: list[str], values: Any, row: Callable[[Any], list[str]]) -> Iterator[str]:
    """Yield a table as text, some rows at a time: each row is what `row` makes of one of the values."""
    for start in range(0, len(values), _ROWS):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not start:
            writer.writerow(["row", *header])
        writer.writerows([i, *row(value)] for i, value in enumerate(values[start : start + _ROWS].tolist(), start))
        yield text.getvalue()


def _table(net: Model, x: Any, *, proba: bool, inert: bool) -> tuple[list[str], Any, Callable[[Any], list[str]]]:
    """Return the names of the columns, the values (n, ...), and what makes the cells of a row of one of them.

    With `inert`, names that a spreadsheet would run as a formula have an apostrophe in front.
    """
    from portanet.data.cells import split_names
    from portanet.losses import Quantile

    if net.places:
        expected, shape = "a network with a row of outputs for each sample", (*net.places, net.outputs)
        message = f"RUN: expected {expected}, got outputs of shape {shape}; use portanet.load(...).predict(x)"
        raise ConfigError(message)
    classifies = bool(net.classes) or net.loss.output is not None
    if not classifies and proba:
        message = "--proba: expected a network that was trained on classes; this one predicts numbers: leave it out"
        raise ConfigError(message)
    names = list(net.classes) or [str(i) for i in range(max(net.outputs, 2))]
    names = [_inert(name) for name in names] if inert else names
    several = () if net.columns is None else split_names(net.columns.target)
    several = several if len(several) == net.outputs > 1 else ()
    if classifies and several and several == net.classes:  # labels: each is there or not
        return names, net.predict(x) if proba else net.predict_classes(x), _texts if proba else lambda row: row
    if classifies and not proba:
        return ["label"], net.predict_classes(x), lambda i: [names[i]]
    values = net.predict(x)
    if not classifies:
        header = ["value"] if net.outputs == 1 else [f"value_{i}" for i in range(net.outputs)]
        header = [f"quantile_{tau:g}" for tau in net.loss.taus] if isinstance(net.loss, Quantile) else header
        header = ([_inert(name) for name in several] if inert else list(several)) or header
        return header, values, _texts
    return names, values, _texts if net.outputs > 1 else lambda row: _texts([1.0 - row[0], row[0]])


def _inert(name: str) -> str:
    """Return a name that a spreadsheet shows as it is: as a formula it could start programs or send data away."""
    return f"'{name}" if name.lstrip()[:1] in tuple("=+-@") and not _is_number(name) else name


def _texts(row: list[float]) -> list[str]:
    return [f"{value:.9g}" for value in row]  # nine digits name every float32


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True
