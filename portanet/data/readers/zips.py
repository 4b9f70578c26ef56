"""Opening zips that others made: what may be hostile in one is looked at before anything of it is read."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from portanet.data.files import Capacity, regular, reworded
from portanet.errors import DataError

_DIRECTORY = 8 << 20
"""Bytes of the largest list of members: some 80,000 of them. Python makes an object of each at once."""


class _Bounded(io.FileIO):
    """A file of which nothing that is longer than a list of members may be read at once."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _DIRECTORY:
            message = f"{self.name!s}: refused: the list of its members is longer than {_DIRECTORY >> 20} MiB; "
            raise DataError(message + "unpack it yourself, if you trust it, and give the folder")
        return super().read(-1 if size is None else size) or b""


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip whose members are all harmless by what its list says of them. Nothing is ever unpacked to the disk.

    Raises
    ------
    DataError
        If it is damaged, or a member is encrypted, of a rare compression, a link, lies outside of the archive or over
        another one, or there are too many.
    """
    regular(path)
    with reworded(path), _Bounded(path) as file, zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
        for info in infos:
            _check(info, path)
        packed, size = sum(info.compress_size for info in infos), path.stat().st_size
        if packed > size:
            found = f"{packed} bytes in a file of {size}"
            message = f"{path}: refused: its members overlap, as those of a decompression bomb do: they take {found}; "
            raise DataError(message + "create the zip again")
        yield archive


@contextmanager
def member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, place: str) -> Iterator[tuple[IO[bytes], Capacity]]:
    """Open a member, and yield its stream with what the stream can hold at most, as `opened` does with a file."""
    stored = info.compress_type == zipfile.ZIP_STORED
    with reworded(place), archive.open(info) as stream:
        yield stream, Capacity(info.file_size) if stored else Capacity.of_packed(info.compress_size)


def _check(info: zipfile.ZipInfo, path: Path) -> None:
    name, kind = PurePosixPath(info.filename.replace("\\", "/")), info.compress_type
    if not info.filename:
        message = f"{path}: refused: it has a member without a name; create the zip again"
        raise DataError(message)
    why = ""
    if name.is_absolute() or ".." in name.parts or ":" in "".join(name.parts[:1]):
        why = "refused: this member points out of the archive; create the zip again"
    elif stat.S_ISLNK(info.external_attr >> 16):
        why = "refused: this member is a link; create the zip again, with the files themselves"
    elif info.flag_bits & 1:
        why = "expected a plain zip, got an encrypted one; unpack it with its password and give the folder"
    elif kind not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        why = f"expected a stored or deflated member, got the compression {kind}; zip it again"
    if why:
        message = f"{path}, {str(name)[:100]}: {why}"
        raise DataError(message)
