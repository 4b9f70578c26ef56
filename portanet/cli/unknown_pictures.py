"""Pictures to predict for, as they lie there: files, folders whether by class or not, patterns, and zips."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from portanet.data.pictures.files import UNREAD, Picture, is_picture, is_zip_of_pictures, on_disk, walk
from portanet.data.readers.images import listed, of_part, warn_of_unread
from portanet.data.source import NAMES, is_of_pictures
from portanet.errors import ConfigError, DataError

_DATA = re.compile(r"\.(csv|tsv|npy|parquet)(\.gz)?$|^[^_]+_\d+\.txt$|-ubyte(\.gz)?$", re.IGNORECASE)
"""Names of tables, arrays, text digits and IDX files."""


@contextmanager
def found(paths: Sequence[str], part: str | None) -> Iterator[list[Picture] | None]:
    """Yield the pictures at these paths, which can be opened as long as the block runs; None if it is other data.

    Raises
    ------
    ConfigError
        If there are several paths, and other data among them.
    DataError
        If a pattern fits nothing, or there is no such part.
    """
    pictures: list[Picture] = []
    with ExitStack() as open_zips:
        for path in [one for pattern in paths for one in _fitting(pattern)]:
            own = _at(path, part, open_zips)
            if own is None and len(paths) == 1 and not pictures:
                yield None
                return
            if own is None and not Path(path).exists() and path.lower() not in NAMES:
                message = f"{path}: no such file or folder; check the path"
                raise DataError(message)
            if own is None:
                message = f"{path}: expected pictures, as several PATHs were given, or a pattern; give other data alone"
                raise ConfigError(message)
            pictures += own
        yield list({picture.place: picture for picture in pictures}.values())


def _at(path: str, part: str | None, open_zips: ExitStack) -> list[Picture] | None:
    """Return the pictures in a file, a folder or a zip; None if it is something else."""
    place = Path(path).expanduser()
    if path.lower().replace("_", "-") in NAMES:
        return None
    if place.is_file() and is_picture(place.name):
        return [on_disk(place)]
    if place.is_file() and place.suffix.lower() in UNREAD:
        message = f"{path}: pictures of this kind are not read; convert it to PNG or JPEG"
        raise DataError(message)
    whole = place.is_dir() and (is_of_pictures(path) or next((True for _ in _flat(place)), False))
    if whole or is_zip_of_pictures(place):
        warn_of_unread(place)
        return of_part(place, open_zips.enter_context(listed(place)), part)
    return None


def _flat(folder: Path) -> Iterator[Picture]:
    """Yield the pictures in a folder that holds nothing that is read as data otherwise."""
    if not any(_DATA.search(path.name) for path in folder.iterdir()):
        yield from walk(folder)


def _fitting(pattern: str) -> list[str]:
    """Return the paths that a pattern fits, sorted; what is no pattern, or the name of a file, stands for itself."""
    if not glob.has_magic(pattern) or Path(pattern).exists():
        return [pattern]
    fitting = sorted(glob.glob(str(Path(pattern).expanduser()), recursive=True))
    if not fitting:
        message = f"{pattern}: expected a file, a folder or a pattern of files, and nothing fits it; check the path"
        raise DataError(message)
    return fitting
