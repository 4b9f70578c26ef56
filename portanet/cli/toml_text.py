"""Plain values as TOML; the standard library reads it and does not write it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["dumps"]


def dumps(values: Mapping[str, Any]) -> str:
    """Return `values` as TOML that :mod:`tomllib` reads back as it was; what is None is left out.

    Lists of dicts at the top become ``[[name]]`` tables, at the end: all that follows one would belong to it.
    """
    plain, tables = [], []
    for key, value in values.items():
        if isinstance(value, list | tuple) and value and all(isinstance(entry, Mapping) for entry in value):
            for entry in value:
                lines = [f"{_key(name)} = {_value(inner)}" for name, inner in entry.items() if inner is not None]
                tables.append("\n".join([f"\n[[{_key(key)}]]", *lines]))
        elif value is not None:
            plain.append(f"{_key(key)} = {_value(value)}")
    return "\n".join([*plain, *tables]) + "\n"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _string(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)  # inf and nan are TOML's words too
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Mapping):
        pairs = (f"{_key(name)} = {_value(inner)}" for name, inner in value.items() if inner is not None)
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(inner) for inner in value)}]"
    message = f"no form in TOML for {value!r}"
    raise TypeError(message)


def _string(text: str) -> str:
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped, and surrogate pairs, which it refuses.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
