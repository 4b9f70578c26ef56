"""Schedules as they are written on a command line: ``cosine``, ``step:every=5,gamma=.5``, ``warm-up:then=cosine``."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

from portanet.errors import ConfigError, unknown
from portanet.schedules import SCHEDULES, Plateau, Schedule, WarmUp, get


def parse(text: str) -> Schedule:
    """Return the schedule that `text` describes: its name, and behind a colon its options.

    Raises
    ------
    ConfigError
        If the name or an option is unknown (the nearest known one is told), or a value does not fit.
    """
    name, _, rest = text.partition(":")
    kind = type(get(name.strip()))
    fields = {f.name: f for f in dataclasses.fields(cast(Any, kind)) if f.init}
    options: dict[str, Any] = {}
    for word in rest.split(",") if rest else ():
        key, equals, value = (part.strip() for part in word.partition("="))
        if not equals:
            message = f"schedule {text!r}: expected options such as gamma=0.5 behind the colon, got {word!r}"
            raise ConfigError(message)
        if key not in fields:
            raise ConfigError(f"schedule {text!r}: " + unknown("option", key, fields))
        options[key] = _value(text, fields[key], value)
    return kind(**options)


def watches_validation(schedule: Schedule) -> bool:
    """Whether the schedule depends on validation data."""
    if isinstance(schedule, WarmUp):
        return watches_validation(schedule.then)
    return isinstance(schedule, Plateau) and schedule.monitor.startswith("val_")


def _value(text: str, field: dataclasses.Field[Any], value: str) -> Any:
    kind: Any = type(field.default)
    if kind is str:
        return value
    if field.default is dataclasses.MISSING:  # the schedule that follows
        if value not in SCHEDULES:
            raise ConfigError(f"schedule {text!r}: " + unknown("schedule", value, SCHEDULES))
        return get(value)
    try:
        return kind(value)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        message = f"schedule {text!r}: expected {what} for {field.name}, got {value!r}"
        raise ConfigError(message) from None
