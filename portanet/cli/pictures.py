"""The options that say what pictures are brought to, the data that they are options of, and the order of classes."""

from __future__ import annotations

import csv
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from portanet.cli.parameters import IMAGE_SIZE
from portanet.errors import ConfigError
from portanet.names import listed

if TYPE_CHECKING:
    from portanet.data import Dataset, Pictures, Reading

F = TypeVar("F", bound=Callable[..., Any])

image_size_option = click.option(
    "--image-size",
    type=IMAGE_SIZE,
    metavar="SIDE|WxH",
    help="Images: resize all to this size, 28 or 32x24 (width x height); the aspect ratio is kept.",
)
fit_option = click.option(
    "--fit",
    type=click.Choice(["pad", "crop"]),
    default="pad",
    show_default=True,
    help="Images of another aspect ratio: pad them with black, or crop what is too much.",
)
grey_option = click.option(
    *("--grey/--colour", "--gray/--color", "grey"),
    default=None,
    help="Images: convert all to grey, or to RGB; transparent areas become white.",
)
skip_broken_option = click.option(
    "--skip-broken", is_flag=True, help="Images: leave out files that cannot be decoded, and name them."
)
classes_option = click.option(
    "--classes", metavar="A,B", help="All classes, in the order of the outputs. Default: sorted by name, or by value."
)


def picture_options(command: F) -> F:
    """Give `command` the options that say what pictures are brought to."""
    for option in reversed((image_size_option, fit_option, grey_option, skip_broken_option)):
        command = option(command)
    return command


def form(options: Any) -> Pictures:
    """Return the form that options, as `portanet train` has them, ask for."""
    from portanet.data import Pictures
    from portanet.data.pictures.form import size_of

    size = None if options.image_size is None else size_of(options.image_size)
    if size is None and options.fit != "pad":
        message = f"--fit {options.fit}: it says how images are brought to --image-size; give that too"
        raise ConfigError(message)
    colours = None if options.grey is None else "grey" if options.grey else "colour"
    return Pictures(size, options.fit, colours, options.skip_broken)


def load_data(options: Any, reading: Reading, *, stream: bool | None = False) -> Dataset:
    """Return the data that the options of a training name, with its classes in the order of ``--classes``.

    Raises
    ------
    ConfigError
        If there are other classes.
    """
    from portanet.data import load

    how: dict[str, Any] = {"stream": stream, "reading": reading, "pictures": form(options)}
    found = load(options.data, target=options.target, task=options.task, **how)
    if options.classes is None:
        return found
    wanted = [name.strip() for name in next(csv.reader([options.classes], skipinitialspace=True), [])]
    if sorted(wanted) != sorted(found.classes):
        came = f"those of the data, {listed(found.classes)}" if found.classes else "classes, and the data has none"
        message = f"--classes: expected {came}, each once; got {options.classes}"
        raise ConfigError(message)
    return found.with_classes(wanted)
