"""Digits as text, 32 lines of 32 zeros and ones a file, the label before the underscore of the name; folder or zip."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from portanet.data.dataset import Dataset, HostArray
from portanet.data.files import opened, reworded, take
from portanet.data.readers.labels import Part, dataset
from portanet.data.readers.reader import Reader
from portanet.data.readers.zips import member, open_zip
from portanet.errors import DataError

SIDE = 32
_BYTES = 4096  # of a digit; the real ones have 1,056 or, with Windows' line ends, 1,088
_NAME = re.compile(r"(?P<label>[^_]+)_(?P<number>\d{1,18})\.txt", re.I)

_Opener = Callable[[], AbstractContextManager[tuple[Any, object]]]


class _File(NamedTuple):
    """One digit: its label and number, its place for messages, and how to open it."""

    label: str
    number: int
    place: str
    open: _Opener


def recognises_folder(folder: Path) -> bool:
    """Whether a folder holds text files, itself or in a folder of training or test digits."""
    folders = [folder, *(sub for sub in folder.iterdir() if sub.is_dir() and _part(sub.name))]
    return any(path.suffix.lower() == ".txt" and not path.is_dir() for sub in folders for path in sub.iterdir())


def read_text_digits(path: Path) -> Dataset:
    """Read the text digits of a folder or a zip: ``trainingDigits/3_17.txt``, and ``testDigits`` if there are some.

    Images are ``(n, 32, 32)`` of 0 and 1 in uint8, ordered by label and number.
    """
    if path.is_dir():
        with reworded(path):
            found = (p for p in path.rglob("*.txt") if not p.is_dir())
            files = ((PurePosixPath(p.relative_to(path).as_posix()), partial(opened, p)) for p in found)
            return _dataset(path, files)
    with open_zip(path) as archive:
        members: list[tuple[PurePosixPath, _Opener]] = []
        for info in archive.infolist():
            name = PurePosixPath(info.filename.replace("\\", "/"))
            if info.is_dir() or name.suffix.lower() != ".txt":
                continue
            if info.file_size > _BYTES:
                message = f"{path}, {name}: expected a text digit of about 1 kB, got {info.file_size} bytes; "
                raise DataError(message + "remove it from the zip")
            members.append((name, partial(member, archive, info, f"{path}, {name}")))
        return _dataset(path, members)


def _dataset(path: Path, files: Iterable[tuple[PurePosixPath, _Opener]]) -> Dataset:
    """Sort the files into parts, read them, and encode the labels."""
    parts: dict[str, list[_File]] = {"train": [], "test": [], "": []}
    for name, opener in files:
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
        parts[part].append(_File(match["label"], int(match["number"]), f"{path}, {name}", opener))
    # Digits that no folder marks are the training part if nothing else is; next to a marked one, nobody knows.
    if parts[""] and parts["train"]:
        message = f"{parts[''][0].place}: expected digits in trainingDigits and testDigits alone; move or remove it"
        raise DataError(message)
    train, test = parts["train"] or parts[""], parts["test"]
    if not train:
        train, test = test, []  # a folder of test digits alone, to be evaluated
    if not train:
        message = f"{path}: expected text digits such as trainingDigits/3_17.txt, got none"
        raise DataError(message)
    return dataset(path, _read(train), _read(test) if test else None, scale=1.0)


def _read(files: list[_File]) -> Part:
    files = sorted(files, key=lambda file: file[:3])
    return Part(np.stack([_image(file) for file in files]), [file.label for file in files], lambda i: files[i].place)


def _part(folder: str) -> str:
    return next((part for part in ("train", "test") if folder.lower().startswith(part)), "")


def _image(file: _File) -> HostArray:
    """Return a digit's image, shape (32, 32) in uint8."""
    with file.open() as (stream, _):
        lines = bytes(take(stream, _BYTES, file.place)).rstrip().splitlines()
    for wrong in _faults(lines):
        message = f"{file.place}{wrong}; correct or remove the file"
        raise DataError(message)
    return np.frombuffer(b"".join(lines), dtype=np.uint8).reshape(SIDE, SIDE) - np.uint8(ord("0"))


def _faults(lines: list[bytes]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if line.strip(b"01"):
            column = len(line) - len(line.lstrip(b"01")) + 1
            yield f", line {number}, column {column}: expected 0 or 1, got {chr(line[column - 1])!r}"
        if len(line) != SIDE:
            yield f", line {number}: expected {SIDE} characters, got {len(line)}"
    if len(lines) != SIDE:
        yield f": expected {SIDE} lines, got {len(lines)}"


READERS = (
    Reader(
        *(6, "text digits (folder or zip)", lambda path, target, task, stream, reading: read_text_digits(path)),
        is_file=lambda path, start: start.startswith(b"PK"),
        is_folder=recognises_folder,
    ),
)
