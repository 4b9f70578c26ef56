"""What the numbers of a description (a layer, a loss, an optimizer, a schedule) must be, told by their annotations."""

from __future__ import annotations

import dataclasses
import math
import os
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from portanet.errors import ConfigError

__all__ = ["check_count", "check_fields", "check_flag", "check_number", "check_path", "check_text"]

_LARGEST = 2**31 - 1  # of a whole number: no axis of an array is longer
_NOT_NEGATIVE = ("lr", "eps", "weight_decay", "gamma", "start", "final", "min_delta")


def check_fields(thing: Any) -> None:
    """Tell the first field of a dataclass that is no number where its annotation says ``float``, ``int`` or ``bool``.

    Descriptions come from users' files too, where a number may be text, NaN or a list: told here it has a name, later
    it would be a NaN in the weights.

    Raises
    ------
    ConfigError
        With the field, what it must be, and what it is.
    """
    if not dataclasses.is_dataclass(thing):
        return
    for field in dataclasses.fields(thing):
        value = getattr(thing, field.name)
        kind, _, optional = str(field.type).partition(" | ")
        if optional not in ("", "None") or (value is None and optional):
            continue
        name = f"{type(thing).__name__}: {field.name}"
        if kind == "float":
            check_number(name, value, 0 if field.name in _NOT_NEGATIVE else None)
        elif kind == "int" and (isinstance(value, bool) or not isinstance(value, Integral) or int(value) > _LARGEST):
            message = f"{name} must be a whole number of 1 or more, and at most {_LARGEST}, got {value!r:.60}"
            raise ConfigError(message)
        elif kind == "bool":
            check_flag(name, value)
        elif kind == "str":
            check_text(name, value)


def check_number(name: str, value: Any, least: float | None = None) -> None:
    """Raise ConfigError where `value` is no finite number, or below `least`."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or (least is not None and value < least):
        bound = "" if least is None else f" of {least:g} or more"
        message = f"{name} must be a finite number{bound}, got {value!r:.60}"
        raise ConfigError(message)


def check_flag(name: str, value: Any) -> None:
    """Raise ConfigError where `value` is neither true nor false."""
    if not (isinstance(value, Integral | bool) or type(value).__name__ == "bool_"):
        message = f"{name} must be True or False, got {value!r:.60}"
        raise ConfigError(message)


def check_text(name: str, value: Any) -> None:
    """Raise ConfigError where `value` is no text, or empty."""
    if not isinstance(value, str) or not value:
        message = f"{name} must be a name, got {value!r:.60}"
        raise ConfigError(message)


def check_path(name: str, value: Any) -> Path:
    """Return `value` as a path; raise ConfigError where it is none."""
    if not isinstance(value, str | os.PathLike) or not str(value):
        message = f"{name} must be the path of a file, got {value!r:.60}"
        raise ConfigError(message)
    return Path(value)


def check_count(name: str, value: Any, least: int) -> None:
    """Raise ConfigError where `value` is no whole number, or below `least`; NumPy's whole numbers are some too."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        message = f"{name} must be a whole number of {least} or more, got {value!r:.60}"
        raise ConfigError(message)
