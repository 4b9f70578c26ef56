"""A table of text, written once as .npy: read and parsed a piece at a time, so that it need not fit into memory."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from portanet.data.dataset import Dataset, HostArray
from portanet.data.files import opened, reworded, take
from portanet.data.readers.about import ABOUT, about, is_of, source_of
from portanet.data.readers.arrays import read_npy
from portanet.data.readers.labels import LabelPieces, Task
from portanet.data.readers.reader import Reader
from portanet.data.readers.reading import Reading
from portanet.data.readers.table import fits_bytes, looks_like_pixels, read_table, recognises_folder, target_column
from portanet.data.readers.table_form import LINE, Form, refuse_line, sniff
from portanet.data.readers.table_parse import CellError, parse
from portanet.data.readers.targets import named_targets
from portanet.errors import ConfigError, DataError

logger = logging.getLogger("portanet")

PIECE = 16 << 20
"""Bytes of text that are parsed at once; as numbers they take up to four times as much."""

_SAMPLE = 2 << 20  # bytes that show the table's form
_DEAD = 3600  # seconds without a piece written, after which a conversion is taken for one that was killed
_PACE = 30.0  # seconds between two lines of progress


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
        A file as :func:`~portanet.data.readers.table.read_table` takes it, but not in UTF-16.
    folder : Path
        It appears under its name when it is complete.
    target, task
        As in :func:`portanet.data.load`.
    progress : callable
        Called after each piece with the number of bytes of the file that are done.

    Returns
    -------
    Path
        The folder. Samples are bytes if all are whole numbers from 0 to 255, else float64.

    Raises
    ------
    DataError
        As ``read_table``; if the folder exists already or cannot be written, or there are more than 100,000 labels of
        text.
    """
    if folder.exists():
        message = f"{folder}: it is there already, and data are not written over; name another folder, or remove it"
        raise DataError(message)
    with _whole(folder) as place:
        labels, source = LabelPieces(path), source_of(path, target, task)
        with (place / "X.npy").open("w+b") as file:
            writer = _Writer(file)
            for form, column, piece, done in _pieces(path, target):
                found = parse(piece, form, column, path)
                writer.add(found.x)
                labels.add(found.labels)
                progress(done)
            scale = writer.finish()
        y, classes = labels.encoded(task)
        np.save(place / "y.npy", y)
        words = {"classes": classes, "features": form.names(column), "scale": scale, "source": source}
        (place / ABOUT).write_text(json.dumps(words, ensure_ascii=False, indent=1), encoding="utf-8")
    return folder


def folder_beside(path: Path) -> Path:
    """Return the folder that a table is converted into if none is named: ``big-npy`` for ``big.csv.gz``."""
    return path.with_name(path.name.partition(".")[0] + "-npy")


def converted(path: Path, target: str | int | None, task: Task | None) -> Dataset:
    """Return a table whose samples stay on disk: it is converted next to itself, unless it was before.

    Raises
    ------
    DataError
        As :func:`convert_table`; or if the folder holds the arrays of another table.
    """
    if path.is_dir():
        message = f"{path}: a folder of tables is not read from disk; give the training table itself"
        raise DataError(message)
    folder = folder_beside(path)
    found = about(folder) if folder.is_dir() else None
    if found is not None and is_of(found, path, target, task):
        logger.info("%s: it was converted before, into %s", path, folder)
    elif folder.exists():
        message = (
            f"{folder}: it holds something else than {path} as it is now, with this target; remove it, or convert the "
            f"table into another folder, and train on that: portanet convert {path} --out DIR"
        )
        raise DataError(message)
    else:
        logger.info("%s: converting it once into %s", path, folder)
        convert_table(path, folder, target=target, task=task, progress=Lines(path))
    return dataclasses.replace(read_npy(folder, stream=True), name=str(path))


class Lines:
    """Logs every half minute how far a conversion is."""

    def __init__(self, path: Path) -> None:
        self.path, self.size, self._logged = path, path.stat().st_size, time.monotonic()

    def __call__(self, done: int) -> None:
        if time.monotonic() - self._logged >= _PACE:
            self._logged = time.monotonic()
            share = f", {100 * done / self.size:.0f} %" if self.path.suffix != ".gz" else ""
            logger.info("%s: %.1f GB converted%s", self.path, done / 1e9, share)


def _pieces(path: Path, target: str | int | None) -> Iterator[tuple[Form, int, bytearray, int]]:
    """Yield the table's form, the target's column, a piece of whole rows, and how many bytes of the file are done."""
    with opened(path) as (stream, room), reworded(path):
        data = take(stream, _SAMPLE, path)
        while data.count(b"\n") < 2 and len(data) < 2 * LINE and (more := take(stream, _SAMPLE, path)):
            data += more  # a long header
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            message = f"{path}: a table in UTF-16 is converted whole or not at all; save it as UTF-8"
            raise DataError(message)
        form, sample = sniff(data, path)
        if named_targets(target, form.header, path):
            message = f"{path}: several targets are for tables that are read into memory; add --no-stream"
            raise ConfigError(message)
        column = target_column(form, sample, target, path)
        line, read = form.first_line, form.start
        del data[: form.start]
        more = bytearray(1)
        while more:
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
                own = dataclasses.replace(form, start=0, first_line=line, above=line - 1)
                yield own, column, piece, min(read, room.bytes)
                line += piece.count(b"\n")


