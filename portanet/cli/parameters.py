"""The forms of option values that click does not know: sizes of layers, durations, batch sizes."""

from __future__ import annotations

import re
from typing import Any

import click

__all__ = [
    "BATCH_SIZE",
    "DURATION",
    "EVERY",
    "LAYERS",
    "backend_option",
    "json_option",
    "part_option",
    "steps_or_minutes",
    "target_option",
    "which_option",
]

_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


class _Layers(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.5 on only
    """Sizes of the hidden layers, ``500,150``; from a file also a list of tables, which is passed on as it is."""

    name = "sizes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        if value.strip() in ("", "none"):
            return ()
        try:
            sizes = tuple(int(word) for word in value.split(","))
        except ValueError:
            sizes = (0,)
        if min(sizes) < 1:
            self.fail(f"expected sizes such as 500,150, or none for no hidden layer; got {value!r}", param, ctx)
        return sizes


class _Duration(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.5 on only
    """A time: ``30s``, ``10m``, ``2h``, or a number of seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([smh]?)", str(value).strip())
        if found is None or float(found[1]) == 0:
            self.fail(f"expected a time such as 30s, 10m or 2h, got {value!r}", param, ctx)
        return float(found[1]) * _SECONDS[found[2]]


class _BatchSize(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.5 on only
    """A number of samples, ``full`` for all at once, or ``auto``."""

    name = "n|full|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if value in ("full", "auto"):
            return str(value)
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"expected a whole number of 1 or more, full or auto, got {value!r}", param, ctx)
        return int(value)


class _Every(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.5 on only
    """A number of steps, or a time with its unit."""

    name = "steps|time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        found = re.fullmatch(r"(\d+)|(\d+(?:\.\d*)?|\.\d+)\s*([smh])", str(value).strip())
        if found is None or float(found[1] or found[2]) == 0:
            self.fail(f"expected a number of steps, or a time such as 30s or 10m, got {value!r}", param, ctx)
        return str(value).strip()


def steps_or_minutes(every: str) -> dict[str, Any]:
    """Return what :data:`EVERY` has checked as the arguments of a TrainingCheckpoint."""
    if every.isdecimal():
        return {"steps": int(every)}
    return {"minutes": float(every[:-1]) * _SECONDS[every[-1]] / 60}


EVERY = _Every()
LAYERS = _Layers()
DURATION = _Duration()
BATCH_SIZE = _BatchSize()

stream_option = click.option(
    "--stream/--no-stream",
    default=None,
    help="Read samples from disk while they are used (.npy, Parquet, images; a table is converted once). Default: "
    "where they would not fit into half of the free memory.",
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
part_option = click.option(
    "--part", type=click.Choice(["test", "train"]), help="Which part of DATA. Default: test where there is one."
)
which_option = click.option(
    "--which", type=click.Choice(["best", "last"]), default="best", show_default=True, help="Which weights of a run."
)
target_option = click.option(
    "--target", metavar="COLUMN", help="Tables: the target's column. Default: the one that the run was trained on."
)
