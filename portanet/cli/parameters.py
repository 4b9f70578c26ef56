"""Options that several commands have, and the forms of values that click does not know: sizes, times, batch sizes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from portanet.cli.output import only_warnings


class _Form(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.5 on only
    """Values as `read` returns them; if it raises ValueError, the message says what was expected."""

    def __init__(self, name: str, expected: str, read: Callable[[Any], Any]) -> None:
        self.name, self.expected, self.read = name, expected, read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self.read(value)
        except ValueError:
            self.fail(f"expected {self.expected} got {value!r}", param, ctx)


class _Out(click.Path):
    """A file or folder to write: a ``-`` that was meant as standard output is refused, and is no file's name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "-":
            self.fail("only predict writes to standard output; name a file, or /dev/stdout", param, ctx)
        return super().convert(value, param, ctx)


def _sizes(value: Any) -> Any:
    if not isinstance(value, str):  # from a file: a list of tables
        return value
    sizes = () if value.strip() in ("", "none") else tuple(int(word) for word in value.split(","))
    if min(sizes, default=1) < 1:
        raise ValueError
    return sizes


def seconds(value: Any) -> float:
    """Return a time such as ``30s``, ``10m``, ``2h`` or ``90`` in seconds; ValueError if it is none, or 0."""
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([smh]?)", str(value).strip())
    if found is None or float(found[1]) == 0:
        raise ValueError
    return float(found[1]) * {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}[found[2]]


def _batch_size(value: Any) -> int | str:
    if value not in ("full", "auto") and (not str(value).isdecimal() or int(value) < 1):
        raise ValueError
    return int(value) if str(value).isdecimal() else str(value)


def _steps_or_time(value: Any) -> str:
    text = str(value).strip()
    seconds(text)  # refuses what is no number, and 0
    if not text.isdecimal() and text[-1] not in "smh":
        raise ValueError
    return text


def _image_size(value: Any) -> str:
    from portanet.data.pictures.form import size_of

    size_of(str(value))  # raises ValueError if it is none
    return str(value)


def _quiet(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
    if value:
        only_warnings()
    return value


EVERY = _Form("steps|time", "a number of steps, or a time such as 30s or 10m,", _steps_or_time)
LAYERS = _Form("sizes", "sizes such as 500,150, or none for no hidden layer;", _sizes)
DURATION = _Form("time", "a time such as 30s, 10m or 2h,", seconds)
BATCH_SIZE = _Form("n|full|auto", "a whole number of 1 or more, full or auto,", _batch_size)
IMAGE_SIZE = _Form("side|WxH", "a size in pixels such as 28, or 32x24 for width x height,", _image_size)
FILE = click.Path(path_type=Path)
OUT = _Out(path_type=Path)

stream_option = click.option(
    "--stream/--no-stream",
    default=None,
    help="Stream samples from disk (.npy, Parquet, images; a table is converted once). Default: if they do "
    "not fit into half of the free memory.",
)
backend_option = click.option(
    "--backend",
    default="auto",
    show_default=True,
    envvar="PORTANET_BACKEND",
    show_envvar=True,
    help="Where to compute: auto, numpy, cupy, cupy:1, torch, torch:cuda:0, jax.",
)
json_option = click.option("--json", "json_wanted", is_flag=True, help="Print the result as JSON.")
quiet_option = click.option("--quiet", is_flag=True, callback=_quiet, help="Print only warnings and the result.")
part_option = click.option(
    *("--part",),
    type=click.Choice(["test", "val", "train"]),
    help="The subset of DATA to use. Default: test if there is one, else val, else train.",
)
which_option = click.option(
    "--which",
    type=click.Choice(["best", "last"]),
    default="best",
    show_default=True,
    help="Which weights of a run to use.",
)
any_size_option = click.option(
    "--any-size", is_flag=True, help="Also load a network whose layers have implausibly large outputs."
)
target_option = click.option(
    "--target", metavar="COLUMN", help="Tables: the target's column. Default: the one that the run was trained on."
)
column_option = click.option(
    "--target",
    metavar="COLUMN",
    help="Tables: the target's column, by name, index from 0, first or last; or several, A,B, of numbers or of yes/no.",
)
task_option = click.option(
    "--task",
    type=click.Choice(["classification", "regression"]),
    help="What to learn, if the labels do not determine it.",
)
