"""``portanet agree``: Compare backends with NumPy in float64."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
from typing import TYPE_CHECKING

import click

from portanet.cli.output import print_json, print_table
from portanet.cli.parameters import any_size_option, json_option
from portanet.errors import CheckError, ConfigError

if TYPE_CHECKING:
    from portanet.verify.agreement import Agreement


@click.command()
@click.option("--backends", "names", metavar="A,B", help="Default: all that can be used here.")
@click.option("--model", "run", metavar="RUN", help="Compare this network, layer by layer.")
@click.option("--data", metavar="DATA", help="Samples for the network. Default: random ones.")
@any_size_option
@json_option
def agree(names: str | None, run: str | None, data: str | None, *, any_size: bool, json_wanted: bool) -> None:
    """Compare backends with NumPy in float64.

    Compares every layer, loss and optimizer, and a whole training; or, with --model, each layer of a trained network.
    The largest relative error of each is printed. An error above its tolerance exits with code 7.
    """
    if data is not None and run is None:
        message = "--data: it is what a network is tried on; name one by --model too"
        raise ConfigError(message)
    from portanet import backends
    from portanet.cli import stored
    from portanet.verify.agreement import agree as compare

    chosen = [name.strip() for name in (names or "").split(",")]
    if not names:
        strict = ["strict"] if importlib.util.find_spec("array_api_strict") else []
        chosen = [one.name for one in backends.status() if one.usable] + strict
    net = None if run is None else stored.model(run, any_size=any_size)
    x = None
    if net is not None and data is not None and run is not None:
        _, x, _ = stored.part_of(stored.data_for(net, run, data, None), None)
        x = stored.shaped(x[:64], net, data)
    found = compare(chosen, model=net, x=x)
    if json_wanted:
        print_json([{**dataclasses.asdict(one), "ok": one.ok} for one in found])
    else:
        _show(found)
    beyond = [one for one in found if not one.ok]
    if beyond:
        lines = [f"{len(beyond)} of {len(found)} comparisons are beyond their tolerance:"]
        for one in beyond:
            place = f"{one.kind} {one.name} on {one.backend} in {one.dtype}"
            lines.append(f"{place}: relative error {one.error:.1e}, tolerance {one.tolerance:.0e}")
        raise CheckError("\n  ".join(lines))


def _show(found: list[Agreement]) -> None:
    """Print the largest error of each layer, loss and optimizer: a row each, a column a backend, a table a dtype."""
    backends = list(dict.fromkeys(one.backend for one in found))
    for dtype in dict.fromkeys(one.dtype for one in found):
        largest: dict[tuple[str, str], dict[str, Agreement]] = {}
        for one in (a for a in found if a.dtype == dtype):
            row = largest.setdefault((one.kind, one.name.partition("-")[0]), {})
            row[one.backend] = max(row.get(one.backend, one), one, key=lambda a: (math.isnan(a.error), a.error))
        click.echo(f"{dtype}: largest relative error beside NumPy in float64")
        rows = [
            (kind, name, *(_cell(row[b]) if b in row else "-" for b in backends))
            for (kind, name), row in largest.items()
        ]
        print_table(["", "", *backends], rows, right=range(2, 2 + len(backends)))
        click.echo()


def _cell(one: Agreement) -> str:
    return f"{one.error:.1e}" + ("" if one.ok else " !")
