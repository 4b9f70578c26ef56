"""Trained networks on disk, and data brought into the form that they were trained on."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from portanet import backends
from portanet.cli.config import read_toml
from portanet.cli.describe import shape_words
from portanet.cli.run_folder import BEST, CONFIG, LAST
from portanet.data import Dataset, Pictures, Table, load
from portanet.data.pictures.form import form_for
from portanet.data.planned import encoded
from portanet.data.source import is_of_pictures
from portanet.errors import ConfigError, DataError
from portanet.files.regular import own_file
from portanet.layers import Rescale
from portanet.names import listed
from portanet.training.load import load as load_model
from portanet.training.model import Model

logger = logging.getLogger("portanet")

_FAR = 30.0  # standard deviations that white is from the mean of what a network was trained on, at most

_TABLE = re.compile(r"\.(csv|tsv|txt|data)(\.gz)?$", re.IGNORECASE)


def is_stored(path: str) -> bool:
    """Whether `path` is a run folder or a model's file, and not data."""
    return Path(path).suffix == ".safetensors" or any((Path(path) / name).is_file() for name in (CONFIG, BEST, LAST))


def find(path: str, which: str = "best") -> Path:
    """Return the file of weights that `path` means: itself, or the best or last weights of a run folder.

    Raises
    ------
    DataError
        If there is none.
    """
    place = Path(path)
    if not place.exists():
        message = f"{path}: expected a run folder or a .safetensors file, found nothing there; check the path"
        raise DataError(message)
    if not place.is_dir():
        return place
    file, other = (own_file(place, name) for name in ((BEST, LAST) if which == "best" else (LAST, BEST)))
    if not file.is_file():
        hint = f"take the other weights: --which {other.stem}"
        hint = hint if other.is_file() else f"train one first: portanet train --out {path}"
        message = f"{path}: expected a run folder with {file.name}, found none; {hint}"
        raise DataError(message)
    return file


def model(path: str, which: str = "best", backend: str = "numpy", *, any_size: bool = False) -> Model:
    """Return the network that `path` means (see :func:`find`) on a backend; see :func:`portanet.load`."""
    return load_model(find(path, which), backend=backend, any_size=any_size)


def target_of(path: str, data: str) -> str | None:
    """Return the target's column that a run was trained on, for the same kind of data: another table."""
    options = _config(path)
    alike = Path(str(options.get("data"))).suffixes[-1:] == Path(data).suffixes[-1:] and Path(data).is_file()
    target = options.get("target")
    return str(target) if alike and target is not None else None


def trained_on(path: str) -> str | None:
    """Return the name or path of the data that a run was trained on; None for a file of weights that lies alone."""
    data = _config(path).get("data")
    return None if data is None else str(data)


def _config(path: str) -> dict[str, Any]:
    """Return the configuration of the run at `path`, a folder or a file in it; an empty one if there is none."""
    config = own_file(path if Path(path).is_dir() else Path(path).parent, CONFIG)
    if not config.is_file():
        return {}
    try:
        return read_toml(config, follow=False)
    except ConfigError as error:  # the run's own file, and none that the user gave for options
        raise DataError(str(error)) from None


def data_for(
    net: Model,
    path: str,
    source: str,
    target: str | None,
    *,
    stream: bool | None = False,
    skip_broken: bool = False,
) -> Dataset:
    """Return the data set at `source`, its labels numbered as the network at `path` numbers its classes.

    Pictures are brought to the form that the network takes.

    Raises
    ------
    DataError
        If it cannot be read, or has classes that the network does not know.
    """
    plan = net.columns
    if target is None and plan is not None and plan.target and is_table(source):
        target = plan.target
    target = target if target is not None else target_of(path, source)
    named = net.classes or net.loss.output is not None
    # Labels of classes that are not known are refused below, whatever they look like.
    task: Any = "classification" if named else None if plan is None else "regression"
    reading = plan.as_read() if plan is not None and is_table(source) else None
    pictures = Pictures(skip_broken=skip_broken)
    if is_of_pictures(source):
        pictures = form_of(net, source, skip_broken=skip_broken)
    found = load(source, target=target, task=task, stream=stream, reading=reading, pictures=pictures)
    if plan is not None and (found.features or isinstance(found.x, Table)):
        found = encoded(found, plan)
    if found.outputs:
        return found
    if net.classes:
        return found.with_classes(net.classes)
    return found if named or not found.classes or net.outputs > 1 else _as_numbers(found)


