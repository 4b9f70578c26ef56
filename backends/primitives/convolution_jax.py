"""Convolution by XLA on GPUs and TPUs; on a CPU the portable version is faster."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax

from portanet.backends.namespace import is_traced
from portanet.backends.primitives import convolution_portable as portable
from portanet.backends.primitives.axes import Axis
from portanet.typing import Array

__all__ = ["convolve", "convolve_back", "lax_convolve", "lax_convolve_back"]

_lax: Any = jax.lax  # parts of JAX carry no types


def convolve(x: Array, weight: Array, rows: Axis, columns: Axis, groups: int) -> Array:
    """See :func:`portanet.backends.primitives.convolution.convolve`."""
    settings: dict[str, Any] = {"rows": rows, "columns": columns, "groups": groups}
    return _by_platform(partial(portable.convolve, **settings), partial(lax_convolve, **settings), x, weight)


def convolve_back(
    x: Array, weight: Array, dy: Array, rows: Axis, columns: Axis, groups: int, *, need_dx: bool
) -> tuple[Array | None, Array]:
    """See :func:`portanet.backends.primitives.convolution.convolve_back`."""
    settings: dict[str, Any] = {"rows": rows, "columns": columns, "groups": groups, "need_dx": need_dx}
    ours, xla = partial(portable.convolve_back, **settings), partial(lax_convolve_back, **settings)
    found: tuple[Array | None, Array] = _by_platform(ours, xla, x, weight, dy)
    return found


def lax_convolve(x: Array, weight: Array, rows: Axis, columns: Axis, groups: int) -> Array:
    """Return the convolution by ``jax.lax``."""
    return _lax.conv_general_dilated(
        *(x, weight),
        window_strides=(rows.stride, columns.stride),
        padding=tuple((a.before, a.after) for a in (rows, columns)),
        rhs_dilation=(rows.dilation, columns.dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def lax_convolve_back(
    x: Array, weight: Array, dy: Array, rows: Axis, columns: Axis, groups: int, *, need_dx: bool
) -> tuple[Array | None, Array]:
    """Return the gradients of :func:`lax_convolve`: the transposes of a function that is linear in each argument."""
    how: dict[str, Any] = {"rows": rows, "columns": columns, "groups": groups}
    (dw,) = jax.linear_transpose(lambda w: lax_convolve(x, w, **how), weight)(dy)
    if not need_dx:
        return None, dw
    (dx,) = jax.linear_transpose(lambda images: lax_convolve(images, weight, **how), x)(dy)
    return dx, dw


def _by_platform(ours: Any, xla: Any, x: Array, *others: Array) -> Any:
    """Return what `ours` gives on a CPU, and what `xla` gives elsewhere; a traced array is placed by the compiler."""
    if not is_traced(x):
        on_cpu = next(iter(x.devices())).platform == "cpu"
        return (ours if on_cpu else xla)(x, *others)
    if jax.default_backend() == "cpu":  # there is nothing else
        return ours(x, *others)
    return _lax.platform_dependent(x, *others, cpu=ours, default=xla)
