"""Weights in a safetensors file, from any source: what its header claims is checked before any array is made."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from portanet import backends
from portanet.errors import DataError
from portanet.files.plain import parsed
from portanet.files.regular import opened as opened_regular
from portanet.typing import Params, Shape

FORMAT = 1

_HEADER = 16 << 20
"""Bytes of the largest header: a network of a thousand layers has some 200 kB. A larger one is parsed into hundreds of
times its size in memory."""

_DTYPES = ("F32", "F64")
_PICKLES = (b"PK\x03\x04", b"\x80\x02\x8a\x0a")  # how files of torch.save begin, since torch 1.6 and before


class WeightsFile:
    """A file that is open: `about` is the description of the network, `shapes` those of all arrays."""

    def __init__(self, path: object, file: Any, about: dict[str, Any], shapes: dict[str, Shape]) -> None:
        self.path, self.about, self.shapes = path, about, shapes
        self._file = file

    def arrays(self, names: Iterable[str] | None = None) -> Params:
        """Read these arrays, or all (host arrays). Raises DataError if one holds numbers that are not finite."""
        xp = backends.get("numpy").xp
        found = {}
        for name in self.shapes if names is None else names:
            found[name] = array = self._file.get_tensor(name)
            if not xp.all(xp.isfinite(array)):
                message = (
                    f"{self.path}: array {name!r}: expected finite numbers, got inf or nan; "
                    "the file is damaged, or was saved after a training that diverged: retrain"
                )
                raise DataError(message)
        return found


@contextlib.contextmanager
def opened(path: str | os.PathLike[str], header: int = _HEADER) -> Iterator[WeightsFile]:
    """Open a file of :func:`portanet.files.description.save`; only its header is read, of at most so many bytes.

    Raises
    ------
    DataError
        If there is no regular file, its header is too long or damaged, its arrays are no floats, overlap or go beyond
        the file, or it is another program's or of another format.
    """
    from safetensors import SafetensorError, safe_open

    _check_size(path, header)
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(safe_open(path, framework="numpy"))
            text = (file.metadata() or {}).get("portanet")
            parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  # no dict
            about = None if text is None else parsed(text)
        except (SafetensorError, OSError, ValueError, TypeError, RecursionError) as error:
            raise _damaged(path, error) from None
        if text is None:
            message = f"{path}: expected a file written by portanet, got a safetensors file of another program's; "
            raise DataError(message + "give one of trainer.save()")
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            got = about.get("format") if isinstance(about, dict) else about
            message = f"{path}: expected format {FORMAT}, got {got!r:.60}; "
            raise DataError(message + "load it with the version of portanet that wrote it")
        known = (*_DTYPES, "U8") if "training" in about else _DTYPES  # a checkpoint holds the text of its history
        for name, part in parts.items():
            if part.get_dtype() not in known:
                message = f"{path}: array {name!r}: expected float32 or float64, got {part.get_dtype()}; "
                raise DataError(message + "save it with portanet")
        yield WeightsFile(path, file, about, {name: tuple(part.get_shape()) for name, part in parts.items()})


def foreign_header(path: str | os.PathLike[str]) -> tuple[dict[str, str], dict[str, tuple[str, Shape]]]:
    """Return the metadata, and dtype and shape of each array, of a safetensors file of any program.

    Raise DataError if it is damaged or no such file.
    """
    with _foreign(path) as file:
        parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  # no dict
        shapes = {name: (str(part.get_dtype()), tuple(part.get_shape())) for name, part in parts.items()}
        return dict(file.metadata() or {}), shapes


def foreign_arrays(path: str | os.PathLike[str]) -> Params:
    """Return the arrays (host arrays) in a safetensors file of any program; raise as :func:`foreign_header`."""
    with _foreign(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no dict


@contextlib.contextmanager
def _foreign(path: str | os.PathLike[str]) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    if _check_size(path, _HEADER, _PICKLES) in _PICKLES:
        message = (
            f"{path}: refused: it is a pickle, as torch.save writes it, which can run code; in torch, save the "
            "weights by safetensors.torch.save_file(net.state_dict(), path)"
        )
        raise DataError(message)
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        message = (
            f"{path}: expected a safetensors file of float32 or float64, got one that is damaged or another ({error})"
        )
        raise DataError(message) from None


def _check_size(path: str | os.PathLike[str], header: int, others: Sequence[bytes] = ()) -> bytes:
    """Refuse what is no regular file (a device never ends, a pipe never begins), and a header that is too long.

    Return the first four bytes, which are looked at no further if they are among `others`.
    """
    place = Path(path)
    try:
        if not place.is_file():
            kind = "a folder" if place.is_dir() else "no regular file" if place.exists() else "nothing"
            message = f"{path}: expected a file written by portanet, found {kind} there"
            raise DataError(message)
        with opened_regular(path) as file:
            start, size = file.read(8), os.fstat(file.fileno()).st_size
    except OSError as error:
        message = f"{path}: it cannot be read ({error.strerror or error}); check its rights"
        raise DataError(message) from None
    length = int.from_bytes(start, "little")
    if start[:4] not in others and length > min(size - 8, header):
        bound = "in a file of" if length > size - 8 else "where at most"
        raise _damaged(path, f"its first bytes announce a header of {length} bytes, {bound} {min(size, header)}")
    return start[:4]


def _damaged(path: object, why: object) -> DataError:
    message = f"{path}: expected a safetensors file written by portanet, got one that is damaged or another ({why}); "
    return DataError(message + "copy the file again")
