"""Tests of a changed module in forks of one process, which has collected them once.

A change within functions is put into those that are there already: their code is replaced. A fork then runs the tests
that come by the changed lines, until one fails. What a change elsewhere does, and what a fork lets pass, is for a new
process (:mod:`tests.endurance.mutation`) to find out.
"""

from __future__ import annotations

import inspect
import os
import pickle
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

from tests.endurance.mutants import Mutant


def apart(work: Callable[[], Any], seconds: float | None = None) -> Any:
    """Return what `work` returns in a fork; None where that dies, or takes more than so many seconds of CPU.

    Raises
    ------
    RuntimeError
        With the traceback of what `work` raised.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if seconds is not None:  # of CPU: a machine that is busy, or a run that is held, costs no mutant its life
                resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 1))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            nothing = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(nothing, stream)
            answer: tuple[Any, str | None]
            try:
                answer = work(), None
            except Exception:
                answer = None, traceback.format_exc()
            with open(writing, "wb") as out:
                pickle.dump(answer, out)
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    found, error = pickle.loads(told) if told else (None, None)
    if error:
        raise RuntimeError(error)
    return found


@dataclass
class Test:
    """What a test took, which lines of the module it came by, and how many mutants it killed."""

    place: int
    seconds: float
    lines: set[int]
    kills: int = 0


@dataclass(eq=False)  # pytest keeps its plugins in sets
class Loop:
    """In place of pytest's own loop: the collected tests on each mutant. `alive` are those that pass."""

    module: str
    path: str
    mutants: list[Mutant]
    tests: list[Test] | None = None
    alive: list[Mutant] = field(default_factory=list)
    failed: bool = False

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.failed = self.failed or report.failed

    def pytest_runtestloop(self, session: Any) -> bool:
        self.tests = apart(lambda: self._as_it_is(session))
        for mutant in self.mutants if self.tests else []:
            lines = set(range(mutant.line, mutant.last + 1))
            chosen = [test for test in self.tests or [] if test.lines & lines]
            chosen.sort(key=lambda test: (-test.kills, test.seconds))
            took = sum(test.seconds for test in chosen)
            killer = apart(partial(self._killer, session, mutant, chosen), 5 + 5 * took)
            if killer == -1:
                self.alive.append(mutant)
            elif killer is not None:
                next(test for test in chosen if test.place == killer).kills += 1
        return True

    def _passes(self, item: Any) -> bool:
        self.failed = False
        item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
        return not self.failed

    def _as_it_is(self, session: Any) -> list[Test] | None:
        """Run all tests on the module as it is; None where one fails."""
        found = []
        for place, item in enumerate(session.items):
            lines: set[int] = set()
            sys.settrace(_noting(self.path, lines))
            began = time.process_time()
            passed = self._passes(item)
            sys.settrace(None)
            found.append(Test(place, time.process_time() - began, lines))
            if not passed:
                return None
        return found

    def _killer(self, session: Any, mutant: Mutant, chosen: list[Test]) -> int:
        """Return the place of the test that fails on the mutant, -1 where none does."""
        if planted(sys.modules[self.module], mutant.source):
            for test in chosen:
                if not self._passes(session.items[test.place]):
                    return test.place
        return -1


def _noting(path: str, lines: set[int]) -> Callable[..., Any]:
    """Return a trace function that notes the lines of one file."""

    def line(frame: FrameType, event: str, argument: Any) -> Any:
        lines.add(frame.f_lineno)
        return line

    return lambda frame, event, argument: line(frame, event, argument) if frame.f_code.co_filename == path else None


def planted(module: ModuleType, source: str) -> bool:
    """Replace the code of the module's functions by that of a source; False where it differs elsewhere."""
    with open(str(module.__file__), encoding="utf-8") as own:
        old = compile(own.read(), "old", "exec")
    new = compile(source, "new", "exec")
    if _outside(old) != _outside(new):
        return False
    there = {function.__qualname__: function for function in _functions(module)}
    before = dict(_codes(old))
    for name, code in _codes(new):
        if _plain(before[name]) != _plain(code):
            if name not in there or there[name].__code__.co_freevars != code.co_freevars:
                return False
            there[name].__code__ = code
    for value in vars(module).values():
        if hasattr(value, "cache_clear"):
            value.cache_clear()
    return True


def _is_function(code: CodeType) -> bool:
    return bool(code.co_flags & inspect.CO_OPTIMIZED)  # else a module or the body of a class


def _outside(code: CodeType) -> Any:
    """Return what the code of a module does outside its functions."""
    inner = [_outside(c) if not _is_function(c) else None for c in code.co_consts if isinstance(c, CodeType)]
    return code.co_code, code.co_names, [repr(c) for c in code.co_consts if not isinstance(c, CodeType)], inner


def _plain(code: CodeType) -> Any:
    """Return what a function does, wherever it stands."""
    consts = [_plain(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return code.co_code, code.co_names, code.co_varnames, code.co_freevars, consts


def _codes(code: CodeType) -> Iterator[tuple[str, CodeType]]:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from [(inner.co_qualname, inner)] if _is_function(inner) else _codes(inner)


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    held = [*vars(module).values()]
    held += [value for kind in held if inspect.isclass(kind) for value in vars(kind).values()]
    for value in held:
        value = getattr(value, "fget", getattr(value, "__func__", value))  # of a property, of a class method
        value = inspect.unwrap(value) if callable(value) else value
        if isinstance(value, FunctionType) and value.__module__ == module.__name__:
            yield value
