"""IDX, the format of MNIST and its descendants: a magic number, big-endian sizes, then the values."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from portanet.data.dataset import Dataset, HostArray
from portanet.data.files import exactly, opened, take
from portanet.data.readers.labels import Part, dataset
from portanet.data.readers.reader import Reader
from portanet.errors import DataError
from portanet.names import listed

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""The third byte of the magic number, and the type of the values that it stands for."""

_AXES = 8

# train-images-idx3-ubyte, t10k-labels.idx1-ubyte.gz, emnist-letters-test-images-idx3-ubyte, ...
_NAME = re.compile(
    r"(?P<prefix>.*)(?P<part>train|t10k|test)[-_.](?P<what>images|labels)[-_.]idx\d[-_.]ubyte(\.gz)?", re.I
)


def _kind(path: Path) -> tuple[str, str] | None:
    """Return part and kind of an IDX file by its name: ``("train" or "test", "images" or "labels")``."""
    match = _NAME.fullmatch(path.name)
    return match and ("train" if match["part"].lower() == "train" else "test", match["what"].lower())


def recognises_folder(folder: Path) -> bool:
    """Whether a folder holds a file with the name of one of IDX's images or labels."""
    return bool(_listed(folder))


def _listed(folder: Path) -> list[Path]:
    """Return the IDX files in a folder, and in folders of such names: some programs unpack each into its own."""
    found = []
    for path in sorted(filter(_kind, folder.iterdir()), reverse=True):
        if path.is_dir():
            found += [inner for inner in path.iterdir() if _kind(inner) == _kind(path) and not inner.is_dir()]
        else:
            found.append(path)
    return found


def read_idx(path: Path) -> Dataset:
    """Read images and labels of a folder, with its test part if there is one, or of the pair that a file belongs to.

    A file of test images stands for the test pair alone, a file of training images for the whole folder. Samples are as
    in the files, ``(n, h, w)`` in uint8 for MNIST; the labels are the classes.

    Source: LeCun, Cortes & Burges, the MNIST database, "File formats".
    """
    folder, kind = (path, ("train", "images")) if path.is_dir() else (path.parent, _kind(path))
    if kind is None:
        message = f"{path}: expected a name such as train-images-idx3-ubyte, to find the labels by; "
        raise DataError(message + "rename it, or give its folder")
    files = _listed(folder)
    train, test = _pair(folder, files, kind[0]), None
    if kind[0] == "train" and "test" in {found[0] for found in map(_kind, files) if found}:
        test = _pair(folder, files, "test")
    return dataset(path, train, test, scale=255.0 if train.x.dtype == np.uint8 else None)


def _pair(folder: Path, files: list[Path], part: str) -> Part:
    """Read the images and labels of one part."""
    paths: list[Path] = []
    for what, axes in (("images", 3), ("labels", 1)):
        # The same file plain and packed is no ambiguity: the plain one is read.
        candidates = {file.name.removesuffix(".gz"): file for file in files if _kind(file) == (part, what)}
        if len(candidates) != 1:
            kind, stem = ("training", "train") if part == "train" else ("test", "t10k")
            came = f"{len(candidates)} ({listed([p.name for p in candidates.values()])})" if candidates else "none"
            message = (
                f"{folder}: expected one file of {kind} {what}, such as {stem}-{what}-idx{axes}-ubyte or its .gz, "
            )
            raise DataError(message + f"got {came}")
        paths += candidates.values()
    images, labels = (read_idx_array(path) for path in paths)
    names, wrong, hint = [path.name for path in paths], "", "are images and labels swapped?"
    if labels.ndim != 1:
        wrong = f"{paths[1]}: expected labels of one axis, got the shape {labels.shape}; {hint}"
    elif images.ndim < 2:
        wrong = f"{paths[0]}: expected images of three axes, got the shape {images.shape}; {hint}"
    elif len(images) != len(labels):
        wrong = f"{folder}: {names[0]} holds {len(images)} images and {names[1]} {len(labels)} labels; "
        wrong += "give files of one set"
    if wrong:
        raise DataError(wrong)
    return Part(images, labels, lambda i: f"{paths[1]}, label {i}")


def read_idx_array(path: Path) -> HostArray:
    """Read one IDX file, plain or gzip, in the machine's byte order; sizes are checked before memory is taken."""
    with opened(path) as (stream, capacity):
        magic = take(stream, 4, path)
        if len(magic) < 4 or magic[0] or magic[1] or magic[2] not in TYPES or magic[3] == 0:
            came = magic.hex(" ") or "an empty file"
            message = f"{path}: expected an IDX file, beginning with 00 00, a type and a number of axes, got {came}; "
            raise DataError(message + "is it the right file?")
        if magic[3] > _AXES:
            message = f"{path}: expected at most {_AXES} axes, got {magic[3]}; is it the right file?"
            raise DataError(message)
        header = take(stream, 4 * magic[3], path)
        if len(header) < 4 * magic[3]:
            message = f"{path}: expected a header of {4 + 4 * magic[3]} bytes, got {4 + len(header)}; "
            raise DataError(message + "copy or download the file again")
        dtype = np.dtype(TYPES[magic[2]])
        shape = tuple(int(size) for size in np.frombuffer(header, dtype=">u4"))  # Python's integers: no overflow
        if not all(shape):
            message = f"{path}: expected at least one sample, got the shape {shape}; write the file again, with samples"
            raise DataError(message)
        capacity.check_rows(shape, dtype.itemsize, path)
        data = exactly(stream, math.prod(shape) * dtype.itemsize, capacity, path)
    values = np.frombuffer(data, dtype=dtype).reshape(shape)
    return values.astype(dtype.newbyteorder("="), copy=False)


def _begins(path: Path, start: bytes) -> bool:
    return len(start) >= 4 and not start[0] and not start[1] and start[2] in TYPES and 1 <= start[3] <= 8


READERS = (
    Reader(
        *(0, "a folder of IDX files (MNIST)", lambda path, target, task, stream, reading: read_idx(path)),
        is_file=_begins,
        is_folder=recognises_folder,
    ),
)
