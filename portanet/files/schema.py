"""What values must be that are read back from files: each by its name and its validator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portanet.checks import Either, Is, Number, Validator, check

WHOLE = Number(0, 2**53, whole=True)
"""A count: a float holds each of them."""

NUMBER = Is("a number", lambda value: isinstance(value, int | float) and not isinstance(value, bool))
"""One that was measured, which may be NaN or infinite."""

TEXT = Is("a text", lambda value: isinstance(value, str))
OBJECT = Is("an object", lambda value: isinstance(value, dict))
LIST = Is("a list", lambda value: isinstance(value, list))
_NONE = Is("None", lambda value: value is None)
NUMBER_OR_NONE, TEXT_OR_NONE, OBJECT_OR_NONE = (Either((one, _NONE)) for one in (NUMBER, TEXT, OBJECT))


def check_values(values: Any, fields: Mapping[str, Validator]) -> None:
    """Raise ValueError unless `values` is an object that has these fields, each as its validator takes it."""
    check("it", values, OBJECT)
    for name, valid in fields.items():
        if name not in values:
            message = f"it has no {name!r}"
            raise ValueError(message)
        check(name, values[name], valid)


def check_numbers(name: str, values: Any, valid: Validator = NUMBER) -> None:
    """Raise ValueError unless `values` is an object of numbers, or of what `valid` takes."""
    for key, value in check(name, values, OBJECT).items():
        check(f"{name}: {key[:40]!r}", value, valid)
