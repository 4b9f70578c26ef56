"""The API reference: a page for each public name, and "Forward", "Backward", "Source" in docstrings as they stand.

The list of names is written into docs/api/ when a build begins, from portanet/public.py.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

from portanet.public import PUBLIC

TITLES = {
    "training.trainer": "Training",
    "training.load": "Loading",
    "files.description": "Saving",
    "training.history": "History",
    "layers": "Layers",
    "losses": "Losses",
    "optimizers": "Optimizers",
    "schedules": "Schedules",
    "metrics": "Metrics",
    "initializers": "Initializers",
    "callbacks": "Callbacks",
    "fleet": "Fleets",
    "distributed.ranks": "Several processes",
    "verify.gradient_check": "Gradient checks",
    "agree": "Comparing backends",
    "errors": "Errors",
}
"""The headings of the modules in portanet/public.py, in the order of the page; others follow under their own names."""

ROOMS = ("data", "sklearn", "backends", "export", "recipes", "plot")
"""Modules that users import by name; their ``__all__`` is public too."""

LABELS = re.compile(r"(Forward|Backward|Shapes|Rule|Ranges|Source) {2,}\S")


def listed() -> dict[str, tuple[str, list[str]]]:
    """Return, for each heading, the module to import from and the names."""
    rooms = [*TITLES, *(room for room in PUBLIC if room not in TITLES)]
    found = {TITLES.get(room, room): ("portanet", PUBLIC[room].split()) for room in rooms if room in PUBLIC}
    for room in ROOMS:
        module = f"portanet.{room}"
        names = [name for name in importlib.import_module(module).__all__ if _documented(module, name)]
        found[module] = (module, names)
    return found


def _documented(module: str, name: str) -> bool:
    """Whether the name is a class or function; constants and aliases of types are described where they are used."""
    return callable(getattr(importlib.import_module(module), name)) and name != "Reading"


def write_list(folder: Path) -> None:
    """Write the page that lists all names; autosummary makes a page of each."""
    text = (
        "API reference\n=============\n\nEverything that ``import portanet as pn`` gives, and the modules below it.\n"
    )
    for title, (module, names) in listed().items():
        text += f"\n{title}\n{'-' * len(title)}\n\n.. currentmodule:: {module}\n\n.. autosummary::\n"
        text += "   :toctree: .\n   :nosignatures:\n\n" + "".join(f"   {name}\n" for name in sorted(names))
    folder.mkdir(exist_ok=True)
    page = folder / "index.rst"
    if not page.exists() or page.read_text("utf-8") != text:
        page.write_text(text, encoding="utf-8")


def keep_columns(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Keep the paragraphs of formulas as they stand in the source: "Forward   y = x W + b", in columns."""
    found: list[str] = []
    inside = False
    for line in lines:
        if not inside and LABELS.match(line):
            found += [".. code-block:: text", ""]
            inside = True
        elif inside and not line.strip():
            inside = False
        found.append(f"   {line}" if inside else plain(line))
    lines[:] = found


def plain(line: str) -> str:
    """Return a line in which |x|, (n, *places) and n_ are no markup of reStructuredText."""
    parts = line.split("`")
    for i in range(0, len(parts), 2):  # not what stands between backticks
        parts[i] = re.sub(r"\|(?=\S)([^|]*\S)\|", r"\\|\1\\|", parts[i])
        parts[i] = re.sub(r"(?:^|(?<=[( ]))\*(?=\w+[,)])", r"\\*", parts[i])
        parts[i] = re.sub(r"(?<=\w)_(?=[,)])", r"\\_", parts[i])
    return "`".join(parts)


def only_ours(app: Any, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what a class has from other libraries, which document it."""
    module = getattr(getattr(thing, "fget", thing), "__module__", None)
    return True if module is not None and not module.startswith("portanet") else None


def pages_for_files(app: Any, name: str, source: list[str]) -> None:
    """Lead links to README's neighbours, which pages have for readers of the repository, to the pages of the site."""
    for file, page in (("README", "index"), ("SECURITY", "security"), ("CONTRIBUTING", "contributing")):
        source[0] = source[0].replace(f"](../{file}.md", f"]({page}.md")


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx."""
    write_list(Path(app.srcdir) / "api")
    app.connect("autodoc-process-docstring", keep_columns, priority=100)  # before numpydoc reads the sections
    app.connect("autodoc-skip-member", only_ours)
    app.connect("source-read", pages_for_files)
    return {"parallel_read_safe": True}
