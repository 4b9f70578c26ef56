"""Opening files that others wrote: gzip told by its first bytes, bounded reads, and every error in words."""

from __future__ import annotations

import gzip
import importlib
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from portanet.errors import DataError, PortanetError

__all__ = ["LARGEST", "check_member", "exactly", "head", "opened", "read", "require", "reworded", "shown", "take"]

LARGEST = 4 << 30
"""Bytes that a file may hold whose size is not told beforehand (4 GiB): a small file can unpack to anything."""

_DEFLATE_RATIO = 1032  # the most that deflate packs, so that a gzip file bounds what may come out of it
_CHUNK = 1 << 20


def shown(value: str) -> str:
    """Return a value as an error message quotes it: as a Python string, cut where it is long."""
    return repr(value if len(value) <= 40 else value[:37] + "...")


def require(module: str, extra: str, purpose: str) -> Any:
    """Import a module of an optional dependency; where it is missing, name the command that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        message = f'{purpose} needs {package}, which is not installed; install it: pip install "portanet[{extra}]"'
        raise DataError(message) from error


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


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """Open a file, plain or gzip, and yield its stream with the number of bytes that the stream can hold at most."""
    with reworded(path), path.open("rb") as raw:
        size = os.fstat(raw.fileno()).st_size
        if raw.read(2) == b"\x1f\x8b":
            raw.seek(0)
            with gzip.GzipFile(fileobj=raw) as stream:
                yield stream, size * _DEFLATE_RATIO  # type: ignore[misc]  # a GzipFile is no IO[bytes] to typeshed
        else:
            raw.seek(0)
            yield raw, size


def take(stream: IO[bytes], limit: int, place: object) -> bytearray:
    """Read up to `limit` bytes, chunk by chunk: memory grows with what comes and not with what was claimed."""
    data = bytearray()
    while len(data) < limit:
        try:
            # read1 hands over what is there; read would drop the last part of a file that breaks off.
            chunk = stream.read1(min(_CHUNK, limit - len(data)))  # type: ignore[attr-defined]
        except EOFError as error:
            message = (
                f"{place}: the compressed data end early, after {len(data)} bytes; copy or download the file again"
            )
            raise DataError(message) from error
        if not chunk:
            break
        data += chunk
    return data


def exactly(stream: IO[bytes], expected: int, capacity: int, place: object) -> bytearray:
    """Read the `expected` bytes that a header announced, having checked that the file can hold them, and no more.

    Raises
    ------
    DataError
        If the file holds fewer or more; the message says how many were expected and how many came.
    """
    if expected > capacity:  # before anything is allocated
        message = (
            f"{place}: expected {expected} bytes of data, as its header says, but the file cannot hold more than "
            f"{capacity}; it is truncated or damaged: copy or download it again"
        )
        raise DataError(message)
    data = take(stream, expected + 1, f"{place} ({expected} bytes of data expected)")
    if len(data) != expected:
        came = "more" if len(data) > expected else len(data)
        message = (
            f"{place}: expected {expected} bytes of data, as its header says, got {came}; copy or download it again"
        )
        raise DataError(message)
    return data


def check_member(info: zipfile.ZipInfo, place: str) -> None:
    """Refuse a member of a zip that Python cannot read everywhere: an encrypted one, or of a rare compression."""
    if info.flag_bits & 1:
        message = (
            f"{place}: expected a plain zip, got an encrypted one; unpack it with its password and give the folder"
        )
        raise DataError(message)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        message = (
            f"{place}: expected a stored or deflated member, got the compression {info.compress_type}; zip it anew"
        )
        raise DataError(message)


def read(path: Path) -> bytearray:
    """Return all that a file holds, unpacked where it is gzip, up to `LARGEST` bytes."""
    with opened(path) as (stream, _):
        data = take(stream, LARGEST + 1, path)
    if len(data) > LARGEST:
        message = f"{path}: expected at most {LARGEST >> 30} GiB of text, more came; save the data as .npy"
        raise DataError(message)
    return data


def head(path: Path, size: int = 4096) -> bytes:
    """Return the first bytes of a file, unpacked where it is gzip: they tell its form."""
    with opened(path) as (stream, _):
        return bytes(take(stream, size, path))
