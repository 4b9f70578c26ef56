"""What the stages of every probe share: why a backend cannot be used, and the checks of a device."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np


class Unusable(Exception):
    """A stage of a probe that failed: the stage, the reason in words, and the command that fixes it."""

    def __init__(self, *, stage: str, reason: str, mend: str = "") -> None:
        super().__init__(reason)
        self.stage, self.reason, self.mend = stage, reason, mend


def stop(stage: str, reason: str, mend: str = "") -> NoReturn:
    """End a probe: raise :class:`Unusable`."""
    raise Unusable(stage=stage, reason=reason, mend=mend)


def said(error: BaseException) -> str:
    """Return an error in one line: its type, and the last line it says (CuPy and torch put the cause there)."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" =")]
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
