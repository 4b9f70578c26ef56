"""``portanet reproduce``: Run a RUN again and compare it, number by number."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from portanet.cli.output import echo, print_json, say
from portanet.cli.parameters import FILE, json_option, quiet_option
from portanet.errors import CheckError, DataError, DivergedError

if TYPE_CHECKING:
    from portanet.cli.group import State
    from portanet.cli.training import Training


@click.command("reproduce")
@click.argument("run", type=FILE)
@click.option("--out", type=click.Path(), metavar="DIR", help="Keep the new run in this folder.")
@json_option
@quiet_option
@click.pass_context
def reproduce(ctx: click.Context, run: Path, out: str | None, *, json_wanted: bool, quiet: bool) -> None:
    """Run a RUN again and compare it, number by number.

    The run's own configuration is used, on the same data: their SHA-256 must be that of the run. Each epoch's numbers
    and the weights are compared. It prints "bit for bit", or the first epoch and number that differ, and what is not as
    it was in the environment (exit code 7).
    """
    from portanet.cli import comparison, run_folder
    from portanet.cli.config import from_file, of_run
    from portanet.cli.train import train
    from portanet.cli.train_options import Options
    from portanet.cli.training import Training

    before = comparison.Record.read(run)
    of_run(ctx)
    with train.make_context("train", ["--config", str(run / run_folder.CONFIG)], parent=ctx) as own:
        given = {field.name: own.params[field.name] for field in dataclasses.fields(Options)}
        with from_file(own, run):
            training = Training(Options(**{**given, "time_limit": None, "plots": False}))
    before.check_data(training.trainer, training.dataset)
    state: State = ctx.find_root().obj
    with _folder(out) as folder, run_folder.alone_in(folder):
        training.prepare(folder, state.arguments)
        code = _run(training, folder, before, state.arguments, verbose=not quiet)
        if code:  # it was interrupted
            ctx.exit(code)
        found = comparison.compare(before, comparison.Record.read(folder), training.options.epochs)
    if json_wanted:
        print_json({"run": str(run), **found.as_dict()})
    if found.difference:
        lines = [f"{run}: not reproduced: {found.difference}", *found.environment]
        if not found.environment:
            lines.append("the environment is the same, as far as it was recorded")
        raise CheckError("\n  ".join(lines))
    for line in found.environment:
        say(f"although  {line}")
    if not json_wanted:
        echo(f"{run}: bit for bit: {found.same}")


def _run(training: Training, folder: Path, before: Any, arguments: Sequence[str], *, verbose: bool) -> int:
    """Train as the run did, and stop where it was stopped; return the exit code. A run that diverged does so again."""
    from portanet.callbacks import Callback

    class Until(Callback):
        """Ends the training after the last epoch of a run that was stopped."""

        def on_epoch_end(self, trainer: Any, row: dict[str, float]) -> None:
            if trainer.epoch >= len(before.rows):
                trainer.stop("as the run was stopped")

    with contextlib.suppress(DivergedError):
        hooks = [Until()] if before.cut_short else []
        return training.run(folder, {}, arguments, hooks=hooks, verbose=verbose)
    return 0


@contextlib.contextmanager
def _folder(out: str | None) -> Iterator[Path]:
    from portanet.cli import run_folder

    if out is not None:
        yield run_folder.create(out, "run")
        return
    try:
        with tempfile.TemporaryDirectory(prefix="portanet-") as place:
            yield Path(place)
    except OSError as error:
        message = f"{error.filename}: cannot be written ({error.strerror}); give a folder that has room by --out"
        raise DataError(message) from None