def _end(data: bytearray) -> int:
    """Return where the last complete row ends: after a newline with as many quotes before it as close."""
    end = data.rfind(b"\n") + 1
    quotes = data.count(b'"', 0, end)
    # Within a cell in quotes: the row before begins where the number of quotes was last even. Each byte is seen once.
    while end > 0 and quotes % 2:
        before = data.rfind(b"\n", 0, data.rfind(b'"', 0, end)) + 1
        quotes -= data.count(b'"', before, end)
        end = before
    return end


class _Writer:
    """Appends samples to a .npy file: bytes until one does not fit into them, and from then on all in float64."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.rows, self.features, self.begin = file, 0, 0, 0
        self.dtype: Any = np.dtype(np.uint8)
        self._pixels = False

    def add(self, x: HostArray) -> None:
        if not self.rows:
            self.features = x.shape[1]
            self._header()
        if self.dtype == np.uint8 and not fits_bytes(x):
            self._widen()
        self._pixels = self._pixels or (self.dtype == np.uint8 and looks_like_pixels(x))
        self.file.write(np.ascontiguousarray(x, self.dtype).data)
        self.rows += len(x)

    def finish(self) -> float | None:
        """Write the number of rows into the header; return the scale of pixels."""
        self._header()
        self.file.flush()
        os.fsync(self.file.fileno())
        return 255.0 if self.dtype == np.uint8 and self._pixels else None

    def _header(self) -> None:
        """Write the header, whose length does not depend on the number of rows: NumPy leaves room for it."""
        about = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.rows, self.features)}
        self.file.seek(0)
        np.lib.format.write_array_header_1_0(self.file, about)
        self.begin = self.file.tell()
        self.file.seek(0, os.SEEK_END)

    def _widen(self) -> None:
        """Turn the bytes that were written into float64, from the end on, in place."""
        self.dtype = np.dtype(np.float64)
        step = max(PIECE // (8 * self.features), 1)
        for start in reversed(range(0, self.rows, step)):
            self.file.seek(self.begin + start * self.features)
            values = np.frombuffer(self.file.read(min(step, self.rows - start) * self.features), np.uint8)
            self.file.seek(self.begin + 8 * start * self.features)
            self.file.write(values.astype(np.float64).data)
        self._header()


@contextlib.contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """Yield a new folder that takes the name `folder` when the block ends well, and is removed when it does not."""
    stem = f".{folder.name[:48]}."
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left in folder.parent.glob(f"{stem}*.part"):
            if time.time() - max(p.stat().st_mtime for p in (left, *left.rglob("*"))) > _DEAD:  # it was killed
                shutil.rmtree(left, ignore_errors=True)
        temporary = tempfile.TemporaryDirectory(".part", stem, folder.parent, ignore_cleanup_errors=True)
        place = Path(temporary.name) / "whole"  # with the usual rights: the other one is closed to others
        place.mkdir()
    except OSError as error:
        message = f"{folder}: cannot be made ({error.strerror}); name a folder that can be written to by --out"
        raise DataError(message) from None
    with temporary:
        try:
            yield place
            os.rename(place, folder)
        except OSError as error:
            why = error.strerror or error
            message = f"{folder}: cannot be written ({why}); make room, or name another place by --out"
            raise DataError(message) from None


def _size(path: Path) -> int:
    tables = [path] if path.is_file() else list(path.iterdir())
    return 4 * sum(file.stat().st_size for file in tables)  # the text itself, and the numbers


def _read(path: Path, target: str | int | None, task: Task | None, stream: bool, reading: Reading) -> Dataset:
    if not stream:
        return read_table(path, target, task, reading)
    if reading.said():
        message = f"{path}: {', '.join(f'--{own}' for own in reading.said())}: not for tables that are read from disk"
        raise ConfigError(message)
    try:
        return converted(path, target, task)
    except CellError as error:
        message = f"{error}; a table that is read from disk may hold numbers alone: --no-stream reads it into memory"
        raise DataError(message) from None


def _is_text(path: Path, start: bytes) -> bool:
    """Return whether a file begins like text and like none of the other formats."""
    if start.startswith((b"PK", b"PAR1", b"\x93NUMPY")):
        return False
    return b"\0" not in start or start.startswith((b"\xff\xfe", b"\xfe\xff"))


READERS = (
    Reader(
        *(1, "CSV or TSV (also .gz)", _read),
        is_file=_is_text,
        is_folder=recognises_folder,
        in_memory=_size,
        takes=("target", "task", "reading"),
    ),
)
