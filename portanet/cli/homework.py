"""A layer or loss that the user names: a class of a file, ``homework.py:MyLayer``, or of a module given by --import."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any

from portanet.errors import ConfigError, DataError, PortanetError, unknown
from portanet.layers import Layer
from portanet.layers.config import LAYERS
from portanet.losses import LOSSES, Loss

__all__ = ["made", "named"]


def named(what: str) -> bool:
    """Whether `what` names a class of a file."""
    return ".py:" in what


def made(what: str) -> Layer | Loss:
    """Return the layer or loss that `what` names, made with the arguments in brackets after it, if any.

    Parameters
    ----------
    what : str
        ``homework.py:MyLayer``, ``homework.py:MyLayer(3, bias=False)``, ``homework.py:ready`` for one that the file has
        made, or the name of a class that --import has made known.

    Raises
    ------
    DataError
        If there is no such file.
    ConfigError
        If it cannot be imported, has no such name, or it is no layer and no loss.
    """
    file, _, text = what.rpartition(".py:")
    name, arguments, options = _call(text, what)
    names = _of_file(Path(f"{file}.py")) if file else {}
    known = {key: thing for key, thing in names.items() if _is_own(thing)} if file else {**LAYERS, **LOSSES}
    if name not in known and isinstance(names.get(name), type):
        message = f"{file}.py: expected {name} to derive from pn.Layer or pn.Loss: class {name}(pn.Layer)"
        raise ConfigError(message)
    if name not in known:
        raise ConfigError((f"{file}.py: " if file else "") + unknown("layer or loss", name, known))
    found = known[name]
    if isinstance(found, Layer | Loss):
        return found
    try:
        inspect.signature(found).bind(*arguments, **options)
    except TypeError as error:
        plain = f"{file}.py:{name}" if file else name
        message = f"{what}: {name} cannot be made ({error}); give its arguments: '{plain}(...)', with quotes in a shell"
        raise ConfigError(message) from None
    try:
        thing: Layer | Loss = found(*arguments, **options)
    except PortanetError:
        raise
    except (Exception, SystemExit) as error:
        line = _line(error, Path(f"{file}.py"))
        message = f"{what}: {name} cannot be made: it raises {type(error).__name__}{line}: {error}"
        raise ConfigError(message) from error
    return thing


def _call(text: str, what: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Return the name, the arguments and the options in ``MyLayer(3, bias=False)``."""
    try:
        node = ast.parse(text, mode="eval").body
        call = node if isinstance(node, ast.Call) else ast.Call(node, [], [])
        if not isinstance(call.func, ast.Name):
            raise SyntaxError
        options = {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
        return call.func.id, [ast.literal_eval(one) for one in call.args], options
    except (SyntaxError, ValueError):
        message = f"{what}: expected the name of a class, perhaps with plain arguments, as in homework.py:MyLayer(3)"
        raise ConfigError(message) from None


def _of_file(path: Path) -> dict[str, Any]:
    """Return the classes of a file, and what it has made, by name."""
    if not path.is_file():
        message = f"{path}: expected a Python file, found none; check the path"
        raise DataError(message)
    name = f"homework_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    sys.path.append(str(path.resolve().parent))  # last, so that no file there takes the place of an installed module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a file that ends the process must not pass
        line = _line(error, path)
        message = f"{path}{line}: it raises {type(error).__name__} when it is imported: {error}; correct the file"
        raise ConfigError(message) from error
    finally:
        sys.path.pop()
    return {
        key: thing
        for key, thing in vars(module).items()
        if isinstance(thing, Layer | Loss) or (isinstance(thing, type) and thing.__module__ == name)
    }


def _is_own(thing: Any) -> bool:
    return isinstance(thing, Layer | Loss) or (isinstance(thing, type) and issubclass(thing, (Layer, Loss)))


def _line(error: BaseException, path: Path) -> str:
    """Return the line of the file in which the error was raised, as part of a message."""
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}"
    lines = (
        [
            frame.lineno
            for frame in inspect.getinnerframes(error.__traceback__)
            if Path(frame.filename) == path.resolve()
        ]
        if error.__traceback__
        else []
    )
    return f", line {lines[-1]}" if lines else ""
