"""``portanet train``: Train a network on DATA."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from portanet.cli.config import config_option, from_file, resume_option
from portanet.cli.grouped import GroupedCommand
from portanet.cli.output import echo, numbers, print_json, say
from portanet.cli.parameters import json_option, quiet_option
from portanet.cli.ranks import joined, on_first
from portanet.cli.train_options import NAMED, NOT_OF_NAMED, OF_HIDDEN_LAYERS, Options, train_options
from portanet.errors import ConfigError, DivergedError

if TYPE_CHECKING:
    from portanet.cli.group import State
    from portanet.cli.training import Training


@click.command(cls=GroupedCommand)
@click.argument("data", default="digits")
@train_options
@config_option
@resume_option
@click.option("--print-config", is_flag=True, help="Print the resolved configuration as TOML, and do not train.")
@json_option
@quiet_option
@click.pass_context
def train(
    ctx: click.Context, /, *, resume: Path | None, print_config: bool, json_wanted: bool, quiet: bool, **given: Any
) -> None:
    """Train a network on DATA.

    DATA is a name (digits, moons, circles, spirals, mnist, fashion-mnist) or a path: a CSV or TSV file, Parquet, a
    .npz, a .npy pair, a folder of IDX files, of text digits, or of images by class. Default: digits.

    The run's folder holds its configuration, its metrics by epoch, and the weights of the best and of the last epoch.
    """
    from portanet.backends import keep_memory
    from portanet.cli import run_folder
    from portanet.cli.training import Training

    keep_memory()
    if isinstance(given["layers"], list):
        with from_file(ctx, resume):
            _refuse_idle_options(ctx, given)
    if given["model"] in NAMED and not isinstance(given["layers"], list):
        with from_file(ctx, resume):
            _refuse_changes(given)
    if resume is not None:  # the run has weights and a folder
        given["init_from"] = None
        with from_file(ctx, resume):
            if given["out"] is not None:
                message = "--out: a resumed run continues in its own folder; leave it out"
                raise ConfigError(message)
    options = Options(**given)
    with joined(options.batch_norm) as ranks:
        if resume is None:
            on_first(ranks, lambda: run_folder.refuse_taken(options.out))
        with from_file(ctx, resume):
            training = Training(options, ranks)
        _train(ctx, training, resume, print_config=print_config, json_wanted=json_wanted, quiet=quiet)


def _train(
    ctx: click.Context, training: Training, resume: Path | None, *, print_config: bool, json_wanted: bool, quiet: bool
) -> None:
    from portanet.cli import run_folder

    options, ranks, first = training.options, training.ranks, training.trainer.strategy.writes
    tell = (lambda line: None) if quiet else say
    for line in training.in_words():
        tell(line)
    if print_config:
        click.echo(training.config(), nl=False)
        return
    state: State = ctx.find_root().obj
    folder = resume or on_first(ranks, lambda: run_folder.create(options.out, training.dataset.name))
    report: dict[str, Any] = {}
    try:
        with run_folder.alone_in(folder) if first else contextlib.nullcontext():
            if resume is None:
                on_first(ranks, lambda: training.prepare(folder, state.arguments))
            tell(f"run      {folder}")
            code = training.run(folder, report, state.arguments, resume=resume is not None, verbose=not quiet)
    except DivergedError:
        say(f"The last good weights stand in {folder / run_folder.LAST}.")
        raise
    finally:
        if json_wanted and report:
            print_json(report)
    if options.plots and first:
        for path in training.draw(folder):
            tell(f"plot     {path}")
    if report["stopped"] == "interrupted":
        resumed = shlex.join(["portanet", "train", "--resume", str(folder)])
        tell(f"stopped  {training.progress()}; to continue: {resumed}")
    elif report["stopped"] != "epochs":
        tell(f"stopped  {report['stopped']}")
    if not json_wanted:
        echo(f"{folder}  epoch {report['best_epoch']} of {report['epochs']}  {numbers(report['metrics'])}")
    if report["stopped"] != "interrupted":
        for line in _next(training, folder):
            tell(line)
    ctx.exit(code)


def _next(training: Training, folder: Path) -> list[str]:
    """Return what to do with a trained network, and how to measure it if nothing was held out."""
    run = shlex.quote(str(folder))
    lines = []
    if not training.held_out:
        lines.append("hint     all numbers are of the training samples, as none were held out; to measure on others:")
        lines.append(f"         portanet evaluate {run} NEWDATA, or train with --val-fraction 0.1")
    path = "DATA" if training.dataset.pictures is None else "PICTURES..."
    return [*lines, f"next     portanet predict {run} {path}"]


def _refuse_changes(given: dict[str, Any]) -> None:
    """Raise ConfigError for an option that would do nothing, since the network is a whole one by its name."""
    for name in NOT_OF_NAMED:
        if given[name] is not None:
            option = f"--{name.replace('_', '-')}"
            message = f"{option}: --model {given['model']} has its own layers; leave it out, or use --model cnn"
            raise ConfigError(message)


def _refuse_idle_options(ctx: click.Context, given: dict[str, Any]) -> None:
    """Raise ConfigError for an option that would do nothing, since the layers were listed one by one."""
    for name in OF_HIDDEN_LAYERS:
        if given[name] is not None:
            where = f"but {ctx.meta['portanet.config']} lists them as [[layers]]; set it there, or leave it out"
            raise ConfigError(f"{name} says what the layers of --layers are made of, " + where)
