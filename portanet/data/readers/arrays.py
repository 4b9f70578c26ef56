"""NumPy's own files: .npz archives, and pairs of .npy files. Pickled objects are never loaded."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from portanet.data.dataset import Dataset, HostArray
from portanet.data.files import opened
from portanet.data.lazy.readable import Samples
from portanet.data.readers.about import described
from portanet.data.readers.labels import Labels, Part, Task, dataset
from portanet.data.readers.npy import NpySamples, check_samples, npy_header, read_array
from portanet.data.readers.reader import Reader
from portanet.data.readers.table import pixel_scale
from portanet.data.readers.zips import member, open_zip
from portanet.errors import DataError
from portanet.names import listed

KEYS = {"x_train": "y_train", "x": "y", "data": "target", "images": "labels"}
"""Names of samples and of their targets, in small letters: Keras', scikit-learn's two, and the descriptive pair."""

_Readers = dict[str, tuple[str, Callable[[], Any]]]  # of each array by its key: its place, and how to read it


def recognises_zip(path: Path) -> bool:
    """Whether a zip holds arrays."""
    with open_zip(path) as archive:
        return any(name.endswith(".npy") for name in archive.namelist())


def recognises_folder(folder: Path) -> bool:
    """Whether a folder holds samples by one of their names: X.npy, x_train.npy."""
    return any(key in KEYS for key in npy_files(folder))


def read_npz(path: Path, task: Task | None = None) -> Dataset:
    """Read an archive of samples and targets, named as in `KEYS`, and a test part as x_test and y_test.

    Samples ``(n, ...)`` stay as they are, but images with channels first are turned to channels last.

    Source: NumPy Enhancement Proposal 1, "A simple file format for NumPy arrays".
    """
    with open_zip(path) as archive:
        readers: _Readers = {}
        for info in archive.infolist():
            key = info.filename.removesuffix(".npy")
            place = f"{path}, {key}"
            readers[key.lower()] = place, partial(read_array, partial(member, archive, info, place), place)
        return _dataset(path, readers, task)


def read_npy(path: Path, task: Task | None = None, *, stream: bool = False) -> Dataset:
    """Read files named as the keys of an archive are: X.npy with y.npy next to it, or the folder that holds them.

    With `stream` the samples stay on disk. The names of classes and columns that `portanet convert` has written next to
    them are used. Raises as :func:`read_npz`.
    """
    folder = path if path.is_dir() else path.parent
    files = npy_files(folder)
    if not path.is_dir():
        key = _key(path)
        if key not in KEYS:
            message = f"{path}: expected a name that tells samples from targets, such as X.npy with y.npy beside it; "
            raise DataError(message + "rename both")
        files = {k: file for k, file in files.items() if k in (key, KEYS[key], "x_test", "y_test")}
    readers: _Readers = {}
    for key, file in files.items():
        place, on_disk = str(file), stream and (key in KEYS or key == "x_test")
        readers[key] = (
            place,
            partial(NpySamples, file) if on_disk else partial(read_array, partial(opened, file), place),
        )
    return described(_dataset(path, readers, task), folder)


def _key(path: Path) -> str:
    return path.name.lower().removesuffix(".gz").removesuffix(".npy")


def npy_files(folder: Path) -> dict[str, Path]:
    """Return the .npy files of a folder by their names in small letters."""
    files = (path for path in sorted(folder.iterdir()) if not path.is_dir())  # a folder may have such a name
    return {_key(path): path for path in files if path.name.lower().endswith((".npy", ".npy.gz"))}


def _dataset(path: Path, readers: _Readers, task: Task | None) -> Dataset:
    """Find the samples and targets, read them, and encode the targets."""
    pairs = sorted((pair for pair in KEYS.items() if pair[0] in readers), key=lambda pair: pair[1] not in readers)
    if not pairs:
        known = "; ".join(f"{x} and {y}" for x, y in KEYS.items())
        message = f"{path}: expected samples and targets under one pair of names ({known}), got "
        raise DataError(message + (", ".join(readers) or "nothing"))
    train = _part(readers, *pairs[0])
    test = _part(readers, "x_test", "y_test") if "x_test" in readers else None
    return dataset(path, train, test, task, scale=pixel_scale(train.x))


def _part(readers: _Readers, x_key: str, y_key: str) -> Part:
    place, read = readers[x_key]
    if y_key not in readers:
        message = (
            f"{place}: expected its targets under the name {y_key}, got the names {listed(list(readers))}; add them"
        )
        raise DataError(message)
    x = _samples(read(), place)
    place, read = readers[y_key]
    return Part(x, _labels(read(), len(x), place), lambda i: f"{place}[{i}]")


def _samples(x: HostArray | Samples, place: str) -> HostArray | Samples:
    """Return samples of a form that a network takes, or say why they are not."""
    if isinstance(x, Samples):  # it was checked when it was opened
        return x
    channels_first = check_samples(x.shape, x.dtype, place)
    if x.dtype.kind == "b":
        x = x.astype(np.uint8)
    if x.dtype.kind == "f" and not np.isfinite(np.sum(x, dtype=np.float64)):  # a sum finds nearly all at no memory
        bad = ~np.isfinite(x)
        if bad.any():
            index = tuple(int(i) for i in np.argwhere(bad)[0])
            message = f"{place}{list(index)}: expected a finite number, got {x[index]}; "
            raise DataError(message + "fill it in or drop the sample: no mean is filled in")
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)) if channels_first else x


def _labels(y: HostArray, n: int, place: str) -> Labels:
    """Return labels as `encode` takes them."""
    labels: Labels = y
    wrong = ""
    if y.ndim not in (1, 2) or len(y) != n or not y.size:
        wrong = f"expected {n} targets, one a sample, got the shape {y.shape}; give samples and targets of one set"
    elif y.dtype.kind in "US" and y.size != n:
        wrong = f"expected one label a sample, got the shape {y.shape}; give one column"
    elif y.dtype.kind in "US":
        try:
            labels = [str(label) for label in y.ravel().astype(str).tolist()]
            "".join(labels).encode()  # halves of characters can be neither printed nor saved
        except (SystemError, ValueError):  # SystemError: NumPy takes any four bytes for a character
            wrong = "expected labels of text, got characters that do not exist; save it again"
    elif y.dtype.kind not in "biuf":
        wrong = f"expected numbers or text, got the type {y.dtype}; convert the targets"
    if wrong:
        message = f"{place}: {wrong}"
        raise DataError(message)
    return labels


def array_shapes(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return the dtype and the shape of each array in an archive, by its name; no array is read."""
    found = {}
    with open_zip(path) as archive:
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            with member(archive, info, f"{path}, {name}") as (stream, _):
                shape, _, dtype = npy_header(stream, f"{path}, {name}")
            found[name] = str(dtype), shape
    return found


def _size(path: Path) -> int:
    """Return the bytes of the samples, from their headers."""
    total = 0
    for key, file in npy_files(path if path.is_dir() else path.parent).items():
        if key in (*KEYS, "x_test"):
            with opened(file) as (stream, room):
                shape, _, dtype = npy_header(stream, str(file))
            need = math.prod(shape) * dtype.itemsize
            total += 0 if room.packed or need > room.bytes else need
    return total


READERS = (
    Reader(
        *(2, ".npz", lambda path, target, task, stream, reading: read_npz(path, task)),
        is_file=lambda path, start: start.startswith(b"PK") and zipfile.is_zipfile(path) and recognises_zip(path),
        takes=("task",),
    ),
    Reader(
        *(3, "a pair of .npy", lambda path, target, task, stream, reading: read_npy(path, task, stream=stream)),
        is_file=lambda path, start: start.startswith(b"\x93NUMPY"),
        is_folder=recognises_folder,
        in_memory=_size,
        takes=("task",),
    ),
)
