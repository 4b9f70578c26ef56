"""Validators: what the fields of a description (a layer, a loss, an optimizer, a schedule, a metric) may be.

A validator stands in the annotation of its field, within ``Annotated``; common ones have names::

    @dataclass(frozen=True)
    class Noise(Layer):
        amount: Annotated[float, Number(0, 10)] = 0.1
        rate: Share = 0.5
        channels: Count | None = None

It is called with the value and returns what is kept: NumPy's numbers become Python's, lists become tuples. If the value
is invalid, it raises a ConfigError that says what the value must be, and optionally hints as further arguments; class,
field and value are added here. A field without a validator is checked for its type, if that is a number, a flag, a
text, a function, None, or a union or tuple of these.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Integral, Rational, Real
from pathlib import Path
from types import NoneType, SimpleNamespace, UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from portanet.errors import ConfigError
from portanet.names import is_safe

LARGEST_INDEX = 2**31 - 1  # no axis of an array is longer
TINY = 2.0**-126  # the smallest normal number of float32: devices may take what is less for 0

Validator: TypeAlias = Callable[[Any], Any]


@dataclass(frozen=True)
class Number:
    """A finite number within bounds, which must hold in float32 too; with `whole` a whole number.

    Parameters
    ----------
    least, most : float
        Bounds that are themselves allowed.
    above, below : float
        Bounds that are not.
    but : float, optional
        A number in between that is not allowed.
    whole : bool
        Whether it must be a whole number.
    """

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf
    but: float | None = None
    whole: bool = False

    def __call__(self, value: Any) -> int | float:
        kind: Any = Integral if self.whole else Real
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ConfigError(str(self))
        number: Any = value if isinstance(value, Rational) else float(value)
        note = ""
        if self.whole and number > self.most == LARGEST_INDEX:
            note = f", and at most {LARGEST_INDEX}"
        elif self._fits(number) and abs(number) < TINY and not self._fits(0.0):
            note = " in float32"
        if note or not self._fits(number):
            raise ConfigError(str(self) + note)
        return int(number) if isinstance(number, Integral) else float(number)

    def _fits(self, number: Any) -> bool:
        within = self.least <= number <= self.most and self.above < number < self.below and number != self.but
        return within and (self.whole or abs(number) <= sys.float_info.max)

    def __str__(self) -> str:
        low = {self.least: "of {:g} or more", self.above: "above {:g}"}
        words = {**low, self.most: "of {:g} or less", self.below: "below {:g}"}
        ends = [b for b in words if math.isfinite(b) and b != LARGEST_INDEX]
        kind = "whole number" if self.whole else "number" if len(ends) == 2 else "finite number"
        if len(ends) == 2:
            left_out = " and ".join(f"{b:g}" for b in ends if b in (self.above, self.below))
            return f"a {kind} from {ends[0]:g} to {ends[1]:g}" + (f" ({left_out} excluded)" if left_out else "")
        but = [] if self.but is None else [f"other than {self.but:g}"]
        return " ".join(["a", kind, *(words[b].format(b) for b in ends), *but])


@dataclass(frozen=True)
class Several:
    """A list or tuple whose entries are all valid: `count` of them, or any number from `least`."""

    each: Validator
    count: int | None = None
    least: int = 1

    def __call__(self, value: Any) -> tuple[Any, ...]:
        count = len(value) if isinstance(value, tuple | list) else -1
        if count != self.count if self.count else count < self.least:
            raise ConfigError(str(self))
        try:
            return tuple(self.each(entry) for entry in value)
        except ConfigError as error:
            raise ConfigError(self._of(error)) from None

    def __str__(self) -> str:
        return self._of(self.each)

    def _of(self, each: object) -> str:
        number = str(self.count or ("one or more" if self.least else "any number of"))
        return f"{number} {'entry' if self.count == 1 else 'entries'}, each {each}"


@dataclass(frozen=True)
class Is:
    """A value for which `holds` is true; `text` says what it must be."""

    text: str
    holds: Callable[[Any], bool]

    def __call__(self, value: Any) -> Any:
        if not self.holds(value):
            raise ConfigError(self.text)
        return value

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Either:
    """What one of several validators takes; the first that does decides."""

    each: tuple[Validator, ...]

    def __call__(self, value: Any) -> Any:
        texts = []
        for one in self.each:
            try:
                return one(value)
            except ConfigError as error:
                texts.append(str(error.args[0]))
        # "a number above 0, or 2 entries, each a number above 0" reads better as "a number above 0, or 2 of them"
        raise ConfigError(", or ".join(texts).replace(f"entries, each {texts[0]}", "of them"))


def one_of(*values: Any) -> Is:
    """Return the validator of a field that is one of `values`, such as names."""
    return Is(" or ".join(map(repr, values)), lambda v: any(type(v) is type(one) and v == one for one in values))


def flag(value: Any) -> bool:
    """Return True or False: the validator of bool."""
    if not isinstance(value, bool) and str(getattr(value, "dtype", None)) != "bool":
        expected = "True or False"
        raise ConfigError(expected)
    return bool(value)


def name(value: Any) -> str:
    """Return a text that is not empty and can be printed, stored and put into a script: the validator of names."""
    expected = "a name" if not isinstance(value, str) or not value else "a name without control characters"
    if not isinstance(value, str) or not value or not is_safe(value):
        raise ConfigError(expected)
    return value


def check_names(what: str, names: Iterable[str]) -> None:
    """Raise ConfigError if one of the names is not safe to print, to store and to put into a script."""
    for own in names:
        if not is_safe(own):
            message = f"{what}: expected names without control characters, in characters that exist, got {own!a:.60}"
            raise ConfigError(message + "; rename it")


COUNT = Number(1, LARGEST_INDEX, whole=True)
NAME: Validator = name

Count: TypeAlias = Annotated[int, COUNT]
Share: TypeAlias = Annotated[float, Number(0, below=1)]
Positive: TypeAlias = Annotated[float, Number(above=0)]
NotNegative: TypeAlias = Annotated[float, Number(0)]
Name: TypeAlias = Annotated[str, NAME]

_TYPES: dict[Any, Validator] = {
    float: Number(),
    int: Number(whole=True),
    bool: flag,
    str: Is("a text", lambda value: isinstance(value, str)),
    NoneType: Is("None", lambda value: value is None),
    Callable: Is("a function", callable),
}


def check_fields(thing: Any) -> None:
    """Check every field of a dataclass by its validator, or by its type, and keep what they return.

    Descriptions come from users' files too, where a number may be text, NaN or a list: reported here it has a name,
    later it would be a NaN in the weights.

    Raises
    ------
    ConfigError
        With the name of the class, and for each field that is wrong what it must be, and what it is.
    """
    wrong = []
    for name, one in validators(type(thing)).items():  # type: ignore[arg-type]  # classes are hashable
        value = getattr(thing, name)
        try:
            kept = check(name, value, one)
        except ConfigError as error:
            wrong.append(str(error))
        else:
            if kept is not value:
                object.__setattr__(thing, name, kept)  # the dataclass may be frozen
    if wrong:
        raise ConfigError(f"{type(thing).__name__}: " + "; ".join(wrong))


@functools.lru_cache(maxsize=1024)
def validators(kind: type, *, init: bool = True) -> dict[str, Validator]:
    """Return the validator of each field that a dataclass is made with, as far as it has one or its type is known.

    Or of each of the others: what it learns.
    """
    fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    found = {field.name: _validator(_resolved(kind, field)) for field in fields if field.init is init}
    return {name: one for name, one in found.items() if one is not None}


def _resolved(kind: type, field: dataclasses.Field[Any]) -> Any:
    """Return the annotation of a field as a type, also from a module that imports annotations from ``__future__``."""
    owners = (base for base in kind.__mro__ if vars(base).get("__dataclass_fields__", {}).get(field.name) is field)
    *_, owner = owners  # the class that declares it: the last of those that share the field
    module = getattr(sys.modules.get(owner.__module__), "__dict__", {})
    it = SimpleNamespace(__annotations__={"it": field.type})
    try:
        return get_type_hints(it, module, dict(vars(owner)), include_extras=True)["it"]
    except Exception:  # a name that is imported for type checkers only, or defined within a function
        return None


def _validator(hint: Any) -> Validator | None:
    """Return the validator in an annotation, or that of its type; None if there is none."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        own = [part for part in args[1:] if callable(part) and not isinstance(part, type)]
        return own[0] if own else _validator(args[0])
    if origin is Literal:
        return one_of(*args)
    if origin in (Union, UnionType, tuple):
        each = [_validator(arg) for arg in args if arg is not Ellipsis]
        known = tuple(one for one in each if one is not None)
        if not known or len(known) < len(each):
            return None
        if origin is not tuple:
            return Either(known)
        same = len(set(known)) == 1
        return Several(known[0], None if Ellipsis in args else len(known), least=0) if same else None
    return _TYPES.get(origin or hint)


