"""``portanet export``: Write a trained network for ONNX, torch, or NumPy alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from portanet.cli.output import echo, print_json, say
from portanet.cli.parameters import OUT, any_size_option, json_option, which_option
from portanet.errors import ConfigError

ENDING = {"onnx": ".onnx", "torch": ".torch.safetensors", "npz": ".npz", "numpy": "_predict.py"}


@click.command("export")
@click.argument("run", metavar="RUN")
@click.option(
    "--to", "form", type=click.Choice([*ENDING]), required=True, help="numpy: a script that needs NumPy alone."
)
@click.option(
    *("-o", "--out"),
    metavar="FILE",
    type=OUT,
    help="File to write. Default: RUN/model.onnx, .torch.safetensors, .npz or _predict.py; of a file beside it.",
)
@click.option("--raw", is_flag=True, help="Output logits instead of probabilities (onnx, numpy).")
@click.option("--force", is_flag=True, help="Replace existing files.")
@which_option
@any_size_option
@json_option
def export(
    run: str,
    form: str,
    out: Path | None,
    which: str,
    *,
    raw: bool,
    force: bool,
    any_size: bool,
    json_wanted: bool,
) -> None:
    """Write a trained network for ONNX, torch, or NumPy alone.

    RUN is a run folder or a .safetensors file. torch's file is a state_dict; the torch.nn.Sequential that it belongs to
    is printed on stderr. numpy writes a script and a file of its weights. The paths of the written files are printed.
    For a table with text, dates or missing values, onnx and numpy take the columns as they are in the table.
    """
    from portanet import export as to
    from portanet.cli import stored
    from portanet.export.numpy_script import script_files
    from portanet.files.atomic import replaces
    from portanet.files.regular import own_file

    if raw and form not in ("onnx", "numpy"):
        message = f"--raw: --to {form} has no use for it: there the network ends in front of the loss; leave it out"
        raise ConfigError(message)
    net = stored.model(run, which, any_size=any_size)
    if form in ("torch", "npz") and net.columns is not None and not net.columns.plain:
        message = (
            f"{run}: --to {form} holds weights alone, and not what the columns of a table with text, dates or gaps are "
            "turned into; take --to onnx or --to numpy, which do"
        )
        raise ConfigError(message)
    place = Path(run)
    beside = own_file(place, f"model{ENDING[form]}") if place.is_dir() else place.with_name(place.stem + ENDING[form])
    file = out or beside
    written = [*script_files(file)] if form == "numpy" else [file]
    for path in written:
        if out is None and place.is_dir():
            own_file(place, path.name)
        if replaces(path) and not force:
            message = f"{path}: it is there already; replace it by --force, or name another file by -o"
            raise ConfigError(message)
    options: dict[str, Any] = {"raw": raw} if form in ("onnx", "numpy") else {}
    write = {"onnx": to.to_onnx, "torch": to.to_torch, "npz": to.to_npz, "numpy": to.to_numpy_script}[form]
    write(net, file, **options)
    if json_wanted:
        sizes = [path.stat().st_size for path in written]
        print_json({"to": form, "files": [str(path) for path in written], "bytes": sum(sizes)})
        return
    for path in written:
        echo(str(path))
    if net.pictures is not None:
        say(f"pictures are to be brought to their form first: {net.pictures.in_words()}; values from 0 to 255")
    if form == "torch":
        say("its torch.nn.Sequential:")
        for line in to.torch_code(net).splitlines():
            say(line)
    elif form == "numpy":
        taken = "SAMPLES.npy" if net.columns is None or net.columns.plain else "TABLE.csv"
        taken += "" if net.pictures is None else ", or a picture file"
        say(f"to predict: python {file} {taken}")
