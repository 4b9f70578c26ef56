"""What the stages of every probe share: why a backend cannot be used, the import, and the checks of a device."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np


class Unusable(Exception):
    """A stage of a probe that failed: the stage, the reason in words, and the command that fixes it."""

    def __init__(self, *, stage: str, reason: str, fix: str = "") -> None:
        super().__init__(reason)
        self.stage, self.reason, self.fix = stage, reason, fix


def stop(stage: str, reason: str, fix: str = "") -> NoReturn:
    """End a probe: raise :class:`Unusable`."""
    raise Unusable(stage=stage, reason=reason, fix=fix)


def installed(module: str) -> bool:
    """Return whether `module` can be found; a folder of that name without code (a namespace package) is no library."""
    spec = importlib.util.find_spec(module)
    folder = getattr(spec, "submodule_search_locations", None) is not None
    return spec is not None and not (folder and getattr(spec, "origin", None) is None)


def load(module: str, kind: str, failed: Callable[[BaseException], Unusable]) -> Any:
    """Return an installed `module`, imported.

    `kind` is a name that it has, such as that of its arrays; `failed` explains an import that failed.

    Raises
    ------
    Unusable
        If it cannot be imported, or something else of that name comes first on the path.
    """
    spec, known = importlib.util.find_spec(module), module in sys.modules
    file = str(getattr(spec, "origin", None) or "")
    if not known and file.endswith(".py") and getattr(spec, "submodule_search_locations", None) is None:
        raise _hidden(module, file)  # a script: to import it would run it
    try:
        found = importlib.import_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a broken installation may raise anything, Rust's panics too, and a script may exit
        if file and not _in_site_packages(file):
            reason = f"{file}, which comes first on the path, cannot be imported: {said(error)}"
            raise Unusable(stage="import", reason=f"{reason}: rename or move it if it is not {module}") from error
        raise failed(error) from error
    try:
        there = hasattr(found, kind)
    except Exception:  # a __getattr__ of its own
        there = False
    if not there:
        if not known:
            with contextlib.suppress(
                KeyError
            ):  # array-api-compat takes what is imported under that name for the library
                del sys.modules[module]
        raise _hidden(module, file)
    return found


def _in_site_packages(file: str) -> bool:
    """Return whether a file is where packages are installed; then pip can repair it."""
    return bool({"site-packages", "dist-packages"} & set(Path(file).parts))


def _hidden(module: str, file: str) -> Unusable:
    reason = f"{file or 'a module of that name'} is not {module}, and comes first on the path: rename or move it"
    return Unusable(stage="import", reason=reason)


def said(error: BaseException) -> str:
    """Return an error in one line: its type, and the last line it says (CuPy and torch put the cause there)."""
    text = ""
    with contextlib.suppress(Exception):  # an error whose text is an error
        text = str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip(" =")]
    return f"{type(error).__name__}: {lines[-1]}" if lines else type(error).__name__


def check_index(kind: str, index: int, n: int) -> None:
    """Refuse a device beyond the `n` that there are."""
    if index >= n:
        there = "there is one device" if n == 1 else f"there are {n} devices"
        names = f"{kind}:0" if n == 1 else f"{kind}:0 to {kind}:{n - 1}"
        stop("devices", f"{there}, {names}, and number {index} was asked for")


def check_product(product: np.ndarray[Any, Any]) -> None:
    """Refuse a device whose product of two 2 × 2 matrices of ones is not 2 everywhere."""
    if product.tolist() != [[2.0, 2.0], [2.0, 2.0]]:
        message = f"ones @ ones gave {product.tolist()}"
        raise ArithmeticError(message)
