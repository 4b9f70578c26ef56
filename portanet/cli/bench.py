"""``portanet bench``: Time steps of training beside other libraries."""

from __future__ import annotations

import datetime
import importlib.util
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import portanet
from portanet.cli.config import read_toml
from portanet.cli.output import print_json, print_table, say
from portanet.cli.parameters import json_option
from portanet.errors import CheckError, ConfigError, unknown

if TYPE_CHECKING:
    from portanet.bench.turns import Timings

_LIBRARIES = ("torch", "jax", "keras", "sklearn")


@click.command()
@click.option("--workloads", metavar="A,B", help="Default: all but mnist-8192.")
@click.option("--backends", metavar="A,B", help="Ours. Default: numpy, and torch and jax where they are installed.")
@click.option("--peers", metavar="A,B", help=f"Default: limit, and of {', '.join(_LIBRARIES)} what is installed.")
@click.option("--rounds", type=click.IntRange(min=1), default=7, show_default=True, help="Turns of each.")
@click.option("--seconds", type=click.FloatRange(min=0), default=0.4, show_default=True, help="Length of a turn.")
@click.option(
    "--check",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML file of limits: [numpy.torch], then workload = largest ratio. Exit code 7 beyond one.",
)
@json_option
def bench(
    workloads: str | None,
    backends: str | None,
    peers: str | None,
    rounds: int,
    seconds: float,
    check: Path | None,
    *,
    json_wanted: bool,
) -> None:
    """Time steps of training beside other libraries.

    Each library trains through its public API in its own process, taking turns; ratios are medians over the rounds.
    "limit" is only the matrix products of a step, by NumPy into preallocated buffers.
    """
    from portanet.backends.diagnosis import blas
    from portanet.bench.peers import PEERS
    from portanet.bench.turns import measure
    from portanet.bench.workloads import KNOWN, WORKLOADS

    installed = [name for name in _LIBRARIES if importlib.util.find_spec(name)]
    own = _listed("--backends", backends, ["numpy", *(name for name in ("torch", "jax") if name in installed)], None)
    others = _listed("--peers", peers, ["limit", *installed], list(PEERS))
    limits = {} if check is None else read_toml(check, "a TOML file of limits")
    kernels = blas.describe()
    say(f"NumPy's BLAS: {kernels.library} {kernels.version} {kernels.architecture}, threads {kernels.threads}")
    if kernels.warning:
        say(f"portanet: {kernels.warning}")
    found, beyond = [], []
    for name in _listed("--workloads", workloads, list(WORKLOADS), list(KNOWN)):
        timings = measure(name, [*(f"portanet:{b}" for b in own), *others], rounds, seconds)
        found.append(_result(timings))
        if not json_wanted:
            _show(timings, others)
        beyond += _beyond(found[-1], limits)
    if json_wanted:
        print_json({**_machine(installed), "blas": vars(kernels), "rounds": rounds, "workloads": found})
    if beyond:
        message = f"{len(beyond)} ratios are beyond their limits in {check}:\n  " + "\n  ".join(beyond)
        raise CheckError(message)


def _machine(installed: list[str]) -> dict[str, Any]:
    """Return what the figures depend on beside the code: kept with them, they can be compared with later ones."""
    packages = {"sklearn": "scikit-learn"}
    return {
        "portanet": portanet.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "libraries": {name: metadata.version(packages.get(name, name)) for name in ("numpy", *installed)},
        "began": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _listed(option: str, given: str | None, default: list[str], known: list[str] | None) -> list[str]:
    names = default if given is None else [name.strip() for name in given.split(",") if name.strip()]
    for name in names:
        if known is not None and name not in known:
            raise ConfigError(f"{option}: " + unknown("name", name, known))
    return names


def _result(timings: Timings) -> dict[str, Any]:
    own = [peer for peer in timings.rounds if peer.startswith("portanet:")]
    others = [peer for peer in timings.rounds if peer not in own]
    return {
        "workload": timings.workload,
        "milliseconds": {peer: timings.median(peer) for peer in timings.rounds},
        "ratios": {
            mine.removeprefix("portanet:"): {other: timings.ratio(mine, other) for other in others} for mine in own
        },
        "absent": timings.absent,
    }


def _show(timings: Timings, others: list[str]) -> None:
    """Print the table of one workload."""
    there = [other for other in others if other in timings.rounds]
    rows = []
    for peer in timings.rounds:
        ratios = [f"{timings.ratio(peer, other):.2f}" if other != peer else "" for other in there]
        rows.append((peer, f"{timings.median(peer):.3f}", *ratios))
    header = (timings.workload, "ms a step", *(f"of {other}" for other in there))
    print_table(header, rows, right=range(1, len(header)))
    for peer, why in timings.absent.items():
        say(f"  {peer}: {why}")
    click.echo()


def _beyond(result: dict[str, Any], limits: dict[str, Any]) -> list[str]:
    """Return a line for each ratio of a workload that is above its limit; what was not measured has none."""
    name, lines = result["workload"], []
    for backend, ratios in result["ratios"].items():
        for other, ratio in ratios.items():
            limit = limits.get(backend, {}).get(other, {}).get(name)
            if limit is not None and ratio > limit:
                lines.append(f"{name}: {backend} takes {ratio:.2f} of {other}, limit {limit:.2f}")
    return lines
