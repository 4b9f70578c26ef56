"""Convolution by torch's own operators: oneDNN on a CPU (float32 alone), cuDNN on a GPU."""

from __future__ import annotations

import contextlib
from typing import Any

import torch

from portanet.backends.primitives.axes import Axis, padded
from portanet.typing import Array

__all__ = ["convolve", "convolve_back"]


def convolve(x: Array, weight: Array, rows: Axis, columns: Axis, groups: int) -> Array:
    """See :func:`portanet.backends.primitives.convolution.convolve`."""
    x, how = _padded(x, rows, columns)
    with _precision(x):
        y = torch.ops.aten.convolution(_channels_first(x), _kernel(weight), None, *how, groups)
    return y.permute(0, 2, 3, 1)


def convolve_back(
    x: Array, weight: Array, dy: Array, rows: Axis, columns: Axis, groups: int, *, need_dx: bool
) -> tuple[Array | None, Array]:
    """See :func:`portanet.backends.primitives.convolution.convolve_back`."""
    wide, how = _padded(x, rows, columns)
    arrays = (_channels_first(dy), _channels_first(wide), _kernel(weight))
    with _precision(x):
        dx, dw, _ = torch.ops.aten.convolution_backward(*arrays, None, *how, groups, (need_dx, True, False))
    if need_dx:
        dx = dx.permute(0, 2, 3, 1)
        if wide is not x:  # what came in with explicit padding goes without it
            top, left = (0 if _even(a) else a.before for a in (rows, columns))
            dx = dx[:, top : top + x.shape[1], left : left + x.shape[2], :]
            if dx.shape != x.shape:  # pixels after the last window
                low, right = x.shape[1] - dx.shape[1], x.shape[2] - dx.shape[2]
                dx = torch.nn.functional.pad(dx, (0, 0, 0, right, 0, low))
    return dx if need_dx else None, dw.permute(2, 3, 1, 0)


def _even(a: Axis) -> bool:
    """Return whether the padding is the same before and after, as torch's own is."""
    return a.before == a.after >= 0


def _padded(x: Array, rows: Axis, columns: Axis) -> tuple[Array, tuple[Any, ...]]:
    """Return `x`, padded along axes whose padding torch does not know, and torch's arguments but the groups."""
    for where, a in ((1, rows), (2, columns)):
        x = x if _even(a) else padded(x, a, where)
    pads = tuple(a.before if _even(a) else 0 for a in (rows, columns))
    return x, ((rows.stride, columns.stride), pads, (rows.dilation, columns.dilation), False, (0, 0))


def _channels_first(x: Array) -> Array:
    """Return images (n, h, w, channels) as torch names their axes, in their own order in memory."""
    return x.permute(0, 3, 1, 2)


def _kernel(weight: Array) -> Array:
    return weight.permute(3, 2, 0, 1)


def _precision(x: Array) -> contextlib.AbstractContextManager[Any]:
    """Let cuDNN round convolutions as products are rounded (by default not to TF32), and sum in a fixed order."""
    if x.device.type != "cuda":
        return contextlib.nullcontext()
    rounded = torch.backends.cuda.matmul.allow_tf32
    flags: Any = torch.backends.cudnn.flags  # carries no types
    return flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=rounded)  # type: ignore[no-any-return]
