"""JSON that others may have written: values that every part of the library can hold, print and write again."""

from __future__ import annotations

import json
from typing import Any

_DEPTH = 200
"""Lists and objects within each other. Layers may be nested 50 deep, each an object in a list."""

_LARGEST = 2**128
"""No whole number is larger, seeds from UUIDs among them; a float holds them all."""


def parsed(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises
    ------
    ValueError
        If it is no JSON, is nested more than 200 deep, has text with half a surrogate pair, which cannot be encoded, or
        whole numbers beyond 2^128.
    """
    message = f"its values are nested more than {_DEPTH} deep"
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError(message) from None
    level = [found]
    for _ in range(_DEPTH):
        level = [inner for value in level for inner in _within(value)]
        if not level:
            return found
    raise ValueError(message)


def _within(value: Any) -> list[Any]:
    """Return what is in a list or an object; raise ValueError for another value that is not to be had."""
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, list):
        return value
    if isinstance(value, int) and abs(value) > _LARGEST:
        message = f"a whole number is larger than 2^{_LARGEST.bit_length() - 1}"
        raise ValueError(message)
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            message = f"the text {value!a:.60} cannot be encoded"
            raise ValueError(message) from None
    return []
