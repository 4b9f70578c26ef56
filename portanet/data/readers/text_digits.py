"""Digits as text, 32 lines of 32 zeros and ones a file, the label before the underscore of the name; folder or zip."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from portanet.data.dataset import Dataset, HostArray
from portanet.data.files import opened, reworded, take
from portanet.data.readers.labels import encode
from portanet.data.readers.zips import open_zip
from portanet.errors import DataError

__all__ = ["read_text_digits", "recognises_folder"]

SIDE = 32
_BYTES = 4096  # of a digit; the real ones have 1,056 or, with Windows' line ends, 1,088
_NAME = re.compile(r"(?P<label>[^_]+)_(?P<number>\d{1,18})\.txt", re.I)


class _File(NamedTuple):
    """One digit: its place for messages, its label, and how to read it."""

    place: str
    label: str
    read: Callable[[], bytes]


def recognises_folder(folder: Path) -> bool:
    """Whether a folder holds text files, itself or in a folder of training or test digits."""
    folders = [folder, *(sub for sub in folder.iterdir() if sub.is_dir() and _part(sub.name))]
    return any(path.suffix.lower() == ".txt" for sub in folders for path in sub.iterdir())


def read_text_digits(path: Path) -> Dataset:
    """Read the text digits of a folder or a zip: ``trainingDigits/3_17.txt``, and ``testDigits`` where there are some.

    Returns
    -------
    Dataset
        Images ``(n, 32, 32)`` of 0 and 1 in uint8, ordered by label and number.

    Raises
    ------
    DataError
        If there is no digit, a name has no label, a line has a wrong length or character, or the zip is damaged,
        encrypted, or holds what a zip of digits does not hold.
    """
    if path.is_dir():
        with reworded(path):
            return _dataset(
                path, [(PurePosixPath(p.relative_to(path).as_posix()), _opener(p)) for p in path.rglob("*.txt")]
            )
    with open_zip(path) as archive:
        return _dataset(path, _members(archive, path))


def _dataset(path: Path, files: list[tuple[PurePosixPath, Callable[[], bytes]]]) -> Dataset:
    """Sort the files into parts, read them, and encode the labels."""
    parts: dict[str, list[tuple[str, int, _File]]] = {"train": [], "test": [], "": []}
    for name, read in files:
        if any(piece.startswith((".", "__")) for piece in name.parts):
            continue  # what a Mac or an editor left there
        match = _NAME.fullmatch(name.name)
        if not match:
            message = (
                f"{path}, {str(name)[:100]}: expected a name with the label before an underscore, such as 3_17.txt; "
                "rename or remove it"
            )
            raise DataError(message)
        part = _part(name.parts[-2]) if len(name.parts) > 1 else ""
        parts[part].append((match["label"], int(match["number"]), _File(f"{path}, {name}", match["label"], read)))
    # Digits that no folder marks are the training part where nothing else is; beside a marked one, nobody knows.
    if parts[""] and parts["train"]:
        message = f"{parts[''][0][2].place}: expected digits in trainingDigits and testDigits alone; move or remove it"
        raise DataError(message)
    train, test = ([file for _, _, file in sorted(parts[p])] for p in ("train", "test"))
    train = train or [file for _, _, file in sorted(parts[""])]
    if not train:
        train, test = test, []  # a folder of test digits alone, to be evaluated
    if not train:
        message = f"{path}: expected text digits such as trainingDigits/3_17.txt, got none"
        raise DataError(message)
    y, y_test, classes = encode(
        [file.label for file in train],
        [file.label for file in test] if test else None,
        task="classification",
        where=lambda i: train[i].place,
        test_where=lambda i: test[i].place,
    )
    return Dataset(str(path), _images(train), y, _images(test) if test else None, y_test, classes, scale=1.0)


def _images(files: list[_File]) -> HostArray:
    return np.stack([_image(file.read(), file.place) for file in files])


def _part(folder: str) -> str:
    return next((part for part in ("train", "test") if folder.lower().startswith(part)), "")


def _image(data: bytes, place: str) -> HostArray:
    """Return a digit's image, shape (32, 32) in uint8."""
    lines = data.rstrip().splitlines()
    for number, line in enumerate(lines, 1):
        if line.strip(b"01"):
            column = len(line) - len(line.lstrip(b"01")) + 1
            came = chr(line[column - 1])
            message = (
                f"{place}, line {number}, column {column}: expected 0 or 1, got {came!r}; correct or remove the file"
            )
            raise DataError(message)
        if len(line) != SIDE:
            message = f"{place}, line {number}: expected {SIDE} characters, got {len(line)}; correct or remove the file"
            raise DataError(message)
    if len(lines) != SIDE:
        message = f"{place}: expected {SIDE} lines, got {len(lines)}; correct or remove the file"
        raise DataError(message)
    return np.frombuffer(b"".join(lines), dtype=np.uint8).reshape(SIDE, SIDE) - np.uint8(ord("0"))


def _opener(path: Path) -> Callable[[], bytes]:
    def read() -> bytes:
        with opened(path) as (stream, _):
            return bytes(take(stream, _BYTES, path))

    return read


def _members(archive: zipfile.ZipFile, path: Path) -> list[tuple[PurePosixPath, Callable[[], bytes]]]:
    """Return the text files of a zip."""
    files = []
    for info in archive.infolist():
        name = PurePosixPath(info.filename.replace("\\", "/"))
        if info.is_dir() or name.suffix.lower() != ".txt":
            continue
        if info.file_size > _BYTES:
            message = (
                f"{path}, {name}: expected a text digit of about 1 kB, got {info.file_size} bytes; "
                "remove it from the zip"
            )
            raise DataError(message)
        files.append((name, _member(archive, info, f"{path}, {name}")))
    return files


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, place: str) -> Callable[[], bytes]:
    def read() -> bytes:
        with reworded(place), archive.open(info) as stream:
            return bytes(take(stream, _BYTES, place))

    return read
