"""Help in groups: the most used options first, then those of data, network, training and output."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import click

from portanet.cli.config import ConfigurableCommand
from portanet.cli.train_options import Options

__all__ = ["MOST_USED", "GroupedCommand", "grouped"]

MOST_USED = (
    *("layers", "activation", "dropout", "optimizer", "lr", "epochs", "batch_size"),
    *("early_stop", "target", "out"),
)
"""The options that most trainings need."""

_BEGINS = {"Data": "data", "Network": "model", "Training": "loss", "Output": "plots"}
"""The first option of each group, in the order of the fields of Options; the command's own belong to the last."""


def grouped(names: list[str]) -> dict[str, list[str]]:
    """Return these options by group, each group in the order in which it came; one that is empty is left out."""
    first = {option: group for group, option in _BEGINS.items()}
    place, group = dict[str, str](), ""
    for field in dataclasses.fields(Options):
        group = first.get(field.name, group)
        place[field.name] = group
    found: dict[str, list[str]] = {"Most used": [name for name in MOST_USED if name in names]}
    for name in names:
        if name not in MOST_USED:
            found.setdefault(place.get(name, "Output"), []).append(name)
    order = ["Most used", *_BEGINS]
    return {group: found[group] for group in order if found.get(group)}


class GroupedCommand(ConfigurableCommand):
    """A command that trains, and lists its options in groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        records = dict(self._records(ctx))
        for group, names in grouped(list(records)).items():
            with formatter.section(f"{group} options"):
                formatter.write_dl([records[name] for name in names])

    def _records(self, ctx: click.Context) -> Iterator[tuple[str, tuple[str, str]]]:
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None and param.name is not None:
                yield param.name, record
