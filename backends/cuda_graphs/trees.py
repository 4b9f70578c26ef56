"""Flatten and rebuild nested arguments and results (trees)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from portanet.errors import BackendError

_LEAF = ("leaf",)


def taken_apart(value: Any, leaves: list[Any], is_leaf: Callable[[Any], bool]) -> Any:
    """Append the leaves of nested dicts, tuples and lists to `leaves`, and return the structure.

    Structures are equal if keys, numbers of items, and values that are None, bool or str are equal. Any other value
    raises BackendError.
    """
    if is_leaf(value):
        leaves.append(value)
        return _LEAF
    if isinstance(value, dict):
        return dict, tuple(value), tuple(taken_apart(item, leaves, is_leaf) for item in value.values())
    if isinstance(value, tuple | list):
        return type(value), tuple(taken_apart(item, leaves, is_leaf) for item in value)
    if value is None or isinstance(value, bool | str):
        return "setting", value
    message = f"an argument or a result is of the type {type(value).__name__}"
    raise BackendError(message)


def put_together(form: Any, leaves: Iterator[Any]) -> Any:
    """Rebuild a structure of :func:`taken_apart` with the given leaves."""
    kind, *rest = form
    if form is _LEAF:
        return next(leaves)
    if kind == "setting":
        return rest[0]
    items = [put_together(item, leaves) for item in rest[-1]]
    if kind is dict:
        return dict(zip(rest[0], items, strict=True))
    return kind(*items) if hasattr(kind, "_fields") else kind(items)
