"""The errors that portanet raises, each with the exit code of the command line.

Every message names the place, what was expected, what came, and the fix.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from typing import Any

from portanet.names import escaped, listed

__all__ = [
    "BackendError",
    "CheckError",
    "ConfigError",
    "DataError",
    "DivergedError",
    "ModelFileError",
    "OutOfMemoryError",
    "PortanetError",
    "ShapeError",
]


class PortanetError(Exception):
    """Base of all of portanet's errors.

    As text it is one line: control characters, as in a name that a file holds, are written out.
    """

    exit_code = 1

    def __str__(self) -> str:
        return escaped(super().__str__())


class ConfigError(PortanetError, ValueError):
    """An invalid network, option or configuration (exit code 2).

    Attributes
    ----------
    missing : tuple of str
        Names that are not known, and that custom classes may have.
    """

    exit_code = 2

    def __init__(self, *args: object, missing: tuple[str, ...] = ()) -> None:
        super().__init__(*args)
        self.missing = missing


class DataError(PortanetError, ValueError):
    """Data or a model that is missing, unreadable or of the wrong form (exit code 3)."""

    exit_code = 3


class ShapeError(DataError):
    """An array whose shape does not fit the layer or loss that it came to (exit code 3)."""


class ModelFileError(DataError, ConfigError):
    """A model's file that describes what is not known here, or cannot be (exit code 3)."""


class MissingPackageError(ConfigError, DataError, ImportError):
    """A package of an extra that is not installed (exit code 2; 3 if data cannot be read without it)."""


class BackendError(PortanetError, RuntimeError):
    """A backend that was asked for by name and cannot be used, or that broke while it ran (exit code 4)."""

    exit_code = 4


class DivergedError(PortanetError, ArithmeticError):
    """Training whose loss is no longer finite (exit code 5)."""

    exit_code = 5


class OutOfMemoryError(PortanetError, MemoryError):
    """The host's or the device's memory is exhausted (exit code 6)."""

    exit_code = 6


class CheckError(PortanetError, AssertionError):
    """A gradient check, an agreement or a benchmark beyond its tolerance (exit code 7); a line for each."""

    exit_code = 7

    def __str__(self) -> str:
        return "\n".join(map(escaped, AssertionError.__str__(self).split("\n")))


def need(module: str, extra: str, what: str, *, exit_code: int = 2) -> Any:
    """Import and return a module of an optional dependency, which `what` needs.

    Raises
    ------
    MissingPackageError
        If it cannot be imported; with the command that installs it.
    """
    try:
        found = importlib.import_module(module)
        if getattr(found, "__file__", "") is None:  # a namespace package
            message = f"{next(iter(found.__path__))} is a folder without code"
            raise ImportError(message)
        return found
    except ImportError as error:
        package = module.partition(".")[0]
        message = f"{what} needs {package}, which is not installed or is broken ({error}); {install(extra)}"
        missing = MissingPackageError(message)
        missing.exit_code = exit_code
        raise missing from error


def install(extra: str) -> str:
    """Return how an extra is installed, as the end of a message.

    "portanet" is named to pip only where pip knows this installation: from an index it might get a stranger's package.
    """
    from importlib import metadata  # takes 10 ms

    try:
        metadata.version("portanet")
    except metadata.PackageNotFoundError:
        return f"install it: pip install -e '.[{extra}]' in the folder of portanet's source"
    return f'install it: pip install "portanet[{extra}]"'


class Gathered:
    """Collects the ConfigErrors of several blocks, each a ``with`` of it, to raise all of them as one.

    A name is reported once, and what is known once. A file from a stranger may hold any number of mistakes: beyond a
    few lines of them, or a thousand, those that were found are raised.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.missing: dict[str, None] = {}
        self._count = self._length = 0

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, traceback: object) -> bool:
        if not isinstance(error, ConfigError):
            return False
        self._count += 1
        if not error.missing or not self.missing.keys() >= set(error.missing):
            head, mark, known = str(error).partition(_KNOWN)
            self.texts.append(head if any(text.endswith(known) for text in self.texts) else head + mark + known)
            self.missing.update(dict.fromkeys(error.missing))
            self._length += len(head)
        if self._count > 1000 or self._length > 1000:
            self.check()
        return True

    def check(self) -> None:
        """Raise what was collected, if anything was."""
        if self.texts:
            raise ConfigError("; ".join(self.texts), missing=tuple(self.missing))


_KNOWN = " (known: "
_MOST = 100  # names that a message lists: there are some 60 layers, and a table may have any number of columns


def unknown(kind: str, name: object, known: Iterable[str], near: str = "") -> str:
    """Return the message for an unknown name: what was asked for, the nearest known name, and all of them.

    `near` is suggested if it is given, else what is most alike, in capitals or not.
    """
    names = sorted(known)
    folded = {other.casefold(): other for other in names}
    alike = [near] if near else difflib.get_close_matches(str(name)[:60].casefold(), folded, n=1, cutoff=0.5)
    hint = f"; did you mean {folded.get(alike[0], alike[0])!r}?" if alike else ""
    return f"unknown {kind} {name!r:.60}{hint}{_KNOWN}{listed(names, _MOST)})"
