"""Images by class: root/class/*.png, of any depth; or root/train/class/*.png next to val and test; or a zip."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from portanet.data.dataset import Dataset
from portanet.data.pictures.files import Picture, in_zip, is_zip_of_pictures, unread, walk
from portanet.data.pictures.form import Pictures
from portanet.data.pictures.reading import PictureSamples, common_shape, read, sound
from portanet.data.pictures.repeats import warn_of_repeats
from portanet.data.readers.labels import Part, dataset
from portanet.data.readers.reader import Reader
from portanet.errors import ConfigError, DataError

logger = logging.getLogger("portanet")

_PARTS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""What the folders of the parts are called."""

Parts: TypeAlias = dict[str, list[tuple[str, Picture]]]
"""By the name of a part, its pictures with their classes."""

_Rows: TypeAlias = list[tuple[tuple[str, ...], Picture]]


def recognises_folder(folder: Path) -> bool:
    """Whether images lie in the folders of a folder, however deep."""
    return any(len(picture.parts) > 1 for picture in walk(folder))


def read_images(path: Path, form: Pictures | None = None, *, stream: bool = False) -> Dataset:
    """Read images whose folder is their class; with `stream` each is decoded when it is needed.

    They are in uint8, ordered by class and name: grey ones ``(n, h, w)``, others ``(n, h, w, channels)``. What the form
    leaves open, size or colours, must be the same in all of them.
    """
    form = form or Pictures()
    if stream and not path.is_dir():
        message = f"{path}: a zip is read whole; unpack it to leave its pictures on disk"
        raise ConfigError(message)
    with listed(path) as pictures:
        parts = parts_of(path, pictures)
        warn_of_unread(path)
        shape = common_shape(str(path), [picture for part in parts.values() for _, picture in part], form)
        found: dict[str, Part] = {}
        for name, part in parts.items():
            labels = {picture.place: label for label, picture in part}
            own, x = [picture for _, picture in part], None
            if not stream:
                own, x = read(str(path), own, form, shape)
            elif form.skip_broken:
                own = sound(str(path), own, form)
            kept = [labels[picture.place] for picture in own]
            if lost := sorted({*labels.values()} - {*kept}):
                message = f"{path}: no picture of the class {lost[0]!r} can be decoded; add some or remove the folder"
                raise DataError(message)
            samples: Any = PictureSamples(str(path), own, form, shape) if stream else x
            found[name] = Part(samples, kept, lambda i, own=own: own[i].place)  # type: ignore[misc]
    if not stream:
        warn_of_repeats(str(path), found)
    data = replace(dataset(path, found["train"], found.get("test"), scale=255.0), pictures=form)
    if (held := found.get("val")) is None:
        return data
    like = dataset(path, found["train"], held)  # its test part is our validation part
    return replace(data, x_val=like.x_test, y_val=like.y_test)


def warn_of_unread(path: Path) -> None:
    """Log how many pictures in a folder or a zip are of kinds that are not read."""
    if others := unread(path):
        words = "%s: left out %d pictures of kinds that are not read, such as %s; convert them to PNG or JPEG"
        logger.warning(words, path, len(others), others[0])


@contextmanager
def listed(path: Path) -> Iterator[list[Picture]]:
    """Yield the pictures in a folder or a zip, which can be opened as long as the block runs."""
    if path.is_dir():
        yield list(walk(path))
    else:
        with in_zip(path) as found:
            yield found


