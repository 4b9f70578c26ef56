"""``portanet plot``: Draw the curves of one RUN, or of several in one picture."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portanet.cli.output import echo, print_json, say
from portanet.cli.parameters import FILE, OUT, any_size_option, column_option, json_option
from portanet.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@click.command("plot")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=FILE)
@click.option("--data", metavar="DATA", help="Also draw the network's mistakes on these data (their test part).")
@column_option
@click.option(
    *("-o", "--out"),
    metavar="FILE|DIR",
    type=OUT,
    help="A .png, .svg or .pdf for the curves, or a folder. Default: RUN/plots; the curves of several: here.",
)
@click.option("--force", is_flag=True, help="Replace pictures that are there already.")
@any_size_option
@json_option
def plot(
    runs: tuple[Path, ...],
    data: str | None,
    target: str | None,
    out: Path | None,
    *,
    force: bool,
    any_size: bool,
    json_wanted: bool,
) -> None:
    """Draw the curves of one RUN, or of several in one picture.

    With --data also the confusion matrix, and the worst mistakes of images or the decision boundary of points, for
    held-out samples if there are any. A RUN is a folder that `portanet train` wrote. The paths of the pictures are
    printed. Existing pictures in RUN/plots are replaced; the curves of several runs get a new name.
    """
    file = out if out is not None and out.suffix and not out.is_dir() else None
    if target is not None and data is None:
        message = "plot: --target names a column of --data; give --data too"
        raise ConfigError(message)
    if file is not None and data is not None:
        message = f"plot: expected a folder for -o, as --data makes several pictures, got {file}"
        raise ConfigError(message)
    from portanet.plot import curves, read_rows, save
    from portanet.plot.run import plots_of, save_all

    named = _named(runs)
    rows = {name: read_rows(run) for name, run in named.items()}
    alone = len(named) == 1
    together = curves(next(iter(rows.values())) if alone else rows)
    if file is not None:
        _refuse_taken([file], force=force)
        save(together, file)
        written = [file]
    else:
        # All is drawn before anything is written: data that do not fit a run leave no half of the pictures.
        mistakes = {
            name: {} if data is None else _mistakes(run, data, target, any_size=any_size) for name, run in named.items()
        }
        folders = {
            name: plots_of(run, mistakes[name]) if out is None else out if alone else out / name.replace("/", "-")
            for name, run in named.items()
        }
        place, title = out or (plots_of(runs[0], ["curves"]) if alone else Path()), "curves"
        if out is None and not alone and not force:
            title = next(name for i in itertools.count(1) if not (place / f"{(name := _numbered(i))}.png").exists())
        if out is not None:
            own = [folders[name] / f"{picture}.png" for name in named for picture in mistakes[name]]
            _refuse_taken([place / "curves.png", *own], force=force)
        written = save_all({title: together}, place)
        for name, folder in folders.items():
            written += save_all(mistakes[name], folder) if mistakes[name] else []
    if json_wanted:
        print_json({"files": [str(path) for path in written]})
    else:
        for path in written:
            echo(str(path))


def _numbered(i: int) -> str:
    return "curves" if i == 1 else f"curves-{i}"


def _refuse_taken(files: list[Path], *, force: bool) -> None:
    from portanet.files.atomic import replaces

    for file in files:
        if not force and file.exists() and replaces(file):
            message = f"{file}: it is there already; replace it by --force, or name another place by -o"
            raise ConfigError(message)


def _named(runs: tuple[Path, ...]) -> dict[str, Path]:
    """Return the runs by their folders' names, or by their paths where two folders are called the same."""
    different = list({run.resolve(): run for run in runs}.values())
    names = [run.resolve().name for run in different]
    return {name if names.count(name) == 1 else str(run): run for name, run in zip(names, different, strict=True)}


def _mistakes(run: Path, data: str, target: str | None, *, any_size: bool) -> dict[str, Figure]:
    """Return the pictures of a run's best network on these data, by name."""
    from portanet.cli import held_out, stored
    from portanet.plot import draw

    trainer = stored.model(str(run), any_size=any_size)
    dataset, of = held_out.parts(run, stored.data_for(trainer, str(run), data, target))
    figures = draw(trainer, dataset, of=of)
    if not figures:
        say(f"plot: {data}: its targets are no classes; the curves alone are drawn for {run}")
    return figures
