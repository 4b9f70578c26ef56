"""Load a data set by its name or from a path; the format is detected from the content."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from portanet.data.dataset import Dataset
from portanet.data.files import head, reworded
from portanet.data.named import DOWNLOADS, digits, mnist_like
from portanet.data.pictures.files import is_picture
from portanet.data.pictures.form import Pictures
from portanet.data.readers.labels import Task
from portanet.data.readers.reader import Reader, readers
from portanet.data.readers.reading import Reading
from portanet.data.sizes import streams
from portanet.data.strangers import stranger
from portanet.data.synthetic import circles, moons, spirals
from portanet.errors import ConfigError, DataError, OutOfMemoryError, unknown
from portanet.names import escaped, listed

logger = logging.getLogger("portanet")

_MADE: dict[str, Callable[[int], Dataset]] = {
    "digits": digits,
    "moons": lambda seed: moons(seed=seed),
    "circles": lambda seed: circles(seed=seed),
    "spirals": lambda seed: spirals(seed=seed),
}

NAMES = (*_MADE, *DOWNLOADS)
"""The names that `load` knows."""


def load(
    source: str | os.PathLike[str],
    *,
    target: str | int | None = None,
    task: Task | None = None,
    shuffle_seed: int = 0,
    stream: bool | None = False,
    reading: Reading | None = None,
    pictures: Pictures | None = None,
) -> Dataset:
    """Read a data set, by its name or from a path.

    Parameters
    ----------
    source : str or path-like
        A name (`NAMES`; in any case of letters, and before a file of that name: write ``./digits`` for the file), or
        the path of a folder of IDX files, a folder or zip of text digits or of images by class, a table (CSV, TSV,
        semicolons; also .gz), a Parquet file, a .npz, or one of a pair of .npy; detected from the content.
    target : str or int, optional
        For tables: the target's column, by its name, its index from 0, "first" or "last". By default a column named
        label, target, class, y …, else the only one of text, else the last (of pixels with labels first, the first).
    task : {"classification", "regression"}, optional
        For tables and arrays: what is to be learned, if the labels do not show it.
    shuffle_seed : int
        For names whose test part is chosen here, or whose points are made: of the choice and the noise. Files are left
        in their order.
    stream : bool or None
        Leave the samples on disk: of a pair of .npy, a Parquet file, a folder of images by class, or a table, which is
        written as .npy next to itself first (:func:`portanet.data.convert_table`). They are then read while they are
        trained on. None does so if they would not fit into half of the free memory, and logs which and why.
    reading : Reading, optional
        For tables of text: header, delimiter, decimal separator, encoding, comments, where they are not found out.
    pictures : Pictures, optional
        For images: the size and the colours that they are converted to.

    Returns
    -------
    Dataset
        On the host, nothing rescaled; with `stream` its samples are :class:`~portanet.data.Samples`. A table with
        gaps, or with more than numbers in it, is a :class:`~portanet.data.Table`.

    Raises
    ------
    DataError
        If the source is unknown, missing, unreadable or damaged; the message names the place and the fix.
    ConfigError
        If an option does not fit the source.
    OutOfMemoryError
        If the data does not fit into memory.
    """
    try:
        name = str(source).lower().replace("_", "-") if isinstance(source, str) else ""
        if name in NAMES:
            if Path(str(source)).exists():
                words = "%s: taken as the name of a data set; for the file or folder that is called so write ./%s"
                logger.warning(words, source, source)
            _refuse_options(name, target, task, reading, pictures)
            if stream:
                message = f"{name}: it is read whole; samples stay on disk for files and folders alone"
                raise ConfigError(message)
            return _MADE[name](shuffle_seed) if name in _MADE else mnist_like(name)
        path = Path(source).expanduser()
        with reworded(path):
            return _read(path, source, target, task, stream, reading or Reading(), pictures or Pictures())
    except MemoryError as error:
        message = f"{source}: it does not fit into memory ({error}); read a part of it, or use a machine with more"
        raise OutOfMemoryError(message) from error


def is_of_pictures(source: str | os.PathLike[str]) -> bool:
    """Whether :func:`load` takes a source for images by class: a folder or a zip."""
    if isinstance(source, str) and source.lower().replace("_", "-") in NAMES:
        return False
    try:
        return "pictures" in _reader(Path(source).expanduser(), source).takes
    except DataError:
        return False


def _read(
    path: Path,
    source: object,
    target: str | int | None,
    task: Task | None,
    stream: bool | None,
    reading: Reading,
    pictures: Pictures,
) -> Dataset:
    reader = _reader(path, source)
    given = {"target": target, "task": task, "reading": reading, "pictures": pictures}
    options: list[Any] = [None if name in reader.takes else value for name, value in given.items()]
    _refuse_options(str(path), *options)
    size: Any = reader.in_memory
    if "pictures" in reader.takes:
        return reader.read(path, target, task, streams(path, size and partial(size, form=pictures), stream), pictures)
    return reader.read(path, target, task, streams(path, size, stream), reading)


def _refuse_options(name: str, target: Any, task: Any, reading: Reading | None, pictures: Pictures | None) -> None:
    if pictures not in (None, Pictures()):
        message = f"{name}: --image-size, --fit, --grey, --colour, --skip-broken are for folders and zips of images"
        raise ConfigError(message)
    if target is not None:
        message = f"{name}: a target is chosen for tables (CSV, TSV) alone; leave out target={target!r}"
        raise ConfigError(message)
    if task == "regression":
        message = f"{name}: its labels are classes; leave out task='regression'"
        raise ConfigError(message)
    if reading is not None and (said := reading.said()):
        message = f"{name}: {', '.join(f'--{own}' for own in said)}: for tables of text alone (CSV, TSV); leave it out"
        raise ConfigError(message)


def _reader(path: Path, source: object) -> Reader:
    """Return the reader of what a path holds."""
    if path.is_dir():
        found = next((reader for reader in readers() if reader.is_folder(path)), None)
        names = sorted(inner.name for inner in path.iterdir())
        came = f"a folder of {listed(names, 5)}" if names else "an empty folder"
        hint = "; give the file itself if one of them is the data"
        if any(is_picture(name) for name in names):
            hint = "; sort images into a folder for each class (portanet predict takes them as they lie there)"
    elif path.exists():
        start, hint = head(path), ""  # refuses what is not a file
        if not start:
            message = f"{path}: expected data, got an empty file"
            raise DataError(message)
        came = escaped(stranger(path, start))
        found = None if came else next((reader for reader in readers() if reader.is_file(path, start)), None)
        came = came or f"a binary file that begins with {start[:4].hex(' ')}"
    else:
        message = f"{path}: no such file or folder; check the path"
        if not path.suffix and len(path.parts) == 1:
            message = f"{unknown('data set', str(source), NAMES)}, and there is no file or folder of that name"
        raise DataError(message)
    if found is None:
        words = [reader.words for reader in readers()]
        message = f"{path}: expected one of {', '.join(words[:-1])}, or {words[-1]}; got {came}{hint}"
        raise DataError(message)
    return found
