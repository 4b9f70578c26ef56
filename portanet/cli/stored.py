"""Trained networks on disk, and data brought into the form that they were trained on."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

from portanet import backends
from portanet.cli.config import read_toml
from portanet.cli.describe import shape_words
from portanet.cli.run_folder import BEST, CONFIG, LAST
from portanet.data import Dataset, Table, load
from portanet.data.planned import encoded
from portanet.errors import ConfigError, DataError
from portanet.files.regular import own_file
from portanet.training.load import load as load_model
from portanet.training.model import Model

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


def data_for(net: Model, path: str, source: str, target: str | None, *, stream: bool | None = False) -> Dataset:
    """Return the data set at `source`, its labels numbered as the network at `path` numbers its classes.

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
    found = load(source, target=target, task=task, stream=stream, reading=reading)
    if plan is not None and (found.features or isinstance(found.x, Table)):
        found = encoded(found, plan)
    if net.classes:
        return found.with_classes(net.classes)
    return found if named or not found.classes or net.outputs > 1 else _as_numbers(found)


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
        got = f"expected numbers, as the network was trained on, got classes ({', '.join(dataset.classes[:5])})"
        raise DataError(f"{dataset.name}: {got}; " + "name the target's column by --target") from None
    y_test = None if dataset.y_test is None else value[dataset.y_test]
    return dataclasses.replace(dataset, y=value[dataset.y], y_test=y_test, classes=())


def part_of(dataset: Dataset, part: str | None) -> tuple[str, Any, Any]:
    """Return the name, the samples and the targets of a part: the test part where there is one, if none is named."""
    part = part or ("train" if dataset.x_test is None else "test")
    if part == "train":
        return part, dataset.x, dataset.y
    if dataset.x_test is None:
        message = f"{dataset.name}: expected a test part, found none; take --part train, which is all there is"
        raise DataError(message)
    return part, dataset.x_test, dataset.y_test


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
