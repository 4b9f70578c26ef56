"""NumPy's own files: .npz archives, and pairs of .npy files. Pickled objects are never loaded."""

from __future__ import annotations

import functools
import logging
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from portanet.data.dataset import Dataset, HostArray
from portanet.data.files import Capacity, exactly, opened, reworded
from portanet.data.lazy.readable import Samples
from portanet.data.readers.about import described
from portanet.data.readers.labels import Labels, Task, Where, encode
from portanet.data.readers.npy_header import is_channels_first, npy_header, refuse_objects
from portanet.data.readers.table import looks_like_pixels
from portanet.data.readers.zips import capacity, open_zip
from portanet.errors import DataError

__all__ = [
    "KEYS",
    "array_shapes",
    "npy_files",
    "read_npy",
    "read_npz",
    "recognises_folder",
    "recognises_zip",
]

logger = logging.getLogger("portanet")

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

    Returns
    -------
    Dataset
        Samples ``(n, ...)`` as they are, but images with channels first turned to channels last; targets by
        `portanet.data.readers.labels.encode`.

    Raises
    ------
    DataError
        If a key is missing, an array holds objects, complex or not finite numbers, has too few axes, or is damaged.

    Notes
    -----
    Source: NumPy Enhancement Proposal 1, "A simple file format for NumPy arrays".
    """
    with open_zip(path) as archive:
        readers: _Readers = {}
        for info in archive.infolist():
            key = info.filename.removesuffix(".npy")
            readers[key.lower()] = f"{path}, {key}", functools.partial(_member, archive, info, f"{path}, {key}")
        return _dataset(path, readers, task)


def read_npy(path: Path, task: Task | None = None, *, stream: bool = False) -> Dataset:
    """Read files named as the keys of an archive are: X.npy with y.npy beside it, or the folder that holds them.

    With `stream` the samples stay on disk. What `portanet convert` has written beside them of classes and columns is
    taken up.

    Raises
    ------
    DataError
        As `read_npz`.
    """
    folder = path if path.is_dir() else path.parent
    readers: _Readers = {key: (str(file), functools.partial(_file, file)) for key, file in npy_files(folder).items()}
    if not path.is_dir():
        key = _key(path)
        if key not in KEYS:
            message = (
                f"{path}: expected a name that tells samples from targets, such as X.npy with y.npy beside it; "
                "rename both"
            )
            raise DataError(message)
        readers = {k: v for k, v in readers.items() if k in (key, KEYS[key], "x_test", "y_test")}
    if stream:
        from portanet.data.readers.npy import NpySamples

        for key in (*KEYS, "x_test"):
            if key in readers:
                file = readers[key][0]
                readers[key] = file, functools.partial(NpySamples, file)
    return described(_dataset(path, readers, task), folder)


def _key(path: Path) -> str:
    return path.name.lower().removesuffix(".gz").removesuffix(".npy")


def npy_files(folder: Path) -> dict[str, Path]:
    """Return the .npy files of a folder by their names in small letters."""
    return {_key(path): path for path in sorted(folder.iterdir()) if path.name.lower().endswith((".npy", ".npy.gz"))}


def _dataset(path: Path, readers: _Readers, task: Task | None) -> Dataset:
    """Find the samples and targets, read them, and encode the targets."""
    pairs = sorted((pair for pair in KEYS.items() if pair[0] in readers), key=lambda pair: pair[1] not in readers)
    if not pairs:
        known = "; ".join(f"{x} and {y}" for x, y in KEYS.items())
        message = (
            f"{path}: expected samples and targets under one pair of names ({known}), got "
            f"{', '.join(readers) or 'nothing'}"
        )
        raise DataError(message)
    x, labels, where = _part(readers, *pairs[0])
    x_test, labels_test, where_test = _part(readers, "x_test", "y_test") if "x_test" in readers else (None, None, where)
    if x_test is not None and x_test.shape[1:] != x.shape[1:]:
        message = (
            f"{path}: the training samples have the shape {x.shape[1:]}, those of the test part {x_test.shape[1:]}; "
            "give one kind"
        )
        raise DataError(message)
    y, y_test, classes = encode(labels, labels_test, task=task, where=where, test_where=where_test)
    few = np.concatenate(x.some()) if isinstance(x, Samples) else x
    pixels = x.dtype == np.uint8 and looks_like_pixels(few.reshape(len(few), -1))
    return Dataset(str(path), x, y, x_test, y_test, classes, scale=255.0 if pixels else None)


def _part(readers: _Readers, x_key: str, y_key: str) -> tuple[HostArray | Samples, Labels, Where]:
    """Return the samples and labels of one part, and the place of each label."""
    if y_key not in readers:
        message = (
            f"{readers[x_key][0]}: expected its targets under the name {y_key}, got the names {', '.join(readers)}; "
            "add them"
        )
        raise DataError(message)
    place, read = readers[x_key]
    x = _samples(read(), place)
    place, read = readers[y_key]
    return x, _labels(read(), len(x), place), lambda i: f"{place}[{i}]"


def _samples(x: HostArray | Samples, place: str) -> HostArray | Samples:
    """Return samples of a form that a network takes, or say why they are not."""
    if isinstance(x, Samples):  # it looked itself
        return x
    if x.ndim < 2 or not x.size:
        message = (
            f"{place}: expected samples of the shape (n, features) or (n, h, w), got {x.shape}; "
            "reshape them: x.reshape(n, -1)"
        )
        raise DataError(message)
    if x.dtype.kind not in "biuf":
        message = f"{place}: expected real numbers, got the type {x.dtype}; convert them"
        raise DataError(message)
    if x.dtype.kind == "b":
        x = x.astype(np.uint8)
    if x.dtype.kind == "f" and not np.isfinite(np.sum(x, dtype=np.float64)):  # a sum finds nearly all at no memory
        bad = ~np.isfinite(x)
        if bad.any():
            index = tuple(int(i) for i in np.argwhere(bad)[0])
            message = (
                f"{place}{list(index)}: expected a finite number, got {x[index]}; "
                "fill it in or drop the sample: no mean is filled in"
            )
            raise DataError(message)
    if is_channels_first(x.shape):
        logger.info("%s: the shape %s has the channels first; they are moved to the end", place, x.shape)
        x = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    return x


def _labels(y: HostArray, n: int, place: str) -> Labels:
    """Return labels as `encode` takes them."""
    if y.ndim not in (1, 2) or len(y) != n or not y.size:
        message = (
            f"{place}: expected {n} targets, one a sample, got the shape {y.shape}; give samples and targets of one set"
        )
        raise DataError(message)
    if y.dtype.kind in "US":
        if y.size != n:
            message = f"{place}: expected one label a sample, got the shape {y.shape}; give one column"
            raise DataError(message)
        try:
            labels = [str(label) for label in y.ravel().astype(str).tolist()]
            "".join(labels).encode()  # halves of characters can be neither printed nor saved
        except (SystemError, ValueError):  # SystemError: NumPy takes any four bytes for a character
            message = f"{place}: expected labels of text, got characters that do not exist; save it again"
            raise DataError(message) from None
        return labels
    if y.dtype.kind not in "biuf":
        message = f"{place}: expected numbers or text, got the type {y.dtype}; convert the targets"
        raise DataError(message)
    return y


def _file(path: Path) -> HostArray:
    with opened(path) as (stream, room):
        return _array(stream, room, str(path))


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, place: str) -> HostArray:
    with reworded(place), archive.open(info) as stream:
        return _array(stream, capacity(info), place)


def array_shapes(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return the dtype and the shape of each array in an archive, by its name; no array is read.

    Raises
    ------
    DataError
        If the archive or a header in it is damaged.
    """
    found = {}
    with open_zip(path) as archive:
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            with reworded(f"{path}, {name}"), archive.open(info) as stream:
                shape, _, dtype = npy_header(stream, f"{path}, {name}")
            found[name] = str(dtype), shape
    return found


def _array(stream: IO[bytes], room: Capacity, place: str) -> HostArray:
    """Read one array. NumPy's own reader takes memory by the header's word; here the sizes are compared first."""
    shape, fortran, dtype = npy_header(stream, place)
    refuse_objects(dtype, place)
    data = exactly(stream, math.prod(shape) * dtype.itemsize, room, place)
    if not dtype.itemsize:
        message = f"{place}: expected real numbers, got the type {dtype}, which has no size; convert them"
        raise DataError(message)
    values = np.frombuffer(data, dtype=dtype) if data else np.empty(0, dtype=dtype)
    values = values.reshape(shape, order="F" if fortran else "C")
    return np.ascontiguousarray(values, dtype=dtype.newbyteorder("="))
