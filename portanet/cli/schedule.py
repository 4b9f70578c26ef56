"""Schedules as they are written on a command line: ``cosine``, ``step:every=5,gamma=.5``, ``warm-up:then=cosine``."""

from __future__ import annotations

import inspect
from typing import Any

from portanet.errors import ConfigError, unknown
from portanet.schedules import SCHEDULES, Plateau, Schedule, WarmUp, get


def parse(text: str) -> Schedule:
    """Return the schedule that `text` describes: its name, and after a colon its options.

    Raises
    ------
    ConfigError
        If the name or an option is unknown (the nearest known one is named), or a value does not fit.
    """
    name, _, rest = text.partition(":")
    name = name.strip() if name.strip() in SCHEDULES else name.strip().replace("_", "-")
    takes = inspect.signature(SCHEDULES.find(name)).parameters
    options: dict[str, Any] = {}
    for word in rest.split(",") if rest else ():
        key, equals, value = (part.strip() for part in word.partition("="))
        if not equals:
            message = f"schedule {text!r}: expected options such as gamma=0.5 after the colon, got {word!r}"
            raise ConfigError(message)
        if key not in takes:
            raise ConfigError(f"schedule {text!r}: " + unknown("option", key, takes))
        options[key] = _value(text, takes[key], value)
    return get(name, **options)


def watches_validation(schedule: Schedule) -> bool:
    """Whether the schedule depends on validation data."""
    if isinstance(schedule, WarmUp):
        return watches_validation(schedule.then)
    return isinstance(schedule, Plateau) and schedule.monitor.startswith("val_")


def _value(text: str, option: inspect.Parameter, value: str) -> Any:
    whole = type(option.default) is int
    if isinstance(option.default, str):
        return value
    if isinstance(option.default, Schedule):
        return get(value)
    try:
        return int(value) if whole else float(value)
    except ValueError:
        what = "a whole number" if whole else "a number"
        message = f"schedule {text!r}: expected {what} for {option.name}, got {value!r}"
        raise ConfigError(message) from None
