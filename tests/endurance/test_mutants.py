"""The operators of mutation testing, on a few lines."""

from __future__ import annotations

import ast

from tests.endurance.mutants import mutants

SOURCE = '''
"""A text."""
SIZE = 2


def f(x, unused=1, used=True):
    """Another."""
    x += 1
    if x < 0 and used:
        message = f"{x + 1} is too small"
        raise ValueError(message)
    return -x
'''


def test_each_mutant_differs_in_one_place():
    found = {(m.before, m.after) for m in mutants(SOURCE)}
    test = "if x < 0 and used:"
    assert found == {
        ("SIZE = 2", "SIZE = 3"),
        ("def f(x, unused=1, used=True):", "def f(x, unused=1, used=False):"),
        ("x += 1", "pass"),
        ("x += 1", "x += 2"),
        (test, "if not (x < 0 and used):"),
        (test, "if x < 0 or used:"),
        (test, "if x <= 0 and used:"),
        (test, "if x < 1 and used:"),
        ("return -x", "return None"),
        ("return -x", "return +x"),
    }


def test_each_mutant_is_a_program_of_its_own():
    sources = [m.source for m in mutants(SOURCE)]
    assert len(set(sources)) == len(sources) == 10
    for source in sources:
        compile(source, "mutant", "exec")
        assert ast.dump(ast.parse(source)) != ast.dump(ast.parse(SOURCE))
