"""The options of ``portanet train``: as click declares them, and as the code behind them takes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from portanet.cli.parameters import BATCH_SIZE, DURATION, EVERY, LAYERS, backend_option, stream_option

__all__ = ["OF_HIDDEN_LAYERS", "Options", "fleet_options", "train_options"]

F = TypeVar("F", bound=Callable[..., Any])

ACTIVATIONS = "relu, leaky_relu, elu, sigmoid, tanh, softplus, gelu, swish, softmax or linear"
LOSSES = (
    "softmax_cross_entropy, binary_cross_entropy, sum_squared_error, mean_squared_error, mean_absolute_error, huber "
    "or poisson"
)
OPTIMIZERS = "sgd, rmsprop, adagrad, adam, adamw or lion"
SCHEDULES = "constant, step, exponential, cosine, one-cycle, warm-up or plateau"
# Written out, so that --help need not import them; a test compares them with what the library knows.

OF_HIDDEN_LAYERS = ("model", "activation", "output_activation", "bias", "dropout", "init", "shift", "rotate", "flip")
"""Options that say what --layers are made of; [[layers]] in a file say it themselves."""


@dataclass(frozen=True)
class Options:
    """What a run is made from, in the order in which its config.toml lists it; None is what the user left open."""

    data: str
    target: str | None
    task: Any
    stream: bool | None
    model: str
    layers: Any
    activation: str
    output_activation: str | None
    bias: bool
    dropout: float
    init: str
    init_from: str | None
    shift: float
    rotate: float
    flip: bool
    loss: str | None
    label_smoothing: float | None
    class_weight: str | None
    l1: float
    l2: float
    optimizer: str
    lr: float | None
    momentum: float | None
    weight_decay: float | None
    clip_norm: float | None
    schedule: str
    epochs: int
    batch_size: int | str
    batch_norm: str
    val_fraction: float | None
    early_stop: int | None
    time_limit: float | None
    on_divergence: str
    checkpoint_every: str
    backend: str
    dtype: str
    seed: int
    plots: bool
    out: str | None


def _option(*names: str, **settings: Any) -> Callable[[F], F]:
    if "default" in settings and not settings.get("is_flag"):
        settings["show_default"] = True
    return click.option(*names, **settings)


_ALL = (
    _option("--target", metavar="COLUMN", help="Tables: the target's column, by name, index from 0, first or last."),
    _option("--task", type=click.Choice(["classification", "regression"]), help="Where the labels do not tell it."),
    stream_option,
    _option(
        "--model",
        type=click.Choice(["mlp", "cnn"]),
        default="mlp",
        help="Dense layers alone, or for images two convolutions (32 and 64, 3×3), pooling and dropout before them.",
    ),
    _option(
        "--layers", type=LAYERS, default="500,150", help="Sizes of the hidden dense layers, or none. With cnn: 128."
    ),
    _option("--activation", default="relu", metavar="NAME", help=f"Of the hidden layers: {ACTIVATIONS}."),
    _option(
        "--output-activation", metavar="NAME", help="Default: sigmoid for classes with a squared error, else linear."
    ),
    _option("--bias/--no-bias", default=True, help="Whether layers have a bias."),
    _option(
        "--dropout", type=float, default=0.0, metavar="SHARE", help="Dropout behind each hidden layer. With cnn: 0.5."
    ),
    _option(
        "--init",
        default="auto",
        metavar="NAME",
        help="Initial weights: auto (he_normal before relu and its like, else glorot_uniform), lecun_normal, "
        "normal:0.05, ...",
    ),
    _option(
        "--init-from",
        type=click.Path(),
        metavar="RUN",
        help="Start from the weights of a run or a model's file: all that have the same name and shape here.",
    ),
    _option(
        "--shift",
        type=click.FloatRange(min=0),
        default=0.0,
        metavar="PIXELS",
        help="Images: shift each in training by up to so much along both axes.",
    ),
    _option(
        "--rotate",
        type=click.FloatRange(0, 180),
        default=0.0,
        metavar="DEGREES",
        help="Images: rotate each in training by up to so much.",
    ),
    _option("--flip", is_flag=True, help="Images: mirror half of them in training, left to right."),
    _option(
        "--loss",
        metavar="NAME",
        help=f"{LOSSES}. Default: cross-entropy for classes, mean_squared_error for numbers.",
    ),
    _option("--label-smoothing", type=float, metavar="SHARE", help="Of the cross-entropies."),
    _option("--class-weight", type=click.Choice(["balanced"]), help="Give each class the same total weight."),
    _option("--l1", type=click.FloatRange(min=0), default=0.0, help="Penalty on the weights, l1 Σ|W|."),
    _option("--l2", type=click.FloatRange(min=0), default=0.0, help="Penalty on the weights, l2/2 Σ W²."),
    _option("--optimizer", default="adam", metavar="NAME", help=f"{OPTIMIZERS}."),
    _option("--lr", type=float, help="Learning rate. Default: the optimizer's own; 0.1 for sgd."),
    _option("--momentum", type=float, help="Of sgd."),
    _option("--weight-decay", type=float, help="Decoupled decay of the weights."),
    _option("--clip-norm", type=float, help="Largest norm of all gradients together."),
    _option(
        "--schedule",
        default="constant",
        metavar="NAME",
        help=f"Learning rate over time: {SCHEDULES}; with options as in step:every=5,gamma=.5 or "
        "warm-up:epochs=2,then=cosine.",
    ),
    _option("--epochs", type=click.IntRange(min=0), default=10),
    _option(
        "--batch-size",
        type=BATCH_SIZE,
        default="128",
        help="Samples a step, full, or auto: a 64th of them, 16 to 256, that fits.",
    ),
    _option(
        "--val-fraction",
        type=click.FloatRange(0, 1, max_open=True),
        help="Share of the samples for validation. Default: 0.1 where --early-stop or plateau need it, else 0.",
    ),
    _option(
        "--early-stop", type=click.IntRange(min=1), metavar="N", help="Stop when val_loss has not fallen for N epochs."
    ),
    _option(
        "--batch-norm",
        type=click.Choice(["global", "local"]),
        default="global",
        help="Under mpiexec, BatchNorm's statistics: of the whole batch, or of each process's rows.",
    ),
    _option("--time-limit", type=DURATION, help="Stop after 30s, 10m or 2h."),
    _option(
        "--on-divergence",
        type=click.Choice(["stop", "lower_lr"]),
        default="stop",
        help="When loss or weights are no longer finite: stop, or go back and on with half the learning rate.",
    ),
    _option(
        "--checkpoint-every",
        type=EVERY,
        default="1m",
        help="Save the whole training so often, for --resume: 500 (steps), 30s or 10m. At the end it always is.",
    ),
    backend_option,
    _option("--dtype", type=click.Choice(["float32", "float64"]), default="float32"),
    _option("--seed", type=click.IntRange(min=0), default=0, help="Of weights, shuffles, dropout and the split."),
    _option(
        "--out", type=click.Path(), metavar="DIR", help="Run folder, new or empty. Default: runs/NAME, then NAME-2, ..."
    ),
    _option("--plots", is_flag=True, help="Draw the run's pictures into its folder."),
)


OF_A_RUN: dict[str, Any] = {
    **{"model": "mlp", "shift": 0.0, "rotate": 0.0, "flip": False, "class_weight": None, "val_fraction": None},
    **{"early_stop": None, "time_limit": None, "on_divergence": "stop", "checkpoint_every": "1m", "stream": False},
    **{"batch_norm": "global", "init_from": None},
    **{"plots": False, "out": None},
}
"""What a training of its own has and a fleet has not, as a fleet leaves it."""


def fleet_options(command: F) -> F:
    """Give `command` the options of a training that many networks at once have too."""
    command = train_options(command)
    known: Any = command
    known.__click_params__ = [option for option in known.__click_params__ if option.name not in OF_A_RUN]
    return command


def train_options(command: F) -> F:
    """Give `command` the options of a training."""
    for option in reversed(_ALL):
        command = option(command)
    return command
