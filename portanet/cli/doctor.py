"""``portanet doctor``: Report what runs here, what does not, why, and what fixes it."""

from __future__ import annotations

from typing import Any

import click

from portanet.cli.output import print_json, print_table
from portanet.cli.parameters import json_option


@click.command()
@click.option("--backend", help="Fail (exit code 4) if this one cannot be used.")
@json_option
def doctor(backend: str | None, *, json_wanted: bool) -> None:
    """Report what runs here, what does not, why, and what fixes it.

    Each backend is tried with a kernel and a matrix product.
    """
    import portanet
    from portanet import backends
    from portanet.backends.diagnosis.report import report

    found = {"portanet": portanet.__version__, **report()}
    if json_wanted:
        print_json(found)
    else:
        _show(found)
    if backend is not None:
        backends.get(backend, quiet=True)


def _show(found: dict[str, Any]) -> None:
    click.echo(f"portanet {found['portanet']}, Python {found['python']}, NumPy {found['numpy']}, {found['platform']}\n")
    rows = [
        (one["name"], "yes" if one["usable"] else "no", one["version"] or "-", ", ".join(one["devices"]) or "-")
        for one in found["backends"]
    ]
    print_table(["backend", "usable", "version", "devices"], rows)
    click.echo()
    for one in found["backends"]:
        if not one["usable"]:
            click.echo(f"{one['name']}: {one['reason']}" + (f"; fix: {one['fix']}" if one["fix"] else ""))
    auto = found["auto"]
    click.echo(f"auto takes {auto['backend']} ({auto['why']})")
    click.echo(f"BLAS: {_blas(found['blas'])}")
    for place, memory in found["memory"].items():
        if memory is not None and (place == "host" or auto["backend"] != "numpy"):  # NumPy's device is the host
            click.echo(f"memory of the {place}: {memory['free'] / 2**30:.1f} of {memory['total'] / 2**30:.1f} GiB free")
    for warning in found["warnings"]:
        click.echo(f"warning: {warning}")


def _blas(blas: dict[str, Any]) -> str:
    parts = [f"{blas['library']} {blas['version']}".strip() or "unknown"]
    if blas["architecture"]:
        parts.append(f"kernels for {blas['architecture']}")
    if blas["threads"]:
        parts.append(f"{blas['threads']} threads")
    return ", ".join(parts)
