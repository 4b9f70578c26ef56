"""Which recipe a network is made and trained by, and what it fills in where the user left an option open."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from portanet import losses
from portanet.cli.train_options import OF_PLAIN, USUAL, Options
from portanet.data import Dataset, Plan, Samples, Table
from portanet.data.columns import CATEGORY
from portanet.errors import ConfigError
from portanet.layers import Committee, Layer, NTKDense, Sequential
from portanet.losses import Loss
from portanet.recipes import Recipe, realmlp
from portanet.recipes.realmlp import HIDDEN, LABEL_SMOOTHING
from portanet.recipes.recipe import BATCH_SIZE, held_out, members, usual_epochs

REALMLP, PLAIN = "realmlp", "plain"
_CNN = {"layers": (128,), "dropout": 0.5}


def filled(options: Options, dataset: Dataset, searched: Sequence[str] = ()) -> Options:
    """Return the options with the recipe, and with what it takes where the user left an option open.

    Parameters
    ----------
    options : Options
    dataset : Dataset
        As it was read.
    searched : sequence of str
        Names of options that are searched, which the user has given by that.

    Raises
    ------
    ConfigError
        If options are given that the recipe does not take, or it is not for such data.
    """
    given = [name for name in ("layers", *OF_PLAIN) if name in searched or getattr(options, name) is not None]
    deviates = losses.LOSSES.full(options.loss or "") == "gaussian_likelihood"
    recipe = options.recipe or (PLAIN if given or deviates else _suited(dataset))
    if recipe == PLAIN:
        usual = {**USUAL, **(_CNN if options.model == "cnn" else {})}
        return _completed(options, recipe=recipe, **usual)
    others = [f"--{name.replace('_', '-')}" for name in given if name != "layers"]
    others += ["[[layers]]"] if isinstance(options.layers, list) else []
    if others:
        message = f"{', '.join(others)}: not taken by --recipe realmlp; leave it out, or take --recipe plain"
        raise ConfigError(message)
    if deviates:
        message = (
            f"--loss {options.loss}: variances are not learned at the rates of --recipe realmlp; take --recipe plain"
        )
        raise ConfigError(message)
    if isinstance(dataset.x, Samples) or dataset.x.ndim != 2 or dataset.scale is not None:
        message = f"{dataset.name}: --recipe realmlp is for rows of a table that are in memory; take --recipe plain"
        raise ConfigError(message)
    n = len(dataset.x)
    share = held_out(n) if options.val_fraction is None else options.val_fraction
    size = options.batch_size if isinstance(options.batch_size, int) else BATCH_SIZE
    classifies = dataset.classes or dataset.labels
    smooth = classifies and hasattr(losses.LOSSES.get(options.loss or "softmax_cross_entropy"), "label_smoothing")
    return _completed(
        options,
        recipe=recipe,
        n_ens=members(n),
        layers=HIDDEN,
        label_smoothing=LABEL_SMOOTHING if smooth else None,
        schedule="coslog",
        epochs=usual_epochs(round(n * (1 - share)), size),
        batch_size=BATCH_SIZE,
        val_fraction=share,
    )


def made(options: Options, dataset: Dataset, loss: Loss, outputs: int, last: Sequence[Layer], plan: Plan | None) -> Any:
    """Return the recipe for the training part of a data set; None if it is the plain one.

    Its network ends with so many outputs, and then with the layers `last`.
    """
    if options.recipe != REALMLP:
        return None
    sizes = () if plan is None else tuple(c.slots for c in plan.kept if c.kind == CATEGORY)
    classes = len(dataset.classes) or (2 if dataset.labels else 0)
    found = realmlp(dataset.x, classes=classes, categories=sizes, hidden=options.layers, lr=options.lr)
    net = Sequential((*found.net.layers[:-1], NTKDense(outputs), *last))
    net = net if options.n_ens == 1 else Sequential((Committee([net] * options.n_ens),))
    return dataclasses.replace(found, net=net, loss=loss)


def start(recipe: Recipe | None, trainer: Any, shape: tuple[int, ...]) -> None:
    """Give a trainer its initial weights: as its recipe says, or as its layers draw them."""
    if recipe is None:
        trainer.init(shape)
    else:
        recipe.start(trainer)


def _suited(dataset: Dataset) -> str:
    """Return the recipe that is taken if the user does not say it: realmlp for a table whose columns have a plan."""
    planned = dataset.place >= 0 and (isinstance(dataset.x, Table) or bool(dataset.features))
    return REALMLP if planned and dataset.scale is None and not isinstance(dataset.x, Samples) else PLAIN


def _completed(options: Options, **usual: Any) -> Options:
    left = {name: value for name, value in usual.items() if getattr(options, name) is None}
    return dataclasses.replace(options, **left)
