"""Convolution of images and its gradients: torch's and JAX's own where they are faster, else the portable version."""

from __future__ import annotations

from typing import Any

from array_api_compat import is_jax_array, is_torch_array

from portanet.backends.primitives import convolution_portable as portable
from portanet.backends.primitives.axes import Axis
from portanet.typing import Array

__all__ = ["convolve", "convolve_dw", "convolve_dx"]


def convolve(x: Array, weight: Array, rows: Axis, columns: Axis, groups: int = 1) -> Array:
    """Return the convolution (cross-correlation) of images, without a bias.

    Forward   y[p] = Σ_k x[s p + d k - pad] W[k]
    Shapes    x (n, h, w, in), W (kh, kw, in / groups, units), y (n, h', w', units)

    Parameters
    ----------
    rows, columns : Axis
        The window along each axis; h and w are their ``size``, h' and w' their ``out``.
    groups : int
        Number of groups of channels, each convolved by itself.
    """
    return _library(x).convolve(x, weight, rows, columns, groups)


def convolve_dx(dy: Array, weight: Array, rows: Axis, columns: Axis, groups: int = 1) -> Array:
    """Return the gradient of :func:`convolve` with respect to the images, (n, h, w, in).

    Backward  dx[q] = Σ_k dy[p] W[k]ᵀ  over the places p that have pixel q under tap k
    """
    return _library(dy).convolve_dx(dy, weight, rows, columns, groups)


def convolve_dw(x: Array, dy: Array, rows: Axis, columns: Axis, groups: int = 1) -> Array:
    """Return the gradient of :func:`convolve` with respect to the weight, (kh, kw, in / groups, units).

    Backward  dW[k] = Σ_p x[s p + d k - pad]ᵀ dy[p]
    """
    return _library(x).convolve_dw(x, dy, rows, columns, groups)


def _library(x: Array) -> Any:
    if is_torch_array(x) and not (str(x.dtype) == "torch.float64" and x.device.type == "cpu"):  # oneDNN has no float64
        from portanet.backends.primitives import convolution_torch

        return convolution_torch
    if is_jax_array(x):
        from portanet.backends.primitives import convolution_jax

        return convolution_jax
    return portable
