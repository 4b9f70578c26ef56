"""What users rely on, as text: the public names with their signatures, and the members of the classes they meet.

usage: python -m tests.surface   (writes tests/surface.txt, which a test compares with the library: read the difference)
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, get_origin

import portanet as pn

PAGE = Path(__file__).with_suffix(".txt")

INTERFACES = ("Callback", "Fleet", "History", "Layer", "Loss", "Metric", "Optimizer", "Schedule", "Trainer")
"""Classes of which every public member is held: users call them, or write their own by them."""


def surface() -> str:
    """Return a line for each public name and each public member of the interfaces."""
    lines = []
    for name in pn.__all__:
        thing = getattr(pn, name)
        lines.append(f"{name}{_signature(thing)}")
        if name in INTERFACES:
            lines += [f"{name}.{member}" for member in _members(_example(thing))]
    return "\n".join(lines) + "\n"


def _example(kind: type) -> Any:
    """Return the class, or an object of it where members come with one."""
    made = {pn.Trainer: lambda: pn.Trainer([pn.Dense(2)], backend="numpy"), pn.History: pn.History}
    made[pn.Fleet] = lambda: pn.Fleet([pn.Dense(2)], 2, backend="numpy")
    return made.get(kind, lambda: kind)()


def _members(thing: Any) -> list[str]:
    owner = thing if isinstance(thing, type) else type(thing)
    found = []
    for name in sorted(name for name in {*dir(thing), *inspect.get_annotations(owner)} if not name.startswith("_")):
        value = inspect.getattr_static(owner, name, None)
        if callable(value):
            found.append(f"{name}{_signature(value)}")
        else:  # whether it is a property or set by the constructor may change
            found.append(f"{name} = {value!r}" if isinstance(value, bool | int | float | str) else name)
    return found


def _signature(thing: Any) -> str:
    """Return the parameters with their kinds and defaults; annotations are the type checker's to hold."""
    if not callable(thing) or get_origin(thing):  # Annotated can be called, to no use
        return ""
    if isinstance(thing, type) and issubclass(thing, Exception):
        return "(*args)"
    found = inspect.signature(thing)
    plain = [p.replace(annotation=p.empty) for p in found.parameters.values()]
    return str(found.replace(parameters=plain, return_annotation=found.empty))


if __name__ == "__main__":
    PAGE.write_text(surface(), encoding="utf-8")
