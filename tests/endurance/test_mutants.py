"""The operators of mutation testing, on a few lines."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.endurance.mutants import mutants

forks = pytest.importorskip("tests.endurance.forks", reason="forks need Unix")
mutation = pytest.importorskip("tests.endurance.mutation", reason="forks need Unix")

SOURCE = '''
"""A text."""
from typing import TYPE_CHECKING
SIZE = 2
if TYPE_CHECKING:
    from elsewhere import Name


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


def test_a_change_within_a_function_is_put_into_the_one_that_is_there(tmp_path):
    file = tmp_path / "planted.py"
    file.write_text(SOURCE, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("planted", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    held = module.f
    found = {(m.before, m.after): m.source for m in mutants(SOURCE)}
    assert forks.planted(module, found["x += 1", "x += 2"])
    assert held(1) == -3
    assert not forks.planted(module, found["SIZE = 2", "SIZE = 3"])
    assert not forks.planted(module, found["def f(x, unused=1, used=True):", "def f(x, unused=1, used=False):"])


def test_what_is_listed_as_equivalent_is_there():
    for module, changes in mutation.explained().items():
        tree = ast.parse(mutation.path(module).read_text(encoding="utf-8"))
        lines = {ast.unparse(node).partition("\n")[0] for node in ast.walk(tree) if isinstance(node, ast.stmt)}
        assert {change.partition(" → ")[0] for change in changes} <= lines, module


FORKS = """
import os
from tests.endurance import forks

def endless():
    while True:
        pass

assert forks.apart(lambda: [1, 2]) == [1, 2]
assert forks.apart(lambda: os._exit(1)) is None
assert forks.apart(endless, seconds=0.1) is None
try:
    forks.apart(lambda: 1 / 0)
except RuntimeError as error:
    assert "ZeroDivisionError" in str(error)
else:
    raise AssertionError
"""


def test_what_a_fork_returns():
    # In a process of its own: this one may have JAX's threads in it, which do not live through a fork.
    root = Path(__file__).parents[2]
    ended = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, cwd=root, check=False)
    assert ended.returncode == 0, ended.stderr
