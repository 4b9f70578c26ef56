"""Convolution by XLA on GPUs and TPUs; on a CPU the portable version is faster."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax

from portanet.backends.namespace import is_traced
from portanet.backends.primitives import convolution_portable as portable
from portanet.backends.primitives.axes import Axis
from portanet.typing import Array

__all__ = ["convolve", "convolve_dw", "convolve_dx", "lax_convolve", "lax_convolve_dw", "lax_convolve_dx"]

_lax: Any = jax.lax  # parts of JAX carry no types
_shape_of: Any = jax.ShapeDtypeStruct


def convolve(x: Array, weight: Array, rows: Axis, columns: Axis, groups: int) -> Array:
    """See :func:`portanet.backends.primitives.convolution.convolve`."""
    settings: dict[str, Any] = {"rows": rows, "columns": columns, "groups": groups}
    return _by_platform(partial(portable.convolve, **settings), partial(lax_convolve, **settings), x, weight)


def convolve_dx(dy: Array, weight: Array, rows: Axis, columns: Axis, groups: int) -> Array:
    """See :func:`portanet.backends.primitives.convolution.convolve_dx`."""
    settings: dict[str, Any] = {"rows": rows, "columns": columns, "groups": groups}
    return _by_platform(partial(portable.convolve_dx, **settings), partial(lax_convolve_dx, **settings), dy, weight)


def convolve_dw(x: Array, dy: Array, rows: Axis, columns: Axis, groups: int) -> Array:
    """See :func:`portanet.backends.primitives.convolution.convolve_dw`."""
    settings: dict[str, Any] = {"rows": rows, "columns": columns, "groups": groups}
    return _by_platform(partial(portable.convolve_dw, **settings), partial(lax_convolve_dw, **settings), x, dy)


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


def lax_convolve_dx(dy: Array, weight: Array, rows: Axis, columns: Axis, groups: int) -> Array:
    """Return the gradient of :func:`lax_convolve` by the images: its transpose, for it is linear in each argument."""
    x: Any = _shape_of((dy.shape[0], rows.size, columns.size, weight.shape[2] * groups), dy.dtype)
    (dx,) = jax.linear_transpose(lambda images: lax_convolve(images, weight, rows, columns, groups), x)(dy)
    return dx


def lax_convolve_dw(x: Array, dy: Array, rows: Axis, columns: Axis, groups: int) -> Array:
    """Return the gradient of :func:`lax_convolve` by the weight."""
    weight: Any = _shape_of((rows.kernel, columns.kernel, x.shape[3] // groups, dy.shape[3]), dy.dtype)
    (dw,) = jax.linear_transpose(lambda w: lax_convolve(x, w, rows, columns, groups), weight)(dy)
    return dw


def _by_platform(ours: Any, xla: Any, x: Array, *others: Array) -> Any:
    """Return what `ours` gives on a CPU, and what `xla` gives elsewhere; a traced array is placed by the compiler."""
    if not is_traced(x):
        on_cpu = next(iter(x.devices())).platform == "cpu"
        return (ours if on_cpu else xla)(x, *others)
    if jax.default_backend() == "cpu":  # there is nothing else
        return ours(x, *others)
    return _lax.platform_dependent(x, *others, cpu=ours, default=xla)
