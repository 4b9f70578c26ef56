"""The rules by which a module is made wrong: each mutant differs from it in one place.

The standard operators of mutation testing (Offutt, Rothermel & Zapf 1993; mutmut's and cosmic-ray's set): arithmetic,
comparison, boolean, number, condition, return value and deleted statement. Texts, annotations and the insides of
``raise`` are left alone: what an error says is tested elsewhere.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
}
COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


@dataclass(frozen=True)
class Mutant:
    """One change: in which lines, from what to what, and the whole source with it."""

    line: int
    last: int
    before: str
    after: str
    source: str

    @property
    def key(self) -> str:
        """What names it as long as its line stays what it is, wherever that stands in the file."""
        return f"{self.before} → {self.after}"


def mutants(source: str) -> Iterator[Mutant]:
    """Yield every mutant of a module's source."""
    count = sum(1 for _ in _changes(ast.parse(source)))
    for i in range(count):
        tree = ast.parse(source)
        node, change = next(found for j, found in enumerate(_changes(tree)) if j == i)
        before, last = _text(node), _last(node)
        change()
        yield Mutant(node.lineno, last, before, _text(node), ast.unparse(ast.fix_missing_locations(tree)))


def _text(statement: ast.stmt) -> str:
    return ast.unparse(statement).partition("\n")[0]


def _last(statement: ast.stmt) -> int:
    """Return its last line, without the statements within it."""
    body = getattr(statement, "body", None)
    return max(statement.lineno, body[0].lineno - 1) if body else statement.end_lineno or statement.lineno


def _changes(tree: ast.Module) -> Iterator[tuple[ast.stmt, Callable[[], Any]]]:
    """Yield each change that can be made in the tree: the statement it is in, and the function that makes it."""
    for body in _bodies(tree):
        for statement in body:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                continue  # a docstring
            if isinstance(statement, ast.Import | ast.ImportFrom | ast.Raise) or _for_annotations(statement):
                continue
            if isinstance(statement, ast.Expr | ast.AugAssign) and body is not tree.body:
                yield statement, partial(_delete, statement)
            if isinstance(statement, ast.Return) and statement.value and ast.unparse(statement.value) != "None":
                yield statement, partial(setattr, statement, "value", ast.Constant(None))
            if isinstance(statement, ast.If | ast.While):
                yield statement, partial(setattr, statement, "test", ast.UnaryOp(ast.Not(), statement.test))
            if isinstance(statement, ast.Assign) and _named(statement, ("__all__", "message", "fix")):
                continue
            for node in _expressions(statement):
                for change in _of_expression(node):
                    yield statement, change


def _for_annotations(statement: ast.stmt) -> bool:
    """Tell whether it is ``if TYPE_CHECKING:``, which imports what annotations name."""
    return isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"


def _delete(statement: ast.stmt) -> None:
    """Turn a statement into one that does nothing, in place, so that who holds it sees it."""
    for field in statement._fields:
        setattr(statement, field, None)
    statement.__class__ = ast.Pass
    for field in ("value", "target", "op"):
        if hasattr(statement, field):
            delattr(statement, field)


def _named(statement: ast.Assign, names: tuple[str, ...]) -> bool:
    return any(isinstance(target, ast.Name) and target.id in names for target in statement.targets)


def _bodies(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    """Yield every list of statements, in the order of the text."""
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list):
                yield body


def _defaults(function: ast.FunctionDef) -> list[ast.expr]:
    """Return the defaults of the arguments that the function reads; the others' change nothing."""
    read = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    of = function.args
    last = len(of.args) - len(of.defaults)
    pairs = [*zip(of.args[last:], of.defaults, strict=True), *zip(of.kwonlyargs, of.kw_defaults, strict=True)]
    return [default for argument, default in pairs if default is not None and argument.arg in read]


def _expressions(statement: ast.stmt) -> Iterator[ast.expr]:
    """Yield the expressions that belong to the statement itself, without those of statements within it."""
    waiting: list[ast.AST] = [*_defaults(statement)] if isinstance(statement, ast.FunctionDef) else []
    for field, value in ast.iter_fields(statement):
        if field in ("body", "orelse", "finalbody", "handlers", "annotation", "returns", "decorator_list", "args"):
            continue
        waiting += value if isinstance(value, list) else [value] if isinstance(value, ast.AST) else []
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.JoinedStr):
            continue
        if isinstance(node, ast.expr):
            yield node
        waiting += list(ast.iter_child_nodes(node))


def _of_expression(node: ast.expr) -> Iterator[Callable[[], Any]]:
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        yield partial(setattr, node, "op", ARITHMETIC[type(node.op)]())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        yield partial(_without_sign, node)
    elif isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            yield partial(node.ops.__setitem__, i, COMPARISONS[type(op)]())
    elif isinstance(node, ast.BoolOp):
        yield partial(setattr, node, "op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
    elif isinstance(node, ast.IfExp):
        yield partial(setattr, node, "test", ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield partial(setattr, node, "value", not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        other = node.value + 1 if isinstance(node.value, int) else (2 * node.value or 1.0)
        yield partial(setattr, node, "value", other)


def _without_sign(node: ast.UnaryOp) -> None:
    """Turn ``-x`` into ``+x``, and ``not x`` into ``not (not x)``."""
    if isinstance(node.op, ast.USub):
        node.op = ast.UAdd()
    else:
        node.operand = ast.UnaryOp(ast.Not(), node.operand)
