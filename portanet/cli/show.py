"""``portanet show``: Show one training step of a RUN on a sample, in numbers."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from portanet.cli.output import echo, print_json, say
from portanet.cli.parameters import (
    OUT,
    any_size_option,
    json_option,
    part_option,
    target_option,
    which_option,
)
from portanet.errors import ConfigError, DataError

if TYPE_CHECKING:
    from portanet.training.model import Model

_STYLE = "font-family: sans-serif; margin: 2em"
_HEAD = f'<!doctype html><meta charset="utf-8"><title>portanet show</title><body style="{_STYLE}">'


@click.command("show")
@click.argument("run")
@click.argument("data", required=False)
@click.option("--sample", type=click.IntRange(min=0), default=0, show_default=True, help="Its row, counted from 0.")
@click.option("-o", "--out", metavar="FILE", type=OUT, help="Write it as an HTML page in place of text.")
@part_option
@which_option
@target_option
@any_size_option
@json_option
def show(
    run: str,
    data: str | None,
    sample: int,
    out: Path | None,
    part: str | None,
    which: str,
    target: str | None,
    *,
    any_size: bool,
    json_wanted: bool,
) -> None:
    """Show one training step of a RUN on a sample, in numbers.

    Forward, loss, backward and update: each layer with its formula and its arrays. Of a large array the part around its
    largest entry is shown; --json prints all numbers. DATA is by default what the run was trained on, and the sample is
    one of its test part, if there is one. It is computed on NumPy, and the run does not change.
    """
    from portanet.cli import stored
    from portanet.files.atomic import write
    from portanet.inspection.trace import trace

    net = stored.model(run, which, any_size=any_size)
    source = data if data is not None else stored.trained_on(run)
    if source is None:
        message = f"{run}: a file of weights does not say what it was trained on; give DATA too"
        raise ConfigError(message)
    name, x, y = stored.part_of(stored.data_for(net, run, source, target), part)
    if sample >= len(x):
        message = f"--sample {sample}: the {name} part of {source} has {len(x)} samples; give 0 to {len(x) - 1}"
        raise DataError(message)
    x, y = stored.shaped(x[sample : sample + 1], net, source), y[sample : sample + 1]
    found = trace(net, x, y)
    about = f"sample {sample} of the {name} part of {source}: {_answer(net, x, y)}"
    if json_wanted:
        print_json({"sample": about, **found.as_dict()})
    elif out is not None:
        write(out, f"{_HEAD}<p>{escape(about)}</p>{found.html()}</body>\n")
        say(f"{out}: open it in a browser")
    else:
        echo(about)
        echo()
        for line in str(found).splitlines():
            echo(line)


def _answer(net: Model, x: Any, y: Any) -> str:
    """Return the target of the sample, and what the network predicts."""
    given = net.predict(x)[0].reshape(-1)
    if net.loss.output is None or y.ndim > 1:
        return f"target {_numbers(y[0].reshape(-1))}, predicted {_numbers(given)}"
    names = net.classes or [str(i) for i in range(max(net.outputs, 2))]
    guess = int(net.predict_classes(x)[0])
    p = float(given[guess]) if net.outputs > 1 else float(given[0] if guess else 1 - given[0])
    return f"class {names[int(y[0])]}, predicted {names[guess]} with p = {p:.4f}"


def _numbers(values: Any) -> str:
    return ", ".join(f"{value:.6g}" for value in values.tolist())
