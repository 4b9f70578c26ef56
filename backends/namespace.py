"""The array library (Array API namespace) of an array."""

from __future__ import annotations

import sys
from typing import Any

from array_api_compat import array_namespace, is_cupy_array, is_jax_array, is_torch_array

from portanet.typing import Array

_found: dict[type, Any] = {}


def namespace(x: Array) -> Any:
    """Return the Array API namespace of `x`, from array-api-compat.

    The lookup is cached for each type: it takes longer than the sum of a small array, and a step needs about twenty
    lookups.
    """
    kind = type(x)
    if kind not in _found:
        _found[kind] = array_namespace(x)
    return _found[kind]


def adopt(kind: type, xp: Any) -> None:
    """Register a type as arrays of the namespace `xp`, for objects with which a library traces a function."""
    _found.setdefault(kind, xp)


def is_traced(x: Array) -> bool:
    """Return whether `x` stands for an array that JAX traces a function with, and has no values."""
    return is_jax_array(x) and isinstance(x, sys.modules["jax"].core.Tracer)


def copied(x: Array) -> Array:
    """Return a writable copy of `x`; a torch tensor that requires grad is detached from its graph."""
    return namespace(x).asarray(x.detach() if getattr(x, "requires_grad", False) else x, copy=True)


def why_fixed(x: Array) -> str:
    """Return why `x` cannot be written in place; empty if it can."""
    if getattr(x, "requires_grad", False) and x.is_leaf:
        return "requires grad"
    return "is read-only" if not getattr(getattr(x, "flags", None), "writeable", True) else ""


def sign(x: Array) -> Array:
    """Return the sign of each number of `x`: -1, 0, 1, and NaN for NaN.

    The signs of CuPy and torch are 0 for NaN, and array-api-compat's correction of that, a boolean mask, synchronizes
    with the device and cannot be vectorised by torch.func.vmap.
    """
    xp = namespace(x)
    if is_cupy_array(x) or is_torch_array(x):
        positive, negative = (xp.astype(which, x.dtype) for which in (x > 0, x < 0))
        return xp.where(xp.isnan(x), x, positive - negative)
    return xp.sign(x)


def row_products(a: Array, b: Array) -> Array:
    """Return the sum of a b over the last axis.

    CuPy's vecdot is a product of matrices for each row, and torch.func.vmap cannot take torch's. NumPy's takes a tenth
    of the time of a product and a sum for rows of 5,000.
    """
    xp = namespace(a)
    return xp.sum(a * b, axis=-1) if is_cupy_array(a) or is_torch_array(a) else xp.vecdot(a, b)
