"""``portanet cv``: Cross-validate a network on DATA."""

from __future__ import annotations

import dataclasses
import time
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any

import click

from portanet.cli import fleets
from portanet.cli.output import print_json, print_table, say
from portanet.cli.parameters import json_option, quiet_option
from portanet.cli.train_options import OF_A_RUN, Options, fleet_options
from portanet.errors import DivergedError

if TYPE_CHECKING:
    from portanet.fleet import Fleet


@click.command()
@click.argument("data", default="digits")
@click.option("-k", "--folds", type=click.IntRange(min=2), default=5, show_default=True, help="Number of folds.")
@fleet_options
@json_option
@quiet_option
def cv(folds: int, *, json_wanted: bool, quiet: bool, **given: Any) -> None:
    """Cross-validate a network on DATA.

    Folds are stratified by class. For each fold, a network is trained on the other folds and evaluated on it; all
    networks are trained together, with one seed. A table is standardized with the training rows of each network; pixels
    are standardized, and categories and medians determined, with all rows. A test or validation set in DATA is not
    used. No files are written.
    """
    from portanet.backends import keep_memory
    from portanet.callbacks import EarlyStopping
    from portanet.cli import columns, recipe
    from portanet.cli.describe import data_in_words, network_in_words
    from portanet.data.batching import prepare
    from portanet.fleet.folds import split

    keep_memory()
    options = Options(**OF_A_RUN, **given)
    began = time.perf_counter()
    whole, plan = columns.load_encoded(options)
    dataset = dataclasses.replace(
        whole, x=whole.x.reshape(len(whole.x), -1), x_test=None, y_test=None, x_val=None, y_val=None
    )
    if whole.x_val is not None and not quiet:
        say(f"{whole.name}: its validation part of {len(whole.x_val)} samples is left alone: each fold is one")
    pairs = split(dataset.y, folds, options.seed, names=dataset.classes, what=dataset.name)

    options = recipe.filled(options, dataset)
    # As in a training, the recipe holds rows back to decide which epoch is kept: of each network's own.
    kept: list[tuple[Any, Any]] = [(train, None) for train, _ in pairs]
    if options.val_fraction:
        stratify = bool(dataset.classes)
        rows = [prepare.split(dataset.y[t], options.val_fraction, options.seed, stratify=stratify) for t, _ in pairs]
        kept = [(train[a], train[b]) for (train, _), (a, b) in zip(pairs, rows, strict=True)]
    of_all = slice(None) if dataset.scale is not None else None
    parts = [dataclasses.replace(dataset, x=dataset.x[r], y=dataset.y[r]) for r in (of_all or t for t, _ in kept)]
    fleet = fleets.fleet([options] * folds, dataset, plan, parts)
    if not quiet:
        say(f"data     {data_in_words(whole)}")
        say(f"network  {folds} times {network_in_words(fleet[0].net, fleet[0].params)}")
    fleet.fit(
        dataset.x,
        dataset.y,
        epochs=options.epochs,
        batch_size=fleets.batch_size(options.batch_size, min(len(train) for train, _ in kept)),
        folds=kept,
        callbacks=[EarlyStopping("val_loss", None)] if options.val_fraction else [],
        on_epoch=None if quiet else _tell,
    )
    if diverged := [str(i + 1) for i, history in enumerate(fleet.histories) if history.stopped == "diverged"]:
        message = f"fold {', '.join(diverged)} of {folds}: the loss or a weight is no longer finite; try a smaller --lr"
        raise DivergedError(message)
    measured: list[dict[str, Any]] = []
    for i, (member, (_, held)) in enumerate(zip(fleet, pairs, strict=True)):
        measured.append({"fold": i + 1, "samples": len(held), **member.evaluate(dataset.x[held], dataset.y[held])})
    names = [name for name in measured[0] if name not in ("fold", "samples")]
    mean, spread = ({name: of(row[name] for row in measured) for name in names} for of in (fmean, pstdev))
    if json_wanted:
        seconds = round(time.perf_counter() - began, 3)
        print_json({"data": dataset.name, "folds": measured, "mean": mean, "spread": spread, "seconds": seconds})
        return
    lines = [[str(row["fold"]), str(row["samples"]), *(f"{row[name]:.4f}" for name in names)] for row in measured]
    lines += [[what, "", *(f"{own[name]:.4f}" for name in names)] for what, own in (("mean", mean), ("spread", spread))]
    print_table(["fold", "samples", *names], lines, right=range(1, 2 + len(names)))


def _tell(fleet: Fleet) -> None:
    rows = [history[-1] for history in fleet.histories if history.stopped != "diverged"]
    loss = sum(row["loss"] for row in rows) / len(rows)
    say(f"epoch {rows[0]['epoch']}  mean loss {loss:.4f}")
