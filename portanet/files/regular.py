"""Reading files that others may have made: regular ones only, opened without waiting, of a bounded size."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO

from portanet.errors import DataError

_WAITLESS = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY"))  # Windows has neither
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)

_KINDS = (
    (stat.S_ISREG, "a file"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISLNK, "a link"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a disk"),
)


def kind(mode: int) -> str:
    """Return in words what a mode of ``os.stat`` is that of."""
    return next((word for holds, word in _KINDS if holds(mode)), "a device")


def opened(path: str | os.PathLike[str], *, follow: bool = True) -> IO[bytes]:
    """Open a regular file for reading, its links followed or refused.

    Raises
    ------
    OSError
        If it cannot be opened, or is something else: a pipe may never begin, a device never end.
    """
    _check(path, (os.stat if follow else os.lstat)(path))  # before: to open a device may be to start something
    own = _WAITLESS | (0 if follow else _NOFOLLOW)
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | own))  # noqa: SIM115  # the caller's
    try:
        _check(path, os.fstat(file.fileno()))
    except BaseException:
        file.close()
        raise
    return file


def read(path: str | os.PathLike[str], most: int, *, follow: bool = True) -> bytes:
    """Return all that a regular file holds; raise OSError as :func:`opened`, or if that is more than `most` bytes."""
    with opened(path, follow=follow) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(min(size, most) + 1) if size <= most else b""  # so much is taken before it is read
    if max(size, len(content)) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most} bytes", os.fspath(path))
    return content


def own_file(folder: str | os.PathLike[str], name: str) -> Path:
    """Return the path of a file of a run, ``own_file(folder, "plots/curves.png")``, which need not be there.

    A run may come from somebody else: a link in it would lead its reader, or what is written, to any file.

    Raises
    ------
    DataError
        If it, or a folder on the way to it, is a link or another thing than it should be.
    """
    *folders, last = name.split("/")
    path = Path(folder)
    for part, expected in [*((part, "a folder") for part in folders), (last, "a file")]:
        path /= part
        try:
            found = kind(os.lstat(path).st_mode)
        except FileNotFoundError:
            found = expected
        except OSError as error:
            message = f"{path}: it cannot be read ({error.strerror or error}); check its rights"
            raise DataError(message) from None
        if found != expected:
            message = (
                f"{path}: expected {expected} of the run's own, found {found}; remove it, or put the real one there"
            )
            raise DataError(message)
    return Path(folder) / name


def _check(path: str | os.PathLike[str], found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, f"it is {kind(found.st_mode)}", os.fspath(path))