def form_of(net: Model, source: str, *, skip_broken: bool = False) -> Pictures:
    """Return the form that pictures are to be brought to for a network; log it if it was not trained on that form.

    Raises
    ------
    DataError
        If its samples are no pictures.
    """
    shape = tuple(net.input_shape or ())
    form = form_for(shape, net.pictures, skip_broken=skip_broken)
    if form is None:
        message = f"{source}: expected samples of {shape_words(shape)}, as the network was trained on, got pictures; "
        raise DataError(message + "give data of the same form, or train a network on pictures")
    if net.pictures is None or net.pictures.size is None:
        logger.info("%s: pictures are brought to the form that the network takes: %s", source, form.in_words())
    first = next(iter(net.net.children().values()), None)
    if isinstance(first, Rescale) and abs(255 * first.scale + first.offset) > _FAR:
        words = "%s: pictures have values from 0 to 255, and the network was trained on far smaller ones (mean %.2g)"
        logger.warning(words, source, abs(first.offset / first.scale))
    return form


def is_table(source: str) -> bool:
    """Whether data is a table of text, by its name."""
    path = Path(source).expanduser()
    return path.is_file() and _TABLE.search(path.name) is not None


def _as_numbers(dataset: Dataset) -> Dataset:
    """Return data whose whole numbers were taken for classes with the numbers themselves as targets."""
    xp = backends.get("numpy").xp
    try:
        value = xp.asarray([float(name) for name in dataset.classes])
    except ValueError:
        got = f"expected numbers, as the network was trained on, got classes ({listed(dataset.classes, 5)})"
        raise DataError(f"{dataset.name}: {got}; " + "name the target's column by --target") from None
    y_test = None if dataset.y_test is None else value[dataset.y_test]
    return dataclasses.replace(dataset, y=value[dataset.y], y_test=y_test, classes=())


def part_of(dataset: Dataset, part: str | None) -> tuple[str, Any, Any]:
    """Return the name, the samples and the targets of a part: by default test, else val, else train."""
    parts = {
        "test": (dataset.x_test, dataset.y_test),
        "val": (dataset.x_val, dataset.y_val),
        "train": (dataset.x, dataset.y),
    }
    there = [name for name, (x, _) in parts.items() if x is not None]
    part = part or there[0]
    if part not in there:
        raise no_part(dataset.name, part, there)
    return part, *parts[part]


def no_part(name: str, part: str, there: Sequence[str]) -> DataError:
    """Return the error for a part that data lacks; `there` are the parts that it has."""
    hint = "which is all there is" if list(there) == ["train"] else f"or --part {there[0]}"
    word = {"val": "validation"}.get(part, part)
    return DataError(f"{name}: expected a {word} part, found none; take --part train, {hint}")


def shaped(x: Any, net: Model, name: str) -> Any:
    """Return samples in the shape that the network takes: rows of 784 numbers as images of 28×28, and the reverse.

    Raises
    ------
    DataError
        If they are of another size.
    """
    wanted, came = tuple(net.input_shape or ()), tuple(x.shape[1:])
    if wanted == came:
        return x
    try:
        return x.reshape(len(x), *wanted)
    except ValueError:
        got = f"expected samples of {shape_words(wanted)}, as the network was trained on, got {shape_words(came)}"
        raise DataError(f"{name}: {got}; " + "give data of the same form, or train a network on these") from None
