"""``portanet gradcheck``: Compare gradients with central differences."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from portanet.cli.output import print_json, print_table
from portanet.cli.parameters import json_option
from portanet.errors import CheckError, ConfigError, unknown

if TYPE_CHECKING:
    from portanet.verify.gradient_check import GradientCheck

Checks = Callable[[], "list[GradientCheck]"]


@click.command()
@click.argument("what", metavar="[LAYER|RUN]", required=False)
@json_option
def gradcheck(what: str | None, *, json_wanted: bool) -> None:
    """Compare gradients with central differences.

    Of all layers, of the one that is named (Dense, ReLU, ...), or of a trained network. It is done in float64 on NumPy;
    an error beyond 1e-6 exits with code 7.
    """
    from portanet.cli import stored

    cases = _of_run(what) if what is not None and (stored.is_stored(what) or "/" in what) else _of_layers(what)
    rows: list[dict[str, Any]] = []
    failed = []
    for name, check in cases.items():
        try:
            rows += [{"layer": name, "array": one.array, "error": one.error, "ok": True} for one in check()]
        except CheckError as error:
            rows.append({"layer": name, "array": None, "error": None, "ok": False})
            failed.append(f"{name}: {error}")
    if json_wanted:
        print_json(rows)
    else:
        print_table(
            ["layer", "array", "relative error"],
            [(r["layer"], r["array"] or "-", f"{r['error']:.1e}" if r["ok"] else "failed") for r in rows],
            right=[2],
        )
    if failed:
        message = f"{len(failed)} of {len(cases)} gradient checks failed:\n  " + "\n  ".join(failed)
        raise CheckError(message)


def _of_layers(wanted: str | None) -> dict[str, Checks]:
    from portanet.random import generator
    from portanet.verify.cases import LAYERS
    from portanet.verify.gradient_check import gradcheck as check

    by_small = {name.lower(): name for name in LAYERS}
    if wanted is not None and wanted.lower() not in by_small:
        raise ConfigError(unknown("layer", wanted, LAYERS) + "; or give a run folder")
    names = list(LAYERS) if wanted is None else [by_small[wanted.lower()]]
    found: dict[str, Checks] = {}
    for name in names:
        for i, case in enumerate(LAYERS[name]):
            title = f"{case.id} ({i + 1})" if case.id in found else case.id
            x = case.samples(generator(0, "gradcheck"), 3) if case.whole_numbers else None
            found[title] = partial(check, case.layer, case.shape, x=x)
    return found


def _of_run(run: str) -> dict[str, Checks]:
    from portanet import backends
    from portanet.cli import stored
    from portanet.verify.gradient_check import gradcheck as check

    net = stored.model(run)
    asarray = backends.get("numpy").asarray
    snapshot = net.snapshot()
    arrays = {name: asarray(a, "float64") for part in snapshot.values() for name, a in part.items()}
    return {run: lambda: check(net.net, net.input_shape or (), params=arrays)}
