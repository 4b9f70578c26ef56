"""``portanet predict``: Write a trained network's predictions for DATA as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from portanet.cli.output import say
from portanet.cli.parameters import (
    FILE,
    any_size_option,
    backend_option,
    part_option,
    stream_option,
    target_option,
    which_option,
)
from portanet.cli.pictures import skip_broken_option
from portanet.errors import ConfigError, DataError
from portanet.names import escaped

if TYPE_CHECKING:
    from portanet.data.pictures.files import Picture
    from portanet.training.model import Model

_ROWS = 4096  # predicted and turned into text at once: as Python's numbers and text they take ten times the memory
_PICTURES, _BYTES = 256, 64 << 20  # at once, at most

_Columns = tuple[list[str], Callable[[Any], list[list[str]]]]
"""The names of the columns, and what makes the cells of a row for each of some samples."""


@click.command()
@click.argument("run")
@click.argument("data", metavar="DATA|PATH...", nargs=-1, required=True)
@click.option(
    "-o",
    "--out",
    type=FILE,
    help="File to write. Default, or -: standard output.",
)
@click.option(
    "--proba", is_flag=True, help="A column of probabilities a class, instead of the label; for pictures, after it."
)
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
@skip_broken_option
@backend_option
@any_size_option
def predict(
    run: str,
    data: tuple[str, ...],
    out: Path | None,
    part: str | None,
    which: str,
    target: str | None,
    backend: str,
    *,
    stream: bool | None,
    skip_broken: bool,
    any_size: bool,
    proba: bool,
    interval: float | None,
    escape_formulas: bool,
) -> None:
    """Write a trained network's predictions for DATA as CSV.

    One row per sample, numbered from 0, with its label or the predicted numbers. For pictures: the file, its label and
    the probability of the label. PATHs are files, folders (by class or not), patterns such as 'new/*.jpg', or zips. RUN
    is a run folder or a .safetensors file. A table needs no target column. The class names of an untrusted network may
    be formulas for a spreadsheet: use --escape-formulas.
    """
    from portanet.cli import intervals, stored, unknown_pictures
    from portanet.files.atomic import replacing

    net = stored.model(run, which, backend, any_size=any_size)
    widths = None if interval is None else intervals.widths(run, which, net, interval)
    with unknown_pictures.found(data, part) as pictures:
        if pictures is not None and target is not None:
            message = f"--target {target}: it names a column of a table, and {data[0]} holds pictures; leave it out"
            raise ConfigError(message)
        if pictures is not None:
            answer = _answer(net, widths, proba=proba, inert=escape_formulas, pictures=True)
            pieces = _of_pictures(net, data, pictures, answer, inert=escape_formulas, skip_broken=skip_broken)
        else:
            x = _samples(net, run, data[0], part, target, stream=stream, skip_broken=skip_broken)
            pieces = _of_samples(x, _answer(net, widths, proba=proba, inert=escape_formulas))
        if out is None or str(out) == "-":
            for piece, _ in pieces:
                click.echo(piece, nl=False)
            return
        count = 0
        with replacing(out) as file:
            for piece, rows in pieces:
                file.write(piece.encode())
                count += rows
    say(f"{out}: {count} predictions")


def _samples(
    net: Model, run: str, data: str, part: str | None, target: str | None, *, stream: bool | None, skip_broken: bool
) -> Any:
    """Return the samples of data that are no pictures, in the form that the network takes."""
    from portanet.cli import stored, unlabelled

    x = None if target is not None or stream else unlabelled.read(data, net)
    if x is None:
        dataset = stored.data_for(net, run, data, target, stream=stream, skip_broken=skip_broken)
        _, x, _ = stored.part_of(dataset, part)
    elif part is not None and part != "train":
        raise stored.no_part(data, part, ["train"])
    return stored.shaped(x, net, data)


def _of_samples(x: Any, answer: _Columns) -> Iterator[tuple[str, int]]:
    """Yield the table as text, some rows at a time, with the number of these."""
    header, cells_of = answer
    for start in range(0, len(x), _ROWS):
        own = x.read(start, min(start + _ROWS, len(x))) if hasattr(x, "read") else x[start : start + _ROWS]
        rows = [[str(i), *cells] for i, cells in enumerate(cells_of(own), start)]
        yield _csv(rows if start else [["row", *header], *rows]), len(rows)


def _of_pictures(
    net: Model, data: Sequence[str], pictures: list[Picture], answer: _Columns, *, inert: bool, skip_broken: bool
) -> Iterator[tuple[str, int]]:
    """Return the same for pictures: they are decoded and predicted some at a time, while the table is written."""
    from portanet.cli import stored
    from portanet.data.pictures.reading import in_blocks

    name = data[0] if len(data) == 1 else "predict"
    if not pictures:
        message = f"{name}: expected pictures, got none"
        raise DataError(message)
    header, cells_of = answer
    form, shape = stored.form_of(net, name, skip_broken=skip_broken), net.input_shape or ()
    at_once = max(1, min(_PICTURES, _BYTES // math.prod(shape)))

    def pieces() -> Iterator[tuple[str, int]]:
        yield _csv([["file", *header]]), 0
        for kept, x in in_blocks(name, pictures, form, at_once):
            names = [escaped(picture.place) for picture in kept]
            names = [_inert(own) for own in names] if inert else names
            rows = [[own, *cells] for own, cells in zip(names, cells_of(stored.shaped(x, net, name)), strict=True)]
            yield _csv(rows), len(rows)

    return pieces()


def _csv(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _answer(net: Model, widths: list[float] | None, *, proba: bool, inert: bool, pictures: bool = False) -> _Columns:
    """Return what is written of a sample.

    With `widths`, the lower and the upper bound of each number come after it. With `inert`, names that a spreadsheet
    would run as a formula have an apostrophe in front.
    """
    from portanet.cli import intervals
    from portanet.data.cells import split_names
    from portanet.training.single_class import single_class

    if net.places:
        message = (
            "RUN: expected a network with a row of outputs for each sample, got outputs of shape "
            f"{(*net.places, net.outputs)}; use portanet.load(...).predict(x)"
        )
        raise ConfigError(message)
    classifies = bool(net.classes) or net.loss.output is not None
    if not classifies and proba:
        message = "--proba: expected a network that was trained on classes; this one predicts numbers: leave it out"
        raise ConfigError(message)
    several = () if net.columns is None else split_names(net.columns.target)
    several = several if len(several) == net.loss.targets(net.outputs) > 1 else ()
    if not classifies:
        header, numbers = _header(net, [_inert(name) for name in several] if inert else list(several)), _numbers(net)
        if widths is not None:
            header, numbers = intervals.with_bounds(header, numbers, widths, net.loss.target_range)
        return header, lambda x: [_texts(row) for row in numbers(x)]
    names = list(net.classes) or [str(i) for i in range(max(net.outputs, 2))]
    names = [_inert(name) for name in names] if inert else names
    if several and several == net.classes:  # labels: each is there or not
        answer = net.predict if proba else net.predict_classes
        return names, lambda x: [_texts(row) for row in answer(x).tolist()]
    if pictures:
        more = names if proba else []
        return ["label", "probability", *more], lambda x: [
            [names[best], *_texts([row[best], *(row if proba else [])])]
            for row in _by_class(net, x)
            for best in [max(range(len(row)), key=row.__getitem__)]
        ]
    if proba:
        return names, lambda x: [_texts(row) for row in _by_class(net, x)]
    return ["label"], lambda x: [[names[i]] for i in single_class(net, x).tolist()]


def _header(net: Model, several: list[str]) -> list[str]:
    """Return the names of predicted numbers: those of the targets if there are several."""
    from portanet.losses import GaussianLikelihood, Quantile

    if isinstance(net.loss, Quantile):
        return [f"quantile_{tau:g}" for tau in net.loss.taus]
    if isinstance(net.loss, GaussianLikelihood):
        m = net.outputs // 2
        names = several or (["value"] if m == 1 else [f"value_{i}" for i in range(m)])
        return [*names, *(f"{name}_std" for name in names)]
    return several or (["value"] if net.outputs == 1 else [f"value_{i}" for i in range(net.outputs)])


def _numbers(net: Model) -> Callable[[Any], list[list[float]]]:
    return lambda x: net.predict(x).reshape(len(x), -1).tolist()


def _by_class(net: Model, x: Any) -> list[list[float]]:
    """Return for each sample the probabilities of all classes."""
    rows: list[list[float]] = net.predict(x).tolist()
    return rows if net.outputs > 1 else [[1.0 - row[0], row[0]] for row in rows]


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
