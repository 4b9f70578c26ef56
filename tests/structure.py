"""The shape of the house: import circles, private names of other objects, flat files, lines, the longest of them.

usage: python -m tests.structure [ROOT]

An import counts wherever it stands: at the top of a module, for types alone (``if TYPE_CHECKING``), in a function, or
by ``importlib.import_module("portanet...")``. ``from portanet import losses`` imports the module ``portanet.losses``.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

ALLOWED = {
    "_replace": "a documented method of namedtuples",
    "_fields": "theirs too",
    "_exit": "os._exit is documented",
    "_parameter_constraints": "where scikit-learn's estimators declare their arguments",
}
"""Names that begin with an underscore and are meant for others."""

Imports = dict[str, dict[str, str]]
"""For each module the modules that it imports, and how: "at the top", in a "function", for "types"."""


@dataclass(frozen=True)
class Structure:
    """What is counted.

    Attributes
    ----------
    circles : list of list of str
        Modules that import each other, directly or around some corners; the largest circle first.
    imports : dict
    private : list of str
        ``file:line: expression`` of each use of a private name of another object.
    flat : list of str
        Files that lie in portanet/ itself.
    lines : dict
        Of each file.
    functions : dict
        Lines of each function, by ``file:line name``.
    """

    circles: list[list[str]]
    imports: Imports
    private: list[str]
    flat: list[str]
    lines: dict[str, int]
    functions: dict[str, int]


def measure(root: Path = ROOT) -> Structure:
    """Return the shape of the packages ``portanet/`` and ``backends/`` (imported as portanet.backends) in `root`."""
    files = {}
    for folder, package in (("portanet", "portanet"), ("backends", "portanet.backends")):
        for path in sorted((root / folder).rglob("*.py")):
            inside = path.relative_to(root / folder).with_suffix("").parts
            if folder == "backends" or inside[0] != "backends":  # portanet/backends is a link
                files[".".join((package, *inside)).removesuffix(".__init__")] = path
    trees = {module: ast.parse(path.read_text(encoding="utf-8")) for module, path in files.items()}
    short = {module: path.relative_to(root).as_posix() for module, path in files.items()}
    imports = {module: _imports(module, tree, short) for module, tree in trees.items()}
    return Structure(
        circles(imports),
        imports,
        [f"{short[module]}:{use}" for module, tree in trees.items() for use in _private(tree)],
        sorted(path.name for path in (root / "portanet").glob("*.py")),
        {short[module]: len(path.read_text(encoding="utf-8").splitlines()) for module, path in files.items()},
        {f"{short[module]}:{name}": lines for module, tree in trees.items() for name, lines in _functions(tree)},
    )


def _imports(module: str, tree: ast.Module, files: dict[str, str]) -> dict[str, str]:
    """Return the modules in `files` that `module` imports; the plainest way, where there are several."""
    found: dict[str, str] = {}

    def visit(node: ast.AST, how: str) -> None:
        for name in _imported(module, node, files):
            if name != module and how < found.get(name, "~"):
                found[name] = how
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            how = "function"
        for child in ast.iter_child_nodes(node):
            typed = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) and child in node.body
            visit(child, "types" if typed else how)

    visit(tree, "at the top")
    return found


def _imported(module: str, node: ast.AST, files: dict[str, str]) -> Iterator[str]:
    """Yield the modules that a node imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in files)
    elif isinstance(node, ast.ImportFrom):
        package = module if files[module].endswith("__init__.py") else module.rpartition(".")[0]
        above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        source = ".".join([*above, *([node.module] if node.module else [])])
        for alias in node.names:
            name = f"{source}.{alias.name}"
            if name in files or source in files:
                yield name if name in files else source
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
        first = node.args[0]
        if isinstance(first, ast.Constant) and first.value in files:
            yield str(first.value)


def circles(imports: Imports) -> list[list[str]]:
    """Return the strongly connected components of two modules and more (Tarjan 1972), the largest first."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        stack.append(module)
        for other in imports[module]:
            if other not in number:
                visit(other)
            if other in stack:
                lowest[module] = min(lowest[module], lowest[other])
        if lowest[module] == number[module]:
            place = stack.index(module)
            if len(stack) - place > 1:
                found.append(sorted(stack[place:]))
            del stack[place:]

    for module in imports:
        if module not in number:
            visit(module)
    return sorted(found, key=lambda circle: (-len(circle), circle))


def _private(tree: ast.Module) -> list[str]:
    """Return ``line: expression`` for each private name of another object than self, cls, super() and the module's own.

    That is an attribute, the same by getattr and its like, or an import from another module of portanet.
    """
    own = {"self", "cls", "super()"}
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef):
            own.add(statement.name)
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            own |= {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner, names = ast.unparse(node.value), [node.attr]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "setattr", "hasattr", "delattr"):
            owner, names = ast.unparse(node.args[0]), [str(getattr(node.args[1], "value", ""))]
        elif isinstance(node, ast.ImportFrom) and (node.level or str(node.module).partition(".")[0] == "portanet"):
            owner, names = str(node.module), [alias.name for alias in node.names]
        else:
            continue
        found += [(node.lineno, f"{owner}.{name}") for name in names if owner not in own and _is_private(name)]
    return [f"{line}: {use}" for line, use in sorted(found)]


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in ALLOWED


def _functions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{node.lineno} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def report(house: Structure) -> str:
    """Return the shape in words: the counts, then what they are made of."""
    rows = [
        ("import circles", len(house.circles)),
        ("modules in the largest", max(map(len, house.circles), default=0)),
        ("private names of other objects", len(house.private)),
        ("files flat in portanet/", len(house.flat)),
        ("files", len(house.lines)),
        ("lines", sum(house.lines.values())),
        *(("longest file", f"{n}  {name}") for name, n in _longest(house.lines)),
        *(("longest function", f"{n}  {name}") for name, n in _longest(house.functions)),
    ]
    lines = [f"{what:32}{value}" for what, value in rows]
    for circle in house.circles:
        lines += ["", f"circle of {len(circle)}: {', '.join(circle)}"]
        for module in circle:
            for other, how in sorted(house.imports[module].items()):
                if other in circle:
                    lines.append(f"  {module} imports {other}  ({how})")
    return "\n".join([*lines, "", *house.private])


def _longest(sizes: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(sizes.items(), key=lambda item: -item[1])[:1]


if __name__ == "__main__":
    print(report(measure(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)))
