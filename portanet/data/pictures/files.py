"""Picture files in folders of any depth and in zips: found by their names, in the order of these."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from portanet.data.files import exactly, regular, reworded
from portanet.data.readers.zips import member, open_zip

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".bmp", ".gif", ".pgm", ".ppm", ".pbm", ".tif", ".tiff", ".webp"}
)

UNREAD = frozenset(
    {".heic", ".heif", ".avif", ".jxl", ".jp2", ".svg", ".psd", ".tga", ".ico", ".exr", ".dcm"}
    | {".dng", ".raw", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2"}
)
"""Suffixes of pictures that are not read: of phones and cameras, vectors and medicine."""

_DEPTH = 16  # folders within each other


class Picture(NamedTuple):
    """A picture file.

    Attributes
    ----------
    parts : tuple of str
        Its path below the folder or in the zip.
    place : str
        The whole path, for messages and tables.
    bytes : int
        Size of the file.
    open : function
        Makes a context in which it is open: what Pillow opens.
    """

    parts: tuple[str, ...]
    place: str
    bytes: int
    open: Callable[[], AbstractContextManager[Any]]


def is_picture(name: str) -> bool:
    """Whether a file is a picture, by its name."""
    return Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")


def on_disk(path: Path, parts: tuple[str, ...] = ()) -> Picture:
    """Return the picture in a file."""
    return Picture(parts or (path.name,), str(path), path.stat().st_size, partial(_of_disk, path))


def walk(folder: Path) -> Iterator[Picture]:
    """Yield the pictures below a folder, each folder's own first; hidden ones are left out.

    Links are followed, but no folder is entered twice.
    """
    yield from _walk(folder, (), set())


def _walk(folder: Path, parts: tuple[str, ...], seen: set[tuple[int, int]]) -> Iterator[Picture]:
    with reworded(folder):
        found = folder.stat()
        if (found.st_dev, found.st_ino) in seen or len(parts) > _DEPTH:
            return
        seen.add((found.st_dev, found.st_ino))
        with os.scandir(folder) as entries:
            shown = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
        folders = [e.name for e in shown if e.is_dir() and not e.name.startswith("__")]
        files = [e.name for e in shown if is_picture(e.name) and not e.is_dir()]
    for name in files:
        yield on_disk(folder / name, (*parts, name))
    for name in folders:
        yield from _walk(folder / name, (*parts, name), seen)


def unread(path: Path) -> list[str]:
    """Return the pictures in a folder or a zip that are of kinds that are not read, by their names."""
    if path.is_dir():
        found = [str(file) for file in path.rglob("*") if file.suffix.lower() in UNREAD and not file.is_dir()]
    else:
        with open_zip(path) as archive:
            found = [f"{path}/{name}" for name in archive.namelist() if PurePosixPath(name).suffix.lower() in UNREAD]
    return sorted(name for name in found if not PurePosixPath(name).name.startswith("."))


@contextmanager
def in_zip(path: Path) -> Iterator[list[Picture]]:
    """Yield the pictures in a zip, which can be opened as long as the block runs."""
    with open_zip(path) as archive:
        found = []
        for info in archive.infolist():
            name = PurePosixPath(info.filename.replace("\\", "/"))
            hidden = any(part.startswith((".", "__")) for part in name.parts[:-1])
            if not info.is_dir() and is_picture(name.name) and not hidden:
                place = f"{path}/{name}"
                found.append(Picture(name.parts, place, info.compress_size, partial(_of_zip, archive, info, place)))
        yield sorted(found, key=lambda picture: (picture.parts[:-1], picture.parts[-1]))


def is_zip_of_pictures(path: Path) -> bool:
    """Whether a file is a zip that holds pictures."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with in_zip(path) as found:
        return bool(found)


@contextmanager
def _of_disk(path: Path) -> Iterator[IO[bytes]]:
    regular(path)
    # Not the path: Pillow (13) would map plain TIFFs into memory, and scramble those that EXIF turns on their side.
    with path.open("rb") as file:
        yield file


@contextmanager
def _of_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, place: str) -> Iterator[io.BytesIO]:
    with member(archive, info, place) as (stream, capacity):
        yield io.BytesIO(exactly(stream, info.file_size, capacity, place))