def check(name: str, value: Any, valid: Validator) -> Any:
    """Return `value` as a validator keeps it; raise ConfigError with the name, what it must be, and what it is."""
    try:
        return valid(value)
    except ConfigError as error:
        expected, *hints = error.args
        shown = " ".join(repr(value).split())
        raise ConfigError("; ".join([f"{name} must be {expected}, got {shown:.60}", *hints])) from None


def check_number(name: str, value: Any, least: float = -math.inf) -> None:
    """Raise ConfigError if `value` is not a finite number, or below `least`."""
    check(name, value, Number(least))


def check_count(name: str, value: Any, least: int) -> None:
    """Raise ConfigError if `value` is not a whole number, or below `least`; NumPy's whole numbers are fine."""
    check(name, value, Number(least, whole=True))


def check_flag(name: str, value: Any) -> None:
    """Raise ConfigError if `value` is neither True nor False."""
    check(name, value, flag)


def check_text(name: str, value: Any) -> None:
    """Raise ConfigError if `value` is not a text, or empty."""
    check(name, value, NAME)


def check_path(name: str, value: Any) -> Path:
    """Return `value` as a path; raise ConfigError if it is not one."""
    if not isinstance(value, str | os.PathLike) or not str(value):
        message = f"{name} must be the path of a file, got {value!r:.60}"
        raise ConfigError(message)
    return Path(value)
