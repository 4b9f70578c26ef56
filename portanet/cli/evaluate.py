"""``portanet evaluate``: Print loss and metrics of a trained network on DATA."""

from __future__ import annotations

import click

from portanet.cli.output import numbers, print_json, say
from portanet.cli.parameters import (
    any_size_option,
    backend_option,
    json_option,
    part_option,
    stream_option,
    target_option,
    which_option,
)


@click.command()
@click.argument("run")
@click.argument("data")
@part_option
@which_option
@target_option
@stream_option
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
    any_size: bool,
    json_wanted: bool,
) -> None:
    """Print loss and metrics of a trained network on DATA.

    RUN is a run folder or a .safetensors file. The classes of DATA are matched with the network's by their names.
    """
    from portanet.cli import stored

    net = stored.model(run, which, backend, any_size=any_size)
    dataset = stored.data_for(net, run, data, target, stream=stream)
    name, x, y = stored.part_of(dataset, part)
    found = net.evaluate(stored.shaped(x, net, dataset.name), y)
    if json_wanted:
        print_json({**found, "samples": len(x), "part": name})
    else:
        say(f"data     {dataset.name}, {len(x)} samples ({name} part)")
        click.echo(numbers(found))
