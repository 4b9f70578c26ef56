"""Classes by name, as files, configurations and commands name them. A name never imports anything.

The library's own classes are those that its packages import. Custom ones are given to a call as
``custom={"Name": Name}``, or added by a command line that names their module.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from portanet.errors import ConfigError, unknown

T = TypeVar("T")

Custom = Mapping[str, Any]


class Registry(dict[str, type[T]], Generic[T]):
    """The classes of one kind by name.

    Parameters
    ----------
    kind : str
        What messages call one of them: ``"loss"``.
    base : type
        What all of them derive from.
    known : dict, optional
        The library's own.
    word : str
        What messages call the arguments that one is made with.
    aliases : dict, optional
        Short names that users write, and what is meant; descriptions never hold them.
    """

    def __init__(
        self,
        kind: str,
        base: type[T],
        known: Mapping[str, type[T]] | None = None,
        word: str = "option",
        aliases: Mapping[str, str] | None = None,
    ):
        super().__init__(known or {})
        self.kind, self.base, self.word, self.aliases = kind, base, word, dict(aliases or {})

    def full(self, name: str) -> str:
        """Return the name that an alias stands for; any other name as it is."""
        return self.aliases.get(name, name)

    def find(self, name: Any, custom: Custom | None = None, at: str = "") -> Any:
        """Return what is known by `name`: a class, or what `custom` holds. Raise ConfigError if nothing is."""
        known = {**self, **(custom or {})}
        if isinstance(name, str) and name not in known:
            name = self.full(name)
        if not isinstance(name, str) or name not in known:
            missing = (name,) if isinstance(name, str) else ()
            names = [own for own, kind in known.items() if own in self or self._fits(kind)]
            raise ConfigError((at and f"{at}: ") + unknown(self.kind, name, names), missing=missing)
        return known[name]

    def make(
        self, name: Any, options: Mapping[str, Any] | None = None, custom: Custom | None = None, at: str = ""
    ) -> T:
        """Return what `name` and `options` describe; a nested description is one of the same kind.

        Parameters
        ----------
        name, options
            As :meth:`describe` returns them.
        custom : dict, optional
            Custom classes by name; or functions that make one, or ready ones, which are returned as they are.
        at : str
            The place, for messages.

        Raises
        ------
        ConfigError
            If the name or an option is unknown, or the options do not fit.
        """
        found = self.find(name, custom, at)
        at = f"{at} ({name})" if at else f"{self.kind} {name!r}"
        if isinstance(found, self.base):
            return found
        if not callable(found) or (isinstance(found, type) and not self._fits(found)):
            raise self._another(at, found)
        takes = _parameters(found) if isinstance(found, type) else inspect.signature(found).parameters
        for key in options or {}:
            if key not in takes and all(p.kind is not p.VAR_KEYWORD for p in takes.values()):
                raise ConfigError(f"{at}: " + unknown(self.word, key, takes))
        try:
            made: T = found(**{key: self._made(value, custom) for key, value in (options or {}).items()})
        except TypeError as error:
            message = f"{at}: {str(error).partition(') ')[2] or error}"
            raise ConfigError(message) from None
        if not isinstance(made, self.base):
            raise self._another(at, made)
        return made

    def _fits(self, thing: Any) -> bool:
        return issubclass(thing, self.base) if isinstance(thing, type) else isinstance(thing, self.base)

    def _another(self, at: str, got: Any) -> ConfigError:
        return ConfigError(f"{at}: expected custom= to give a {self.base.__name__}, got {got!r:.60}")

    def describe(self, thing: T) -> dict[str, Any]:
        """Return ``{"name": ..., "options": {...}}``, from which :meth:`make` makes the same again.

        The options are the arguments of its class, read from the attributes of the same names.

        Raises
        ------
        ConfigError
            If an argument is not kept, or a custom class has a name of the library's.
        """
        kind = type(thing)
        name = next((own for own, known in self.items() if known is kind), kind.__name__)
        if self.get(name, kind) is not kind:
            message = (
                f"save: the {self.kind} {kind.__name__} has the name of one of the library's own; rename the class"
            )
            raise ConfigError(message)
        names = list(inspect.signature(kind).parameters)
        lost = [own for own in names if not hasattr(thing, own)]
        if lost:
            message = (
                f"save: {kind.__name__} does not keep its arguments ({', '.join(lost)}), so a file cannot describe it; "
                "make it a dataclass, or keep each as an attribute of its name"
            )
            raise ConfigError(message)
        return {"name": name, "options": {own: self._described(getattr(thing, own)) for own in names}}

    def _described(self, value: Any) -> Any:
        if isinstance(value, self.base):
            return self.describe(value)
        return [self._described(one) for one in value] if isinstance(value, list | tuple) else value

    def _made(self, value: Any, custom: Custom | None) -> Any:
        if isinstance(value, Mapping) and set(value) == {"name", "options"}:
            return self.make(value["name"], value["options"], custom)
        return [self._made(one, custom) for one in value] if isinstance(value, list) else value


def subclasses_in(module: Mapping[str, Any], base: type[T]) -> dict[str, type[T]]:
    """Return the classes in the namespace of a module that derive from `base`, by name; `base` itself is left out."""
    kinds = {name: kind for name, kind in module.items() if isinstance(kind, type) and kind is not base}
    return {name: kind for name, kind in kinds.items() if issubclass(kind, base)}


@functools.lru_cache(maxsize=256)  # a file may hold many thousands of layers
def _parameters(kind: type) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(kind).parameters


def snake_case(name: str) -> str:
    """Return the name of a class as users write it: ``mean_squared_error``, ``leaky_relu``, ``adamw``."""
    return re.sub("(?<=[a-z])(?=[A-Z][a-z])", "_", name).lower()
