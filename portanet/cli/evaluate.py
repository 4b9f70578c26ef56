"""``portanet evaluate``: Print loss and metrics of a trained network on DATA."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from portanet.cli.output import numbers, print_json, print_table, say
from portanet.cli.parameters import (
    any_size_option,
    backend_option,
    json_option,
    part_option,
    stream_option,
    target_option,
    which_option,
)
from portanet.cli.pictures import skip_broken_option

if TYPE_CHECKING:
    from portanet.training.model import Model


@click.command()
@click.argument("run")
@click.argument("data")
@part_option
@which_option
@target_option
@stream_option
@skip_broken_option
@backend_option
@any_size_option
@json_option
def evaluate(
    run: str,
    data: str,
    part: str | None,
    which: str,
    target: str | None,
    backend: str,
    *,
    stream: bool | None,
    skip_broken: bool,
    any_size: bool,
    json_wanted: bool,
) -> None:
    """Print loss and metrics of a trained network on DATA.

    RUN is a run folder or a .safetensors file. The classes of DATA are matched with the network's by their names. For
    each class, recall is the share of its samples that are predicted correctly, and precision the share of the samples
    predicted as this class that belong to it.
    """
    from portanet.cli import held_out, stored

    net = stored.model(run, which, backend, any_size=any_size)
    dataset = stored.data_for(net, run, data, target, stream=stream, skip_broken=skip_broken)
    name, x, y = stored.part_of(dataset, part)
    samples = stored.shaped(x, net, dataset.name)
    found, classes = net.evaluate(samples, y), _by_class(net, samples, y)
    if json_wanted:
        print_json({**found, "samples": len(x), "part": name, **({"classes": classes} if classes else {})})
        return
    say(f"data     {dataset.name}, {len(x)} samples ({name} part)")
    if name == "train" and (seen := held_out.trained_on(Path(run), dataset)):
        say(f"note     the network was trained on {seen:,} of these samples; take others to measure it")
    click.echo(numbers(found))
    if classes:
        rows = [
            (own, str(row["samples"]), *map(_share, (row["recall"], row["precision"]))) for own, row in classes.items()
        ]
        print_table(["class", "samples", "recall", "precision"], rows, right=[1, 2, 3])


def _by_class(net: Model, x: Any, y: Any) -> dict[str, dict[str, Any]]:
    """Return for each class its number of samples, its recall and its precision: None where there is nothing to divide.

    Nothing for a network whose classes have no names, or that has outputs at several places.
    """
    from portanet.metrics import confusion_matrix
    from portanet.training.single_class import single_class

    if not net.classes or net.places or y.ndim != 1:
        return {}
    counts = confusion_matrix(y, single_class(net, x), len(net.classes)).tolist()
    of, taken = [sum(row) for row in counts], [sum(column) for column in zip(*counts, strict=True)]
    return {
        name: {
            "samples": of[i],
            "recall": counts[i][i] / of[i] if of[i] else None,
            "precision": counts[i][i] / taken[i] if taken[i] else None,
        }
        for i, name in enumerate(net.classes)
    }


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
