"""Convolutions of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portanet.backends.primitives.axes import Axis
from portanet.backends.primitives.convolution import convolve, convolve_dw, convolve_dx
from portanet.errors import ShapeError
from portanet.layers.convolution import Convolution
from portanet.layers.windows import Padding, axis, check_padding, pair, sides
from portanet.random import Key
from portanet.typing import Array, Params, Shape

__all__ = ["Conv2D"]


_PADDING = 17  # pixels that any kernel may have fewer of: networks of others pad kernels of 1 × 1 by one


@dataclass(frozen=True)
class Conv2D(Convolution):
    """Convolution (cross-correlation, as everywhere in the field) of images.

    Forward   y[p]  = Σ_k x[s p + d k - pad] W[k] + b
    Backward  dx[q] = Σ_k dy[p] W[k]ᵀ  over the places p that have pixel q under tap k
              dW[k] = Σ_p x[s p + d k - pad]ᵀ dy[p],   db = Σ dy
    Shapes    x (n, h, w, in), W (kh, kw, in / groups, units), b (units,), y (n, h', w', units)
    Source    LeCun et al. 1989, Neural Computation 1

    Parameters
    ----------
    units : int
        Number of output channels, 1 or more; a multiple of `groups`.
    kernel : int or (int, int)
    stride, dilation : int or (int, int)
        All 1 or more.
    padding : "valid", "same", int, (int, int), or ((int, int), (int, int))
        Numbers of pixels: on all sides, of rows and columns, or ((top, bottom), (left, right)). Each is 0 or more, and
        below the larger of 17 and the kernel's size, dilation included; see :func:`portanet.layers.windows.axis`.
    groups : int
        Number of groups of channels, 1 or more, each convolved by itself; as many as channels is depthwise.
    bias : bool
    weight_init, bias_init : str or function
        See :mod:`portanet.initializers`.
    rate : float
        Factor on the learning rate of W and b; 0 freezes them.
    """

    padding: Padding = "valid"

    def __post_init__(self) -> None:
        super().__post_init__()
        reach = max(*(d * (k - 1) + 1 for k, d in zip(pair(self.kernel), pair(self.dilation), strict=True)), _PADDING)
        check_padding("Conv2D", self.padding, reach, reach)

    def init(self, rng: Any, in_shape: Shape) -> tuple[Params, Shape]:
        if len(in_shape) != 3:
            message = (
                f"expected images (height, width, channels), got samples of shape {tuple(in_shape)}; "
                f"grey images need a last axis of 1: Reshape((height, width, 1)) before it"
            )
            raise ShapeError(message)
        rows, columns = self.axes(in_shape[0], in_shape[1])
        params = self.init_params(rng, (rows.kernel, columns.kernel), in_shape[2])
        return params, (rows.out, columns.out, self.units)

    def axes(self, height: int, width: int) -> tuple[Axis, Axis]:
        """Return the window's arithmetic for images of that size."""
        sizes = (height, width), pair(self.kernel), pair(self.stride), sides(self.padding), pair(self.dilation)
        rows, columns = (axis(*own) for own in zip(*sizes, strict=True))
        return rows, columns

    def scratch(self, in_shape: Shape) -> int:
        rows, columns = self.axes(in_shape[0], in_shape[1])
        lines = columns.padded + columns.out * columns.kernel  # of each row: the images, and their lines
        return rows.padded * lines * in_shape[2]

    def forward(self, params: Params, x: Array, *, train: bool = False, key: Key | None = None) -> tuple[Array, Any]:
        weight = params["weight"]
        self.check_input(x, weight)
        y = convolve(x, weight, *self.axes(x.shape[1], x.shape[2]), self.groups)
        if self.bias:
            y += params["bias"]
        return y, (x, weight)  # what is gathered from x is several times as large: it is gathered again, never kept

    def backward(self, params: Params, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Params]:
        x, weight = cache
        axes = self.axes(x.shape[1], x.shape[2])
        grads = {**self.bias_gradient(dy), "weight": convolve_dw(x, dy, *axes, self.groups)}
        return (convolve_dx(dy, weight, *axes, self.groups) if need_dx else None), grads
