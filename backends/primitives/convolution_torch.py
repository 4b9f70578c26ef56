"""Convolution by torch's own operators: oneDNN on a CPU (float32 alone), cuDNN on a GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from portanet.backends.primitives.axes import Axis, padded
from portanet.typing import Array

__all__ = ["convolve", "convolve_dw", "convolve_dx"]


def convolve(x: Array, weight: Array, rows: Axis, columns: Axis, groups: int) -> Array:
    """See :func:`portanet.backends.primitives.convolution.convolve`."""
    x = _padded(x, rows, columns)
    with precision(x):
        y = torch.ops.aten.convolution(_channels_first(x), _kernel(weight), None, *_how(rows, columns), groups)
    return y.permute(0, 2, 3, 1)


def convolve_dx(dy: Array, weight: Array, rows: Axis, columns: Axis, groups: int) -> Array:
    """See :func:`portanet.backends.primitives.convolution.convolve_dx`."""
    axes = (rows, columns)
    wide = [a.size if _even(a) else _extent(a) for a in axes]
    x = dy.new_zeros(()).expand(dy.shape[0], *wide, weight.shape[2] * groups)  # its shape alone is read
    dx = _back(x, weight, dy, axes, groups, 0).permute(0, 2, 3, 1)
    top, left = (0 if _even(a) else a.before for a in axes)
    dx = dx[:, top : top + rows.size, left : left + columns.size, :]
    below, right = rows.size - dx.shape[1], columns.size - dx.shape[2]  # pixels that no window reaches
    return torch.nn.functional.pad(dx, (0, 0, 0, right, 0, below)) if below or right else dx


def convolve_dw(x: Array, dy: Array, rows: Axis, columns: Axis, groups: int) -> Array:
    """See :func:`portanet.backends.primitives.convolution.convolve_dw`."""
    weight = x.new_zeros(()).expand(rows.kernel, columns.kernel, x.shape[3] // groups, dy.shape[3])
    x = _padded(x, rows, columns)
    return _back(x, weight, dy, (rows, columns), groups, 1).permute(2, 3, 1, 0)


def _back(x: Array, weight: Array, dy: Array, axes: tuple[Axis, Axis], groups: int, which: int) -> Array:
    """Return one of torch's gradients: 0 is that of the images, 1 that of the weight."""
    arrays = (_channels_first(dy), _channels_first(x), _kernel(weight))
    with precision(dy):
        wanted = (which == 0, which == 1, False)
        return torch.ops.aten.convolution_backward(*arrays, None, *_how(*axes), groups, wanted)[which]


def _even(a: Axis) -> bool:
    """Return whether the padding is the same before and after, as torch's own is."""
    return a.before == a.after >= 0


def _extent(a: Axis) -> int:
    """Return how many pixels, padding included, the windows reach: with one stride more torch finds another place."""
    return a.stride * (a.out - 1) + a.reach


def _padded(x: Array, rows: Axis, columns: Axis) -> Array:
    """Return `x`, padded or cut along axes whose padding torch does not know."""
    for where, a in ((1, rows), (2, columns)):
        x = x if _even(a) else padded(x, a, where).narrow(where, 0, _extent(a))
    return x


def _how(rows: Axis, columns: Axis) -> tuple[Any, ...]:
    """Return torch's arguments for a window, but for the groups: stride, padding, dilation, and nothing transposed."""
    pads = tuple(a.before if _even(a) else 0 for a in (rows, columns))
    return (rows.stride, columns.stride), pads, (rows.dilation, columns.dilation), False, (0, 0)


def _channels_first(x: Array) -> Array:
    """Return images (n, h, w, channels) as torch names their axes, in their own order in memory."""
    return x.permute(0, 3, 1, 2)


def _kernel(weight: Array) -> Array:
    return weight.permute(3, 2, 0, 1)


@contextlib.contextmanager
def precision(x: Array) -> Iterator[None]:
    """Let cuDNN round convolutions as products are rounded (by default not to TF32), and sum in a fixed order."""
    if x.device.type != "cuda":
        yield
        return
    cudnn: Any = torch.backends.cudnn  # carries no types
    if not hasattr(cudnn, "conv"):  # before torch 2.9
        allowed = torch.backends.cuda.matmul.allow_tf32
        with cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=allowed):
            yield
        return
    # allow_tf32 cannot even be read where the user has set fp32_precision.
    before = cudnn.conv.fp32_precision, cudnn.benchmark, cudnn.deterministic
    products: Any = torch.backends.cuda.matmul
    try:
        cudnn.conv.fp32_precision = "tf32" if products.fp32_precision == "tf32" else "ieee"
        cudnn.benchmark, cudnn.deterministic = False, True
        yield
    finally:
        cudnn.conv.fp32_precision, cudnn.benchmark, cudnn.deterministic = before
