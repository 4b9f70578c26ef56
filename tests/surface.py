"""What users rely on, as text: the public names with their signatures, and the members of the classes they meet.

usage: python -m tests.surface

It writes tests/surface.txt and the table portanet/public.py, both of which a test compares with the library: read the
difference.
"""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from textwrap import fill
from typing import Any, get_origin

import portanet as pn
from portanet.layers.custom import ACTIVATIONS
from portanet.losses import LOSSES
from portanet.optimizers import OPTIMIZERS
from portanet.schedules import SCHEDULES

PAGE = Path(__file__).with_suffix(".txt")

TABLE = Path(pn.__file__).with_name("public.py")

ROOMS = (
    *("callbacks", "distributed.ranks", "engine.step", "errors", "files.description", "fleet", "initializers"),
    *("inspection.trace", "layers", "losses", "metrics", "optimizers", "random", "schedules", "training.history"),
    *("training.load", "training.trainer"),
    "verify.gradient_check",
)
"""The modules whose ``__all__`` is public."""

INTERFACES = ("Callback", "Fleet", "History", "Layer", "Loss", "Metric", "Optimizer", "Schedule", "Trainer")
"""Classes of which every public member is held: users call them, or write their own by them."""


def table() -> str:
    """Return the text of portanet/public.py."""
    known = {
        "activation": [*ACTIVATIONS, "linear"],
        "loss": list(LOSSES),
        "optimizer": list(OPTIMIZERS),
        "schedule": list(SCHEDULES),
    }
    return f'''"""The public names, so that none is imported before it is used.

Written by ``python -m tests.surface``, not by hand.
"""

PUBLIC = {{
{_entries(public())}
}}
"""The names in the ``__all__`` of each module."""

KNOWN = {{
{_entries(known)}
}}
"""The names that options of the command line take; ``--help`` lists them."""
'''


def _entries(names: dict[str, list[str]]) -> str:
    wrapped = {key: fill(" ".join(own), 100, subsequent_indent=" " * 8) for key, own in names.items()}
    return "\n".join(f'    "{key}": """{text}""",' for key, text in wrapped.items())


def public() -> dict[str, list[str]]:
    """Return the public names of each module."""
    found = {room: sorted(importlib.import_module(f"portanet.{room}").__all__) for room in ROOMS}
    return {"agree": ["agree"], **found}


def surface() -> str:
    """Return a line for each public name and each public member of the interfaces."""
    lines = []
    where = {name: room for room, names in public().items() for name in names}
    for name in sorted([*where, "backends", "data"]):
        thing = getattr(importlib.import_module(f"portanet.{where[name]}" if name in where else "portanet"), name)
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
    TABLE.write_text(table(), encoding="utf-8")
    PAGE.write_text(surface(), encoding="utf-8")
