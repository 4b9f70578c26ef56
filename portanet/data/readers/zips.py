"""Opening zips that others made: what may be hostile in one is looked at before anything of it is read."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from portanet.data.files import Capacity, regular, reworded
from portanet.errors import DataError

__all__ = ["capacity", "open_zip"]

_DIRECTORY = 8 << 20
"""Bytes of the largest list of members: some 80,000 of them. Python makes an object of each at once."""


class _Bounded(io.FileIO):
    """A file of which nothing that is longer than a list of members may be read at once."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _DIRECTORY:
            message = (
                f"{self.name!s}: refused: the list of its members is longer than {_DIRECTORY >> 20} MiB; "
                "unpack it yourself, if you trust it, and give the folder"
            )
            raise DataError(message)
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
            message = (
                f"{path}: refused: its members overlap, as those of a decompression bomb do: they take {packed} bytes "
                f"in a file of {size}; make the zip anew"
            )
            raise DataError(message)
        yield archive


def capacity(info: zipfile.ZipInfo) -> Capacity:
    """Return how much may come out of a member."""
    if info.compress_type == zipfile.ZIP_STORED:
        return Capacity(info.file_size)
    return Capacity.of_packed(info.compress_size)


def _check(info: zipfile.ZipInfo, path: Path) -> None:
    if not info.filename:
        message = f"{path}: refused: it has a member without a name; make the zip anew"
        raise DataError(message)
    name = PurePosixPath(info.filename.replace("\\", "/"))
    place = f"{path}, {str(name)[:100]}"
    if name.is_absolute() or ".." in name.parts or ":" in "".join(name.parts[:1]):
        message = f"{place}: refused: this member points out of the archive; make the zip anew"
        raise DataError(message)
    if stat.S_ISLNK(info.external_attr >> 16):
        message = f"{place}: refused: this member is a link; make the zip anew, with the files themselves"
        raise DataError(message)
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
