"""Pieces of our own source, for files that are to stand alone: what is printed there is what is tested here."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path


def excerpt(module: str, names: Iterable[str], *, constants: bool = False) -> list[str]:
    """Return the source of functions and classes of a module, in its order; the module is not imported.

    Those that they call in turn come with them, and with `constants` what these take from the module. `module` is the
    path of its file from this folder, without ``.py``.
    """
    text = (Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8")
    found: dict[str, ast.stmt] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif constants and isinstance(node, ast.Assign):
            found[ast.unparse(node.targets[0])] = node
    wanted, rest = set(), list(names)
    while rest:
        name = rest.pop()
        if name in found and name not in wanted:
            wanted.add(name)
            rest += [node.id for node in ast.walk(found[name]) if isinstance(node, ast.Name)]
    return [ast.get_source_segment(text, node) or "" for name, node in found.items() if name in wanted]
