"""How a table of text is read, where the user says it."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, fields
from typing import Any

from portanet.errors import ConfigError

_NAMED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "space": " ", "pipe": "|"}


@dataclass(frozen=True)
class Reading:
    """What the user says about a table of text; None is found out from the file.

    Attributes
    ----------
    header : bool or None
        Whether the first row names the columns.
    delimiter : str or None
        What stands between two cells: one character, or ``"tab"`` or ``"space"``.
    decimal : {".", ","} or None
        The decimal separator; the other one may separate thousands.
    encoding : str or None
        As Python names it.
    comment : str or None
        What a line that is skipped begins with.
    names : tuple of str
        Of columns that the header names, if it is known: a first row that holds most of them is one.
    """

    header: bool | None = None
    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    comment: str | None = None
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.delimiter is not None:
            object.__setattr__(self, "delimiter", _NAMED.get(self.delimiter, self.delimiter))
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\n\r'):
            message = f"--delimiter: expected one character, tab or space, got {self.delimiter!r}"
            raise ConfigError(message)
        if self.decimal not in (None, ".", ","):
            message = f"--decimal: expected a point or a comma, got {self.decimal!r}"
            raise ConfigError(message)
        if self.comment == "":
            message = "--comment: expected what a line to be skipped begins with, got nothing"
            raise ConfigError(message)
        try:
            codecs.lookup(self.encoding or "utf-8")
        except LookupError:
            message = f"--encoding: expected an encoding such as utf-8, latin-1 or cp1252, got {self.encoding!r}"
            raise ConfigError(message) from None

    def said(self) -> dict[str, Any]:
        """Return what the user said, as plain values."""
        return {f.name: own for f in fields(self) if (own := getattr(self, f.name)) not in (None, ())}
