"""Files that are complete or not there: written to a temporary file in the same folder, then renamed.

The new file has the mode of the one that it replaces and, as far as the system lets it, the owner. A link is followed:
the file that it leads to is replaced where it lies. Devices and pipes are written to as they are, and never replaced.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from portanet.errors import DataError
from portanet.files.regular import kind

_UNFINISHED = re.compile(r"\.(.*)\.[0-9a-f]{16}\.part", re.DOTALL)

_NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF, errno.EACCES, errno.EPERM, errno.ENOSYS}
"""What file systems answer that sync no folders; another error says that the new name may be lost."""


def write(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write `content` to `path`, all of it or nothing; raise DataError if the folder is missing, read-only or full."""
    with replacing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Yield a file that takes the place of `path` when the block ends well, and is removed when it does not.

    It is in the same folder: from another file system it could not be renamed. Raises as :func:`write`.
    """
    with _reworded(path):
        place, before = _target(path)
        stream = _stream(path, before)
        if stream is not None:
            with stream:
                yield stream
            return
        # Not made by tempfile, whose files are closed to others: to give them the usual rights takes the umask, which
        # can only be read by changing it, for all threads. What replaces a file is closed until it has that one's.
        temporary = place.parent / f".{_stem(place)}.{secrets.token_hex(8)}.part"
        rights = 0o666 if before is None else 0o600
        try:
            with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, rights)) as file:
                yield file
                file.flush()
                if before is not None:
                    _give(file.fileno(), before)
                os.fsync(file.fileno())
            os.replace(temporary, place)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        _sync_folder(place.parent)


def append(path: str | os.PathLike[str], text: str) -> None:
    """Append `text` to the file `path`, all of it or nothing; raise DataError if it cannot be written."""
    data = text.encode()
    with _reworded(path):
        place, before = _target(path)
        stream = _stream(path, before)
        if stream is not None:
            with stream:
                stream.write(data)
            return
        with open(place, "ab", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            try:
                while data:
                    data = data[file.write(data) or 0 :]
            except BaseException:
                file.truncate(size)  # half a line would spoil the file for every reader
                raise


def replaces(path: str | os.PathLike[str]) -> bool:
    """Return whether :func:`write` would put a new file in the place of one; raise DataError if it would refuse."""
    with _reworded(path):
        found = _target(path)[1]
        return found is not None and stat.S_ISREG(found.st_mode) and _standard(path, found) is None


def sweep(folder: str | os.PathLike[str], name: str | None = None) -> None:
    """Remove what killed writers left half done in a folder, of the file `name` or of all files.

    Nobody else may be writing there.
    """
    with contextlib.suppress(OSError):
        for path in list(Path(folder).iterdir()):
            found = _UNFINISHED.fullmatch(path.name)
            if found and (name is None or found[1] == _stem(Path(name))):
                with contextlib.suppress(OSError):
                    path.unlink()


def _target(path: str | os.PathLike[str]) -> tuple[Path, os.stat_result | None]:
    """Return the place that a new file takes, and what is there already; raise DataError if that must stay.

    Linux itself refuses to follow a link that another user has put into a folder for all, such as /tmp.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        found = None
    if found is not None and kind(found.st_mode) in ("a folder", "a socket", "a disk") and not _standard(path, found):
        message = f"{os.fspath(path)}: cannot be written (it is {kind(found.st_mode)}); name a file"
        raise DataError(message)
    return Path(os.path.realpath(path) if os.path.islink(path) else path), found


def _standard(path: str | os.PathLike[str], found: os.stat_result) -> int | None:
    """Return 1 or 2 if a link, such as /dev/stdout, leads to what this process prints to."""
    for handle in (1, 2) if os.path.islink(path) else ():
        with contextlib.suppress(OSError):  # it is closed
            if os.path.samestat(found, os.fstat(handle)):
                return handle
    return None


def _stream(path: str | os.PathLike[str], found: os.stat_result | None) -> IO[bytes] | None:
    """Open what is written to as it is: a device, a pipe, what this process prints to; None for files."""
    if found is None:
        return None
    handle = _standard(path, found)
    if handle is not None:
        (sys.stdout if handle == 1 else sys.stderr).flush()
        return open(handle, "wb", closefd=False)
    if stat.S_ISREG(found.st_mode):
        return None
    flags = os.O_WRONLY | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)  # neither made nor emptied
    return open(path, "wb", opener=lambda name, _: os.open(name, flags))


def _give(handle: int, before: os.stat_result) -> None:
    """Give a new file the owner and the mode of the one that it replaces."""
    if not hasattr(os, "fchown"):  # Windows
        return
    mode = stat.S_IMODE(before.st_mode) & 0o777
    try:
        os.fchown(handle, before.st_uid, before.st_gid)
    except OSError:  # only root may give files away
        try:
            os.fchown(handle, -1, before.st_gid)
        except OSError:
            mode = (mode & 0o707) | (mode & 0o007) << 3  # the rights of that group are not another's
    with contextlib.suppress(OSError):  # some file systems have one mode for all
        os.fchmod(handle, mode)


def _stem(path: Path) -> str:
    """Return how a file's temporary name begins: a name may have 255 bytes, and a letter four of them."""
    return path.name[:48]


@contextlib.contextmanager
def _reworded(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = getattr(error, "strerror", None) or error
        message = f"{os.fspath(path)}: cannot be written ({why}); give a folder that exists and has room"
        raise DataError(message) from None


def _sync_folder(folder: Path) -> None:
    """Let a new name in a folder outlast a power failure, if the system has a way to ask for it."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders, nor may a folder that can be written to be read
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(handle)
