"""Opening files that others wrote: gzip recognised by its first bytes, bounded reads, and every error in words."""

from __future__ import annotations

import gzip
import math
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, NoReturn

from portanet.errors import DataError, PortanetError

_FREE = 16 << 20
"""Bytes that any packed file may unpack to."""

_FREE_TEXT = 4 << 20
"""The same for text, of which a reader makes some ten times as much."""

_RATIO = 200
"""How many times its size a larger one may unpack to. Deflate packs zeros 1032 times; MNIST, CSV and the like 5 to
50."""

_ROW = 30
"""Bytes of memory that a sample with its label takes at least, however few it has in its file."""

_CHUNK = 1 << 20


class Capacity(NamedTuple):
    """How many bytes a file can hold: its size, or, if it is packed, what is plausible for it."""

    bytes: int
    packed: bool = False

    @classmethod
    def of_packed(cls, size: int) -> Capacity:
        """Return what a packed file of that size may hold."""
        return cls(max(_FREE, _RATIO * size), packed=True)

    def check_rows(self, shape: tuple[int, ...], itemsize: int, place: object) -> None:
        """Refuse more samples, or labels, than are plausible for a packed file: each takes memory beyond its bytes."""
        rows = shape[0] if shape else 0
        need = rows * max(math.prod(shape[1:]) * itemsize, _ROW)
        if self.packed and need > self.bytes:
            self.refuse(place, f"its header announces {rows} rows, which take {need} bytes")

    def refuse(self, place: object, came: str) -> NoReturn:
        """Raise the error that `came` is more than this."""
        message = f"{place}: refused: {came}, more than {_RATIO} times what is packed, as in a decompression bomb; "
        raise DataError(message + "unpack it yourself, if you trust it, and give what comes out")


def shown(value: str) -> str:
    """Return a value as an error message quotes it: as a Python string, cut if it is long."""
    return repr(value if len(value) <= 40 else value[:37] + "...")


def _words(error: Exception) -> str:
    """Say what an error of Python's file modules means to the owner of the file."""
    match error:
        case FileNotFoundError():
            return "no such file or folder; check the path"
        case PermissionError():
            return "permission denied; make it readable (chmod +r) or run as its owner"
        case IsADirectoryError():
            return "expected a file, got a folder"
        case EOFError():
            return "the compressed data end early; copy or download the file again"
        case UnicodeDecodeError():
            return f"expected text in UTF-8, got the byte 0x{error.object[error.start]:02x}; save the file as UTF-8"
        case zlib.error() | gzip.BadGzipFile() | zipfile.BadZipFile():
            return f"the compressed data are damaged ({error}); copy or download the file again"
        case OSError():
            return f"it cannot be read ({error.strerror or error})"
        case _:
            return f"it is not of the form that its beginning promises ({error})"


@contextmanager
def reworded(place: object) -> Iterator[None]:
    """Turn what Python raises on a missing, damaged or unreadable file into a `DataError` with its place."""
    try:
        yield
    except PortanetError:
        raise
    except (OSError, EOFError, ValueError, OverflowError, NotImplementedError, zlib.error, zipfile.BadZipFile) as error:
        message = f"{place}: {_words(error)}"
        raise DataError(message) from error


def regular(path: Path) -> None:
    """Refuse what exists and is not a file: a device never ends, and a pipe may never begin."""
    with reworded(path):
        mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        message = f"{path}: expected a file or a folder, got a device or a pipe; write its content to a file first"
        raise DataError(message)


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], Capacity]]:
    """Open a file, plain or gzip, and yield its stream with what the stream can hold at most."""
    regular(path)
    with reworded(path), path.open("rb") as raw:
        size, packed = os.fstat(raw.fileno()).st_size, raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if packed:
            with gzip.GzipFile(fileobj=raw) as stream:
                yield stream, Capacity.of_packed(size)  # type: ignore[misc]  # a GzipFile is no IO[bytes] to typeshed
        else:
            yield raw, Capacity(size)


def take(stream: IO[bytes], limit: int, place: object) -> bytearray:
    """Read up to `limit` bytes, chunk by chunk: memory grows with what comes and not with what was claimed."""
    data = bytearray()
    while len(data) < limit:
        try:
            # read1 hands over what is there; read would drop the last part of a file that breaks off.
            chunk = stream.read1(min(_CHUNK, limit - len(data)))  # type: ignore[attr-defined]
        except EOFError as error:
            message = f"{place}: the compressed data end early, after {len(data)} bytes; "
            raise DataError(message + "copy or download the file again") from error
        if not chunk:
            break
        data += chunk
    return data


def exactly(stream: IO[bytes], expected: int, capacity: Capacity, place: object) -> bytearray:
    """Read the `expected` bytes that a header announced; raise DataError if the file cannot, or does not, hold them."""
    message = f"{place}: expected {expected} bytes of data, as its header says, "
    if expected > capacity.bytes:  # before anything is allocated
        if capacity.packed:
            capacity.refuse(place, f"its header announces {expected} bytes of data")
        message += f"but the file cannot hold more than {capacity.bytes}; it is truncated or damaged: "
        raise DataError(message + "copy or download it again")
    data = take(stream, expected + 1, f"{place} ({expected} bytes of data expected)")
    if len(data) != expected:
        came = "more" if len(data) > expected else len(data)
        raise DataError(message + f"got {came}; copy or download it again")
    return data


def read(path: Path) -> bytearray:
    """Return the text that a file holds, unpacked if it is gzip; raise DataError if that is implausibly much."""
    with opened(path) as (stream, capacity):
        if capacity.packed:
            capacity = Capacity(max(_FREE_TEXT, _RATIO * path.stat().st_size), packed=True)
        data = take(stream, capacity.bytes + 1, path)
        if len(data) > capacity.bytes and capacity.packed:  # a plain file that grows meanwhile is cut where it was
            capacity.refuse(path, "more text came out of it")
    return data


def head(path: Path, size: int = 4096) -> bytes:
    """Return the first bytes of a file, unpacked if it is gzip: they show its form."""
    with opened(path) as (stream, _):
        return bytes(take(stream, size, path))