def parts_of(path: Path, pictures: Sequence[Picture]) -> Parts:
    """Return the pictures of each part by their class: the first folder in the part, whatever is within that.

    A single folder that all pictures are in is looked into. Without folders of parts all are the training part.

    Raises
    ------
    DataError
        If no picture lies in the folder of a class, or such a folder holds none.
    """
    rows, outer, folders = _folders(pictures)
    found: Parts = {}
    for part, inner in folders.items():
        own = [(parts[len(inner) :], picture) for parts, picture in rows if parts[: len(inner)] == inner]
        found[part] = [(parts[0], picture) for parts, picture in own if len(parts) > 1]
        if path.is_dir():
            _refuse_empty(path.joinpath(*outer, *inner), {label for label, _ in found[part]})
    if not any(found.values()):
        message = f"{path}: expected a folder of images for each class, got {'none' if not pictures else 'one alone'}"
        raise DataError(message + "; to classify pictures as they lie there, take portanet predict")
    used = sum(map(len, found.values()))
    if used < len(pictures):
        stray = next(p for _, p in rows if all(p is not own for part in found.values() for _, own in part))
        words = "%s: left out %d of %d pictures that lie outside of the folders of the classes, such as %s"
        logger.warning(words, path, len(pictures) - used, len(pictures), stray.place)
    return found


def of_part(path: Path, pictures: list[Picture], part: str | None) -> list[Picture]:
    """Return the pictures of a part, by default test, else val; all of them where there are no parts.

    Raises
    ------
    DataError
        If there is no such part.
    """
    rows, _, folders = _folders(pictures)
    if len(folders) == 1 and part in (None, "train"):
        return pictures
    part = part or next(name for name in ("test", "val") if name in folders)
    if part not in folders:
        message = f"{path}: expected a folder {part} next to one called train, found none; leave out --part"
        raise DataError(message)
    found = [picture for parts, picture in rows if parts[:1] == folders[part]]
    logger.info("%s: its %s part, %d of %d pictures", path, part, len(found), len(pictures))
    return found


def _folders(pictures: Sequence[Picture]) -> tuple[_Rows, tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Return the pictures by their paths in the folder that holds the classes or parts, its path, and the parts.

    Parts are the folders train, and val or test next to it; by name the path of each, () where there are none.
    """
    rows: _Rows = [(picture.parts, picture) for picture in pictures]
    outer: tuple[str, ...] = ()
    while _wrapped(rows):
        outer = (*outer, rows[0][0][0])
        rows = _within(rows)
    tops = {parts[0] for parts, _ in rows if len(parts) > 2}
    names = {part: top for part, known in _PARTS.items() for top in tops if top.lower() in known}
    return rows, outer, {part: (top,) for part, top in names.items()} if "train" in names else {"train": ()}


def _wrapped(rows: _Rows) -> bool:
    """Whether all pictures lie in one folder that is no class: it holds several, or the parts of the data."""
    if not rows or any(len(parts) < 3 for parts, _ in rows) or len({parts[0] for parts, _ in rows}) > 1:
        return False
    known = {name for names in _PARTS.values() for name in names}
    inner = {parts[1] for parts, _ in rows}
    return len(inner) > 1 or rows[0][0][0].lower() in known or (len(inner) == 1 and _wrapped(_within(rows)))


def _within(rows: _Rows) -> _Rows:
    return [(parts[1:], picture) for parts, picture in rows]


def _refuse_empty(folder: Path, classes: set[str]) -> None:
    """Raise DataError for a folder next to those of the classes that holds no pictures."""
    for sub in sorted(folder.iterdir()):
        if sub.is_dir() and not sub.name.startswith((".", "__")) and sub.name not in classes:
            message = f"{sub}: expected images of the class {sub.name!r}, got none; add some or remove the folder"
            raise DataError(message)


def _size(path: Path, form: Pictures | None = None) -> int:
    if not path.is_dir():
        return 0  # a zip is read whole
    found = list(walk(path))
    return len(found) * math.prod(common_shape(str(path), found, form or Pictures()))


READERS = (
    Reader(
        *(5, "images by class", lambda path, target, task, stream, form: read_images(path, form, stream=stream)),
        is_file=lambda path, start: start.startswith(b"PK") and is_zip_of_pictures(path),
        is_folder=recognises_folder,
        in_memory=_size,
        takes=("pictures",),
    ),
)
