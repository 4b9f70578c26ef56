"""``portanet tune``: Search settings of a network on DATA."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from portanet.cli import fleets
from portanet.cli.config import read_toml
from portanet.cli.output import print_json, print_table, say
from portanet.cli.parameters import BATCH_SIZE, FILE, LAYERS, OUT, json_option, quiet_option
from portanet.cli.train_options import OF_A_RUN, Options, fleet_options
from portanet.errors import ConfigError, DivergedError

if TYPE_CHECKING:
    from portanet.data import Dataset
    from portanet.fleet import Fleet
    from portanet.fleet.search import Trial

_VAL_FRACTION = 0.2
_TEXT = ("activation", "init", "optimizer")


@click.command()
@click.argument("data", default="digits")
@click.option("--space", required=True, metavar="FILE", type=FILE, help="TOML file of the settings to search.")
@click.option("--search", type=click.Choice(["random", "halving"]), default="random", show_default=True)
@click.option("--trials", type=click.IntRange(min=1), default=27, show_default=True, help="Number of trials to draw.")
@click.option(
    "--val-fraction",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of the samples that decides which trial is best. Default: 0.2; DATA's validation part if it has one.",
)
@click.option("--plot", type=OUT, metavar="FILE", help="Draw the trials: .png, .svg or .pdf.")
@fleet_options
@json_option
@quiet_option
def tune(
    space: Path,
    search: str,
    trials: int,
    val_fraction: float | None,
    plot: Path | None,
    *,
    json_wanted: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Search settings of a network on DATA.

    The file of --space holds a list of choices for each setting, layers = ["64", "128,64"], or a range for lr and
    weight_decay, lr = {min = 1e-4, max = 0.1}, on a logarithmic scale unless log = false. Trials that differ
    only in these two are trained together. halving trains all for a few epochs, then the best third three times as
    long, and so on. The best trials have the lowest loss on the validation set in DATA, or on held-out samples if it
    has none. A test set in DATA is not used.
    """
    from portanet.backends import keep_memory
    from portanet.cli import columns, recipe
    from portanet.fleet import search as searching
    from portanet.plot import style

    keep_memory()
    share = _VAL_FRACTION if val_fraction is None else val_fraction
    options = Options(**{**OF_A_RUN, "val_fraction": share}, **given)
    if search == "halving":
        options = dataclasses.replace(options, recipe=options.recipe or recipe.PLAIN)
    if search == "halving" and (options.recipe != recipe.PLAIN or options.schedule not in (None, "constant")):
        what = "--schedule" if options.recipe == recipe.PLAIN else "--recipe realmlp"
        message = f"{what}: halving does not know how long a trial will be trained; leave it out, or --search random"
        raise ConfigError(message)
    if options.epochs == 0:
        message = "--epochs 0: nothing would be learned; take 1 or more"
        raise ConfigError(message)
    if plot is not None:  # reported now, not after the search
        style.check(plot)
    found = read_toml(space)
    searching.check_space(found, str(space))
    found = {key: [_choice(space, key, v) for v in own] if isinstance(own, list) else own for key, own in found.items()}
    whole, plan = columns.load_encoded(options, share)
    options = recipe.filled(options, whole, list(found))
    if whole.x_val is not None and val_fraction is not None:
        message = f"--val-fraction {val_fraction:g}: {whole.name} has a validation part; leave it out"
        raise ConfigError(message)
    part, held = _parts(whole, share, options.seed)
    drawn = searching.draw(found, trials, options.seed)
    rungs = [(trials, options.epochs)] if search == "random" else searching.rungs(trials, options.epochs)

    def fit(fleet: Fleet, trial: Trial, epochs: int) -> None:
        own = dataclasses.replace(options, **trial.settings)
        size = fleets.batch_size(own.batch_size, len(part.x))
        fleet.fit(part.x, part.y, epochs=epochs, batch_size=size, validation_data=held)

    best = searching.run(
        drawn,
        lambda own: fleets.fleet([dataclasses.replace(options, **trial.settings) for trial in own], part, plan=plan),
        fit,
        rungs,
        None if quiet else lambda count, epochs: say(f"{count} trials to epoch {epochs}"),
    )
    if not best[0].result:
        message = f"all {trials} trials diverged; search smaller rates"
        raise DivergedError(message)
    if plot is not None:
        from portanet.plot.trials import trials as draw

        style.save(draw(best), plot)
    _print(best, json_wanted=json_wanted)
    if not json_wanted and not quiet:
        own = [w for key, v in best[0].settings.items() for w in (f"--{key.replace('_', '-')}", searching.in_words(v))]
        target = [] if options.target is None else ["--target", str(options.target)]
        say(f"next     {shlex.join(['portanet', 'train', str(options.data), *target, *own])}")


def _parts(whole: Dataset, share: float, seed: int) -> tuple[Dataset, tuple[Any, Any]]:
    """Return what is trained on, as flat rows, and the samples and targets that decide which trial is best."""
    from portanet.data.batching import prepare

    x = whole.x.reshape(len(whole.x), -1)
    alone = dataclasses.replace(whole, x=x, x_test=None, y_test=None, x_val=None, y_val=None)
    if whole.x_val is not None:
        return alone, (whole.x_val.reshape(len(whole.x_val), -1), whole.y_val)
    kept, others = prepare.split(whole.y, share, seed, stratify=bool(whole.classes))
    return dataclasses.replace(alone, x=x[kept], y=whole.y[kept]), (x[others], whole.y[others])


def _choice(space: Path, key: str, value: Any) -> Any:
    """Return a choice as the option of that name has it."""
    kind: Any = {"layers": LAYERS, "batch_size": BATCH_SIZE}.get(key, click.STRING if key in _TEXT else click.FLOAT)
    if isinstance(value, list):
        value = ",".join(map(str, value)) or "none"
    try:
        if isinstance(value, bool | dict):
            kind.fail(f"got {value!r:.60}", None, None)
        return kind.convert(str(value), None, None)
    except click.BadParameter as error:
        message = f"{space}: {key}: {error.message}"
        raise ConfigError(message) from None


def _print(found: list[Trial], *, json_wanted: bool) -> None:
    from portanet.fleet.search import in_words

    keys = list(found[0].settings)
    names = [name for name in found[0].result if name.startswith("val_")]
    if json_wanted:
        results = [{name: trial.result.get(name) for name in names} for trial in found]
        about = [{"trial": t.number, **t.settings, "epochs": t.epochs} for t in found]
        print_json([{**trial, **result} for trial, result in zip(about, results, strict=True)])
        return
    lines = [
        [
            str(t.number),
            *(in_words(t.settings[key]) for key in keys),
            str(t.epochs),
            *(f"{t.result[n]:.4f}" if t.result else "diverged" for n in names),
        ]
        for t in found
    ]
    print_table(["trial", *keys, "epochs", *names], lines, right=[0, *range(len(keys) + 1, len(keys) + 2 + len(names))])
