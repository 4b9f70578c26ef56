"""The group of all commands, of which each is imported when it is run: ``--help`` touches no array library."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

import portanet
from portanet.cli.following import followed
from portanet.cli.imports import import_option
from portanet.cli.ranks import refuse_several
from portanet.errors import unknown

ORDER = (
    "examples",
    "train",
    "tune",
    "cv",
    "evaluate",
    "predict",
    "show",
    "play",
    "export",
    "convert",
    "info",
    "plot",
    "doctor",
    "agree",
    "bench",
)
"""The order in which commands are listed; others come after these."""


def _commands() -> dict[str, str]:
    """Return the commands with their help: the modules here that begin so. Reading a line imports nothing."""
    found = {}
    for file in sorted(Path(__file__).parent.glob("*.py"), key=lambda file: (file.stem not in ORDER, file.stem)):
        with file.open(encoding="utf-8") as text:
            match = re.fullmatch(r'"""``portanet (\w+)``: (.*)"""\n', text.readline())
        if match and match[1] == file.stem:
            found[match[1]] = match[2]
    return {name: found[name] for name in [*(own for own in ORDER if own in found), *found]}


HELP = _commands()
"""The first line of each command's help: shown without importing the command."""

NAMES = (
    *("train", "tune", "cv", "evaluate", "predict", "show", "play", "export", "info", "plot", "agree", "gradcheck"),
    "reproduce",
)
"""The commands that load a network or take the name of a layer, loss, optimizer or schedule: they have --import."""

JOINS = ("train",)
"""The commands that the processes started by mpiexec do together."""


@dataclass
class State:
    """What a command may want to know of the process it runs in: ``click.get_current_context().find_root().obj``."""

    arguments: list[str]
    debug: bool = False


class _LazyGroup(click.Group):
    """A group that knows its commands by name and imports the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(HELP)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in HELP:
            return None
        command: click.Command = getattr(importlib.import_module(f"portanet.cli.{cmd_name}"), cmd_name)
        if all(option.name != "debug" for option in command.params):
            command.params += [*([import_option()] if cmd_name in NAMES else []), _debug_option()]
            if command.callback is not None:
                command.callback = followed(cmd_name, command.callback)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not args[0].startswith("-") and args[0] not in HELP:
            raise click.UsageError(unknown("command", args[0], HELP), ctx)
        if args[0] not in JOINS:
            refuse_several(args[0])
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(HELP.items()))


def _remember_debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    state: Any = ctx.find_root().obj
    if value and state is not None:
        state.debug = True


def _debug_option() -> click.Option:
    return click.Option(
        ["--debug"],
        is_flag=True,
        expose_value=False,
        is_eager=True,  # errors in the options after it shall have their traceback too
        callback=_remember_debug,
        help="Show the traceback of an error.",
    )


group = _LazyGroup(
    name="portanet",
    params=[_debug_option()],
    help="Train, use and check neural networks on NumPy, CuPy, torch or JAX.",
    epilog="Results go to stdout, all else to stderr. Help on a command: portanet COMMAND --help. What to try: "
    "portanet examples",
    context_settings={"help_option_names": ["-h", "--help"]},
)
group = click.version_option(portanet.__version__, prog_name="portanet")(group)
