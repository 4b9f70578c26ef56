"""A table of text, written once as .npy: read and parsed a piece at a time, so that it need not fit into memory."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from portanet.data.dataset import HostArray
from portanet.data.files import opened, reworded, take
from portanet.data.readers.about import ABOUT
from portanet.data.readers.labels import Task, encode
from portanet.data.readers.table import looks_like_pixels, target_column
from portanet.data.readers.table_form import LINE, Form, refuse_line, sniff
from portanet.data.readers.table_parse import parse
from portanet.errors import DataError

__all__ = ["convert_table", "source_of"]

PIECE = 16 << 20
"""Bytes of text that are parsed at once; as numbers they take up to four times as much."""

_SAMPLE = 2 << 20  # bytes that tell the table's form
_DEAD = 3600  # seconds without a piece written, behind which a conversion is taken for one that was killed
_NAMES = 100_000  # distinct labels of text, at most: more are no classes


def convert_table(
    path: Path,
    folder: Path,
    *,
    target: str | int | None = None,
    task: Task | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Path:
    """Write a table as X.npy and y.npy, with the names of classes and columns, into a new folder.

    Parameters
    ----------
    path : Path
        A file as :func:`~portanet.data.readers.table.read_table` takes it, but for UTF-16.
    folder : Path
        It appears under its name when it is whole.
    target, task
        As in :func:`portanet.data.load`.
    progress : callable
        Called behind each piece with the number of bytes of the file that are done.

    Returns
    -------
    Path
        The folder. Samples are bytes where all are whole numbers from 0 to 255, else float64.

    Raises
    ------
    DataError
        As ``read_table``; if the folder is there already or cannot be written, or there are more than 100,000 labels of
        text.
    """
    if folder.exists():
        message = f"{folder}: it is there already, and data are not written over; name another folder, or remove it"
        raise DataError(message)
    with _whole(folder) as place:
        labels = _Labels(task, path)
        with (place / "X.npy").open("w+b") as file:
            writer = _Writer(file)
            form, column = None, 0
            for form, column, piece, done in _pieces(path, target):
                found = parse(piece, form, column, path)
                writer.add(found.x)
                labels.add(found.labels, found.place)
                progress(done)
            assert form is not None  # an empty table was told
            scale = writer.finish()
        y, classes = labels.encoded()
        np.save(place / "y.npy", y)
        features = [form.header[i] for i in form.features(column)] if form.header else []
        words = {
            "classes": list(classes),
            "features": features,
            "scale": scale,
            "source": source_of(path, target, task),
        }
        (place / ABOUT).write_text(json.dumps(words, ensure_ascii=False, indent=1), encoding="utf-8")
    return folder


def source_of(path: Path, target: str | int | None, task: Task | None) -> dict[str, Any]:
    """Return what tells a table, and how it is read, from another."""
    about_file = path.stat()
    changed, chosen = about_file.st_mtime_ns, None if target is None else str(target)
    return {"name": path.name, "bytes": about_file.st_size, "changed": changed, "target": chosen, "task": task}


def _pieces(path: Path, target: str | int | None) -> Iterator[tuple[Form, int, bytearray, int]]:
    """Yield the table's form, the target's column, a piece of whole rows, and the bytes of the file that are behind."""
    with opened(path) as (stream, room), reworded(path):
        data = take(stream, _SAMPLE, path)
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            message = f"{path}: a table in UTF-16 is converted whole or not at all; save it as UTF-8"
            raise DataError(message)
        form, sample = sniff(data, path)
        column = target_column(form, sample, target, path)
        line, read = form.first_line, form.start
        del data[: form.start]
        form = dataclasses.replace(form, start=0)
        while True:
            more = take(stream, PIECE, path)
            data += more
            end = _end(data) if more else len(data)
            if not end and len(data) > LINE + PIECE:
                refuse_line(path, line)
            if end:
                piece = data[:end]
                read += end
                del data[:end]
                # The parser counts the lines of its piece from there on.
                yield dataclasses.replace(form, first_line=line, above=line - 1), column, piece, min(read, room.bytes)
                line += piece.count(b"\n")
            if not more:
                return


def _end(data: bytearray) -> int:
    """Return where the last row ends that is whole: behind a newline with as many quotes before it as close."""
    end = data.rfind(b"\n") + 1
    if data.count(b'"', 0, end) % 2 == 0:
        return end
    # It lies within a cell in quotes: the row before begins where the quotes were even last.
    while end > 0 and data.count(b'"', 0, end) % 2:
        end = data.rfind(b"\n", 0, data.rfind(b'"', 0, end)) + 1
    return end


class _Writer:
    """Appends samples to a .npy file: bytes until one does not fit into them, and then all in float64."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.rows, self.features = file, 0, 0
        self.dtype: Any = np.dtype(np.uint8)
        self._pixels = True
        self._upper = False

    def add(self, x: HostArray) -> None:
        if not self.rows:
            self.features = x.shape[1]
            self._header()
        fits = self.dtype == np.uint8 and x.min() >= 0 and x.max() <= 255 and bool(np.all(x == np.floor(x)))
        if self.dtype == np.uint8 and not fits:
            self._widen()
        if fits:
            self._upper = self._upper or looks_like_pixels(x)
        self.file.write(np.ascontiguousarray(x, self.dtype).data)
        self.rows += len(x)

    def finish(self) -> float | None:
        """Write the number of rows into the header; return the scale of pixels."""
        self._header()
        self.file.flush()
        os.fsync(self.file.fileno())
        return 255.0 if self.dtype == np.uint8 and self._upper else None

    def _header(self) -> None:
        """Write a header of one length, whatever the number of rows: 128 bytes, as NumPy's own format allows."""
        words = f"{{'descr': {self.dtype.str!r}, 'fortran_order': False, 'shape': ({self.rows}, {self.features}), }}"
        self.file.seek(0)
        self.file.write(b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + words.ljust(117).encode() + b"\n")
        self.file.seek(0, os.SEEK_END)

    def _widen(self) -> None:
        """Turn the bytes that were written into float64, from the end on, in place."""
        self.dtype = np.dtype(np.float64)
        step = max(PIECE // (8 * self.features), 1)
        for start in range((self.rows - 1) // step * step, -1, -step):
            count = min(step, self.rows - start) * self.features
            self.file.seek(128 + start * self.features)
            values = np.frombuffer(self.file.read(count), np.uint8).astype(np.float64)
            self.file.seek(128 + 8 * start * self.features)
            self.file.write(values.data)
        self._header()


class _Labels:
    """Collects labels piece by piece: each distinct text once, and numbers as numbers where there are many."""

    def __init__(self, task: Task | None, path: Path) -> None:
        self.task, self.path = task, path
        self._codes: dict[str, int] = {}
        self._parts: list[HostArray] = []
        self._numbers: list[HostArray] | None = None
        self._place: Callable[[int], str] = lambda i: str(path)

    def add(self, labels: Any, place: Callable[[int], str]) -> None:
        if not self._parts:
            self._place = place
        texts = labels if isinstance(labels, list) else [str(value) for value in labels.tolist()]
        if self._numbers is None:
            known = self._codes
            self._parts.append(np.asarray([known.setdefault(text, len(known)) for text in texts], np.int32))
            if len(known) > _NAMES:
                self._numbers = [self._value(known)[part] for part in self._parts]
        else:
            self._numbers.append(self._value(texts))

    def encoded(self) -> tuple[HostArray, tuple[str, ...]]:
        """Return targets and the names of the classes, as a table in memory has them."""
        if self._numbers is not None:
            y, _, classes = encode(np.concatenate(self._numbers), None, task=self.task, where=self._where)
            return y, classes
        codes, names = np.concatenate(self._parts), list(self._codes)
        try:
            values = np.asarray([float(name) for name in names])
        except ValueError:
            # Each name once: what they are encoded to is where each of them goes.
            place, _, classes = encode(names, None, task=self.task, where=self._where)
            return place[codes], classes
        y, _, classes = encode(values[codes], None, task=self.task, where=self._where)
        return y, classes

    def _value(self, texts: Any) -> HostArray:
        try:
            return np.asarray([float(text) for text in texts])
        except ValueError:
            message = f"{self.path}: expected at most {_NAMES} labels of text, got more; name another target"
            raise DataError(message) from None

    def _where(self, i: int) -> str:
        return f"{self.path}, row {i}"


@contextlib.contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """Yield a new folder that takes the name `folder` when the block ends well, and is removed when it does not."""
    stem = f".{folder.name[:48]}."
    try:
        for left in folder.parent.glob(f"{stem}{'[0-9a-f]' * 16}.part"):
            if time.time() - max(p.stat().st_mtime for p in (left, *left.iterdir())) > _DEAD:  # it was killed
                shutil.rmtree(left, ignore_errors=True)
        place = folder.parent / f"{stem}{secrets.token_hex(8)}.part"
        place.mkdir(parents=True)
    except OSError as error:
        message = f"{folder}: cannot be made ({error.strerror}); name a folder that can be written to by --out"
        raise DataError(message) from None
    try:
        yield place
        os.rename(place, folder)
    except OSError as error:
        message = f"{folder}: cannot be written ({error.strerror or error}); make room, or name another place by --out"
        raise DataError(message) from None
    finally:
        if place.exists():
            shutil.rmtree(place, ignore_errors=True)
