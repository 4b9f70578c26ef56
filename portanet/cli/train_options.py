"""The options of ``portanet train``, each declared once: for click, and as the code takes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from portanet.cli import columns as c
from portanet.cli import parameters as p
from portanet.cli import pictures
from portanet.public import KNOWN

F = TypeVar("F", bound=Callable[..., Any])

OF_HIDDEN_LAYERS = ("model", "activation", "output_activation", "bias", "dropout", "init", "shift", "rotate", "flip")
"""Options that say what --layers are made of; [[layers]] in a file say it themselves."""

NAMED = ("lenet", "vgg", "resnet", "depthwise")
"""Values of --model that are whole networks."""

NOT_OF_NAMED = ("layers", "activation", "bias", "dropout", "init")
"""Options that would change nothing in these."""

OF_PLAIN = (*OF_HIDDEN_LAYERS, "optimizer", "momentum")
"""Options that the recipe realmlp does not take."""

_ALL = ...  # a fleet has this option too


def _option(shared: Any = None, *, fleet: Any = _ALL, usual: Any = None, **settings: Any) -> Any:
    """Return a field that is an option of the same name: `shared`, or click's with these settings.

    An option that the commands do not have that train fleets is `fleet` for these. `usual` is what the recipe plain
    takes where the user left it open.
    """
    if "default" in settings and not settings.get("is_flag"):
        settings["show_default"] = True
    metadata = {"shared": shared, "fleet": fleet, "usual": usual, "settings": settings}
    return dataclasses.field(metadata=metadata)


def _known(kind: str) -> str:
    *names, last = KNOWN[kind].split()
    return f"{', '.join(names)} or {last}"


_FROM_0 = click.FloatRange(min=0)
_FROM_1 = click.IntRange(min=1)


@dataclass(frozen=True)
class Options:
    """What a run is made from, in the order in which its config.toml lists it; None is what the user left open.

    Those of `USUAL` are None until :func:`portanet.cli.recipe.filled` has chosen the recipe.
    """

    data: str
    target: str | None = _option(p.column_option)
    task: Any = _option(p.task_option)  # noqa: RUF009  # it returns a field
    drop: str | None = _option(c.drop_option)
    categorical: str | None = _option(c.categorical_option)
    missing: str = _option(c.missing_option)
    header: bool | None = _option(c.header_option)
    delimiter: str | None = _option(c.delimiter_option)
    decimal: str | None = _option(c.decimal_option)
    encoding: str | None = _option(c.encoding_option)
    comment: str | None = _option(c.comment_option)
    image_size: str | None = _option(pictures.image_size_option)
    fit: str = _option(pictures.fit_option)
    grey: bool | None = _option(pictures.grey_option)
    skip_broken: bool = _option(pictures.skip_broken_option)
    classes: str | None = _option(pictures.classes_option)
    stream: bool | None = _option(p.stream_option, fleet=False)
    recipe: str | None = _option(
        type=click.Choice(["realmlp", "plain"]),
        help="Tables: realmlp, a network and training settings tuned on many tables (--layers, --lr, --epochs, "
        "--batch-size and the like change single ones), or plain, the network that the options below describe. "
        "Default: realmlp for a table in memory, unless --layers, --activation, --optimizer or another option of the "
        "plain network is given.",
    )
    n_ens: int = _option(
        fleet=1,
        usual=1,
        type=click.IntRange(1, 1000),  # all are held in memory together
        metavar="N",
        help="Networks trained side by side, whose mean is the answer. Default: 1; with realmlp 4 up to 3000 rows, "
        "2 up to 100000.",
    )
    model: str = _option(
        fleet=None,
        usual="mlp",
        type=click.Choice(["mlp", "cnn", *NAMED]),
        help="Dense layers alone; for images two convolutions (32 and 64, 3×3), pooling and dropout before them (cnn), "
        "or a whole network: LeNet-5, VGG or ResNet of small size, depthwise-separable convolutions. Default: mlp.",
    )
    layers: Any = _option(  # noqa: RUF009
        usual=(500, 150),
        type=p.LAYERS,
        help="Sizes of the hidden dense layers, or none. Default: 500,150; with cnn 128; with realmlp 256,256,256.",
    )
    activation: str = _option(
        usual="relu", metavar="NAME", help=f"Of the hidden layers: {_known('activation')}. Default: relu."
    )
    output_activation: str | None = _option(
        metavar="NAME", help="Default: sigmoid for classes with a squared error, else linear."
    )
    bias: bool = _option(
        click.option("--bias/--no-bias", default=None, help="Whether layers have a bias. Default: yes."),
        usual=True,
    )
    dropout: float = _option(
        usual=0.0,
        type=float,
        metavar="SHARE",
        help="Dropout after each hidden layer. Default: 0; with cnn 0.5.",
    )
    init: str = _option(
        usual="auto",
        metavar="NAME",
        help="Initial weights: auto (he_normal before relu and its like, else glorot_uniform), lecun_normal, "
        "normal:0.05, ... Default: auto.",
    )
    init_from: str | None = _option(
        fleet=None,
        type=click.Path(),
        metavar="RUN",
        help="Start from the weights of a run or a model's file: all that have the same name and shape here.",
    )
    shift: float = _option(
        fleet=None,
        usual=0.0,
        type=_FROM_0,
        metavar="PIXELS",
        help="Images: shift each at random during training, by up to this many pixels along both axes.",
    )
    rotate: float = _option(
        fleet=None,
        usual=0.0,
        type=click.FloatRange(0, 180),
        metavar="DEGREES",
        help="Images: rotate each at random during training, by up to this angle.",
    )
    flip: bool = _option(
        fleet=None,
        usual=False,
        is_flag=True,
        default=None,
        help="Images: mirror half of them in training, left to right.",
    )
    loss: str | None = _option(
        metavar="NAME",
        help=f"{_known('loss')}; also mse, mae, sse, bce, ce. Default: cross-entropy for classes, mean_squared_error "
        "for numbers.",
    )
    standardize_target: bool = _option(
        click.option(
            "--standardize-target/--no-standardize-target",
            default=True,
            show_default=True,
            help="Numbers to predict: learn them with mean 0 and deviation 1; predictions are on their own scale.",
        )
    )
    label_smoothing: float | None = _option(type=float, metavar="SHARE", help="Label smoothing of the cross-entropies.")
    class_weight: str | None = _option(
        fleet=None, type=click.Choice(["balanced"]), help="Give each class the same total weight."
    )
    l1: float = _option(type=_FROM_0, default=0.0, help="Penalty on the weights, l1 Σ|W|.")
    l2: float = _option(type=_FROM_0, default=0.0, help="Penalty on the weights, l2/2 Σ W².")
    optimizer: str = _option(usual="adam", metavar="NAME", help=f"{_known('optimizer')}. Default: adam.")
    lr: float | None = _option(type=float, help="Learning rate. Default: the optimizer's own; 0.1 for sgd.")
    momentum: float | None = _option(type=float, help="Momentum of sgd.")
    weight_decay: float | None = _option(type=float, help="Decoupled decay of the weights.")
    clip_norm: float | None = _option(type=float, help="Largest norm of all gradients together.")
    max_norm: float | None = _option(type=float, help="Largest norm of the weights into a unit.")
    schedule: str = _option(
        usual="constant",
        metavar="NAME",
        help=f"Learning rate over time: {_known('schedule')}; with options as in step:every=5,gamma=.5 or "
        "warm-up:epochs=2,then=cosine. Default: constant; with realmlp coslog.",
    )
    epochs: int = _option(
        usual=10,
        type=click.IntRange(min=0),
        help="Default: 10; with realmlp so many that there are about 4000 steps, from 16 to 256 (128 up to 3000 rows).",
    )
    batch_size: int | str = _option(
        usual=128,
        type=p.BATCH_SIZE,
        help="Samples a step, full, or auto: a 64th of them, 16 to 256, that fits. Default: 128; with realmlp 256.",
    )
    batch_norm: str = _option(
        fleet="global",
        type=click.Choice(["global", "local"]),
        default="global",
        help="Under mpiexec, BatchNorm's statistics: of the whole batch, or of each process's rows.",
    )
    val_fraction: float | None = _option(
        fleet=None,
        type=click.FloatRange(0, 1, max_open=True),
        help="Share of the samples for validation. Default: 0.1 where --early-stop or plateau need it, else 0; with "
        "realmlp 0.2, at most 2000 samples.",
    )
    early_stop: int | None = _option(
        fleet=None, type=_FROM_1, metavar="N", help="Stop when val_loss has not fallen for N epochs."
    )
    time_limit: float | None = _option(fleet=None, type=p.DURATION, help="Stop after 30s, 10m or 2h.")
    on_divergence: str = _option(
        fleet="stop",
        type=click.Choice(["stop", "lower_lr"]),
        default="stop",
        help="If loss or weights are no longer finite: stop, or restore the last good weights and continue with half "
        "the learning rate.",
    )
    checkpoint_every: str = _option(
        fleet="1m",
        type=p.EVERY,
        default="1m",
        help="Save the state of the training this often, for --resume: 500 (steps), 30s or 10m; always at the end.",
    )
    backend: str = _option(p.backend_option)
    dtype: str = _option(type=click.Choice(["float32", "float64"]), default="float32")
    seed: int = _option(type=click.IntRange(min=0), default=0, help="Seed of weights, shuffles, dropout and the split.")
    plots: bool = _option(fleet=False, is_flag=True, help="Draw the run's pictures into its folder.")
    out: str | None = _option(
        fleet=None,
        type=click.Path(),
        metavar="DIR",
        help="Run folder, new or empty. Default: runs/NAME, then NAME-2, ...",
    )


_OPTIONS = {field.name: field.metadata for field in dataclasses.fields(Options) if field.metadata}

OF_A_RUN = {name: about["fleet"] for name, about in _OPTIONS.items() if about["fleet"] is not _ALL}
"""What a training of its own has and a fleet has not, as a fleet leaves it."""


USUAL = {name: about["usual"] for name, about in _OPTIONS.items() if about["usual"] is not None}
"""What the recipe plain takes where the user left it open."""


def train_options(command: F, leave_out: Collection[str] = ()) -> F:
    """Give `command` the options of a training."""
    for name, about in reversed(_OPTIONS.items()):
        if name not in leave_out:
            option = about["shared"] or click.option(f"--{name.replace('_', '-')}", **about["settings"])
            command = option(command)
    return command


def fleet_options(command: F) -> F:
    """Give `command` the options of a training that many networks at once have too."""
    return train_options(command, OF_A_RUN)
