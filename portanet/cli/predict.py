"""``portanet predict``: Write a trained network's predictions for DATA as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from portanet.cli.output import say
from portanet.cli.parameters import backend_option, part_option, stream_option, target_option, which_option
from portanet.errors import ConfigError

if TYPE_CHECKING:
    from portanet.training.model import Model


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
@part_option
@which_option
@target_option
@stream_option
@backend_option
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
    proba: bool,
) -> None:
    """Write a trained network's predictions for DATA as CSV.

    A row a sample, numbered from 0: its label, or the predicted numbers. RUN is a run folder or a .safetensors file.
    A table may lack the target's column.
    """
    from portanet.cli import stored, unlabelled
    from portanet.files.atomic import write

    net = stored.model(run, which, backend)
    x = None if target is not None or stream else unlabelled.read(data, net)
    if x is None:
        dataset = stored.data_for(net, run, data, target, stream=stream)
        _, x, _ = stored.part_of(dataset, part)
    header, rows = _table(net, stored.shaped(x, net, data), proba=proba)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", *header])
    writer.writerows([i, *row] for i, row in enumerate(rows))
    if out is None or str(out) == "-":
        click.echo(text.getvalue(), nl=False)
        return
    write(out, text.getvalue())
    say(f"{out}: {len(x)} predictions")


def _table(net: Model, x: Any, *, proba: bool) -> tuple[list[str], Iterable[list[Any]]]:
    """Return the names of the columns and the rows."""
    if net.places:
        expected, shape = "a network with a row of outputs for each sample", (*net.places, net.outputs)
        message = f"RUN: expected {expected}, got outputs of shape {shape}; use portanet.load(...).predict(x)"
        raise ConfigError(message)
    classifies = bool(net.classes) or net.loss.output is not None
    if not classifies and proba:
        message = "--proba: expected a network that was trained on classes; this one predicts numbers: leave it out"
        raise ConfigError(message)
    names = list(net.classes) or [str(i) for i in range(max(net.outputs, 2))]
    if classifies and not proba:
        return ["label"], ([names[i]] for i in net.predict_classes(x).tolist())
    values = net.predict(x).tolist()
    if not classifies:
        header = ["value"] if net.outputs == 1 else [f"value_{i}" for i in range(net.outputs)]
        return header, (_texts(row) for row in values)
    if net.outputs == 1:
        values = [[1.0 - p, p] for (p,) in values]
    return names, (_texts(row) for row in values)


def _texts(row: list[float]) -> list[str]:
    return [f"{value:.9g}" for value in row]  # nine digits name every float32
