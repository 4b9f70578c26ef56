"""Files that are complete or not there: written to a temporary file in the same folder, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from portanet.errors import DataError

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
    place = Path(path)
    # Not made by tempfile, whose files are closed to others: to give them the usual rights takes the umask, which can
    # only be read by changing it, for all threads.
    temporary = place.parent / f".{_stem(place)}.{secrets.token_hex(8)}.part"
    with _reworded(path):
        try:
            with open(temporary, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, place)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        _sync_folder(place.parent)


def append(path: str | os.PathLike[str], text: str) -> None:
    """Append `text` to the file `path`, all of it or nothing; raise DataError if it cannot be written."""
    with _reworded(path), open(path, "ab", buffering=0) as file:
        size, data = file.seek(0, os.SEEK_END), text.encode()
        try:
            while data:
                data = data[file.write(data) or 0 :]
        except BaseException:
            file.truncate(size)  # half a line would spoil the file for every reader
            raise


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
